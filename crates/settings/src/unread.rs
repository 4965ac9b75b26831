//! Settings of features that have not landed.

use crate::reader::Reader;

/// Their sections. A section leaves this list with the feature that reads it.
const SECTIONS: [&str; 4] = ["storage.", "object_store.", "llm.", "providers."];

/// The keys of settings that were given and that nothing reads yet: whoever sets one is told so at start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unread(Vec<String>);

impl Unread {
    /// Those among the settings that were read so far.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        let is_unread = |key: &&str| SECTIONS.iter().any(|section| key.starts_with(section));
        Self(reader.given().filter(is_unread).map(str::to_owned).collect())
    }

    /// The keys, in order.
    #[must_use]
    pub fn keys(&self) -> &[String] {
        &self.0
    }
}
