//! Which of the encoders runs the model of a directory.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use encoder::{LoadError, Tokenizer};

use crate::{Embedder, LocalModel, LocalOptions};

/// Where exports put the graph.
const GRAPHS: [&str; 2] = ["model.onnx", "onnx/model.onnx"];

/// Opens the model of a directory under the directory's name: the exact one first, and the rounded one of our own encoder.
///
/// Our own encoder runs it where it can: where it understands the configuration and the tokenizer, and there is a
/// `model.safetensors`. Otherwise `model.onnx`, or else `onnx/model.onnx`, is run by rten, in a build with the feature
/// `onnx`.
///
/// # Errors
/// Where neither can run it. The error is why our own encoder cannot, unless there is a graph and a build that runs it.
pub fn open_model_dir(dir: &Path, name: &str, options: &LocalOptions) -> anyhow::Result<Vec<Arc<dyn Embedder>>> {
    let graph = GRAPHS.map(|file| dir.join(file)).into_iter().find(|file| file.is_file());
    if let Some(graph) = graph
        && let Err(refusal) = is_our_own(dir)
    {
        return open_graph(dir, graph, name, options, &refusal);
    }
    let models = LocalModel::open(dir, name, options)?;
    Ok(models.map(|model| Arc::new(model) as _).into())
}

/// Whether our own encoder runs it, as far as can be told without reading the weights.
fn is_our_own(dir: &Path) -> Result<(), LoadError> {
    Tokenizer::load(dir)?;
    let file = dir.join("model.safetensors");
    match File::open(&file) {
        Ok(_) => Ok(()),
        Err(cause) => Err(LoadError::Unreadable { file, cause }),
    }
}

#[cfg(feature = "onnx")]
fn open_graph(
    dir: &Path,
    graph: PathBuf,
    name: &str,
    options: &LocalOptions,
    refusal: &LoadError,
) -> anyhow::Result<Vec<Arc<dyn Embedder>>> {
    // Before it does: some damages make rten compute without an end.
    tracing::info!(graph = %graph.display(), %refusal, "rten runs the model, because our own encoder does not");
    Ok(vec![Arc::new(crate::onnx::OnnxModel::open(dir, &graph, name, options)?)])
}

#[cfg(not(feature = "onnx"))]
fn open_graph(
    _dir: &Path,
    graph: PathBuf,
    _name: &str,
    _options: &LocalOptions,
    refusal: &LoadError,
) -> anyhow::Result<Vec<Arc<dyn Embedder>>> {
    anyhow::bail!(
        "{refusal}; {} could be run instead, but this build has no ONNX support: build it with `--features onnx`",
        graph.display()
    )
}

#[cfg(test)]
mod tests {
    use encoder::testing::TinyModel;

    use super::*;

    fn open(dir: &Path) -> anyhow::Result<Vec<Arc<dyn Embedder>>> {
        open_model_dir(dir, "tiny", &LocalOptions::default())
    }

    #[tokio::test]
    async fn our_own_encoder_goes_first_where_it_can() {
        let model = TinyModel::new();
        model.write("model.onnx", "no graph");
        let models = open(model.dir()).expect("our own encoder does not read the graph");
        let told: Vec<_> = models.iter().map(|embedder| (embedder.model(), embedder.dimensions())).collect();
        assert_eq!(told, [("local/tiny", 8), ("local/tiny:bf16", 8)]);
        models[0].tokenizer().await.expect("the model is whole");
    }

    #[test]
    fn without_a_graph_the_error_is_why_our_own_encoder_cannot_run_the_model() {
        let model = TinyModel::new();
        model.edit("config.json", |text| text.replace("bert", "mpnet"));
        let error = open(model.dir()).err().expect("nothing can run it").to_string();
        assert!(error.ends_with(r#"config.json: found model_type "mpnet", expected "bert""#), "{error}");
    }

    #[test]
    #[cfg(not(feature = "onnx"))]
    fn a_build_without_onnx_tells_what_would_bring_it() {
        for graph in GRAPHS {
            let model = TinyModel::new();
            model.edit("config.json", |text| text.replace("bert", "mpnet"));
            model.write(graph, "a graph");
            let error = open(model.dir()).err().expect("nothing can run it").to_string();
            let refusal = r#"config.json: found model_type "mpnet", expected "bert"; "#;
            let told = format!(
                "{} could be run instead, but this build has no ONNX support: build it with `--features onnx`",
                model.path(graph).display()
            );
            assert!(error.contains(refusal) && error.ends_with(&told), "{error}");
        }
    }

    /// Whatever our own encoder does not run, the graph is tried: here one that nobody can read.
    #[test]
    #[cfg(feature = "onnx")]
    fn what_our_own_encoder_refuses_goes_to_the_graph() {
        let damages: [fn(&TinyModel); 3] = [
            |model| model.remove("model.safetensors"),
            |model| model.edit("config.json", |text| text.replace("bert", "mpnet")),
            |model| model.edit("tokenizer.json", |text| text.replace("WordPiece", "Unigram")),
        ];
        for (damage, graph) in damages.into_iter().zip(GRAPHS.into_iter().cycle()) {
            let model = TinyModel::new();
            damage(&model);
            model.write("sentence_bert_config.json", r#"{"max_seq_length":16}"#);
            model.write(graph, "a graph");
            let error = open(model.dir()).err().expect("the graph cannot be read").to_string();
            assert!(error.contains("onnx") || error.contains("tokenizer.json"), "{error}");
            assert!(!error.contains("safetensors") && !error.contains("mpnet"), "{error}");
        }
    }
}
