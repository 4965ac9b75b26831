//! The settings as a user gives them.

mod documents;
mod faults;
mod secrets;

use std::path::PathBuf;
use std::time::Duration;

use super::*;

const MACHINE: Machine = Machine { cores: 6, root: true, home: None, xdg_data_home: None };

/// Sources under construction.
#[derive(Clone, Default)]
struct Given(Sources);

impl Given {
    fn file(mut self, text: &str) -> Self {
        self.0.file = Some(ConfigFile { name: "vectorforge.toml".to_owned(), text: text.to_owned() });
        self
    }

    fn dotenv(mut self, text: &str) -> Self {
        self.0.dotenv = Some(text.to_owned());
        self
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.0.env.push((name.to_owned(), value.to_owned()));
        self
    }

    fn set(mut self, key: &str, value: &str) -> Self {
        self.0.overrides.push((key.to_owned(), value.to_owned()));
        self
    }

    fn load(&self) -> Config {
        Config::load(&self.0, &MACHINE).unwrap_or_else(|faults| panic!("faults:\n{faults}"))
    }

    fn faults(&self) -> Vec<String> {
        let faults = Config::load(&self.0, &MACHINE).expect_err("a fault was expected");
        faults.to_string().lines().map(str::to_owned).collect()
    }
}

fn given() -> Given {
    Given::default()
}

#[test]
fn without_any_source_the_defaults_apply() {
    let config = given().load();
    assert_eq!((config.http.host.as_str(), config.http.port), ("127.0.0.1", 8000));
    assert_eq!(config.http.request_timeout, Duration::from_secs(30));
    assert_eq!(config.database.recycle, Duration::from_secs(1_800));
    assert_eq!(config.embedding.threads, 5, "one less than the cores of the machine told");
    assert_eq!(config.data_dir, PathBuf::from("/var/lib/vectorforge"));
    assert_eq!((config.llm.provider, config.log.level), (None, LogLevel::Info));
}

#[test]
fn a_list_of_paths_is_written_as_the_shell_writes_its_own() {
    let directories = |sources: Given| sources.load().source.directories;
    assert_eq!(directories(given()), [""; 0].map(PathBuf::from), "none unless told");
    assert_eq!(directories(given().env("VECTORFORGE_SOURCE__DIRECTORIES", "")), [""; 0].map(PathBuf::from));
    let two = ["/srv/notes", "/home/a b"].map(PathBuf::from);
    assert_eq!(directories(given().env("VECTORFORGE_SOURCE__DIRECTORIES", "/srv/notes:/home/a b")), two);
    assert_eq!(directories(given().file("source.directories = '/srv/notes:/home/a b'")), two);
}

#[test]
fn each_source_wins_over_the_ones_before_it() {
    type Add = fn(Given) -> Given;
    let weakest_first: [(Add, u16); 4] = [
        (|sources| sources.file("http.port = 1001"), 1001),
        (|sources| sources.dotenv("VECTORFORGE_HTTP__PORT=1002"), 1002),
        (|sources| sources.env("VECTORFORGE_HTTP__PORT", "1003"), 1003),
        (|sources| sources.set("http.port", "1004"), 1004),
    ];
    for (weaker_index, (weaker, alone)) in weakest_first.iter().enumerate() {
        assert_eq!(weaker(given()).load().http.port, *alone, "over the default");
        for (stronger, expected) in &weakest_first[weaker_index + 1..] {
            assert_eq!(stronger(weaker(given())).load().http.port, *expected, "over {alone}");
        }
    }
}

#[test]
fn an_alias_of_a_stronger_source_wins_over_our_own_name_in_a_weaker_one() {
    let sources = given().dotenv("VECTORFORGE_HTTP__PORT=1001").env("PORT", "1002");
    assert_eq!(sources.load().http.port, 1002);
}

#[test]
fn our_own_name_wins_over_the_alias_in_the_same_source() {
    let sources = given().env("PORT", "1001").env("VECTORFORGE_HTTP__PORT", "1002");
    assert_eq!(sources.load().http.port, 1002);
}

#[test]
fn names_are_read_in_any_case() {
    for name in ["VECTORFORGE_HTTP__PORT", "vectorforge_http__port", "VectorForge_Http__Port"] {
        assert_eq!(given().env(name, "1001").load().http.port, 1001, "{name}");
    }
    assert_eq!(given().file("[HTTP]\nPort = 1001").load().http.port, 1001);
    assert_eq!(given().set("Http.PORT", "1001").load().http.port, 1001);
    assert_eq!(given().env("VECTORFORGE_LOG__LEVEL", "WARN").load().log.level, LogLevel::Warn);
}

#[test]
fn every_toml_scalar_is_understood() {
    let config = given()
        .file("[http]\nport = 0x1F\nbody_limit_bytes = 1_000_000\n[llm]\ntemperature = 1.5\nprovider = 'ollama'\n[database]\npre_ping = false")
        .load();
    assert_eq!((config.http.port, config.http.body_limit_bytes), (31, 1_000_000));
    assert!((config.llm.temperature - 1.5).abs() < f64::EPSILON);
    assert_eq!((config.llm.provider, config.database.pre_ping), (Some(LlmProvider::Ollama), false));
}

#[test]
fn variables_that_are_no_settings_do_no_harm() {
    given()
        .env("VECTORFORGE_CONFIG", "other.toml")
        .env("PATH", "/bin")
        .env("TEST_DATABASE_URL", "x")
        .dotenv("POSTGRES_PASSWORD=x")
        .load();
}

#[test]
fn a_dotenv_file_may_have_quotes_comments_exports_and_no_last_line_break() {
    let config = given()
        .dotenv("\u{feff}# a comment\nexport PORT=1001 # another\nOPENAI_API_KEY='s$k #1'\nVECTORFORGE_LOG__LEVEL=\"warn\" ")
        .load();
    assert_eq!((config.http.port, config.log.level), (1001, LogLevel::Warn));
    assert_eq!(config.providers.openai.api_key, Some(Secret::new("s$k #1")));
}
