//! The faults as a user reads them.

use super::given;

#[test]
fn one_setting_twice_in_different_case_is_a_fault_where_the_values_differ() {
    let twice = |one, two| given().env("VECTORFORGE_HTTP__PORT", one).env("vectorforge_http__port", two);
    assert_eq!(twice("1001", "1001").load().http.port, 1001);
    assert_eq!(
        twice("1001", "1002").faults(),
        ["http.port: got two different values (environment VECTORFORGE_HTTP__PORT and environment \
          vectorforge_http__port), expected one of them: upper and lower case are the same"]
    );
}

#[test]
fn all_faults_of_all_sources_are_told_in_one_run() {
    let sources = given()
        .file("[http]\nport = 70000\n[storage]\nthreshold_bytes = 0")
        .dotenv("VECTORFORGE_LLM__TEMPERATURE=2.5\nVECTORFORGE_LOG__LEVEL=loud")
        .env("VECTORFORGE_LOG__FORMAT", "xml")
        .env("DATABASE_URL", "mysql://user:hunter2@host/db")
        .set("chunking.size", "20");
    assert_eq!(
        sources.faults(),
        [
            r#"http.port: got "70000" (vectorforge.toml line 2), expected a whole number from 1 to 65535"#,
            r#"database.url: got "mysql://user:***@host/db" (environment DATABASE_URL), expected a URL such as postgres://user:password@host:5432/database?sslmode=require"#,
            r#"log.level: got "loud" (.env VECTORFORGE_LOG__LEVEL), expected one of trace, debug, info, warn, error"#,
            r#"log.format: got "xml" (environment VECTORFORGE_LOG__FORMAT), expected one of text, json"#,
            r#"storage.threshold_bytes: got "0" (vectorforge.toml line 4), expected a whole number of bytes from 1 to 1073741824"#,
            r#"llm.temperature: got "2.5" (.env VECTORFORGE_LLM__TEMPERATURE), expected a number from 0 to 2"#,
            r#"chunking.overlap: got 32 (default), expected at most half of chunking.size, which is "20" (command line chunking.size)"#,
        ]
    );
}

#[test]
fn a_range_includes_its_ends_and_nothing_beyond() {
    for (key, inside, outside) in [
        ("http.port", ["1", "65535"], ["0", "65536"]),
        ("storage.threshold_bytes", ["1", "1073741824"], ["0", "-1"]),
        ("llm.temperature", ["0", "2"], ["-0.1", "2.1"]),
        ("llm.temperature", ["0.0", "1e0"], ["NaN", "inf"]),
        ("search.ef_search", ["1", "1000"], ["0", "1001"]),
        ("index.hnsw_m", ["2", "32"], ["1", "101"]),
        ("queue.workers", ["0", "1024"], ["1025", "two"]),
        ("http.request_timeout_ms", ["1", "3600000"], ["0", "30s"]),
        ("database.pre_ping", ["no", "TRUE"], ["maybe", ""]),
        ("http.host", ["::1", "db.example"], ["host:80", "a b"]),
        ("log.filter", ["info", "a[span]=warn"], ["a=b=c", "=,["]),
        ("source.directories", ["/srv/notes", "/a:/b c"], ["notes", ""]),
        ("source.directories", ["/", "/a/:/a"], ["/a:", "/a::/b"]),
        ("object_store.url", ["s3://bucket", "file:///dir"], ["s3://", "bucket"]),
        (
            "database.url",
            ["postgres://u:p@h:5432/d?sslmode=require", "postgresql:///d?host=/run"],
            ["mysql://h/d", "h"],
        ),
        ("database.url", ["postgres://[::1]/d", "postgres://h?port=1"], ["postgres://h:port/d", "postgres://h?port=x"]),
        (
            "database.url",
            ["postgres://h/d?sslmode=disable", "postgres://h"],
            ["postgres://h?sslmode=no", "postgres://"],
        ),
    ] {
        for value in inside {
            given().set(key, value).load();
        }
        for value in outside {
            let faults = given().set(key, value).faults();
            assert!(faults.len() == 1 && faults[0].starts_with(key), "{key}={value}: {faults:?}");
        }
    }
}

