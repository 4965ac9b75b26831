//! Lines as a reader of the log sees them.

use std::io;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use settings::{Config, LogFormat, Machine, Sources};
use tracing_subscriber::layer::SubscriberExt;

use super::*;

#[derive(Clone, Default)]
struct Console(Arc<Mutex<Vec<u8>>>);

impl Console {
    fn lines(&self) -> Vec<String> {
        let bytes = self.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
    }
}

impl Write for Console {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn log_settings(given: &[(&str, &str)]) -> LogSettings {
    let machine = Machine { cores: 1, root: true, home: None, xdg_data_home: None };
    let overrides = given.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    Config::load(&Sources { overrides, ..Sources::default() }, &machine).unwrap().log
}

/// The lines that `work` logs under these settings.
fn logged(settings: &[(&str, &str)], work: impl FnOnce()) -> Vec<String> {
    let console = Console::default();
    let subscriber = subscriber(&log_settings(settings), console.clone()).unwrap();
    tracing::subscriber::with_default(subscriber, work);
    console.lines()
}

/// The same at a constant time.
fn logged_at_epoch(format: LogFormat, work: impl FnOnce()) -> String {
    let console = Console::default();
    let layer = LineLayer::new(format, vec![Sink::new("console", console.clone())], || chrono::DateTime::UNIX_EPOCH);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
    let lines = console.lines();
    assert_eq!(lines.len(), 1, "one event is one line: {lines:?}");
    lines[0].clone()
}

fn json(line: &str) -> serde_json::Map<String, Value> {
    serde_json::from_str(line).unwrap()
}

#[test]
fn a_json_line_has_the_fixed_keys_in_order_and_then_the_fields() {
    let line_number = line!() + 2;
    let line = logged_at_epoch(LogFormat::Json, || {
        tracing::info!(rows = 3, ratio = 0.5, name = "x", done = true, "rows written");
    });
    let module = module_path!();
    assert_eq!(
        line,
        format!(
            r#"{{"timestamp":"1970-01-01T00:00:00.000000Z","level":"INFO","logger":"{module}","message":"rows written","module":"{module}","function":null,"line":{line_number},"rows":3,"ratio":0.5,"name":"x","done":true}}"#
        )
    );
}

#[test]
fn an_event_carries_the_fields_of_its_spans_and_the_inner_ones_win() {
    let line = logged_at_epoch(LogFormat::Json, || {
        let outer = tracing::info_span!("request", id = 1, tenant = "a", user = tracing::field::Empty);
        outer.record("user", "u");
        outer.in_scope(|| {
            tracing::info_span!("ingest", id = 2).in_scope(|| tracing::warn!(tenant = "b", "slow"));
        });
    });
    let line = json(&line);
    assert_eq!((&line["function"], &line["id"]), (&Value::from("ingest"), &Value::from(2)));
    assert_eq!((&line["tenant"], &line["user"]), (&Value::from("b"), &Value::from("u")));
}

#[test]
fn a_field_named_like_a_fixed_key_does_not_replace_it() {
    let line = json(&logged_at_epoch(LogFormat::Json, || {
        tracing::error!(level = "none", line = 0, "failed");
    }));
    assert_eq!((&line["level"], &line["field.level"]), (&Value::from("ERROR"), &Value::from("none")));
    assert_eq!(line["field.line"], 0);
}

#[test]
fn an_error_is_told_with_its_causes() {
    let error = LogError::File { path: "a.log".into(), source: io::Error::other("disk") };
    let line = json(&logged_at_epoch(LogFormat::Json, || {
        tracing::error!(error = &error as &dyn std::error::Error, "no log");
    }));
    assert_eq!(line["error"], "cannot open the log file a.log, as log.file has it: disk");
}

#[test]
fn a_text_line_reads_time_level_logger_message_fields() {
    let line = logged_at_epoch(LogFormat::Text, || {
        tracing::warn!(target: "app", rows = 3, name = "two words", word = "x", "rows written");
    });
    assert_eq!(line, r#"1970-01-01T00:00:00.000000Z  WARN app: rows written rows=3 name="two words" word=x"#);
}

#[test]
fn no_text_can_forge_a_line_or_a_field_or_a_terminal_command() {
    for (text, shown) in [
        ("a\nb", r#""a\nb""#),
        ("a\r\u{1b}[2J", r#""a\r\u{1b}[2J""#),
        ("a\u{85}b\u{2028}c", r#""a\u{85}b\u{2028}c""#),
        ("x admin=true", r#""x admin=true""#),
        ("a=b", r#""a=b""#),
        (r#"x" admin="true"#, r#""x\" admin=\"true""#),
        ("", r#""""#),
    ] {
        let line = logged_at_epoch(LogFormat::Text, || tracing::info!(target: "app", text, "m"));
        assert_eq!(line, format!("1970-01-01T00:00:00.000000Z  INFO app: m text={shown}"));
        logged_at_epoch(LogFormat::Text, || tracing::info!("{text}"));
        let line = json(&logged_at_epoch(LogFormat::Json, || tracing::info!(text, "{text}")));
        assert_eq!((&line["text"], &line["message"]), (&Value::from(text), &Value::from(text)));
    }
}

#[test]
fn the_level_decides_and_noisy_libraries_are_held_at_warn() {
    let talk = || {
        tracing::info!(target: "vectorforge::http", "ours");
        tracing::debug!(target: "vectorforge::http", "ours in detail");
        tracing::info!(target: "sqlx::pool", "pool");
        tracing::info!(target: "sqlx::query", "statement");
        tracing::info!(target: "hyper_util::client", "connected");
        tracing::info!(target: "tower_http::trace", "response");
        tracing::warn!(target: "sea_orm", "slow");
    };
    let messages = |settings: &[(&str, &str)]| -> Vec<String> {
        let settings = [settings, &[("log.format", "json")]].concat();
        logged(&settings, talk).iter().map(|line| json(line)["message"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(messages(&[]), ["ours", "statement", "slow"]);
    assert_eq!(messages(&[("log.level", "debug")]), ["ours", "ours in detail", "statement", "slow"]);
    assert_eq!(messages(&[("log.level", "error")]), [""; 0]);
    let filter = [("log.level", "error"), ("log.filter", "off,hyper_util=info")];
    assert_eq!(messages(&filter), ["connected"]);
}

#[test]
fn the_start_is_told_in_one_line_and_what_is_missing_in_one_each() {
    let machine = Machine { cores: 1, root: true, home: None, xdg_data_home: None };
    let config = Config::load(&Sources::default(), &machine).unwrap();
    let lines = logged(&[], || config.log_summary());
    assert_eq!(lines.len(), 3, "{lines:?}");
    for (line, parts) in lines.iter().zip([
        ["INFO", "settings read settings=\"http=127.0.0.1:8000"],
        ["WARN", "generation disabled: no LLM is configured"],
        ["INFO", "no object store is configured: originals stay in PostgreSQL"],
    ]) {
        assert!(parts.iter().all(|part| line.contains(part)), "{parts:?} in {line}");
    }
}

#[test]
fn the_file_gets_every_line_that_the_console_gets() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.log");
    let lines = logged(&[("log.file", path.to_str().unwrap())], || {
        tracing::info!("one");
        tracing::info!("two");
    });
    let file: Vec<_> = std::fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect();
    assert_eq!((lines.len(), lines), (2, file));
}

#[test]
fn a_log_that_cannot_be_written_stops_nobody() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let console = Console::default();
    let sinks = vec![Sink::new("full", Full), Sink::new("console", console.clone())];
    let layer = LineLayer::new(LogFormat::Text, sinks, chrono::DateTime::default);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || tracing::info!("still here"));
    assert_eq!(console.lines().len(), 1, "the other sink has the line");
}

#[test]
fn a_log_file_that_cannot_be_opened_is_told_with_its_setting() {
    let directory = tempfile::tempdir().unwrap();
    let settings = log_settings(&[("log.file", directory.path().to_str().unwrap())]);
    let error = subscriber(&settings, Console::default()).err().unwrap();
    assert!(error.to_string().contains("log.file"), "{error}");
}
