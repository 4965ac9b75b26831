//! The forward pass of BERT (Devlin et al. 2018, over Vaswani et al. 2017).
//!
//! The tokens of many texts lie end to end in one matrix, so the large products run over all of them at once and nothing
//! is padded; only attention looks at one text at a time.

use std::ops::Range;

use simd::Isa;

use crate::attention::{Attend, HeadRoom, Heads, PARTS};
use crate::config::ModelConfig;
use crate::error::LoadError;
use crate::linear::{Linear, Precision, Room, Then};
use crate::norm::LayerNorm;
use crate::rows::Rows;
use crate::safetensors::TensorFile;

/// The weights, in the layout that the products of one instruction set want.
#[derive(Debug)]
pub(crate) struct Bert {
    isa: Isa,
    precision: Precision,
    heads: Heads,
    hidden: usize,
    words: Vec<f32>,
    /// Position vectors with the vector of the first (our only) segment kind added.
    positions: Vec<f32>,
    norm: LayerNorm,
    layers: Vec<Layer>,
}

#[derive(Debug)]
struct Layer {
    query_key_value: Linear,
    attention_output: Linear,
    attention_norm: LayerNorm,
    intermediate: Linear,
    output: Linear,
    output_norm: LayerNorm,
}

/// Room for one pass, kept from one pass to the next.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// One row per token: the state between layers, and in the end the outcome.
    hidden: Rows,
    query_key_value: Rows,
    context: Rows,
    inner: Rows,
    head: HeadRoom,
    room: Room,
}

impl Bert {
    /// Takes every tensor out of the file, checked against the configuration.
    pub(crate) fn read(
        file: TensorFile,
        config: &ModelConfig,
        isa: Isa,
        precision: Precision,
    ) -> Result<Self, LoadError> {
        let mut reader = Reader { prefix: prefix_of(&file), file, isa, precision };
        let hidden = config.hidden_size;
        let words = reader.take("embeddings.word_embeddings.weight", &[config.vocab_size, hidden])?;
        let positions =
            reader.take("embeddings.position_embeddings.weight", &[config.max_position_embeddings, hidden])?;
        let segments = reader.take("embeddings.token_type_embeddings.weight", &[config.type_vocab_size, hidden])?;
        let norm = reader.norm("embeddings.LayerNorm", config)?;
        let layers = (0..config.num_hidden_layers)
            .map(|index| Layer::read(&mut reader, &format!("encoder.layer.{index}"), config))
            .collect::<Result<_, _>>()?;
        reader.finish()?;
        Ok(Self {
            isa,
            precision,
            heads: Heads { count: config.num_attention_heads, size: config.head_size() },
            hidden,
            words,
            positions: add_to_each_row(positions, &segments[..hidden]),
            norm,
            layers,
        })
    }

    /// Runs texts of token ids through all layers; the outcome of each is what `finish` makes of its tokens' rows, each
    /// as wide as the second argument says and as the model's hidden size or wider.
    ///
    /// # Panics
    /// When an id or the length of a text is beyond the model's, which the model's own tokenizer never does.
    pub(crate) fn forward<T>(
        &self,
        texts: &[&[u32]],
        scratch: &mut Scratch,
        finish: impl Fn(&[f32], usize) -> T,
    ) -> Vec<T> {
        let spans = end_to_end(texts);
        let tokens = spans.last().map_or(0, |span| span.end);
        if tokens == 0 {
            return Vec::new();
        }
        scratch.hidden.resize(tokens, self.hidden);
        self.look_up(texts, &mut scratch.hidden);
        for layer in &self.layers {
            layer.attend(self, &spans, scratch);
            layer.feed_forward(self, scratch);
        }
        let width = scratch.hidden.width();
        spans.into_iter().map(|span| finish(scratch.hidden.range(span), width)).collect()
    }

    /// Word and position vectors of every token, normalised.
    fn look_up(&self, texts: &[&[u32]], hidden: &mut Rows) {
        let tokens = texts.iter().flat_map(|ids| ids.iter().enumerate());
        for (row, (position, &id)) in hidden.iter_mut().zip(tokens) {
            let word = &self.words[id as usize * self.hidden..][..self.hidden];
            let place = &self.positions[position * self.hidden..][..self.hidden];
            let (row, padding) = row.split_at_mut(self.hidden);
            for ((value, word), place) in row.iter_mut().zip(word).zip(place) {
                *value = word + place;
            }
            padding.fill(0.0);
        }
        self.norm.apply(self.isa, hidden);
    }
}

