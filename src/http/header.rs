//! Reading header values that are lists, and items with parameters.

/// The parts of a value between separators that stand in no quotes, trimmed; empty ones are left out.
pub fn split(value: &str, separator: char) -> Vec<&str> {
    let (mut in_quotes, mut is_escaped) = (false, false);
    let is_cut = move |c: char| {
        let is_cut = c == separator && !in_quotes;
        in_quotes ^= c == '"' && !is_escaped;
        is_escaped = in_quotes && c == '\\' && !is_escaped;
        is_cut
    };
    value.split(is_cut).map(str::trim).filter(|part| !part.is_empty()).collect()
}

/// An item such as `application/json; charset="utf-8"`, in lower case, and its parameters by lower-case name.
pub struct Item {
    pub name: String,
    parameters: Vec<(String, String)>,
}

impl Item {
    /// Never fails: a parameter without a value has an empty one.
    pub fn parse(text: &str) -> Self {
        let mut parts = split(text, ';').into_iter();
        // A value that begins with its parameters has no name.
        let name = if text.trim_start().starts_with(';') { "" } else { parts.next().unwrap_or_default() };
        let parameter = |part: &str| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (name.trim().to_ascii_lowercase(), unquoted(value.trim()))
        };
        Self { name: name.to_ascii_lowercase(), parameters: parts.map(parameter).collect() }
    }

    /// Every value of a parameter: one that is told twice means nothing sure.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.parameters.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }
}

fn unquoted(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else { return value.to_owned() };
    let mut text = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        text.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    text
}
