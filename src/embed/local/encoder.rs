//! The forward pass of BERT (Devlin et al. 2018, over Vaswani et al. 2017).
//!
//! The tokens of many texts lie end to end in one matrix, so the large products run over all of them at once and nothing
//! is padded; only attention looks at one text at a time.

use std::ops::Range;

use super::config::ModelConfig;
use super::error::LoadError;
use super::gemm::{Linear, Matrix, Target, multiply};
use super::ops::{LayerNorm, gelu, mean_of_length_one, softmax};
use super::weights::TensorFile;

/// Query, key and value lie side by side in one row per token, made by one product.
const PARTS: usize = 3;

/// The weights, in the layout the products want.
#[derive(Debug)]
pub(super) struct Encoder {
    hidden: usize,
    head_size: usize,
    inner: usize,
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
pub(super) struct Scratch {
    /// One row per token: the state between layers.
    hidden: Vec<f32>,
    query_key_value: Vec<f32>,
    context: Vec<f32>,
    inner: Vec<f32>,
    /// One text's attention of one head: a row per token, a column per token.
    scores: Vec<f32>,
}

impl Encoder {
    /// Takes every tensor out of the file, checked against the configuration.
    pub(super) fn read(mut file: TensorFile, config: &ModelConfig) -> Result<Self, LoadError> {
        let hidden = config.hidden_size;
        let words = file.take("embeddings.word_embeddings.weight", &[config.vocab_size, hidden])?;
        let positions =
            file.take("embeddings.position_embeddings.weight", &[config.max_position_embeddings, hidden])?;
        let segments = file.take("embeddings.token_type_embeddings.weight", &[config.type_vocab_size, hidden])?;
        let norm = read_norm(&mut file, "embeddings.LayerNorm", config)?;
        let layers = (0..config.num_hidden_layers)
            .map(|index| Layer::read(&mut file, &format!("encoder.layer.{index}"), config))
            .collect::<Result<_, _>>()?;
        // Saved by the training code, and of no use for sentence vectors.
        file.finish(|name| name == "embeddings.position_ids" || name.starts_with("pooler."))?;
        Ok(Self {
            hidden,
            head_size: config.head_size(),
            inner: config.intermediate_size,
            words,
            positions: add_to_each_row(positions, &segments[..hidden]),
            norm,
            layers,
        })
    }

    /// One vector of length one per text, from its token ids.
    ///
    /// # Panics
    /// When an id or the length of a text is beyond the model's, which the model's own tokenizer never does.
    pub(super) fn forward(&self, texts: &[&[u32]], scratch: &mut Scratch) -> Vec<Vec<f32>> {
        let spans = end_to_end(texts);
        let tokens = spans.last().map_or(0, |span| span.end);
        scratch.resize(self, tokens);
        self.look_up(texts, &mut scratch.hidden);
        for layer in &self.layers {
            self.attend(layer, &spans, scratch);
            layer.feed_forward(scratch);
        }
        spans.iter().map(|span| self.pool(&scratch.hidden[self.rows(span)])).collect()
    }

    /// Word and position vectors of every token, normalised.
    fn look_up(&self, texts: &[&[u32]], hidden: &mut [f32]) {
        let tokens = texts.iter().flat_map(|ids| ids.iter().enumerate());
        for (row, (position, &id)) in hidden.chunks_exact_mut(self.hidden).zip(tokens) {
            let id = id as usize;
            let word = &self.words[self.rows(&(id..id + 1))];
            let place = &self.positions[self.rows(&(position..position + 1))];
            for ((value, word), place) in row.iter_mut().zip(word).zip(place) {
                *value = word + place;
            }
        }
        self.norm.apply(hidden);
    }

    /// Self-attention of each text over itself, with its residual connection and norm.
    fn attend(&self, layer: &Layer, spans: &[Range<usize>], scratch: &mut Scratch) {
        layer.query_key_value.apply(&scratch.hidden, &mut scratch.query_key_value);
        for span in spans {
            let rows = PARTS * self.hidden * span.start..PARTS * self.hidden * span.end;
            let query_key_value = &scratch.query_key_value[rows];
            let context = &mut scratch.context[self.rows(span)];
            for column in (0..self.hidden).step_by(self.head_size) {
                self.attend_head(column, query_key_value, &mut scratch.scores, context);
            }
        }
        layer.attention_output.add(&scratch.context, &mut scratch.hidden);
        layer.attention_norm.apply(&mut scratch.hidden);
    }