impl Layer {
    fn read(reader: &mut Reader, name: &str, config: &ModelConfig) -> Result<Self, LoadError> {
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        Ok(Self {
            query_key_value: reader.query_key_value(&format!("{name}.attention.self"), hidden)?,
            attention_output: reader.linear(&format!("{name}.attention.output.dense"), hidden, hidden)?,
            attention_norm: reader.norm(&format!("{name}.attention.output.LayerNorm"), config)?,
            intermediate: reader.linear(&format!("{name}.intermediate.dense"), hidden, inner)?,
            output: reader.linear(&format!("{name}.output.dense"), inner, hidden)?,
            output_norm: reader.norm(&format!("{name}.output.LayerNorm"), config)?,
        })
    }

    /// Self-attention of each text over itself, with its residual connection and norm.
    fn attend(&self, bert: &Bert, spans: &[Range<usize>], scratch: &mut Scratch) {
        let Scratch { hidden, query_key_value, context, head, room, .. } = scratch;
        let tokens = spans.last().map_or(0, |span| span.end);
        query_key_value.resize(tokens, self.query_key_value.outputs());
        context.resize(tokens, bert.hidden);
        self.query_key_value.apply(bert.isa, hidden, room, Then::Replace, query_key_value);
        Attend { heads: bert.heads, texts: spans, query_key_value, room: head, context }
            .apply(bert.isa, bert.precision);
        self.attention_output.apply(bert.isa, context, room, Then::Add, hidden);
        self.attention_norm.apply(bert.isa, hidden);
    }

    fn feed_forward(&self, bert: &Bert, scratch: &mut Scratch) {
        let Scratch { hidden, inner, room, .. } = scratch;
        inner.resize(hidden.count(), self.intermediate.outputs());
        self.intermediate.apply(bert.isa, hidden, room, Then::Gelu, inner);
        self.output.apply(bert.isa, inner, room, Then::Add, hidden);
        self.output_norm.apply(bert.isa, hidden);
    }
}

/// Takes the tensors of a file and packs them.
struct Reader {
    file: TensorFile,
    /// What stands before every name.
    prefix: &'static str,
    isa: Isa,
    precision: Precision,
}

/// Models that were saved with a head around the encoder have `bert.` before its tensors.
fn prefix_of(file: &TensorFile) -> &'static str {
    if file.has("bert.embeddings.word_embeddings.weight") { "bert." } else { "" }
}

impl Reader {
    fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError> {
        self.file.take(&format!("{}{name}", self.prefix), shape)
    }

    fn linear(&mut self, name: &str, inputs: usize, outputs: usize) -> Result<Linear, LoadError> {
        let weight = self.take(&format!("{name}.weight"), &[outputs, inputs])?;
        let bias = self.take(&format!("{name}.bias"), &[outputs])?;
        Ok(Linear::new(self.isa, self.precision, weight, bias))
    }

    /// The three as one layer, one after the other.
    fn query_key_value(&mut self, name: &str, hidden: usize) -> Result<Linear, LoadError> {
        let (mut weight, mut bias) = (Vec::with_capacity(PARTS * hidden * hidden), Vec::with_capacity(PARTS * hidden));
        for part in ["query", "key", "value"] {
            weight.extend(self.take(&format!("{name}.{part}.weight"), &[hidden, hidden])?);
            bias.extend(self.take(&format!("{name}.{part}.bias"), &[hidden])?);
        }
        Ok(Linear::new(self.isa, self.precision, weight, bias))
    }

    fn norm(&mut self, name: &str, config: &ModelConfig) -> Result<LayerNorm, LoadError> {
        let weight = self.take(&format!("{name}.weight"), &[config.hidden_size])?;
        let bias = self.take(&format!("{name}.bias"), &[config.hidden_size])?;
        Ok(LayerNorm::new(weight, bias, config.layer_norm_eps))
    }

    /// Refuses what is left but for what the training code saved and sentence vectors do not need.
    fn finish(self) -> Result<(), LoadError> {
        let Self { file, prefix, .. } = self;
        file.finish(|name| {
            let own = name.strip_prefix(prefix).unwrap_or(name);
            own == "embeddings.position_ids" || own.starts_with("pooler.") || name.starts_with("cls.")
        })
    }
}

/// The rows of each text when all their tokens lie end to end.
fn end_to_end(texts: &[&[u32]]) -> Vec<Range<usize>> {
    let ends = texts.iter().scan(0, |end, ids| {
        *end += ids.len();
        Some(*end)
    });
    ends.zip(texts).map(|(end, ids)| end - ids.len()..end).collect()
}

fn add_to_each_row(mut rows: Vec<f32>, added: &[f32]) -> Vec<f32> {
    for row in rows.chunks_exact_mut(added.len()) {
        row.iter_mut().zip(added).for_each(|(value, added)| *value += added);
    }
    rows
}
