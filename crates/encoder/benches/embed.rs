//! Embeds the same texts again and again and prints one JSON object; `benches/embed_rivals/onnx_rival.py` does the same
//! with ONNX Runtime, over texts that `benches/embed_rivals/texts.py` writes.
//!
//! `cargo bench -p encoder --bench embed -- MODEL_DIR TEXTS.json [precision=f32|bf16] [isa=NAME] [threads=N] [seconds=S]
//! [mode=bulk|query] [pass=TOKENS] [vectors=FILE.json]`
//!
//! `bulk`: every thread embeds all texts in passes of at most so many tokens (384, as the server), over and over. `query`: one text at
//! a time on one thread. Tokenization is counted in both.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its answer, and how it is used")]

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use encoder::{Isa, Model, Precision, Tokens};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [model_dir, texts, options @ ..] = arguments.as_slice() else {
        eprintln!("MODEL_DIR TEXTS.json [precision=…] [isa=…] [threads=…] [seconds=…] [mode=…] [vectors=…]");
        std::process::exit(2);
    };
    let options: HashMap<&str, &str> = options.iter().filter_map(|option| option.split_once('=')).collect();
    let option = |name: &str, default: &'static str| options.get(name).copied().unwrap_or(default);
    let precision = match option("precision", "f32") {
        "bf16" => Precision::Bf16,
        _ => Precision::F32,
    };
    let wanted = option("isa", "best");
    let isa = Isa::ALL.into_iter().find(|isa| isa.to_string() == wanted).unwrap_or_else(Isa::best);
    let texts: Vec<String> =
        serde_json::from_slice(&std::fs::read(texts).expect("the texts can be read")).expect("a JSON list of texts");
    let began = Instant::now();
    let model = Model::load_for(Path::new(model_dir), precision, isa).expect("the model loads");
    let load_s = began.elapsed().as_secs_f64();
    let seconds = Duration::from_secs_f64(option("seconds", "3").parse().expect("seconds are a number"));
    let measured = match option("mode", "bulk") {
        "query" => query(&model, &texts, seconds),
        _ => {
            let [threads, pass_tokens] = [("threads", "1"), ("pass", "384")]
                .map(|(name, default)| option(name, default).parse().expect("a whole number"));
            bulk(&model, &texts, seconds, threads, pass_tokens)
        }
    };
    if let Some(file) = options.get("vectors") {
        let tokens: Vec<Tokens> = texts.iter().map(|text| model.tokenizer().encode(text)).collect();
        let vectors = serde_json::to_vec(&model.embed(&tokens)).expect("vectors are JSON");
        std::fs::write(file, vectors).expect("the file can be written");
    }
    let mut result = serde_json::json!({
        "isa": model.isa().to_string(), "precision": format!("{precision:?}"), "load_s": load_s,
        "peak_mb": peak_mb(),
    });
    result.as_object_mut().expect("an object").extend(measured);
    println!("{result}");
}

/// Tokens per second over all threads.
fn bulk(
    model: &Model,
    texts: &[String],
    seconds: Duration,
    threads: usize,
    pass_tokens: usize,
) -> serde_json::Map<String, serde_json::Value> {
    let tokens = AtomicUsize::new(0);
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while began.elapsed() < seconds {
                    let encoded: Vec<Tokens> = texts.iter().map(|text| model.tokenizer().encode(text)).collect();
                    let mut rest = encoded.as_slice();
                    while !rest.is_empty() {
                        let mut room = pass_tokens;
                        let fits = rest.iter().take_while(|text| {
                            let fits = text.ids().len() <= room;
                            room = room.saturating_sub(text.ids().len());
                            fits
                        });
                        let (pass, later) = rest.split_at(fits.count().max(1));
                        std::hint::black_box(model.embed(pass));
                        tokens.fetch_add(pass.iter().map(|text| text.ids().len()).sum(), Ordering::Relaxed);
                        rest = later;
                    }
                }
            });
        }
    });
    let rate = tokens.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64();
    [("threads".to_owned(), threads.into()), ("tokens_per_s".to_owned(), rate.into())].into_iter().collect()
}

/// Milliseconds per text.
fn query(model: &Model, texts: &[String], seconds: Duration) -> serde_json::Map<String, serde_json::Value> {
    let mut times = Vec::new();
    let began = Instant::now();
    while began.elapsed() < seconds {
        for text in texts {
            let began = Instant::now();
            std::hint::black_box(model.embed(&[model.tokenizer().encode(text)]));
            times.push(began.elapsed().as_secs_f64() * 1e3);
        }
    }
    times.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a length")]
    let at = |share: f64| times[(times.len() as f64 * share) as usize];
    [("p50_ms".to_owned(), at(0.5).into()), ("p95_ms".to_owned(), at(0.95).into())].into_iter().collect()
}

/// Most memory that the process held, in MB; zero where the system does not tell.
fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok()).unwrap_or(0.0) / 1e3
}
