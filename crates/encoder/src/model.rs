//! A loaded model: configuration, tokenizer and encoder of one directory.

use std::path::Path;

use simd::Isa;

use super::bert::{Bert, Scratch};
use super::config::{ModelConfig, Prompts, Purpose};
use super::error::LoadError;
use super::linear::Precision;
use super::safetensors::TensorFile;
use super::tokenizer::{Tokenizer, Tokens};

/// Tokens that go through the encoder in one pass. It bounds the memory of a pass (about 14 kB per token), which should stay
/// in the processor's second cache: passes of 256 to 512 tokens are as fast as can be, and of 1024 a tenth slower.
const MAX_PASS_TOKENS: usize = 512;

/// A sentence embedding model, ready to use. It never changes, so threads share it by reference.
#[derive(Debug)]
pub struct Model {
    config: ModelConfig,
    tokenizer: Tokenizer,
    bert: Bert,
    isa: Isa,
    precision: Precision,
}

impl Model {
    /// Reads and checks a model directory. This takes a fraction of a second of reading and computing: not for an async
    /// runtime's threads.
    ///
    /// # Errors
    /// When a file is missing, malformed, or not of the model that `config.json` describes: a name, type, shape or size
    /// that differs, or a number that is not finite.
    pub fn load(dir: &Path, precision: Precision) -> Result<Self, LoadError> {
        Self::load_for(dir, precision, Isa::best())
    }

    /// As [`Model::load`], for an instruction set of the caller's choice.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn load_for(dir: &Path, precision: Precision, isa: Isa) -> Result<Self, LoadError> {
        let isa = if isa.is_available() { isa } else { Isa::Portable };
        let config = ModelConfig::read(dir)?;
        let tokenizer = Tokenizer::for_model(dir, &config)?;
        let file = TensorFile::open(&dir.join("model.safetensors"))?;
        let bert = Bert::read(file, &config, isa, precision)?;
        Ok(Self { config, tokenizer, bert, isa, precision })
    }

    /// The instruction set that it computes with.
    #[must_use]
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// How exactly it computes.
    #[must_use]
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The shape of the model; `hidden_size` is the dimension of its vectors.
    #[must_use]
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The same model with other prompts, for one that wants some and does not say so in its files. `E5` models were
    /// trained with `query: ` and `passage: `.
    #[must_use]
    pub fn with_prompts(mut self, prompts: Prompts) -> Self {
        self.config.prompts = prompts;
        self
    }

    /// The tokens of a text behind the prompt of its purpose. The prompt's count towards the longest text.
    #[must_use]
    pub fn encode(&self, purpose: Purpose, text: &str) -> Tokens {
        match self.config.prompts.of(purpose) {
            "" => self.tokenizer.encode(text),
            prompt => self.tokenizer.encode(&[prompt, text].concat()),
        }
    }

    /// The tokenizer whose tokens this model takes. It knows nothing of prompts.
    #[must_use]
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// One vector of length one per text, in the order given. Computes on the calling thread only; the memory it needs
    /// does not grow with the number of texts.
    ///
    /// # Panics
    /// When the tokens come from another model's tokenizer and lie beyond this model's vocabulary or length.
    #[must_use]
    pub fn embed(&self, batch: &[Tokens]) -> Vec<Vec<f32>> {
        let mut scratch = Scratch::default();
        let mut vectors = Vec::with_capacity(batch.len());
        while vectors.len() < batch.len() {
            let texts = first_pass(&batch[vectors.len()..]);
            let pool = |rows: &[f32], width| self.config.pooling.pool(rows, width, self.config.hidden_size);
            vectors.extend(self.bert.forward(&texts, &mut scratch, pool));
        }
        vectors
    }
}

