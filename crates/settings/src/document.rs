//! The settings told to people: `.env.example` and the table of `docs/settings.md`, from the declarations themselves.

use std::fmt::{self, Write};

use crate::kind::{DefaultText, Privacy, Setting};
use crate::layer::Spelling;

const ENV_HEADER: &str = "\
# VectorForge: every setting with its default. Generated from crates/settings/src/sections.rs by `cargo test`.
# Copy to .env and take the `#` from a line to change it. The same settings can stand in vectorforge.toml
# (`http.port`), in the environment (this form, in any case) or on the command line (`--set http.port=9000`);
# each of these wins over the ones before it.
# In this file `$NAME` in a value is replaced unless the value stands in 'single quotes'.
";

/// What is told of a heading or a setting.
pub(super) enum Document {
    Heading { section: &'static str, about: String },
    Setting(SettingDocument),
}

/// What is told of a setting.
pub(super) struct SettingDocument {
    key: String,
    about: String,
    expected: String,
    default: DefaultText,
    privacy: Privacy,
    aliases: &'static [&'static str],
}

impl fmt::Display for DefaultText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Value(value) => f.write_str(value),
            Self::Computed(told) => f.write_str(told),
        }
    }
}

impl Document {
    /// The lines of a doc comment that stands over a group of settings.
    pub fn heading(section: &'static str, lines: &[&str]) -> Self {
        Self::Heading { section, about: joined(lines) }
    }

    /// The lines of a doc comment that stands over a setting.
    pub fn setting<T>(key: &str, lines: &[&str], setting: &Setting<T>) -> Self {
        Self::Setting(SettingDocument {
            key: key.to_owned(),
            about: joined(lines),
            expected: setting.rule.expected.clone(),
            default: setting.default_text.clone(),
            privacy: setting.rule.privacy,
            aliases: setting.rule.aliases,
        })
    }

    /// The keys that a source may use for it.
    pub fn keys(&self) -> Vec<String> {
        match self {
            Self::Heading { .. } => Vec::new(),
            Self::Setting(setting) if setting.privacy == Privacy::Public => {
                vec![setting.key.clone()]
            }
            Self::Setting(setting) => vec![setting.key.clone(), format!("{}_file", setting.key)],
        }
    }
}

impl SettingDocument {
    /// Further names of the setting, as a sentence; empty where there are none.
    fn other_names(&self) -> String {
        let file = (self.privacy != Privacy::Public).then(|| format!("{}_FILE", Spelling::Variable.of(&self.key)));
        let names: Vec<_> = file.into_iter().chain(self.aliases.iter().map(ToString::to_string)).collect();
        if names.is_empty() { String::new() } else { format!("Also {}.", names.join(", ")) }
    }
}

/// The text of `.env.example`.
pub(super) fn env_example(documents: &[Document]) -> String {
    let mut text = ENV_HEADER.to_owned();
    for document in documents {
        match document {
            Document::Heading { about, .. } => push_line(&mut text, format_args!("\n# ---- {about}")),
            Document::Setting(setting) => push_setting(&mut text, setting),
        }
    }
    text
}

fn push_setting(text: &mut String, setting: &SettingDocument) {
    let value = match &setting.default {
        DefaultText::Value(value) => value,
        DefaultText::None | DefaultText::Computed(_) => "",
    };
    push_line(text, format_args!("\n# {}", setting.about));
    push_line(text, format_args!("# Expected: {}. Default: {}.", setting.expected, setting.default));
    let other_names = setting.other_names();
    if !other_names.is_empty() {
        push_line(text, format_args!("# {other_names}"));
    }
    let quotes = if value.contains(' ') { "\"" } else { "" };
    push_line(text, format_args!("# {}={quotes}{value}{quotes}", Spelling::Variable.of(&setting.key)));
}

/// A Markdown table of the settings.
pub(super) fn markdown_table(documents: &[Document]) -> String {
    let mut text = "| setting | expected | default | what for |\n| --- | --- | --- | --- |\n".to_owned();
    for document in documents {
        match document {
            Document::Heading { section: "", .. } => {}
            Document::Heading { section, about } => {
                push_line(&mut text, format_args!("| **{section}** | | | **{}** |", cell(about)));
            }
            Document::Setting(setting) => {
                let SettingDocument { key, expected, default, .. } = setting;
                let about = cell(format!("{} {}", setting.about, setting.other_names()).trim());
                // Stars would be emphasis.
                let code = if default.to_string().contains('*') { "`" } else { "" };
                let expected = cell(expected).replace('*', "\\*");
                push_line(&mut text, format_args!("| `{key}` | {expected} | {code}{default}{code} | {about} |"));
            }
        }
    }
    text
}

fn push_line(text: &mut String, line: fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a string takes whatever is written to it");
}

/// A bar would end the table's cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn joined(lines: &[&str]) -> String {
    let trimmed: Vec<_> = lines.iter().map(|line| line.trim()).collect();
    trimmed.join(" ")
}
