//! Where settings come from, gathered as plain text so that the rest of the room touches nothing outside.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::{env, fs};

use crate::fault::Fault;
use crate::layer::{CONFIG_VARIABLE, Layer, dotenv_items};

/// The config file that is read from the working directory where none is named.
const CONFIG_FILE: &str = "vectorforge.toml";

/// Everything that settings are read from, the weakest first. Not `Debug`: it is full of secrets.
#[derive(Clone, Default)]
pub struct Sources {
    /// The config file.
    pub file: Option<ConfigFile>,
    /// The text of `.env`.
    pub dotenv: Option<String>,
    /// The environment; variables that are not settings do no harm.
    pub env: Vec<(String, String)>,
    /// Keys and values of the command line; the last of the same key wins.
    pub overrides: Vec<(String, String)>,
    /// What could not be read while gathering; told together with the faults of the settings.
    pub unreadable: Vec<Fault>,
}

/// A config file's text and the name by which faults call it.
#[derive(Clone)]
pub struct ConfigFile {
    /// The path as the user gave it.
    pub name: String,
    /// A TOML document.
    pub text: String,
}

impl Sources {
    /// Gathers from this process: the environment and, in the working directory, `.env` and `vectorforge.toml`.
    /// `config` is the file named on the command line, `overrides` the values of `--set` and of single flags.
    pub fn of_process(config: Option<PathBuf>, overrides: Vec<(String, String)>) -> Self {
        Self::gather(Path::new(""), env::vars_os(), config, overrides)
    }

    fn gather(
        directory: &Path,
        variables: impl Iterator<Item = (OsString, OsString)>,
        config: Option<PathBuf>,
        overrides: Vec<(String, String)>,
    ) -> Self {
        let mut unreadable = Vec::new();
        let env = utf8_variables(variables);
        let dotenv = read_if_present(&directory.join(".env"), &mut unreadable);
        let named = config.or_else(|| config_variable(&env, dotenv.as_deref()));
        let file = match named {
            Some(path) => read_named(&path, &mut unreadable),
            None => read_if_present(&directory.join(CONFIG_FILE), &mut unreadable)
                .map(|text| ConfigFile { name: CONFIG_FILE.to_owned(), text }),
        };
        Self { file, dotenv, env, overrides, unreadable }
    }

    /// The sources in one form, the weakest first, and the faults found in bringing them there.
    pub(super) fn layers(&self) -> (Vec<Layer>, Vec<Fault>) {
        let mut faults = self.unreadable.clone();
        let file = self.file.as_ref().map(|file| Layer::from_toml(&file.name, &file.text, &mut faults));
        let dotenv = self.dotenv.as_ref().map(|text| Layer::from_dotenv(text, &mut faults));
        let environment = Layer::from_environment(&self.env, &mut faults);
        let overrides = Layer::from_overrides(&self.overrides);
        let layers = [file, dotenv, Some(environment), Some(overrides)];
        (layers.into_iter().flatten().collect(), faults)
    }
}

/// Splits `key=value` as `--set` takes it.
///
/// # Errors
/// Where there is no `=` or no key before it; the text says what was expected.
pub fn parse_override(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        // Not repeated: it may be a secret without its key.
        _ => Err("expected key=value, such as http.port=9000".to_owned()),
    }
}

/// Where the environment, or else `.env`, says the config file is.
fn config_variable(env: &[(String, String)], dotenv: Option<&str>) -> Option<PathBuf> {
    let of_dotenv: Vec<_> = dotenv.into_iter().flat_map(dotenv_items).flatten().collect();
    let mut variables = env.iter().chain(&of_dotenv);
    let (_, path) = variables.find(|(name, path)| name.eq_ignore_ascii_case(CONFIG_VARIABLE) && !path.is_empty())?;
    Some(PathBuf::from(path))
}

/// Bytes that are not UTF-8 become replacement characters, which the reader refuses in a setting: what other programs
/// keep in their variables is their business.
fn utf8_variables(variables: impl Iterator<Item = (OsString, OsString)>) -> Vec<(String, String)> {
    let text = |bytes: OsString| bytes.to_string_lossy().into_owned();
    variables.map(|(name, value)| (text(name), text(value))).collect()
}

fn read_named(path: &Path, faults: &mut Vec<Fault>) -> Option<ConfigFile> {
    let name = path.display().to_string();
    match fs::read_to_string(path) {
        Ok(text) => Some(ConfigFile { name, text }),
        Err(error) => {
            faults.push(unreadable(path, &error));
            None
        }
    }
}

fn read_if_present(path: &Path, faults: &mut Vec<Fault>) -> Option<String> {
    match fs::read_to_string(path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => {
            faults.push(unreadable(path, &error));
            None
        }
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Fault {
    Fault {
        field: "config file".to_owned(),
        received: error.to_string(),
        origin: path.display().to_string(),
        expected: "a readable UTF-8 file".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered(directory: &Path, env: &[(&str, &str)], config: Option<PathBuf>) -> Sources {
        let variables = env.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        Sources::gather(directory, variables, config, Vec::new())
    }

    #[test]
    fn the_config_file_is_the_one_of_the_flag_or_the_environment_or_dotenv_or_the_working_directory() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let name_of = |env: &[(&str, &str)], flag: Option<&str>| {
            let sources = gathered(directory.path(), env, flag.map(path));
            assert!(sources.unreadable.is_empty(), "{:?}", sources.unreadable);
            sources.file.map(|file| file.text)
        };
        assert_eq!(name_of(&[], None), None, "no file is no fault");
        for name in ["flag", "environment", "dotenv", CONFIG_FILE] {
            fs::write(path(name), name).unwrap();
        }
        assert_eq!(name_of(&[], None).as_deref(), Some(CONFIG_FILE));
        fs::write(path(".env"), format!("vectorforge_config='{}'", path("dotenv").display())).unwrap();
        assert_eq!(name_of(&[], None).as_deref(), Some("dotenv"));
        let environment = path("environment").display().to_string();
        let env = [(CONFIG_VARIABLE, environment.as_str())];
        assert_eq!(name_of(&env, None).as_deref(), Some("environment"));
        assert_eq!(name_of(&env, Some("flag")).as_deref(), Some("flag"));
    }

    #[test]
    fn a_named_file_that_is_missing_is_a_fault_told_with_its_path() {
        let directory = tempfile::tempdir().unwrap();
        let sources = gathered(directory.path(), &[], Some("missing.toml".into()));
        assert_eq!(sources.unreadable[0].origin, "missing.toml");
    }

    #[test]
    fn an_override_is_split_at_its_first_equals_sign() {
        for (text, expected) in [
            ("http.port=9000", Some(("http.port", "9000"))),
            ("log.filter=a=b", Some(("log.filter", "a=b"))),
            ("http.port=", Some(("http.port", ""))),
            ("http.port", None),
            ("=9000", None),
        ] {
            let owned = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
            assert_eq!(parse_override(text).ok(), owned, "for {text}");
        }
    }
}
