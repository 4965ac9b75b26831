//! `modules.json`, the steps that sentence-transformers takes from a text to its vector.

use std::path::{Component, Path};

use serde::Deserialize;

use super::files::{Mismatch, mismatch_in, read_optional_json};
use super::pooling::Pooling;
use crate::error::LoadError;

/// Where the library saves the pooling of a model that has no other steps.
const USUAL_POOLING: &str = "1_Pooling";

#[derive(Deserialize)]
struct Module {
    /// Directory of the step's own files, relative to the model's.
    path: String,
    /// Python class of the step.
    r#type: String,
}

impl Module {
    /// The class where it is one of the library's. It moved between the library's modules over the years; its name did
    /// not change. A class from elsewhere does what its own code says.
    fn class(&self) -> Option<&str> {
        let (module, class) = self.r#type.rsplit_once('.')?;
        (module.split('.').next() == Some("sentence_transformers")).then_some(class)
    }
}

/// Checks that the steps are those we take, and gives the pooling among them.
///
/// Without a `modules.json` the library averages the tokens. So do we, unless the model has a `1_Pooling/config.json`
/// to say otherwise, which the library would not look for.
pub(super) fn read_pooling(dir: &Path, hidden_size: usize) -> Result<Pooling, LoadError> {
    let file = dir.join("modules.json");
    let Some(modules) = read_optional_json::<Vec<Module>>(&file)? else {
        let pooling = Pooling::read_optional(&dir.join(USUAL_POOLING), hidden_size)?;
        return Ok(pooling.unwrap_or_default());
    };
    let path = pooling_path(&modules).map_err(mismatch_in(&file))?;
    Pooling::read(&dir.join(path), hidden_size)
}

