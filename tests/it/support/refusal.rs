//! What holds for every refusal: a code, the field, one sentence, no leak, and nothing written or logged as a fault of ours.

use std::cell::RefCell;

use serde_json::{Value as Json, json};

use super::TestApp;
use super::snapshot::assert_kept;
use super::watch::Watch;

/// Rows of everything that a caller can make.
const ROWS: &str = "SELECT (SELECT count(*) FROM collections) + (SELECT count(*) FROM embedding_spaces)
    + (SELECT count(*) FROM documents) + (SELECT count(*) FROM document_contents) + (SELECT count(*) FROM chunks)
    + (SELECT count(*) FROM embeddings) + (SELECT count(*) FROM ingestion_runs) + (SELECT count(*) FROM run_events)
    + (SELECT count(*) FROM jobs)";

/// Words that only a leaked database error would hold.
const LEAKS: [&str; 8] = ["SELECT", "INSERT", "UPDATE", "constraint", "relation", "sqlx", "Exec(", "panic"];

/// An operation, what it asks for, and the refusal that it must get: `extensions.code` and `extensions.field`.
pub type Case<'a> = (&'a str, Json, &'a str, &'a str);

/// A table of refusals against one application.
pub struct Refusals<'a> {
    app: &'a TestApp,
    watch: Watch,
    rows: i64,
    /// Code and message of each, those that are alike once.
    told: RefCell<Vec<String>>,
}

impl<'a> Refusals<'a> {
    /// Over an application with nothing left to do.
    pub async fn of(app: &'a TestApp) -> Self {
        Self { app, watch: Watch::this_thread(), rows: app.database.number(ROWS).await, told: RefCell::default() }
    }

    /// Sends each, and checks its refusal.
    pub async fn check(&self, cases: impl IntoIterator<Item = Case<'_>>) {
        for (query, variables, code, field) in cases {
            let (status, answer) = self.send(query, &variables).await;
            let shown: String = format!("{query} with {variables}: {answer}").chars().take(2_000).collect();
            assert_eq!(status, 200, "{shown}");
            let error = &answer["errors"][0];
            let extensions = &error["extensions"];
            assert_eq!((&extensions["code"], &extensions["field"]), (&json!(code), &json!(field)), "{shown}");
            assert!(extensions["got"].is_string(), "{shown}");
            assert_eq!(extensions["expected"].is_string(), code != "NOT_FOUND", "{shown}");
            assert!(error["path"].is_array(), "{shown}");
            let message = error["message"].as_str().expect("a message");
            assert!(message.starts_with(field) && !message.ends_with('.') && message.len() < 600, "{shown}");
            assert!(["got ", "expected "].iter().all(|word| message.matches(word).count() <= 1), "{shown}");
            assert!(!LEAKS.iter().any(|leak| message.contains(leak)), "{shown}");
            let (told, mut before) = (format!("{code} {message}"), self.told.borrow_mut());
            if !before.contains(&told) {
                before.push(told);
            }
        }
    }

    /// Compares all that was told so far with the snapshot of this name.
    pub fn are_kept_as(&self, name: &str) {
        assert_kept(name, &self.told.borrow().join("\n"), &[]);
    }

    /// Checks that nothing was written, and nothing logged as a fault of ours.
    pub async fn left_nothing(self) {
        assert_eq!(self.app.database.number(ROWS).await, self.rows, "rows were written");
        assert_eq!(self.watch.take_errors(), [""; 0]);
    }

    async fn send(&self, query: &str, variables: &Json) -> (u16, Json) {
        let url = format!("http://{}/graphql", self.app.address);
        let request = self.app.client.post(url).header("accept", "application/graphql-response+json");
        let response = request.json(&json!({ "query": query, "variables": variables })).send().await;
        let response = response.expect("the server answers");
        (response.status().as_u16(), response.json().await.expect("the answer is JSON"))
    }
}