#[test]
fn settings_that_contradict_each_other_are_told_together_with_both_values() {
    let sources = given()
        .set("chunking.overlap", "240")
        .set("queue.heartbeat_ms", "15000")
        .set("queue.backoff_base_ms", "2000")
        .set("queue.backoff_max_ms", "1000")
        .set("schedule.tick_ms", "7500")
        .set("schedule.missed_grace_s", "10")
        .set("index.hnsw_m", "33");
    let faults = sources.faults();
    for (fault, part) in faults.iter().zip([
        r#"chunking.overlap: got "240" (command line chunking.overlap), expected at most half of chunking.size, which is 240 (default)"#,
        "less than half of queue.lease_ms, which is 30000 (default)",
        r#"at most queue.backoff_max_ms, which is "1000""#,
        r#"schedule.tick_ms: got "7500" (command line schedule.tick_ms), expected less than half of schedule.lease_ms"#,
        r#"expected no longer than schedule.missed_grace_s, which is "10""#,
        r#"index.hnsw_ef_construction: got 64 (default), expected at least twice index.hnsw_m, which is "33""#,
    ]) {
        assert!(fault.contains(part), "{fault}");
    }
    assert_eq!(faults.len(), 6, "{faults:?}");
}

#[test]
fn a_faulty_value_is_not_compared_with_another() {
    let faults = given().set("chunking.size", "0").set("chunking.overlap", "300").faults();
    assert_eq!(faults.len(), 1, "{faults:?}");
    let faults = given().set("chunking.size", "0").set("chunking.overlap", "-1").faults();
    assert_eq!(faults.len(), 2, "each is told by itself: {faults:?}");
}

#[test]
fn an_unknown_name_is_a_fault_that_suggests_the_nearest_as_the_source_spells_it() {
    for (sources, expected) in [
        (given().env("VECTORFORGE_HTTP_PORT", "1"), Some("VECTORFORGE_HTTP__PORT")),
        (given().env("VECTORFORGE_PORT", "1"), Some("VECTORFORGE_HTTP__PORT")),
        (given().dotenv("VECTORFORGE_LOG__LEVLE=info"), Some("VECTORFORGE_LOG__LEVEL")),
        (given().file("[chunking]\nsise = 3"), Some("chunking.size")),
        (given().file("chunk.size = 3"), Some("chunking.size")),
        (given().set("http.request_timeout", "1"), Some("http.request_timeout_ms")),
        (given().set("zzzzzz", "1"), None),
    ] {
        let faults = sources.faults();
        let hint = match expected {
            Some(name) => format!("expected a known one, perhaps {name}"),
            None => "expected one of those in .env.example".to_owned(),
        };
        assert!(faults.len() == 1 && faults[0].ends_with(&hint), "{faults:?}");
    }
}

#[test]
fn every_broken_line_of_a_file_is_told_with_its_number_and_without_its_text() {
    let toml = given().file("[providers.openai]\napi_key = sk-1\n[http]\nport = 70000\nhost = = 'sk-2'\n").faults();
    let dotenv = given().dotenv("PORT=1\nDATABASE_URL=sk-1 sk-2\n\nnot a variable sk-3\nPORT=2\n").faults();
    for (faults, places) in
        [(&toml, ["vectorforge.toml line 2", "vectorforge.toml line 4"]), (&dotenv, ["(line 2)", "(line 4)"])]
    {
        for place in places {
            assert!(faults.iter().any(|fault| fault.contains(place)), "{place} in {faults:#?}");
        }
        assert!(!faults.concat().contains("sk-"), "{faults:#?}");
    }
}

#[test]
fn a_list_in_the_file_is_refused() {
    let faults = given().file("http.port = [1, 2]").faults();
    let expected =
        "http.port: got a value of type array (vectorforge.toml line 1), expected a string, a number or true or false";
    assert_eq!(faults, [expected]);
}