    /// `softmax(Q * Kᵀ / √d) * V` of the head whose numbers begin at `column`.
    fn attend_head(&self, column: usize, query_key_value: &[f32], scores: &mut Vec<f32>, context: &mut [f32]) {
        let tokens = context.len() / self.hidden;
        let part = |index: usize| {
            let start = index * self.hidden + column;
            Matrix::new(&query_key_value[start..], tokens, self.head_size, PARTS * self.hidden)
        };
        let (query, key, value) = (part(0), part(1), part(2));
        let scale = 1.0 / (self.head_size as f32).sqrt();
        scores.resize(tokens * tokens, 0.0);
        multiply(scale, query, key.transposed(), Target::Replace, scores, tokens);
        softmax(scores, tokens);
        let weights = Matrix::new(scores, tokens, tokens, tokens);
        multiply(1.0, weights, value, Target::Replace, &mut context[column..], self.hidden);
    }

    fn pool(&self, rows: &[f32]) -> Vec<f32> {
        let mut mean = vec![0.0; self.hidden];
        mean_of_length_one(rows, &mut mean);
        mean
    }

    /// Where the rows of these tokens lie in a matrix of hidden states.
    fn rows(&self, tokens: &Range<usize>) -> Range<usize> {
        tokens.start * self.hidden..tokens.end * self.hidden
    }
}

impl Layer {
    fn read(file: &mut TensorFile, name: &str, config: &ModelConfig) -> Result<Self, LoadError> {
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        Ok(Self {
            query_key_value: read_query_key_value(file, &format!("{name}.attention.self"), hidden)?,
            attention_output: read_linear(file, &format!("{name}.attention.output.dense"), hidden, hidden)?,
            attention_norm: read_norm(file, &format!("{name}.attention.output.LayerNorm"), config)?,
            intermediate: read_linear(file, &format!("{name}.intermediate.dense"), hidden, inner)?,
            output: read_linear(file, &format!("{name}.output.dense"), inner, hidden)?,
            output_norm: read_norm(file, &format!("{name}.output.LayerNorm"), config)?,
        })
    }

    fn feed_forward(&self, scratch: &mut Scratch) {
        self.intermediate.apply(&scratch.hidden, &mut scratch.inner);
        gelu(&mut scratch.inner);
        self.output.add(&scratch.inner, &mut scratch.hidden);
        self.output_norm.apply(&mut scratch.hidden);
    }
}

impl Scratch {
    fn resize(&mut self, encoder: &Encoder, tokens: usize) {
        self.hidden.resize(tokens * encoder.hidden, 0.0);
        self.query_key_value.resize(tokens * PARTS * encoder.hidden, 0.0);
        self.context.resize(tokens * encoder.hidden, 0.0);
        self.inner.resize(tokens * encoder.inner, 0.0);
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

fn read_linear(file: &mut TensorFile, name: &str, inputs: usize, outputs: usize) -> Result<Linear, LoadError> {
    let weight = file.take(&format!("{name}.weight"), &[outputs, inputs])?;
    let bias = file.take(&format!("{name}.bias"), &[outputs])?;
    Ok(Linear::new(&weight, bias))
}

fn read_query_key_value(file: &mut TensorFile, name: &str, hidden: usize) -> Result<Linear, LoadError> {
    let (mut weight, mut bias) = (Vec::new(), Vec::new());
    for part in ["query", "key", "value"] {
        weight.extend(file.take(&format!("{name}.{part}.weight"), &[hidden, hidden])?);
        bias.extend(file.take(&format!("{name}.{part}.bias"), &[hidden])?);
    }
    Ok(Linear::new(&weight, bias))
}

fn read_norm(file: &mut TensorFile, name: &str, config: &ModelConfig) -> Result<LayerNorm, LoadError> {
    Ok(LayerNorm {
        weight: file.take(&format!("{name}.weight"), &[config.hidden_size])?,
        bias: file.take(&format!("{name}.bias"), &[config.hidden_size])?,
        eps: config.layer_norm_eps,
    })
}
