//! Vectors that tests bring, and the nearest of them by comparing all.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value as Json, json};

/// The same vectors for the same seed: numbers from -1 to 1.
pub fn random(seed: u64, count: usize, dimensions: usize) -> Vec<Vec<f32>> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut vector = || (0..dimensions).map(|_| rng.random_range(-1.0..1.0)).collect();
    (0..count).map(|_| vector()).collect()
}

/// A document of ready-made chunks; their texts are `name 0`, `name 1`…
pub fn document(name: &str, vectors: &[Vec<f32>], metadata: Json) -> Json {
    let chunk = |(index, vector)| json!({ "text": format!("{name} {index}"), "vector": vector });
    let chunks: Vec<Json> = vectors.iter().enumerate().map(chunk).collect();
    json!({ "sourceUri": name, "metadata": metadata, "source": { "chunks": chunks } })
}

/// The score of two vectors under a metric, by its definition in the schema.
pub fn score(metric: &str, a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    match metric {
        "COSINE" => dot(a, b) / (dot(a, a).sqrt() * dot(b, b).sqrt()),
        "INNER_PRODUCT" => dot(a, b),
        "L2" => {
            let squares: f64 = a.iter().zip(b).map(|(x, y)| (f64::from(*x) - f64::from(*y)).powi(2)).sum();
            1.0 / (1.0 + squares.sqrt())
        }
        other => panic!("no such metric: {other}"),
    }
}

/// Places and scores of the nearest vectors, nearest first.
pub fn nearest(metric: &str, query: &[f32], vectors: &[Vec<f32>], first: usize) -> Vec<(usize, f64)> {
    let mut scored: Vec<_> = vectors.iter().map(|vector| score(metric, query, vector)).enumerate().collect();
    scored.sort_by(|a, b| b.1.total_cmp(&a.1));
    scored.truncate(first);
    scored
}