fn pooling_path(modules: &[Module]) -> Result<&str, Mismatch> {
    let understood = ["Transformer", "Pooling", "Normalize"];
    let foreign = |module: &&Module| !module.class().is_some_and(|class| understood.contains(&class));
    if let Some(module) = modules.iter().find(foreign) {
        let expected = format!("{} of sentence_transformers", understood.join(", "));
        return Err((format!("the module {:?}", module.r#type), expected));
    }
    let classes: Vec<&str> = modules.iter().filter_map(Module::class).collect();
    let (
        [transformer, pooling] | [transformer, pooling, _],
        ["Transformer", "Pooling"] | ["Transformer", "Pooling", "Normalize"],
    ) = (modules, &classes[..])
    else {
        let found = format!("the modules [{}]", classes.join(", "));
        return Err((found, "Transformer, Pooling and at most Normalize".to_owned()));
    };
    // The library has saved it nowhere else since its second version.
    if !transformer.path.is_empty() {
        return Err((format!("the Transformer in {:?}", transformer.path), "it in the model's directory".to_owned()));
    }
    let mut steps = Path::new(&pooling.path).components().peekable();
    if steps.peek().is_none() || !steps.all(|step| matches!(step, Component::Normal(_))) {
        let found = format!("the Pooling in {:?}", pooling.path);
        return Err((found, "it in a directory below the model's".to_owned()));
    }
    Ok(&pooling.path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TinyModel;

    const TRANSFORMER: &str = r#"{"idx":0,"name":"0","path":"","type":"sentence_transformers.models.Transformer"}"#;
    const POOLING: &str = r#"{"idx":1,"name":"1","path":"1_Pooling","type":"sentence_transformers.models.Pooling"}"#;
    const NORMALIZE: &str =
        r#"{"idx":2,"name":"2","path":"2_Normalize","type":"sentence_transformers.models.Normalize"}"#;

    fn read(modules: &[&str]) -> Result<Pooling, LoadError> {
        let model = TinyModel::new();
        model.write("1_Pooling/config.json", r#"{"pooling_mode_mean_tokens":true}"#);
        model.write("pool/first/config.json", r#"{"pooling_mode_cls_token":true}"#);
        model.write("modules.json", format!("[{}]", modules.join(",")));
        read_pooling(model.dir(), 8)
    }

    #[test]
    fn the_pooling_is_read_from_the_directory_of_its_module() {
        let elsewhere = POOLING.replace("1_Pooling", "pool/first");
        // As version 6 of the library saves them.
        let newer_transformer = TRANSFORMER.replace(".models.", ".base.modules.transformer.");
        let newer_pooling = elsewhere.replace(".models.", ".sentence_transformer.modules.pooling.");
        for (modules, expected) in [
            (&[TRANSFORMER, POOLING, NORMALIZE][..], Pooling::Mean),
            (&[TRANSFORMER, POOLING], Pooling::Mean),
            (&[TRANSFORMER, &elsewhere, NORMALIZE], Pooling::Cls),
            (&[&newer_transformer, &newer_pooling], Pooling::Cls),
        ] {
            assert_eq!(read(modules).expect("the modules are understood"), expected, "{modules:?}");
        }
    }

    #[test]
    fn modules_that_are_not_run_are_refused_by_their_name() {
        let other = |from, class: &str| NORMALIZE.replace(from, class);
        let dense = other("Normalize", "Dense");
        let own_code = TRANSFORMER.replace("sentence_transformers.models", "custom_st");
        let bare = TRANSFORMER.replace("sentence_transformers.models.", "");
        let nested = TRANSFORMER.replace(r#""path":"""#, r#""path":"0_Transformer""#);
        for (modules, told) in [
            (
                &[TRANSFORMER, POOLING, &dense][..],
                r#"found the module "sentence_transformers.models.Dense", expected Transformer, Pooling, Normalize of"#,
            ),
            (&[&own_code, POOLING], r#"found the module "custom_st.Transformer""#),
            (&[&bare, POOLING], r#"found the module "Transformer""#),
            (&[], "found the modules [], expected Transformer, Pooling and at most Normalize"),
            (&[TRANSFORMER], "found the modules [Transformer]"),
            (&[POOLING, TRANSFORMER], "found the modules [Pooling, Transformer]"),
            (&[TRANSFORMER, POOLING, POOLING], "found the modules [Transformer, Pooling, Pooling]"),
            (&[TRANSFORMER, POOLING, NORMALIZE, NORMALIZE], "found the modules [Transformer, Pooling, Normalize, Norm"),
            (&[&nested, POOLING], r#"found the Transformer in "0_Transformer", expected it in the model's directory"#),
            (&["1"], "JSON that does not fit"),
        ] {
            let sentence = read(modules).expect_err("the modules are not understood").to_string();
            assert!(sentence.contains("modules.json: ") && sentence.contains(told), "{modules:?}: {sentence}");
        }
    }

    #[test]
    fn a_pooling_outside_of_the_model_is_not_read() {
        for path in ["..", "../1_Pooling", "1_Pooling/../../x", "/etc", ".", "", "./1_Pooling"] {
            let sentence = read(&[TRANSFORMER, &POOLING.replace("1_Pooling", path)]).expect_err("outside").to_string();
            let told =
                format!("modules.json: found the Pooling in {path:?}, expected it in a directory below the model's");
            assert!(sentence.ends_with(&told), "{sentence}");
        }
    }

    #[test]
    fn a_pooling_that_is_named_must_be_there() {
        let missing = read(&[TRANSFORMER, &POOLING.replace("1_Pooling", "2_Pooling")]);
        let sentence = missing.expect_err("there is no such directory").to_string();
        assert!(sentence.starts_with("cannot read ") && sentence.contains("2_Pooling"), "{sentence}");
    }

    #[test]
    fn without_a_list_of_modules_the_tokens_are_averaged_unless_the_usual_pooling_says_otherwise() {
        let model = TinyModel::new();
        assert_eq!(read_pooling(model.dir(), 8).expect("nothing says otherwise"), Pooling::Mean);
        model.write("1_Pooling/config.json", r#"{"pooling_mode_cls_token":true}"#);
        assert_eq!(read_pooling(model.dir(), 8).expect("the pooling is understood"), Pooling::Cls);
    }
}
