//! Reads settings one by one from the layers, and remembers every fault and every declaration on the way.

use std::collections::BTreeMap;
use std::fs;

use crate::document::Document;
use crate::fault::{ConfigFaults, Fault, quoted};
use crate::kind::{Privacy, Rule, Setting};
use crate::layer::{Given, Layer, Spelling};
use crate::machine::Machine;
use crate::secret::{REDACTED, redact_url};

/// Declares a group of settings once: the struct with its documentation, how it is read, and what `.env.example` and
/// `docs/settings.md` say of it. The key is the section, the field and the unit's suffix (`_ms`, `_s`); `with` nests groups.
macro_rules! settings {
    (
        $(#[doc = $heading:literal])+
        pub struct $name:ident[$section:literal] {
            $($(#[doc = $about:literal])+ pub $field:ident: $type:ty = $setting:expr,)*
        }
        $(with { $($(#[doc = $group_about:literal])+ pub $group:ident: $group_type:ident,)+ })?
    ) => {
        $(#[doc = $heading])+
        #[derive(Clone, Debug)]
        pub struct $name {
            $(
                $(#[doc = $about])+
                #[doc = concat!("\n\nDeclared as `", stringify!($setting), "`.")]
                pub $field: $type,
            )*
            $($($(#[doc = $group_about])+ pub $group: $group_type,)+)?
        }

        impl $name {
            pub(super) fn read(reader: &mut Reader<'_>) -> Self {
                reader.enter($section, &[$($heading),+]);
                Self {
                    $($field: reader.read(stringify!($field), &[$($about),+], $setting),)*
                    $($($group: $group_type::read(reader),)+)?
                }
            }
        }
    };
}
pub(super) use settings;

/// Where a value comes from that nobody gave.
const DEFAULT: &str = "default";

/// What a sound setting was read from, for checks that compare two of them.
struct Seen {
    shown: String,
    origin: String,
}

/// Looks settings up, strongest layer first.
pub(super) struct Reader<'a> {
    layers: &'a [Layer],
    machine: &'a Machine,
    section: &'static str,
    /// By key; a faulty setting is missing.
    seen: BTreeMap<String, Seen>,
    faults: Vec<Fault>,
    /// Every setting that was asked for, in order.
    pub documents: Vec<Document>,
}

impl<'a> Reader<'a> {
    /// `layers` from the weakest to the strongest; `faults` are those of bringing them here.
    pub fn new(layers: &'a [Layer], machine: &'a Machine, faults: Vec<Fault>) -> Self {
        Self { layers, machine, section: "", seen: BTreeMap::new(), faults, documents: Vec::new() }
    }

    /// The settings read from here on belong to this section.
    pub fn enter(&mut self, section: &'static str, heading: &[&str]) {
        self.section = section;
        self.documents.push(Document::heading(section, heading));
    }

    /// The value of a setting, or its default; also where the value is faulty, so that reading goes on to the end.
    pub fn read<T>(&mut self, field: &str, about: &[&str], setting: Setting<T>) -> T {
        let key = self.key(field, setting.rule.suffix);
        self.documents.push(Document::setting(&key, about, &setting));
        let found = match self.find(&key, &setting.rule) {
            Ok(Some(given)) => self.judge(&key, given, &setting),
            Ok(None) => {
                self.see(&key, setting.default_text.to_string(), DEFAULT.to_owned());
                None
            }
            Err(fault) => {
                self.faults.push(fault);
                None
            }
        };
        found.unwrap_or_else(|| (setting.default)(self.machine))
    }

    /// The value, if it is as expected; otherwise a fault.
    fn judge<T>(&mut self, key: &str, given: Given, setting: &Setting<T>) -> Option<T> {
        let Given { value: text, origin } = given;
        let shown = shown(&text, setting.rule.privacy);
        // The mark of bytes that were not UTF-8: a secret would be wrong without anyone seeing why.
        let is_text = !text.contains(char::REPLACEMENT_CHARACTER);
        match (setting.parse)(&text) {
            Some(value) if is_text => {
                self.see(key, shown, origin);
                Some(value)
            }
            _ => {
                let expected = setting.rule.expected.clone();
                self.faults.push(Fault { field: key.to_owned(), received: shown, origin, expected });
                None
            }
        }
    }

    /// A condition between two settings. Skipped where one of them is faulty, as the condition would judge a default.
    pub fn require(&mut self, holds: bool, key: &str, relation: &str, other: &str) {
        let (Some(one), Some(two)) = (self.seen.get(key), self.seen.get(other)) else {
            return;
        };
        if holds {
            return;
        }
        self.faults.push(Fault {
            field: key.to_owned(),
            received: one.shown.clone(),
            origin: one.origin.clone(),
            expected: format!("{relation} {other}, which is {} ({})", two.shown, two.origin),
        });
    }

    /// The keys of the settings so far that somebody gave.
    pub fn given(&self) -> impl Iterator<Item = &str> {
        self.seen.iter().filter(|(_, seen)| seen.origin != DEFAULT).map(|(key, _)| key.as_str())
    }

    /// Refuses names that no setting has, and then whatever was found faulty.
    pub fn finish(mut self) -> Result<(), ConfigFaults> {
        let known: Vec<String> = self.documents.iter().flat_map(Document::keys).collect();
        for layer in self.layers {
            let unknown = layer.settings.iter().filter(|(key, _)| !known.contains(key));
            self.faults.extend(unknown.map(|(key, given)| unknown_name(key, given, layer.spelling, &known)));
        }
        ConfigFaults::none_in(self.faults)
    }

    fn key(&self, field: &str, suffix: &str) -> String {
        match self.section {
            "" => format!("{field}{suffix}"),
            section => format!("{section}.{field}{suffix}"),
        }
    }

    fn see(&mut self, key: &str, shown: String, origin: String) {
        self.seen.insert(key.to_owned(), Seen { shown, origin });
    }

    fn find(&self, key: &str, rule: &Rule) -> Result<Option<Given>, Fault> {
        for layer in self.layers.iter().rev() {
            if let Some(given) = find_in(layer, key, rule)? {
                return Ok(Some(given));
            }
        }
        Ok(None)
    }
}

/// Looks in one layer: our own name first, then the aliases; each as a value or, if secret, as the path of a file.
fn find_in(layer: &Layer, key: &str, rule: &Rule) -> Result<Option<Given>, Fault> {
    let own = (layer.settings.get(key), layer.settings.get(&format!("{key}_file")));
    let aliases = rule.aliases.iter().map(|alias| {
        let by_file = layer.foreign.get(&format!("{alias}_FILE"));
        (layer.foreign.get(*alias), by_file)
    });
    for (direct, by_file) in std::iter::once(own).chain(aliases) {
        let direct = direct.filter(|given| layer.tells(given));
        let by_file = by_file.filter(|given| layer.tells(given) && rule.privacy != Privacy::Public);
        match (direct, by_file) {
            (Some(direct), Some(by_file)) => return Err(given_twice(key, direct, by_file)),
            (Some(direct), None) => return Ok(Some(direct.clone())),
            (None, Some(by_file)) => return read_secret(key, by_file).map(Some),
            (None, None) => {}
        }
    }
    Ok(None)
}

fn given_twice(key: &str, direct: &Given, by_file: &Given) -> Fault {
    Fault {
        field: key.to_owned(),
        received: "both a value and a file".to_owned(),
        origin: format!("{} and {}", direct.origin, by_file.origin),
        expected: "one of them".to_owned(),
    }
}

/// Editors end a file with a line break that is no part of the secret. The path is not told in a fault, because the
/// commonest mistake is to give the secret itself.
fn read_secret(key: &str, file: &Given) -> Result<Given, Fault> {
    let origin = file.origin.clone();
    let text = fs::read_to_string(&file.value).map_err(|error| Fault {
        field: key.to_owned(),
        received: format!("a path that cannot be read: {error}"),
        origin: origin.clone(),
        expected: "the path of a readable UTF-8 file that holds the secret".to_owned(),
    })?;
    let without_line_feed = text.strip_suffix('\n').unwrap_or(&text);
    let value = without_line_feed.strip_suffix('\r').unwrap_or(without_line_feed).to_owned();
    Ok(Given { value, origin })
}

fn shown(value: &str, privacy: Privacy) -> String {
    match privacy {
        Privacy::Public => quoted(value),
        Privacy::Url if value.contains("://") => quoted(&redact_url(value)),
        Privacy::Url | Privacy::Secret if value.trim().is_empty() => quoted(value),
        Privacy::Url | Privacy::Secret => REDACTED.to_owned(),
    }
}

/// The value of an unknown name is not repeated: it may be a misspelt secret.
fn unknown_name(key: &str, given: &Given, spelling: Spelling, known: &[String]) -> Fault {
    let expected = match nearest(key, known) {
        Some(near) => format!("a known one, perhaps {}", spelling.of(near)),
        None => "one of those in .env.example".to_owned(),
    };
    Fault { field: key.to_owned(), received: "an unknown setting".to_owned(), origin: given.origin.clone(), expected }
}

/// The known key that is fewest edits away, also where its section was left out; none where hardly a letter agrees.
fn nearest<'k>(key: &str, known: &'k [String]) -> Option<&'k String> {
    let distance = |candidate: &str| {
        let without_section = candidate.rsplit('.').next().unwrap_or(candidate);
        let whole = strsim::damerau_levenshtein(key, candidate);
        whole.min(strsim::damerau_levenshtein(key, without_section) + 1)
    };
    let nearest = known.iter().min_by_key(|candidate| distance(candidate))?;
    (distance(nearest) <= key.len().div_ceil(2)).then_some(nearest)
}
