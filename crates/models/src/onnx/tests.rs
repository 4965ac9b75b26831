//! Two small models against ONNX Runtime (`tests/onnx/make.py`), and what is refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use encoder::Precision;
use encoder::testing::{TempDir, cosine};
use serde::Deserialize;

use super::*;

/// Rounding only: both compute with 32-bit floats.
const LEAST_COSINE: f64 = 0.99999;

const MODELS: [&str; 2] = ["tokens", "sentence"];

#[derive(Deserialize)]
struct Case {
    purpose: String,
    text: String,
    ids: Vec<u32>,
    truncated: bool,
    vector: Vec<f32>,
}

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx").join(path)
}

fn graph_of(dir: &Path) -> PathBuf {
    let graph = dir.join("model.onnx");
    if graph.is_file() { graph } else { dir.join("onnx/model.onnx") }
}

fn open(dir: &Path) -> anyhow::Result<OnnxModel> {
    OnnxModel::open(dir, &graph_of(dir), "tiny", &LocalOptions { threads: 2, ..LocalOptions::default() })
}

/// A copy of a model that can be damaged.
struct Copy(TempDir);

impl Copy {
    fn of(model: &str) -> Self {
        let copy = Self(tempfile::tempdir().expect("the system has a temporary directory"));
        for entry in walkdir::WalkDir::new(fixture(model)).into_iter().map(|entry| entry.expect("the fixture is there"))
        {
            let place = entry.path().strip_prefix(fixture(model)).expect("it lies below");
            if entry.file_type().is_file() {
                copy.write(place.to_str().expect("a plain name"), fs::read(entry.path()).expect("it is readable"));
            }
        }
        copy
    }

    fn dir(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, file: &str, content: impl AsRef<[u8]>) {
        let path = self.dir().join(file);
        fs::create_dir_all(path.parent().expect("a file has a directory")).expect("the directory can be made");
        fs::write(path, content).expect("the file can be written");
    }

    fn remove(&self, file: &str) {
        fs::remove_file(self.dir().join(file)).expect("the file is there");
    }

    fn edit(&self, file: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.dir().join(file)).expect("the file is there");
        assert!(text.contains(from), "{file} has no {from}");
        self.write(file, text.replace(from, to));
    }

    fn refusal(&self) -> String {
        open(self.dir()).err().expect("the model is refused").to_string()
    }
}

#[tokio::test]
async fn vectors_are_those_of_onnx_runtime_alone_and_among_others() {
    for model in MODELS {
        let opened = open(&fixture(model)).expect("the model is whole");
        // Two special tokens of 24 and of 40, and the nine bytes of `passage: `.
        let told = if model == "tokens" { (16, Some(13)) } else { (12, Some(38)) };
        assert_eq!((opened.dimensions(), opened.longest_chunk()), told);
        let json = fs::read(fixture(model).join("vectors.json")).expect("the fixture is there");
        let cases: Vec<Case> = serde_json::from_slice(&json).expect("the fixture is well formed");
        for (name, purpose) in [("query", Purpose::Query), ("document", Purpose::Document)] {
            let cases: Vec<_> = cases.iter().filter(|case| case.purpose == name).collect();
            assert!(cases.iter().any(|case| case.truncated) && cases.iter().any(|case| !case.truncated), "{model}");
            let texts: Vec<_> = cases.iter().map(|case| case.text.clone()).collect();
            let together = opened.embed(texts, purpose).await.expect("the model runs");
            for (case, among_others) in cases.iter().zip(together) {
                let alone = opened.embed(vec![case.text.clone()], purpose).await.expect("the model runs").remove(0);
                for embedded in [alone, among_others] {
                    let told = format!("{model}, {name} {:?}", case.text);
                    assert_eq!(
                        (embedded.tokens as usize, embedded.truncated),
                        (case.ids.len(), case.truncated),
                        "{told}"
                    );
                    let cosine = cosine(&embedded.vector, &case.vector);
                    let length: f32 = embedded.vector.iter().map(|value| value * value).sum();
                    assert!(cosine > LEAST_COSINE && (length - 1.0).abs() < 1e-5, "{told}: {cosine}, {length}");
                }
            }
        }
    }
}

