//! `vectorforge search`: the nearest chunks of a collection, on the terminal or as JSON.

use std::fmt;

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::api_client::ApiClient;
use super::error::ClientError;
use super::terminal::{plain, snippet};
use super::{ServerOptions, collection};
use crate::output::print;

/// Length of a hit's snippet, in characters: three lines of a terminal.
const SNIPPET_CHARS: usize = 240;

const SEARCH: &str = "query($input: SearchInput!) { search(input: $input) {
    hits { rank score chunk { id text index startChar endChar document { id title sourceUri } } }
    info { exact index returned requested queryCutAtTokens tookMs }
} }";

/// Options of `vectorforge search`.
#[derive(Debug, Clone, clap::Args)]
pub struct SearchOptions {
    /// What to look for, in plain words
    #[arg(value_name = "TEXT")]
    pub query: String,
    /// Name of the collection
    #[arg(long, short, value_name = "NAME")]
    pub collection: String,
    /// How many hits
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub first: u32,
    /// Print the server's answer as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would replace the command's help")]
    pub server: ServerOptions,
}

/// Searches and prints the hits.
///
/// # Errors
/// Where the server cannot be asked, refuses, or has no such collection.
pub async fn search(options: SearchOptions) -> Result<(), ClientError> {
    let as_json = options.json;
    let answer = ask(options).await?;
    if as_json {
        print(&format_args!("{}\n", terminal_json(&answer.raw)))?;
    } else {
        print(&answer.found)?;
    }
    Ok(())
}

/// The answer as it came and as it was understood.
pub(super) struct SearchAnswer {
    pub raw: Json,
    pub found: Found,
}

pub(super) async fn ask(options: SearchOptions) -> Result<SearchAnswer, ClientError> {
    let server = ApiClient::new(options.server.url)?;
    let collection = collection::find(&server, &options.collection).await?;
    let input = json!({ "collectionId": collection, "query": { "text": options.query }, "first": options.first });
    let mut data: Json = server.ask(SEARCH, json!({ "input": input })).await?;
    let raw = data["search"].take();
    let found = Found::deserialize(&raw);
    let found = found.map_err(|error| server.foreign(format!("a search answer of another shape, {error}")))?;
    Ok(SearchAnswer { raw, found })
}

/// Indented JSON. The format leaves the control characters above ASCII as they are; here they are escaped too.
pub(super) fn terminal_json(json: &Json) -> String {
    let mut safe = String::new();
    for c in format!("{json:#}").chars() {
        match u32::from(c) {
            code @ 0x7f..=0x9f => safe.push_str(&format!("\\u{code:04x}")),
            _ => safe.push(c),
        }
    }
    safe
}

#[derive(Debug, Deserialize)]
pub(super) struct Found {
    hits: Vec<Hit>,
    info: Info,
}

#[derive(Debug, Deserialize)]
struct Hit {
    rank: u32,
    score: f64,
    chunk: Chunk,
}

#[derive(Debug, Deserialize)]
struct Chunk {
    text: String,
    document: Document,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    id: String,
    title: Option<String>,
    source_uri: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    exact: bool,
    index: Option<String>,
    returned: u32,
    requested: u32,
    query_cut_at_tokens: Option<u32>,
    took_ms: f64,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for hit in &self.hits {
            writeln!(f, "{hit}")?;
        }
        writeln!(f, "{}", self.info)
    }
}

impl fmt::Display for Hit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let document = &self.chunk.document;
        let title = document.title.as_ref().or(document.source_uri.as_ref()).unwrap_or(&document.id);
        writeln!(f, "{:>2}  {:.3}  {}", self.rank, self.score, plain(title))?;
        writeln!(f, "    {}", snippet(&self.chunk.text, SNIPPET_CHARS))
    }
}

impl fmt::Display for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match &self.index {
            _ if self.exact => "exact".to_owned(),
            Some(index) => plain(index),
            None => "approximate".to_owned(),
        };
        write!(f, "{how}, {} of {} hits in {:.0} ms", self.returned, self.requested, self.took_ms)?;
        match self.query_cut_at_tokens {
            Some(tokens) => write!(f, "; only the first {tokens} tokens of the text were read"),
            None => Ok(()),
        }
    }
}
