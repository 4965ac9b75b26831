//! The graph: what it takes, what it gives, and running it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use encoder::LoadError;
use rten::{
    DataType, Dimension, Model, ModelOptions, NodeId, RunOptions, ThreadPool, TryFromValueError, Value, ValueType,
};

/// The output that is one vector per text.
const SENTENCE: &str = "sentence_embedding";

/// The usual names of an output that is one vector per token.
const TOKENS: [&str; 2] = ["last_hidden_state", "token_embeddings"];

thread_local! {
    /// The one thread that computes for this one, which waits for it, so that together they are busy as one: rten's own
    /// pool has a thread for every core. A thread is as nice as the one that started it.
    static COMPUTER: Arc<ThreadPool> = Arc::new(ThreadPool::with_num_threads(1));
}

/// A graph whose inputs and outputs are known.
pub(super) struct Graph {
    file: PathBuf,
    model: Model,
    ids: NodeId,
    mask: Option<NodeId>,
    segments: Option<NodeId>,
    output: NodeId,
    /// Whether the output is one vector per text.
    pools: bool,
}

/// What came out for some texts: as many rows for each.
pub(super) struct Rows {
    values: Vec<f32>,
    rows: usize,
    /// Numbers of a row.
    pub dimensions: usize,
}

impl Rows {
    /// The rows of one text's tokens, without those of its padding; one row where the graph pools.
    pub(super) fn of(&self, text: usize, tokens: usize) -> &[f32] {
        let values = &self.values[text * self.rows * self.dimensions..];
        &values[..tokens.min(self.rows) * self.dimensions]
    }

    /// Whether all are numbers.
    pub(super) fn are_finite(&self) -> bool {
        self.values.iter().all(|value| value.is_finite())
    }
}

impl Graph {
    /// Reads a file, and the files of weights that it names, which rten reads only beside it.
    pub(super) fn load(file: &Path) -> Result<Self, LoadError> {
        // Packed once, the weights take their memory twice; else a question of ten tokens takes half as long again.
        let loaded = ModelOptions::with_all_ops().prepack_weights(true).load_file(file);
        let model = loaded.map_err(|cause| {
            unexpected(file, format!("what rten cannot read ({cause})"), "an ONNX graph of operators that it has")
        })?;
        let [mut ids, mut mask, mut segments] = [None; 3];
        for &input in model.input_ids() {
            let place = match name(&model, input) {
                "input_ids" => &mut ids,
                "attention_mask" => &mut mask,
                "token_type_ids" => &mut segments,
                other => {
                    let expected = "no more than input_ids, attention_mask and token_type_ids";
                    return Err(unexpected(file, format!("the input {other}"), expected));
                }
            };
            check_input(&model, input).map_err(|found| {
                unexpected(file, found, "whole numbers with two axes, texts and tokens, both of any size")
            })?;
            *place = Some(input);
        }
        let ids = ids.ok_or_else(|| unexpected(file, "no input input_ids", "one"))?;
        let output = output(&model).ok_or_else(|| {
            let names: Vec<_> = model.output_ids().iter().map(|id| name(&model, *id)).collect();
            let expected = format!("{SENTENCE}, {}, or one with three axes", TOKENS.join(", "));
            unexpected(file, format!("the outputs [{}]", names.join(", ")), &expected)
        })?;
        let pools = name(&model, output) == SENTENCE;
        Ok(Self { file: file.to_owned(), model, ids, mask, segments, output, pools })
    }

    /// Whether it gives one vector per text, and not one per token.
    pub(super) fn pools(&self) -> bool {
        self.pools
    }

    /// Whether texts of different lengths can go together: padding is hidden by the mask alone.
    pub(super) fn hides_padding(&self) -> bool {
        self.mask.is_some()
    }

