//! What a collection's model reads of a chunk: one that a caller cut longer would be searched by its beginning alone.

use std::sync::Arc;

use models::Tokenize;

use crate::app::App;
use crate::error::{Error, Result};
use crate::store::entity::embedding_space::Model as Space;

/// The longest chunk of a model, and its tokenizer to measure by.
pub(super) struct Room {
    tokenizer: Arc<dyn Tokenize>,
    longest: u32,
}

impl Room {
    /// That of a space's model; none where it has no model, or one that does not tell here how much it reads.
    pub(super) async fn of(app: &App, space: &Space) -> Result<Option<Self>> {
        let embedder = space.model.as_ref().and_then(|model| app.embedders.find(model));
        let Some((embedder, longest)) = embedder.and_then(|found| Some((found, found.longest_chunk()?))) else {
            return Ok(None);
        };
        Ok(Some(Self { tokenizer: embedder.tokenizer().await?, longest }))
    }

    /// Refuses a text that the model would not read whole; `field` is its path.
    pub(super) fn check(&self, field: &str, text: &str) -> Result<()> {
        check(field, self.tokenizer.offsets(text).len(), self.longest)
    }
}

/// Refuses more tokens than a model reads.
pub(super) fn check(field: &str, tokens: usize, longest: u32) -> Result<()> {
    if tokens <= longest as usize {
        return Ok(());
    }
    let expected = format!("at most {longest} tokens, as many as the model reads: it would leave out the rest");
    Err(Error::input(field, format!("{tokens} tokens"), expected))
}