/// The ids of as many texts as one pass takes, at least one.
fn first_pass(batch: &[Tokens]) -> Vec<&[u32]> {
    let mut tokens = 0;
    let fits = |text: &&Tokens| {
        let first = tokens == 0;
        tokens += text.ids().len();
        first || tokens <= MAX_PASS_TOKENS
    };
    batch.iter().take_while(fits).map(Tokens::ids).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;
    use crate::testing::{MODEL, TinyModel, cosine, model_dir};

    /// Ours and the reference differ by rounding only: 32-bit floats against 64-bit ones over six layers.
    const LEAST_COSINE: f64 = 0.99999;
    const LARGEST_DIFFERENCE: f32 = 2e-6;
    /// Tiles keep 17 bits of each number or more, not 24.
    const LARGEST_DIFFERENCE_BY_TILES: f32 = 4e-6;
    /// What rounding to `bf16` leaves of the angle.
    const LEAST_COSINE_ROUNDED: f64 = 0.9999;

    #[derive(Deserialize)]
    struct Fixture {
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        text: String,
        ids: Vec<u32>,
        truncated: bool,
        vector: Vec<f32>,
    }

    fn fixture() -> Vec<Case> {
        let text = include_str!("../tests/minilm/vectors.json");
        serde_json::from_str::<Fixture>(text).expect("the fixture is well formed").cases
    }

    fn encode(text: &str) -> Tokens {
        MODEL.tokenizer().encode(text)
    }

    fn embed_one(text: &str) -> Vec<f32> {
        MODEL.embed(&[encode(text)]).remove(0)
    }

    /// The real model for every instruction set of this processor.
    fn for_each_isa(precision: Precision) -> impl Iterator<Item = Model> {
        let load = move |isa| Model::load_for(&model_dir(), precision, isa).expect("the model is whole");
        Isa::available().map(load)
    }

    #[test]
    fn vectors_and_tokens_equal_those_of_an_independent_implementation_on_every_instruction_set() {
        for model in for_each_isa(Precision::F32) {
            for case in fixture() {
                let tokens = model.tokenizer().encode(&case.text);
                assert_eq!((tokens.ids(), tokens.truncated()), (&case.ids[..], case.truncated), "{:?}", case.text);

                let vector = model.embed(&[tokens]).remove(0);
                let cosine = cosine(&vector, &case.vector);
                let differences = vector.iter().zip(&case.vector).map(|(ours, theirs)| (ours - theirs).abs());
                let difference = differences.fold(0.0, f32::max);
                let isa = model.isa();
                assert!(cosine > LEAST_COSINE, "{isa} {:?}: cosine {cosine}", case.text);
                let limit = if isa == Isa::Amx { LARGEST_DIFFERENCE_BY_TILES } else { LARGEST_DIFFERENCE };
                assert!(difference < limit, "{isa} {:?}: difference {difference}", case.text);
            }
        }
    }

    #[test]
    fn rounded_vectors_are_near_the_exact_ones_and_each_other_on_every_instruction_set() {
        let mut before: Option<Vec<Vec<f32>>> = None;
        for model in for_each_isa(Precision::Bf16) {
            let tokens: Vec<Tokens> = fixture().iter().map(|case| encode(&case.text)).collect();
            let vectors = model.embed(&tokens);
            for (case, vector) in fixture().iter().zip(&vectors) {
                let cosine = cosine(vector, &case.vector);
                assert!(cosine > LEAST_COSINE_ROUNDED, "{} {:?}: cosine {cosine}", model.isa(), case.text);
            }
            for (vector, other) in vectors.iter().zip(before.iter().flatten()) {
                let cosine = cosine(vector, other);
                assert!(cosine > LEAST_COSINE_ROUNDED, "{}: cosine {cosine} to another instruction set", model.isa());
            }
            before = Some(vectors);
        }
    }

    #[test]
    fn a_batch_of_any_lengths_equals_its_texts_one_by_one() {
        let texts: Vec<String> =
            [0, 1, 300, 3, 17, 254, 255, 2, 90, 256, 200, 250, 1, 31].map(|words| "word ".repeat(words)).into();
        let tokens: Vec<Tokens> = texts.iter().map(|text| encode(text)).collect();
        let total: usize = tokens.iter().map(|tokens| tokens.ids().len()).sum();
        assert!(total > MAX_PASS_TOKENS, "the batch takes more than one pass");

        let batch = MODEL.embed(&tokens);
        assert_eq!(batch.len(), texts.len());
        for (text, vector) in texts.iter().zip(&batch) {
            let cosine = cosine(vector, &embed_one(text));
            assert!(cosine > 0.99999, "{} bytes: cosine {cosine}", text.len());
        }
    }

    #[test]
    fn every_length_up_to_the_longest_gives_a_vector_of_length_one() {
        for (words, tokens, truncated) in
            [(0, 2, false), (1, 3, false), (254, 256, false), (255, 256, true), (5000, 256, true)]
        {
            let text = "word ".repeat(words);
            let encoded = encode(&text);
            assert_eq!((encoded.ids().len(), encoded.truncated()), (tokens, truncated), "{words} words");
            let length = embed_one(&text).iter().map(|value| value * value).sum::<f32>().sqrt();
            assert!((length - 1.0).abs() < 1e-5, "{words} words: length {length}");
        }
        assert!(MODEL.embed(&[]).is_empty());
    }

    #[test]
    fn texts_of_one_meaning_are_closer_than_texts_of_two() {
        let [question, answer, other] =
            ["How do I reset my password?", "Changing a forgotten password", "The fox jumped over the lazy dog"]
                .map(embed_one);
        assert!(cosine(&question, &answer) > cosine(&question, &other) + 0.3);
    }

    #[test]
    fn weights_that_do_not_fit_the_configuration_are_told_with_their_tensor() {
        let missing = TinyModel::new();
        missing.write_tensors(|tensors| tensors.retain(|(name, ..)| *name != "encoder.layer.0.output.dense.bias"));
        let misshapen = TinyModel::new();
        misshapen.write_tensors(|tensors| tensors[1].1 = &[8, 11]);
        let superfluous = TinyModel::new();
        superfluous.write_tensors(|tensors| tensors.push(("encoder.layer.1.output.dense.bias", &[1], vec![0.0])));
        let infinite = TinyModel::new();
        infinite.write_tensors(|tensors| tensors[4].2[3] = f32::INFINITY);
        for (model, told) in [
            (
                missing,
                "no tensor encoder.layer.0.output.dense.bias, expected tensor encoder.layer.0.output.dense.bias of F32, F16 or BF16 [8]",
            ),
            (
                misshapen,
                "found tensor embeddings.word_embeddings.weight of F32 [8, 11], expected tensor embeddings.word_embeddings.weight of F32, F16 or BF16 [11, 8]",
            ),
            (
                superfluous,
                "found tensor encoder.layer.1.output.dense.bias, expected only the tensors that config.json asks for",
            ),
            (infinite, "found inf in tensor embeddings.LayerNorm.weight, expected finite numbers"),
        ] {
            let sentence = Model::load(model.dir(), Precision::F32).expect_err("the weights are wrong").to_string();
            assert!(sentence.contains("model.safetensors: ") && sentence.ends_with(told), "{sentence}");
        }
    }

    #[test]
    fn a_model_saved_with_a_head_around_it_gives_the_same_vectors() {
        let (plain, wrapped) = (TinyModel::new(), TinyModel::new());
        wrapped.write_tensors(|tensors| {
            for (name, ..) in tensors.iter_mut() {
                *name = format!("bert.{name}").leak();
            }
            tensors.push(("cls.predictions.bias", &[1], vec![0.0]));
        });
        let vectors = [plain, wrapped].map(|files| {
            let model = Model::load(files.dir(), Precision::F32).expect("the model is whole");
            model.embed(&[model.tokenizer().encode("a b words.")])
        });
        assert_eq!(vectors[0], vectors[1]);
    }

    #[test]
    fn a_weights_file_cut_anywhere_is_an_error_and_never_a_panic() {
        let model = TinyModel::new();
        let whole = std::fs::read(model.path("model.safetensors")).expect("the file is there");
        Model::load(model.dir(), Precision::F32).expect("the whole file loads");
        for len in (0..whole.len()).step_by(97) {
            model.write("model.safetensors", &whole[..len]);
            let sentence = Model::load(model.dir(), Precision::F32).expect_err("the file is cut").to_string();
            assert!(sentence.contains("model.safetensors: found"), "{len} bytes: {sentence}");
        }
        model.remove("model.safetensors");
        let sentence = Model::load(model.dir(), Precision::F32).expect_err("the file is missing").to_string();
        assert!(sentence.starts_with("cannot read ") && sentence.contains("model.safetensors"), "{sentence}");
    }

    proptest! {
        #[test]
        fn no_damage_to_the_weights_is_more_than_an_error_that_names_them(
            at in 0_usize..1 << 16,
            cut in 0_usize..4,
            put in prop_oneof!["[ -~]{0,3}", "[0-9]{9,20}"],
        ) {
            let model = TinyModel::new();
            let file = model.path("model.safetensors");
            let mut bytes = std::fs::read(&file).expect("the file is there");
            // The length, the header and some of the numbers.
            let at = at % 2400;
            bytes.splice(at..at + cut, put.bytes());
            model.write("model.safetensors", &bytes);
            if let Err(error) = Model::load(model.dir(), Precision::F32) {
                prop_assert!(error.to_string().starts_with(&file.display().to_string()), "{}", error);
            }
        }
    }

    #[test]
    fn a_model_of_any_shape_runs() {
        let model = TinyModel::new();
        let model = Model::load(model.dir(), Precision::F32).expect("the tiny model is whole");
        let tokens = ["", "a b words.", &"c ".repeat(40)].map(|text| model.tokenizer().encode(text));
        assert_eq!(tokens[2].ids().len(), 16);
        for vector in model.embed(&tokens) {
            assert!(vector.len() == 8 && vector.iter().all(|value| value.is_finite()), "{vector:?}");
        }
    }
}
