//! `config_sentence_transformers.json`, the words that a model wants before a text.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::files::{Mismatch, mismatch_in, read_optional_json};
use crate::error::LoadError;

/// What a text is embedded for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// To look for others.
    Query,
    /// To be found.
    Document,
}

/// What stands before a text of each purpose, a space at its end included. Empty where the model wants nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prompts {
    /// Before what is looked for.
    pub query: String,
    /// Before what is to be found.
    pub document: String,
}

#[derive(Deserialize)]
struct PromptsFile {
    model_type: Option<String>,
    truncate_dim: Option<usize>,
    prompts: Option<BTreeMap<String, Option<String>>>,
}

impl Prompts {
    /// The prompt of one purpose.
    #[must_use]
    pub fn of(&self, purpose: Purpose) -> &str {
        match purpose {
            Purpose::Query => &self.query,
            Purpose::Document => &self.document,
        }
    }

    /// Reads the prompts by the names that `encode_query` and `encode_document` of sentence-transformers look for.
    ///
    /// As in these, `default_prompt_name` is of no effect: it is for texts without a purpose. Other than there, an empty
    /// prompt gives way to the next name. The library adds an empty `document` to every model, so that the `passage` and
    /// `corpus` it goes on to look for are never reached.
    ///
    /// # Errors
    /// When the file is malformed, or asks for vectors that nobody here makes.
    pub fn read(dir: &Path) -> Result<Self, LoadError> {
        let file = dir.join("config_sentence_transformers.json");
        let prompts = read_optional_json::<PromptsFile>(&file)?.map(PromptsFile::check);
        Ok(prompts.transpose().map_err(mismatch_in(&file))?.unwrap_or_default())
    }
}

impl PromptsFile {
    fn check(self) -> Result<Prompts, Mismatch> {
        const DENSE: &str = "SentenceTransformer";
        if let Some(found) = self.model_type.filter(|found| found != DENSE) {
            return Err((format!("model_type {found:?}"), format!("{DENSE:?}")));
        }
        if let Some(found) = self.truncate_dim {
            return Err((format!("truncate_dim {found}"), "none: a model whose vectors are used whole".to_owned()));
        }
        let mut prompts = self.prompts.unwrap_or_default();
        let mut first_of = |names: &[&str]| {
            let texts = names.iter().filter_map(|name| prompts.remove(*name)?);
            texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default()
        };
        Ok(Prompts { query: first_of(&["query"]), document: first_of(&["document", "passage", "corpus"]) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TinyModel;

    fn read(json: &str) -> Result<Prompts, LoadError> {
        let model = TinyModel::new();
        model.write("config_sentence_transformers.json", json);
        Prompts::read(model.dir())
    }

    #[test]
    fn prompts_are_found_by_the_names_that_the_library_knows() {
        for (json, query, document) in [
            ("{}", "", ""),
            (r#"{"prompts":null,"default_prompt_name":null}"#, "", ""),
            (r#"{"model_type":"SentenceTransformer","prompts":{"query":"q: ","document":"d: "}}"#, "q: ", "d: "),
            (r#"{"prompts":{"query":"q: ","passage":"p: ","corpus":"c: "}}"#, "q: ", "p: "),
            (r#"{"prompts":{"document":"","passage":null,"corpus":"c: "}}"#, "", "c: "),
            (r#"{"prompts":{"document":"d: ","passage":"p: "}}"#, "", "d: "),
            (r#"{"prompts":{"s2s":"s: "},"default_prompt_name":"s2s"}"#, "", ""),
        ] {
            let prompts = read(json).expect("the prompts are understood");
            assert_eq!((prompts.of(Purpose::Query), prompts.of(Purpose::Document)), (query, document), "{json}");
        }
        assert_eq!(Prompts::read(TinyModel::new().dir()).expect("no file is no prompts"), Prompts::default());
    }

    #[test]
    fn what_would_make_other_vectors_is_refused_by_its_name() {
        for (json, told) in [
            (
                r#"{"model_type":"SparseEncoder"}"#,
                r#"found model_type "SparseEncoder", expected "SentenceTransformer""#,
            ),
            (r#"{"truncate_dim":4}"#, "found truncate_dim 4, expected none"),
            (r#"{"prompts":{"query":1}}"#, "JSON that does not fit"),
        ] {
            let sentence = read(json).expect_err("the file is not understood").to_string();
            let file = "config_sentence_transformers.json: ";
            assert!(sentence.contains(file) && sentence.contains(told), "{json}: {sentence}");
        }
    }
}
