//! One source of settings, brought to one form: keys such as `http.port`, each with its text and where it was found.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::de::{DeTable, DeValue};

use crate::fault::Fault;

/// Prefix of our own environment variables.
pub(super) const PREFIX: &str = "VECTORFORGE_";

/// The variable that names the config file. It is read before there are settings, so it is none.
pub(super) const CONFIG_VARIABLE: &str = "VECTORFORGE_CONFIG";

/// Variables of ours that are no settings: the config file, and the server that the client commands talk to.
const NOT_SETTINGS: [&str; 2] = [CONFIG_VARIABLE, "VECTORFORGE_URL"];

/// A value before it is judged. Not `Debug`: it may be a secret.
#[derive(Clone)]
pub(super) struct Given {
    pub value: String,
    /// Where it was found, such as `environment VECTORFORGE_HTTP__PORT`.
    pub origin: String,
}

/// How a source spells the names of settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// `http.port`
    Key,
    /// `VECTORFORGE_HTTP__PORT`
    Variable,
}

impl Spelling {
    /// The key as a user would write it in such a source.
    pub fn of(self, key: &str) -> String {
        match self {
            Self::Key => key.to_owned(),
            Self::Variable => format!("{PREFIX}{}", key.replace('.', "__").to_uppercase()),
        }
    }
}

/// What one source gives.
pub(super) struct Layer {
    pub spelling: Spelling,
    /// By key, in lower case.
    pub settings: BTreeMap<String, Given>,
    /// Variables without our prefix, by their exact name: aliases are looked up here.
    pub foreign: BTreeMap<String, Given>,
}

impl Layer {
    fn new(spelling: Spelling) -> Self {
        Self { spelling, settings: BTreeMap::new(), foreign: BTreeMap::new() }
    }

    /// Reads a TOML document; every syntax fault is told, and what could be read is kept.
    pub fn from_toml(name: &str, text: &str, faults: &mut Vec<Fault>) -> Self {
        let mut layer = Self::new(Spelling::Key);
        let (document, errors) = DeTable::parse_recoverable(text);
        let file = TomlFile { name, text };
        // Only the message: the error's own display repeats the line, which may hold a secret.
        faults.extend(errors.iter().map(|error| Fault {
            field: name.to_owned(),
            received: format!("a syntax error: {}", error.message()),
            origin: file.origin(&error.span().unwrap_or_default()),
            expected: "a TOML document".to_owned(),
        }));
        file.flatten("", document.get_ref(), &mut layer, faults);
        layer
    }

    /// Reads a `.env` file; a line that cannot be understood is a fault and the others are kept.
    pub fn from_dotenv(text: &str, faults: &mut Vec<Fault>) -> Self {
        let mut layer = Self::new(Spelling::Variable);
        let mut lines_searched = 0;
        for item in dotenv_items(text) {
            match item {
                Ok((name, value)) => layer.add_variable(".env", &name, value, faults),
                Err(error) => {
                    lines_searched = line_of(&error, text, lines_searched);
                    faults.push(Fault {
                        field: ".env".to_owned(),
                        received: "a line that cannot be understood".to_owned(),
                        origin: format!("line {lines_searched}"),
                        expected: "NAME=value, with quotes around a value that has spaces".to_owned(),
                    });
                }
            }
        }
        layer
    }

    /// Takes the environment's variables.
    pub fn from_environment(variables: &[(String, String)], faults: &mut Vec<Fault>) -> Self {
        let mut layer = Self::new(Spelling::Variable);
        for (name, value) in variables {
            layer.add_variable("environment", name, value.clone(), faults);
        }
        layer
    }

    /// Takes the command line's settings; the last of the same name wins, as is usual there.
    pub fn from_overrides(overrides: &[(String, String)]) -> Self {
        let mut layer = Self::new(Spelling::Key);
        for (key, value) in overrides {
            let given = Given { value: value.clone(), origin: format!("command line {key}") };
            layer.settings.insert(key.to_lowercase(), given);
        }
        layer
    }

