//! Proves that a model of each family runs as its files say: small ones of random weights, whose vectors an independent
//! implementation made and sentence-transformers confirmed (`tests/families`).

use std::path::PathBuf;

use serde::Deserialize;

use crate::testing::cosine;
use crate::{Isa, Model, Precision, Prompts, Purpose};

const FAMILIES: [&str; 4] = ["bge", "cased", "e5", "gte"];

/// Rounding only: 32-bit floats, of which tiles keep 17 bits in a product, against 64-bit ones.
const LEAST_COSINE: f64 = 0.99999;
const LARGEST_DIFFERENCE: f32 = 1e-5;

#[derive(Deserialize)]
struct Case {
    purpose: String,
    text: String,
    ids: Vec<u32>,
    truncated: bool,
    vector: Vec<f32>,
}

impl Case {
    fn purpose(&self) -> Purpose {
        if self.purpose == "query" { Purpose::Query } else { Purpose::Document }
    }
}

fn dir(family: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/families", family].iter().collect()
}

fn load(family: &str, isa: Isa) -> Model {
    Model::load_for(&dir(family), Precision::F32, isa).unwrap_or_else(|error| panic!("{family}: {error}"))
}

fn cases(family: &str) -> Vec<Case> {
    let json = std::fs::read(dir(family).join("vectors.json")).expect("the fixture is there");
    serde_json::from_slice(&json).expect("the fixture is well formed")
}

#[test]
fn every_family_gives_the_vectors_of_an_independent_implementation_on_every_instruction_set() {
    for (family, isa) in FAMILIES.into_iter().flat_map(|family| Isa::available().map(move |isa| (family, isa))) {
        let model = load(family, isa);
        let cases = cases(family);
        assert!(cases.iter().any(|case| case.truncated) && cases.iter().any(|case| !case.truncated), "{family}");
        for case in cases {
            let told = format!("{family} on {isa}, {} {:?}", case.purpose, case.text);
            let tokens = model.encode(case.purpose(), &case.text);
            assert_eq!((tokens.ids(), tokens.truncated()), (&case.ids[..], case.truncated), "{told}");

            let vector = model.embed(&[tokens]).remove(0);
            let cosine = cosine(&vector, &case.vector);
            let differences = vector.iter().zip(&case.vector).map(|(ours, theirs)| (ours - theirs).abs());
            let difference = differences.fold(0.0, f32::max);
            assert!(cosine > LEAST_COSINE && difference < LARGEST_DIFFERENCE, "{told}: {cosine}, {difference}");
        }
    }
}

#[test]
fn prompts_of_the_caller_take_the_place_of_the_model_s_own() {
    let Prompts { query, document } = load("e5", Isa::best()).config().prompts.clone();
    assert_eq!((&*query, &*document), ("query: ", "passage: "));
    let without = load("e5", Isa::best()).with_prompts(Prompts::default());
    let swapped = load("e5", Isa::best()).with_prompts(Prompts { query: document, document: query });
    for case in cases("e5") {
        let other = if case.purpose() == Purpose::Query { Purpose::Document } else { Purpose::Query };
        assert_eq!(swapped.encode(other, &case.text).ids(), case.ids, "{:?}", case.text);
        assert_eq!(without.encode(other, &case.text), without.tokenizer().encode(&case.text), "{:?}", case.text);
    }
}