    /// Runs texts together, the shorter ones padded on the right. The padding's id is 0, which every model has: behind the
    /// mask it makes no difference.
    ///
    /// # Errors
    /// Where rten cannot run the graph for these ids, or what comes out is no vector per text or token.
    pub(super) fn run(&self, texts: &[&[u32]]) -> Result<Rows, LoadError> {
        let longest = texts.iter().map(|text| text.len()).max().unwrap_or_default();
        let shape = [texts.len(), longest];
        let padded = |number: fn(u32) -> i32| {
            let numbers = texts.iter().flat_map(|text| {
                let padding = std::iter::repeat_n(0, longest - text.len());
                text.iter().map(move |id| number(*id)).chain(padding)
            });
            Value::from_shape(shape, numbers.collect::<Vec<i32>>()).expect("as many numbers as the shape has")
        };
        let mut inputs = vec![(self.ids, padded(u32::cast_signed).into())];
        inputs.extend(self.mask.map(|mask| (mask, padded(|_| 1).into())));
        inputs.extend(self.segments.map(|segments| (segments, padded(|_| 0).into())));

        let options = RunOptions::default().with_thread_pool(Some(COMPUTER.with(Arc::clone)));
        let outcome = self.model.run_n(inputs, [self.output], Some(options));
        let [output] = outcome.map_err(|cause| {
            let found = format!("a graph that fails with token ids of {} x {longest} ({cause})", texts.len());
            unexpected(&self.file, found, "one that takes every text of its tokenizer")
        })?;
        self.rows(output, shape)
    }

    fn rows(&self, output: Value, [texts, tokens]: [usize; 2]) -> Result<Rows, LoadError> {
        let name = name(&self.model, self.output);
        let rows = if self.pools { 1 } else { tokens };
        let shape = if self.pools { format!("[{texts}, n]") } else { format!("[{texts}, {tokens}, n]") };
        let expected = format!("f32 {shape} for token ids of {texts} x {tokens}");
        let unusable = |cause: TryFromValueError| self.unexpected(format!("the output {name} ({cause})"), &expected);
        let (found, values) = if self.pools {
            let ([texts, dimensions], values) = output.into_shape_vec().map_err(unusable)?;
            ([texts, 1, dimensions], values)
        } else {
            output.into_shape_vec().map_err(unusable)?
        };
        let [found_texts, found_rows, dimensions] = found;
        if [found_texts, found_rows] != [texts, rows] || dimensions == 0 {
            return Err(self.unexpected(format!("the output {name} of {found:?}"), &expected));
        }
        Ok(Rows { values, rows, dimensions })
    }

    /// An error about this file.
    pub(super) fn unexpected(&self, found: impl Into<String>, expected: &str) -> LoadError {
        unexpected(&self.file, found, expected)
    }
}

pub(super) fn unexpected(file: &Path, found: impl Into<String>, expected: &str) -> LoadError {
    LoadError::Unexpected { file: file.to_owned(), found: found.into(), expected: expected.to_owned() }
}

fn name(model: &Model, id: NodeId) -> &str {
    model.node_info(id).and_then(|info| info.name()).unwrap_or("without a name")
}

/// What is wrong with an input.
fn check_input(model: &Model, id: NodeId) -> Result<(), String> {
    let Some(info) = model.node_info(id) else { return Ok(()) };
    let shape = info.shape();
    let is_free = |axes: &Vec<_>| matches!(axes[..], [Dimension::Symbolic(_), Dimension::Symbolic(_)]);
    // rten reads 64-bit numbers as 32-bit ones.
    let is_whole = info.dtype().is_none_or(|dtype| dtype == ValueType::Tensor(DataType::Int32));
    if is_whole && shape.as_ref().is_none_or(is_free) {
        return Ok(());
    }
    let axes = shape.into_iter().flatten().map(|axis| match axis {
        Dimension::Fixed(size) => size.to_string(),
        Dimension::Symbolic(name) => name,
    });
    let dtype = info.dtype().map(|dtype| dtype.to_string()).unwrap_or_default();
    Err(format!("the input {} of {dtype} [{}]", name(model, id), axes.collect::<Vec<_>>().join(", ")))
}

/// The output that stands for the texts.
fn output(model: &Model) -> Option<NodeId> {
    let outputs = model.output_ids();
    let named = |wanted: &str| outputs.iter().copied().find(|id| name(model, *id) == wanted);
    let has_three_axes = |id: &NodeId| model.node_info(*id).and_then(|info| info.shape()).is_some_and(|s| s.len() == 3);
    named(SENTENCE)
        .or_else(|| TOKENS.into_iter().find_map(named))
        .or_else(|| outputs.iter().copied().find(has_three_axes))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::thread;

    use super::COMPUTER;

    #[test]
    fn what_computes_for_a_thread_is_as_nice_as_that() {
        let niceness = || rustix::process::getpriority_process(None).expect("a thread may ask this");
        let nice = thread::spawn(move || {
            rustix::process::nice(3).expect("a thread may be nicer");
            (niceness(), COMPUTER.with(|computer| computer.run(niceness)))
        });
        let (own, computing) = nice.join().expect("nothing panics");
        assert_eq!((own, computing), (niceness() + 3, own));
    }
}
