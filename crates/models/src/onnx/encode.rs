//! A graph with its tokenizer, pooling and prompts: texts to embeddings.

use std::path::Path;
use std::sync::Arc;

use encoder::{LoadError, Pooling, Prompts, Purpose};

use super::batch::batches;
use super::graph::Graph;
use super::tokens::{TextTokenizer, Tokens};
use crate::Tokenize;
use crate::local::{BYTES_PER_TOKEN, Embedding, Encode};

/// The longest text that is tried when a model is loaded. It covers the tables of 512 or 1024 positions that most models
/// have; those that take longer texts compute their positions.
const LONGEST_TRIAL: usize = 1024;

/// A loaded model. It never changes, so threads share it.
pub(super) struct OnnxEncoder {
    graph: Graph,
    tokenizer: TextTokenizer,
    pooling: Pooling,
    pub prompts: Prompts,
    dimensions: usize,
}

/// The model in a lane, with the prompt of the lane's texts.
pub(super) struct ForPurpose {
    pub encoder: Arc<OnnxEncoder>,
    pub purpose: Purpose,
}

impl OnnxEncoder {
    /// Reads and checks everything, and runs the graph.
    pub(super) fn load(dir: &Path, graph: &Path) -> Result<Self, LoadError> {
        let tokenizer = TextTokenizer::load(dir)?;
        let prompts = Prompts::read(dir)?;
        let graph = Graph::load(graph)?;
        let dimensions = try_out(&graph, &tokenizer)?;
        // Of a single row, every pooling is the row itself.
        let pooling = if graph.pools() { Pooling::default() } else { Pooling::of_model(dir, dimensions)? };
        Ok(Self { graph, tokenizer, pooling, prompts, dimensions })
    }

    /// Numbers of a vector.
    pub(super) fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Most tokens of a document's text of which none is left out. A prompt counts a token per byte, which no tokenizer
    /// exceeds.
    pub(super) fn room_for_document(&self) -> usize {
        self.tokenizer.room().saturating_sub(self.prompts.document.len())
    }

    /// The tokens of a text behind the prompt of its purpose.
    pub(super) fn tokens(&self, purpose: Purpose, text: &str) -> Tokens {
        self.tokenizer.encode(&[self.prompts.of(purpose), text].concat())
    }

    /// One vector of length one per text.
    fn embed(&self, texts: &[Tokens]) -> Vec<Vec<f32>> {
        let mut vectors = vec![Vec::new(); texts.len()];
        let lengths: Vec<_> = texts.iter().map(|text| text.ids.len()).collect();
        for places in batches(&lengths, self.graph.hides_padding()) {
            let ids: Vec<_> = places.iter().map(|place| &texts[*place].ids[..]).collect();
            // A pass has no other way to fail, and its thread goes on after this one.
            let rows = self.graph.run(&ids).unwrap_or_else(|error| panic!("{error}"));
            for (text, place) in places.into_iter().enumerate() {
                let rows = rows.of(text, lengths[place]);
                vectors[place] = self.pooling.pool(rows, self.dimensions, self.dimensions);
            }
        }
        vectors
    }
}

/// Runs the longest text, of the largest id, and two texts at once; gives the numbers of a vector.
fn try_out(graph: &Graph, tokenizer: &TextTokenizer) -> Result<usize, LoadError> {
    let ids = vec![tokenizer.largest_id(); tokenizer.max_tokens().min(LONGEST_TRIAL)];
    let longest = graph.run(&[&ids])?;
    let short = tokenizer.encode("a").ids;
    let several = graph.run(&[&short, &short])?;
    if !longest.are_finite() || !several.are_finite() {
        return Err(graph.unexpected("a graph whose vectors are not finite", "numbers"));
    }
    if longest.dimensions != several.dimensions {
        let found = format!("vectors of {} and of {} numbers", longest.dimensions, several.dimensions);
        return Err(graph.unexpected(found, "one length for all texts"));
    }
    Ok(several.dimensions)
}

impl Encode for ForPurpose {
    fn estimate(&self, text: &str) -> usize {
        (text.len() / BYTES_PER_TOKEN + 1).min(self.encoder.tokenizer.max_tokens())
    }

    fn encode(&self, texts: &[String]) -> Vec<Embedding> {
        let tokens: Vec<_> = texts.iter().map(|text| self.encoder.tokens(self.purpose, text)).collect();
        let vectors = self.encoder.embed(&tokens);
        let pairs = vectors.into_iter().zip(tokens);
        pairs
            .map(|(vector, Tokens { ids, truncated })| Embedding {
                vector,
                // At most `max_tokens`, which is far below.
                tokens: u32::try_from(ids.len()).unwrap_or(u32::MAX),
                truncated,
            })
            .collect()
    }
}

impl Tokenize for OnnxEncoder {
    fn offsets(&self, text: &str) -> Vec<(usize, usize)> {
        self.tokenizer.offsets(text)
    }
}