#[tokio::test]
async fn prompts_of_the_settings_take_the_place_of_the_model_s_own() {
    let own = open(&fixture("tokens")).expect("the model is whole");
    let (query_prompt, document_prompt) = (Some("passage: ".to_owned()), Some(String::new()));
    let dir = fixture("tokens");
    let set =
        OnnxModel::open(&dir, &graph_of(&dir), "tiny", &LocalOptions { threads: 1, query_prompt, document_prompt });
    let set = set.expect("the model is whole");
    assert_eq!(set.longest_chunk(), Some(22));
    for (purpose, own_purpose, own_text) in
        [(Purpose::Query, Purpose::Document, "fox"), (Purpose::Document, Purpose::Document, "the fox")]
    {
        let text = if purpose == Purpose::Query { "fox" } else { "passage: the fox" };
        let found = set.embed(vec![text.to_owned()], purpose).await.expect("the model runs");
        let expected = own.embed(vec![own_text.to_owned()], own_purpose).await.expect("the model runs");
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn ids_are_those_of_the_tokenizers_library_with_its_own_truncation() {
    for model in MODELS {
        let encoder = load(&fixture(model), &graph_of(&fixture(model))).expect("the model is whole");
        let json = fs::read(fixture(model).join("vectors.json")).expect("the fixture is there");
        let cases: Vec<Case> = serde_json::from_slice(&json).expect("the fixture is well formed");
        for case in cases {
            let purpose = if case.purpose == "query" { Prompted::Query } else { Prompted::Document };
            assert_eq!(encoder.tokens(purpose, &case.text).ids, case.ids, "{model}, {:?}", case.text);
        }
    }
}

#[tokio::test]
async fn offsets_are_byte_ranges_of_all_tokens_of_a_text() {
    let text = "the café of 東京 🦊 </s> ".repeat(20);
    for model in MODELS {
        let tokenizer = open(&fixture(model)).expect("the model is whole").tokenizer().await.expect("it is loaded");
        let offsets = tokenizer.offsets(&text);
        assert!(offsets.len() > 20 * 8, "{model}: no truncation");
        assert!(offsets.is_sorted(), "{model}");
        for &(start, end) in &offsets {
            assert!(text.get(start..end).is_some(), "{model}: {start}..{end}");
        }
        let first = offsets.iter().take_while(|(_, end)| *end <= "the café".len());
        let parts: Vec<_> = first.map(|&(start, end)| text[start..end].trim()).collect();
        assert_eq!(parts.concat().replace("éé", "é"), "thecafé", "{model}");
        assert_eq!(tokenizer.offsets(""), [], "{model}");
    }
}

#[tokio::test]
async fn without_a_mask_texts_of_different_lengths_are_not_padded() {
    let model = Copy::of("sentence");
    model.write("model.onnx", fs::read(fixture("refused/words.onnx")).expect("the fixture is there"));
    let opened = open(model.dir()).expect("the graph looks words up");
    let texts = ["a", "a a a", "fox", "fox"].map(str::to_owned).to_vec();
    let together = opened.embed(texts.clone(), Purpose::Document).await.expect("the graph runs");
    for (text, together) in texts.into_iter().zip(together) {
        let alone = opened.embed(vec![text], Purpose::Document).await.expect("the graph runs");
        assert!(cosine(&alone[0].vector, &together.vector) > LEAST_COSINE);
    }
}

#[tokio::test]
async fn the_model_s_own_files_decide_pooling_prompts_and_letters() {
    let model = Copy::of("tokens");
    let embed = async |text: &str, purpose| {
        let opened = open(model.dir()).expect("the model is whole");
        opened.embed(vec![text.to_owned()], purpose).await.expect("the model runs").remove(0).vector
    };
    let first = embed("The fox", Purpose::Query).await;
    assert_ne!(first, embed("The fox", Purpose::Document).await);
    assert_ne!(first, embed("the fox", Purpose::Query).await);

    model.edit("sentence_bert_config.json", r#""do_lower_case":false"#, r#""do_lower_case":true"#);
    assert_eq!(embed("The fox", Purpose::Query).await, embed("the fox", Purpose::Query).await);
    model.remove("config_sentence_transformers.json");
    assert_eq!(embed("The fox", Purpose::Query).await, embed("the fox", Purpose::Document).await);
    assert_eq!(embed("query: the fox", Purpose::Document).await, embed("query: the fox", Purpose::Query).await);
    let cls = embed("the fox", Purpose::Query).await;
    model.remove("1_Pooling/config.json");
    model.remove("modules.json");
    assert_ne!(cls, embed("the fox", Purpose::Query).await);
}

#[test]
fn what_a_graph_wants_or_gives_beyond_what_we_know_is_refused_by_its_name() {
    for (graph, told) in [
        (
            "positions",
            "found the input position_ids, expected no more than input_ids, attention_mask and token_type_ids",
        ),
        ("no_ids", "found no input input_ids, expected one"),
        ("fixed", "found the input input_ids of tensor(i32) [1, 8], expected whole numbers with two axes"),
        (
            "logits",
            "found the outputs [logits], expected sentence_embedding, last_hidden_state, token_embeddings, or one",
        ),
        (
            "flat_sentence",
            "found the output sentence_embedding (expected tensor with 2 dims but has 1 dims), expected f32 [1, n] for token ids of 1 x 40",
        ),
    ] {
        let model = Copy::of("sentence");
        model.write("model.onnx", fs::read(fixture(&format!("refused/{graph}.onnx"))).expect("the fixture is there"));
        let refusal = model.refusal();
        assert!(refusal.contains("model.onnx: ") && refusal.contains(told), "{graph}: {refusal}");
    }
}

#[test]
fn files_that_do_not_go_with_each_other_are_refused() {
    type Damage = fn(&Copy);
    let damages: [(Damage, &str); 9] = [
        (|model| model.remove("tokenizer.json"), "cannot read "),
        (|model| model.write("tokenizer.json", "{}"), "tokenizer.json: found a tokenizer that cannot be used ("),
        (
            |model| model.edit("tokenizer.json", r#"]],"byte_fallback""#, r#"],["more",-5]],"byte_fallback""#),
            "model.onnx: found a graph that fails with token ids of 1 x 24 (",
        ),
        (
            |model| model.edit("sentence_bert_config.json", "24", "2"),
            "sentence_bert_config.json: found max_seq_length 2, expected more than 2",
        ),
        (
            |model| {
                model.remove("config.json");
                model.edit("sentence_bert_config.json", "24", "25");
            },
            "model.onnx: found a graph that fails with token ids of 1 x 25 (",
        ),
        (
            |model| {
                model.remove("config.json");
                model.remove("sentence_bert_config.json");
            },
            "sentence_bert_config.json: found no max_seq_length, expected the longest text in tokens: here, as",
        ),
        (
            |model| model.edit("1_Pooling/config.json", "16", "17"),
            "1_Pooling/config.json: found word_embedding_dimension 17, expected the model's hidden_size 16",
        ),
        (
            |model| model.edit("modules.json", "models.Pooling", "models.Dense"),
            r#"modules.json: found the module "sentence_transformers.models.Dense""#,
        ),
        (|model| model.write("config.json", "["), "config.json: found JSON that does not fit"),
    ];
    for (damage, told) in damages {
        let model = Copy::of("tokens");
        damage(&model);
        let refusal = model.refusal();
        assert!(refusal.contains(told), "{told}: {refusal}");
    }
}

#[test]
fn a_tokenizer_file_that_another_file_contradicts_is_refused() {
    let model = Copy::of("tokens");
    let bert = r#"{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":false}"#;
    model.edit("tokenizer.json", r#"{"type":"NFKC"}"#, bert);
    open(model.dir()).expect("nothing contradicts it");
    model.write("tokenizer_config.json", r#"{"do_lower_case":true}"#);
    let told = "tokenizer.json: found lowercase false, expected true, as do_lower_case of tokenizer_config.json";
    assert!(model.refusal().ends_with(told), "{}", model.refusal());
}

/// Damages of all sorts, at places all over the file. Some are harmless: a name, or a weight.
#[test]
fn a_damaged_graph_is_an_error_that_names_it_and_never_a_panic() {
    let model = Copy::of("tokens");
    let file = "onnx/model.onnx";
    let whole = fs::read(fixture("tokens").join(file)).expect("the fixture is there");
    let mut refused = 0;
    let mut check = |bytes: &[u8], told: &str| {
        model.write(file, bytes);
        if let Err(error) = open(model.dir()) {
            let error = error.to_string();
            assert!(error.contains(file), "{told}: {error}");
            refused += 1;
        }
    };
    for length in (0..whole.len()).step_by(997) {
        check(&whole[..length], &format!("{length} bytes"));
    }
    for at in (0..whole.len()).step_by(173) {
        for put in [0x00, 0x7f, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] = put;
            check(&bytes, &format!("{put} at {at}"));
        }
    }
    check(b"no protobuf", "text");
    assert!(refused > 20, "{refused}");
}

/// Needs the directory of all-MiniLM-L6-v2 with a graph in it, in ONNX_MINILM_DIR: `plain-f32.onnx` of
/// benches/embed_rivals/export.py as `model.onnx`.
#[tokio::test]
#[ignore = "needs a model that is not in the repository"]
#[expect(clippy::print_stdout, reason = "it measures")]
async fn all_minilm_l6_v2_gives_the_vectors_of_our_own_encoder() {
    let dir = PathBuf::from(std::env::var_os("ONNX_MINILM_DIR").expect("ONNX_MINILM_DIR is set"));
    let began = Instant::now();
    let theirs = open(&dir).expect("the model is whole");
    println!("loaded in {:?}", began.elapsed());
    let ours = encoder::Model::load(&dir, Precision::F32).expect("the model is whole");
    let words: Vec<_> = include_str!("../../../../docs/operations.md").split_whitespace().collect();
    let texts: Vec<_> = (0..128).map(|i| words[i * 7..i * 7 + 5 + i * 37 % 180].join(" ")).collect();
    let began = Instant::now();
    let embedded = theirs.embed(texts.clone(), Purpose::Document).await.expect("the model runs");
    let seconds = began.elapsed().as_secs_f64();
    let tokens: u32 = embedded.iter().map(|one| one.tokens).sum();
    println!("{tokens} tokens, {:.0} a second", f64::from(tokens) / seconds);

    let ids: Vec<_> = texts.iter().map(|text| ours.tokenizer().encode(text)).collect();
    let began = Instant::now();
    let vectors = ours.embed(&ids);
    println!("our own encoder: {:.0} a second", f64::from(tokens) / began.elapsed().as_secs_f64());
    let cosines = vectors.iter().zip(&embedded).map(|(ours, theirs)| cosine(ours, &theirs.vector));
    let least = cosines.fold(1.0, f64::min);
    println!("least cosine {least:.7}");
    assert!(least > 0.9999);
}
