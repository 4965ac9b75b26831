//! Global ids at the API: a prefix that tells the type, then the row's UUID: `col_0198…`. Opaque to callers.

use uuid::Uuid;

use crate::error::{Error, Result};

/// The types that have global ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `col_…`
    Collection,
    /// `doc_…`
    Document,
    /// `chk_…`
    Chunk,
    /// `job_…`
    Job,
    /// `run_…`
    Run,
    /// `sch_…`
    Schedule,
    /// `ten_…`
    Tenant,
    /// `wrk_…`
    Worker,
}

impl Kind {
    /// All types, for [`decode_any`].
    const ALL: [Self; 8] = [
        Self::Collection,
        Self::Document,
        Self::Chunk,
        Self::Job,
        Self::Run,
        Self::Schedule,
        Self::Tenant,
        Self::Worker,
    ];

    /// Prefix with its underscore.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Collection => "col_",
            Self::Document => "doc_",
            Self::Chunk => "chk_",
            Self::Job => "job_",
            Self::Run => "run_",
            Self::Schedule => "sch_",
            Self::Tenant => "ten_",
            Self::Worker => "wrk_",
        }
    }

    /// The word for error messages.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Collection => "collection",
            Self::Document => "document",
            Self::Chunk => "chunk",
            Self::Job => "job",
            Self::Run => "run",
            Self::Schedule => "schedule",
            Self::Tenant => "tenant",
            Self::Worker => "worker",
        }
    }

    /// The global id of a row.
    pub fn encode(self, id: Uuid) -> String {
        format!("{}{}", self.prefix(), id.simple())
    }

    /// The row's id, or a refusal that names `field` where the id is malformed or of another type.
    pub fn decode(self, field: &str, id: &str) -> Result<Uuid> {
        let expected = || format!("the id of a {}, `{}` and 32 hexadecimal digits", self.noun(), self.prefix());
        let digits = id.strip_prefix(self.prefix()).ok_or_else(|| Error::input(field, id, expected()))?;
        parse_digits(digits).ok_or_else(|| Error::input(field, id, expected()))
    }
}

/// The type and row of any global id, or a refusal that names `field`.
pub fn decode_any(field: &str, id: &str) -> Result<(Kind, Uuid)> {
    Kind::ALL
        .into_iter()
        .find_map(|kind| Some((kind, parse_digits(id.strip_prefix(kind.prefix())?)?)))
        .ok_or_else(|| Error::input(field, id, "an id such as `doc_` and 32 hexadecimal digits"))
}

/// Exactly the form that [`Kind::encode`] writes, so that a row has one id and not many spellings.
fn parse_digits(digits: &str) -> Option<Uuid> {
    let canonical = digits.len() == 32 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    canonical.then(|| Uuid::try_parse(digits).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_the_round_trip_and_tells_its_type() {
        let id = Uuid::now_v7();
        for kind in Kind::ALL {
            let text = kind.encode(id);
            assert_eq!(kind.decode("id", &text).expect("own id"), id);
            assert_eq!(decode_any("id", &text).expect("own id"), (kind, id));
        }
    }

    #[test]
    fn an_id_of_another_type_or_spelling_is_refused_by_field() {
        let id = Uuid::nil();
        let upper = format!("col_{}", "A".repeat(32));
        for text in [Kind::Document.encode(id), upper, "col_".into(), String::new(), "col_zz".into(), "💥".into()] {
            let error = Kind::Collection.decode("input.collectionId", &text).expect_err("not a collection");
            assert_eq!(error.field.as_deref(), Some("input.collectionId"), "{text}");
        }
    }
}
