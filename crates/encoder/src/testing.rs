//! For tests: where the real model is, and a tiny one made on the spot that tests can damage.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use crate::Model;

/// The setting that names the directory of the real model.
const MODEL_DIR: &str = "VECTORFORGE_EMBEDDING__MODEL_DIR";

/// The real model, loaded once for all tests.
pub static MODEL: LazyLock<Model> =
    LazyLock::new(|| Model::load(&model_dir(), crate::Precision::F32).expect("the model installed by make is whole"));

/// The directory of the real model: as the setting says, else below the nearest `.runtime` upwards of this package.
pub fn model_dir() -> PathBuf {
    if let Some(dir) = env::var_os(MODEL_DIR) {
        return dir.into();
    }
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let runtimes = package.ancestors().map(|dir| dir.join(".runtime"));
    runtimes.filter_map(|dir| find_model(&dir)).next().unwrap_or_else(|| {
        panic!("no model found: set {MODEL_DIR}, or install the packages of runtime/requirements.txt into .runtime")
    })
}

fn find_model(dir: &Path) -> Option<PathBuf> {
    if dir.join("model.safetensors").is_file() {
        return Some(dir.to_owned());
    }
    let children = fs::read_dir(dir).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    children.filter(|path| path.is_dir()).find_map(|path| find_model(&path))
}

/// The cosine of the angle between two vectors.
pub fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 { a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum() };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// A directory that goes with its value.
pub type TempDir = tempfile::TempDir;

/// A BERT model of one layer with 8 numbers per token, 11 words and 16 positions, in a directory of its own.
pub struct TinyModel {
    dir: TempDir,
}

impl Default for TinyModel {
    fn default() -> Self {
        Self::new()
    }
}

impl TinyModel {
    /// Writes the files.
    pub fn new() -> Self {
        let model = Self { dir: tempfile::tempdir().expect("the system has a temporary directory") };
        model.write("config.json", CONFIG);
        model.write("tokenizer.json", tokenizer_json());
        model.write_tensors(|_| {});
        model
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Of one of its files.
    pub fn path(&self, file: &str) -> PathBuf {
        self.dir().join(file)
    }

    /// Writes one of its files.
    pub fn write(&self, file: &str, text: impl AsRef<[u8]>) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().expect("a file has a directory")).expect("the directory can be made");
        fs::write(path, text).expect("the file can be written");
    }

    /// Removes one of its files.
    pub fn remove(&self, file: &str) {
        fs::remove_file(self.path(file)).expect("the file is there");
    }

    /// Changes one of its files, which must make a difference.
    pub fn edit(&self, file: &str, edit: impl Fn(String) -> String) {
        let text = fs::read_to_string(self.path(file)).expect("the file is there");
        let edited = edit(text.clone());
        assert_ne!(edited, text, "the edit of {file} changes nothing");
        self.write(file, edited);
    }

    /// Writes the weights again, after a change to the list of tensors.
    pub fn write_tensors(&self, change: impl Fn(&mut Vec<Tensor>)) {
        let mut tensors = tiny_tensors();
        change(&mut tensors);
        self.write("model.safetensors", safetensors(&tensors));
    }
}

/// Name, shape and numbers.
pub type Tensor = (&'static str, &'static [usize], Vec<f32>);

/// A safetensors file with these tensors.
pub fn safetensors(tensors: &[Tensor]) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    let mut data: Vec<u8> = Vec::new();
    for (name, shape, values) in tensors {
        let begin = data.len();
        data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        let entry = serde_json::json!({ "dtype": "F32", "shape": shape, "data_offsets": [begin, data.len()] });
        header.insert((*name).to_owned(), entry);
    }
    let header = serde_json::Value::Object(header).to_string();
    let length = (header.len() as u64).to_le_bytes();
    [&length[..], header.as_bytes(), &data].concat()
}

/// The `config.json` of a [`TinyModel`].
pub const CONFIG: &str = r#"{"model_type":"bert","hidden_act":"gelu","hidden_size":8,"num_hidden_layers":1,"num_attention_heads":2,"intermediate_size":12,"vocab_size":11,"max_position_embeddings":16,"type_vocab_size":2,"layer_norm_eps":1e-12}"#;

fn tokenizer_json() -> String {
    let words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "b", "c", "word", "##s", ".", "[MASK]"];
    let vocab: serde_json::Map<_, _> =
        words.iter().enumerate().map(|(id, word)| ((*word).to_owned(), id.into())).collect();
    serde_json::json!({
        "version": "1.0",
        "truncation": {"max_length": 4, "strategy": "LongestFirst", "stride": 0},
        "padding": {"strategy": {"Fixed": 4}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"},
        "added_tokens": [],
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {
                "[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]},
                "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]},
            },
        },
        "decoder": null,
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": vocab},
    })
    .to_string()
}

fn tiny_tensors() -> Vec<Tensor> {
    let shapes: [(&'static str, &'static [usize]); 22] = [
        ("embeddings.position_ids", &[1, 16]),
        ("embeddings.word_embeddings.weight", &[11, 8]),
        ("embeddings.position_embeddings.weight", &[16, 8]),
        ("embeddings.token_type_embeddings.weight", &[2, 8]),
        ("embeddings.LayerNorm.weight", &[8]),
        ("embeddings.LayerNorm.bias", &[8]),
        ("encoder.layer.0.attention.self.query.weight", &[8, 8]),
        ("encoder.layer.0.attention.self.query.bias", &[8]),
        ("encoder.layer.0.attention.self.key.weight", &[8, 8]),
        ("encoder.layer.0.attention.self.key.bias", &[8]),
        ("encoder.layer.0.attention.self.value.weight", &[8, 8]),
        ("encoder.layer.0.attention.self.value.bias", &[8]),
        ("encoder.layer.0.attention.output.dense.weight", &[8, 8]),
        ("encoder.layer.0.attention.output.dense.bias", &[8]),
        ("encoder.layer.0.attention.output.LayerNorm.weight", &[8]),
        ("encoder.layer.0.attention.output.LayerNorm.bias", &[8]),
        ("encoder.layer.0.intermediate.dense.weight", &[12, 8]),
        ("encoder.layer.0.intermediate.dense.bias", &[12]),
        ("encoder.layer.0.output.dense.weight", &[8, 12]),
        ("encoder.layer.0.output.dense.bias", &[8]),
        ("encoder.layer.0.output.LayerNorm.weight", &[8]),
        ("encoder.layer.0.output.LayerNorm.bias", &[8]),
    ];
    // Any numbers do, as long as they differ from each other.
    let number = |seed: usize, index: usize| ((seed * 31 + index * 17) % 23) as f32 / 23.0 - 0.5;
    let tensors = shapes.into_iter().enumerate().map(|(seed, (name, shape))| {
        let values = (0..shape.iter().product()).map(|index| number(seed, index)).collect();
        (name, shape, values)
    });
    tensors.collect()
}
