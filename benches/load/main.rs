//! Documents that are made to cost much: processor time of loading and chunking one of each kind, and how it grows.
//!
//!     cargo bench --bench load [-- --megabytes 10 --only Html --unit characters]
//!
//! Each document is read at half its size and at all of it, in three rounds; the least time of each counts, since nothing
//! but other work on the machine makes one longer. Chunks are cut as a new collection cuts them, with the packaged
//! model's tokenizer. Prints the dearest first.

#![expect(clippy::print_stdout, reason = "its answer")]

mod attack;
mod html;
mod markdown;
mod text;

use std::time::Duration;

use ::text::Stop;
use ::text::chunk::{ChunkSettings, CountTokens, Unit, chunk};
use ::text::load::{ContentType, load};
use anyhow::Context;
use clap::Parser;
use models::{Embedder, LocalModel, LocalOptions, Tokenize};

use attack::Attack;

#[derive(Parser)]
struct Arguments {
    /// Size of a document, in millions of bytes.
    #[arg(long, default_value_t = 10)]
    megabytes: usize,
    /// Only kinds whose line holds this.
    #[arg(long, default_value = "")]
    only: String,
    /// What chunks are measured in: tokens or characters.
    #[arg(long, default_value = "tokens", value_parser = ["tokens", "characters"])]
    unit: String,
    /// Times that each document is read.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How many lines, the dearest first.
    #[arg(long, default_value_t = usize::MAX)]
    lines: usize,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What one kind cost.
struct Cost {
    kind: String,
    half: Duration,
    whole: Duration,
}

impl Cost {
    fn growth(&self) -> f64 {
        self.whole.as_secs_f64() / self.half.as_secs_f64()
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let tokenizer = Tokenizer(tokenizer().await?);
    let mut settings = ChunkSettings::default();
    if arguments.unit == "characters" {
        settings.unit = Unit::Characters;
        settings.size *= 4;
        settings.overlap *= 4;
    }
    let reading = Reading { tokenizer, settings, rounds: arguments.rounds };
    let all = [
        (ContentType::Markdown, markdown::ATTACKS),
        (ContentType::Html, html::ATTACKS),
        (ContentType::PlainText, text::ATTACKS),
    ];
    let kinds =
        all.iter().flat_map(|(content_type, attacks)| attacks.iter().map(move |attack| (*content_type, attack)));
    let named = kinds.map(|(content_type, attack)| (format!("{content_type:?} {attack:?}"), content_type, attack));
    let wanted = named.filter(|(kind, ..)| kind.contains(&arguments.only));
    let bytes = arguments.megabytes * 1_000_000;
    let mut costs: Vec<_> =
        wanted.map(|(kind, content_type, attack)| reading.cost(kind, content_type, attack, bytes)).collect();
    costs.sort_by_key(|cost| std::cmp::Reverse(cost.whole));
    println!("{:>9} {:>9} {:>6}  {} bytes of", "half, s", "whole, s", "growth", bytes);
    for cost in costs.iter().take(arguments.lines) {
        println!(
            "{:9.3} {:9.3} {:6.2}  {}",
            cost.half.as_secs_f64(),
            cost.whole.as_secs_f64(),
            cost.growth(),
            cost.kind
        );
    }
    Ok(())
}

async fn tokenizer() -> anyhow::Result<std::sync::Arc<dyn Tokenize>> {
    let options = LocalOptions { threads: 1, query_prompt: None, document_prompt: None };
    let [model, _] = LocalModel::packaged(&settings::runtime_dirs(None), &options)?.context("run `make runtime`")?;
    Ok(model.tokenizer().await?)
}

struct Tokenizer(std::sync::Arc<dyn Tokenize>);

impl CountTokens for Tokenizer {
    fn token_offsets(&self, text: &str) -> Vec<(usize, usize)> {
        self.0.offsets(text)
    }
}

struct Reading {
    tokenizer: Tokenizer,
    settings: ChunkSettings,
    rounds: usize,
}

impl Reading {
    fn cost(&self, kind: String, content_type: ContentType, attack: &Attack, bytes: usize) -> Cost {
        let [half, whole] = [bytes / 2, bytes].map(|size| {
            let text = attack.text(size);
            (0..self.rounds).map(|_| self.time(content_type, &text)).min().unwrap_or_default()
        });
        Cost { kind, half, whole }
    }

    /// A refusal costs what was read until then.
    fn time(&self, content_type: ContentType, text: &str) -> Duration {
        let started = processor_time();
        if let Ok(loaded) = load(content_type, text.as_bytes(), &Stop::default()) {
            drop(std::hint::black_box(chunk(&loaded, &self.settings, &self.tokenizer, &Stop::default())));
        }
        processor_time() - started
    }
}

/// Of this thread.
fn processor_time() -> Duration {
    let read = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells it");
    let nanoseconds = read.split(' ').next().and_then(|first| first.parse().ok()).expect("the first number");
    Duration::from_nanos(nanoseconds)
}