    /// Whether this says anything: scripts pass variables on that were never set, as `NAME=`.
    pub fn tells(&self, given: &Given) -> bool {
        self.spelling == Spelling::Key || !given.value.is_empty()
    }

    fn add_variable(&mut self, source: &str, name: &str, value: String, faults: &mut Vec<Fault>) {
        let given = Given { value, origin: format!("{source} {name}") };
        match key_of_variable(name) {
            Some(_) if NOT_SETTINGS.iter().any(|other| name.eq_ignore_ascii_case(other)) => {}
            Some(key) => self.add(key, given, faults),
            None => {
                self.foreign.insert(name.to_owned(), given);
            }
        }
    }

    /// Names differ only in case where a key comes twice; no order would say which one is meant.
    fn add(&mut self, key: String, given: Given, faults: &mut Vec<Fault>) {
        match self.settings.get(&key) {
            Some(other) if other.value != given.value => faults.push(Fault {
                field: key,
                received: "two different values".to_owned(),
                origin: format!("{} and {}", other.origin, given.origin),
                expected: "one of them: upper and lower case are the same".to_owned(),
            }),
            _ => {
                self.settings.insert(key, given);
            }
        }
    }
}

/// `http.port` for `VECTORFORGE_HTTP__PORT`; `None` for a variable without our prefix.
fn key_of_variable(name: &str) -> Option<String> {
    let (prefix, rest) = name.split_at_checked(PREFIX.len())?;
    prefix.eq_ignore_ascii_case(PREFIX).then(|| rest.to_lowercase().replace("__", "."))
}

/// The variables of a `.env` text.
pub(super) fn dotenv_items(text: &str) -> impl Iterator<Item = dotenvy::Result<(String, String)>> {
    // dotenvy takes a byte order mark for a name and needs the last line ended.
    let text = text.trim_start_matches('\u{feff}');
    dotenvy::from_read_iter(std::io::Cursor::new(format!("{text}\n")))
}

/// The line, counted from 1, of a parse error: dotenvy tells the text and not the place. Looks after `searched` lines.
fn line_of(error: &dotenvy::Error, text: &str, searched: usize) -> usize {
    let dotenvy::Error::LineParse(bad, _) = error else {
        return searched;
    };
    let start = bad.lines().next().unwrap_or_default().trim_end();
    let is_bad = |line: &str| line.trim_end().ends_with(start);
    let found = text.lines().skip(searched).position(is_bad);
    searched + found.map_or(0, |index| index + 1)
}

/// A TOML file and its name, to say in which line something stands.
struct TomlFile<'a> {
    name: &'a str,
    text: &'a str,
}

impl TomlFile<'_> {
    fn origin(&self, span: &Range<usize>) -> String {
        let before = self.text.as_bytes().iter().take(span.start);
        let line = before.filter(|byte| **byte == b'\n').count() + 1;
        format!("{} line {line}", self.name)
    }

    fn flatten(&self, path: &str, table: &DeTable<'_>, layer: &mut Layer, faults: &mut Vec<Fault>) {
        for (name, value) in table {
            let name = name.get_ref().to_lowercase();
            let key = if path.is_empty() { name } else { format!("{path}.{name}") };
            let origin = self.origin(&value.span());
            match value.get_ref() {
                DeValue::Table(inner) => self.flatten(&key, inner, layer, faults),
                DeValue::Array(_) | DeValue::Datetime(_) => faults.push(Fault {
                    field: key,
                    received: format!("a value of type {}", value.get_ref().type_str()),
                    origin,
                    expected: "a string, a number or true or false".to_owned(),
                }),
                scalar => layer.add(key, Given { value: scalar_text(scalar), origin }, faults),
            }
        }
    }
}

/// The scalar as it would be written in an environment variable.
fn scalar_text(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => match i128::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => number.to_string(),
            Err(_) => number.to_string(),
        },
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => String::new(),
    }
}
