//! Secrets come in by several ways and out by none.

use std::fs;

use super::*;

#[test]
fn the_names_that_other_programs_use_are_understood() {
    let shown = |name: &str, value: &str| format!("{:?}", given().env(name, value).load());
    let exposed = |secret: Option<Secret>| secret.map(|secret| secret.expose().to_owned());
    type Key = fn(Config) -> Option<Secret>;
    let keys: [(&str, Key); 7] = [
        ("OPENAI_API_KEY", |config| config.providers.openai.api_key),
        ("ANTHROPIC_API_KEY", |config| config.providers.anthropic.api_key),
        ("COHERE_API_KEY", |config| config.providers.cohere.api_key),
        ("CO_API_KEY", |config| config.providers.cohere.api_key),
        ("VOYAGE_API_KEY", |config| config.providers.voyage.api_key),
        ("GOOGLE_API_KEY", |config| config.providers.google.api_key),
        ("GEMINI_API_KEY", |config| config.providers.google.api_key),
    ];
    for (name, key) in keys {
        assert_eq!(exposed(key(given().env(name, "sk-1").load())).as_deref(), Some("sk-1"), "{name}");
        assert_eq!(key(given().env(name, "").load()), None, "an empty {name} says nothing");
        assert!(!shown(name, "sk-1").contains("sk-1"), "{name} is not printed");
    }
    assert_eq!(given().env("PORT", "9").load().http.port, 9);
    assert_eq!(given().env("RUST_LOG", "warn,a=debug").load().log.filter.as_deref(), Some("warn,a=debug"));
    let url = given().env("DATABASE_URL", "postgres://u:pw@h/d").load().database.url.unwrap();
    assert_eq!(url.expose(), "postgres://u:pw@h/d");
    assert!(!shown("DATABASE_URL", "postgres://u:pw@h/d").contains("pw"));
}

#[test]
fn the_value_of_an_unknown_name_is_not_repeated() {
    let faults = given().env("VECTORFORGE_PROVIDERS__OPENAI__API_KEI", "sk-1").faults();
    assert!(!faults[0].contains("sk-1"), "{faults:?}");
}

#[test]
fn a_secret_may_come_from_a_file_without_its_last_line_break() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    let name = path.to_str().unwrap();
    for (text, expected) in [("sk-1", "sk-1"), ("sk-1\n", "sk-1"), ("sk-1\r\n", "sk-1"), (" sk-1 \n", " sk-1 ")] {
        fs::write(&path, text).unwrap();
        for sources in [
            given().env("VECTORFORGE_PROVIDERS__OPENAI__API_KEY_FILE", name),
            given().env("OPENAI_API_KEY_FILE", name),
            given().set("providers.openai.api_key_file", name),
        ] {
            assert_eq!(sources.load().providers.openai.api_key, Some(Secret::new(expected)), "{text:?}");
        }
    }
    fs::write(&path, "sk-1\n\n").unwrap();
    let faults = given().env("OPENAI_API_KEY_FILE", name).faults();
    assert!(faults.len() == 1 && !faults[0].contains("sk-1"), "only one line break goes: {faults:?}");
}

#[test]
fn a_secret_given_as_value_and_as_file_in_one_source_is_a_fault() {
    let faults = given().env("DATABASE_URL", "postgres://u:pw@h/d").env("DATABASE_URL_FILE", "/secret").faults();
    let expected = "database.url: got both a value and a file (environment DATABASE_URL and environment \
                    DATABASE_URL_FILE), expected one of them";
    assert_eq!(faults, [expected]);
    let stronger = given().dotenv("OPENAI_API_KEY_FILE=/missing").env("OPENAI_API_KEY", "sk-1");
    assert!(stronger.load().providers.openai.api_key.is_some(), "a stronger source decides alone");
}

#[test]
fn a_secret_in_the_place_of_its_files_path_is_not_repeated() {
    let faults = given().env("OPENAI_API_KEY_FILE", "sk-1").faults();
    assert!(faults[0].contains("environment OPENAI_API_KEY_FILE"), "{faults:?}");
    assert!(!faults[0].contains("sk-1"), "{faults:?}");
}

#[test]
fn a_setting_that_is_no_secret_has_no_file() {
    let faults = given().env("VECTORFORGE_HTTP__PORT_FILE", "/port").faults();
    assert!(faults[0].contains("unknown setting"), "{faults:?}");
}

#[test]
fn a_faulty_secret_is_redacted() {
    for (name, value) in [("OPENAI_API_KEY", "sk-1\nsk-2"), ("DATABASE_URL", "user=u password=sk-1")] {
        let faults = given().env(name, value).faults();
        assert!(faults[0].contains("got [redacted]") && !faults[0].contains("sk-"), "{faults:?}");
    }
}

#[test]
fn bytes_that_were_not_utf8_are_refused_in_a_setting() {
    let faults = given().env("OPENAI_API_KEY", "sk-\u{fffd}").faults();
    assert_eq!(faults.len(), 1, "{faults:?}");
}
