//! What is wrong with the settings, told all at once.

use std::fmt;

/// Longest part of a received value that a fault repeats, in characters: enough to recognise it in one line.
const SHOWN_CHARS: usize = 80;

/// One thing wrong with one setting. Secrets are redacted before they come here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The setting's key, such as `http.port`, or the file that cannot be read.
    pub field: String,
    /// What was received, ready to print: a quoted value or a few words.
    pub received: String,
    /// Where it came from, such as `environment VECTORFORGE_HTTP__PORT`.
    pub origin: String,
    /// What would have been right.
    pub expected: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, received, origin, expected } = self;
        write!(f, "{field}: got {received} ({origin}), expected {expected}")
    }
}

/// Every fault found in one reading of the settings; never empty. `Display` gives one line per fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFaults(Vec<Fault>);

impl ConfigFaults {
    /// `Ok` where there is no fault.
    pub(super) fn none_in(faults: Vec<Fault>) -> Result<(), Self> {
        if faults.is_empty() { Ok(()) } else { Err(Self(faults)) }
    }

    /// The faults in the order in which they were found.
    pub fn faults(&self) -> &[Fault] {
        &self.0
    }
}

impl fmt::Display for ConfigFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigFaults {}

/// The value in quotes, on one line and not too long.
pub(super) fn quoted(value: &str) -> String {
    match value.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{:?}…", &value[..end]),
        None => format!("{value:?}"),
    }
}
