//! Cursors: each goes on in the list that gave it, and in no other.

use serde_json::{Value as Json, json};

use crate::support::TestApp;
use crate::support::gql::id;

/// A list of an application: how its field is asked, and which one.
struct List {
    name: &'static str,
    /// Asks for a page of two, or subscribes; takes `$id` and `$after`, and calls the field `list`.
    query: String,
    id: String,
}

impl List {
    fn connection(name: &'static str, id: &str, around: [&str; 2], field: &str) -> Self {
        let [before, behind] = around;
        let field = format!("list: {field} {{ edges {{ cursor }} }}");
        let query = format!(
            "query($id: ID!, $after: String) {{ any: __typename {before} {field} {behind} node(id: $id) {{ id }} }}"
        );
        Self { name, query, id: id.to_owned() }
    }

    fn subscription(name: &'static str, id: &str, field: &str) -> Self {
        let query = format!("subscription($id: ID!, $after: String) {{ list: {field} {{ cursor }} }}");
        Self { name, query, id: id.to_owned() }
    }

    fn is_subscription(&self) -> bool {
        self.query.starts_with("subscription")
    }

    /// The first answer after a cursor, as GraphQL's response.
    async fn ask(&self, app: &TestApp, after: Option<&str>) -> Json {
        let variables = json!({ "id": self.id, "after": after });
        if !self.is_subscription() {
            return app.gql(&self.query, variables).await;
        }
        let mut socket = app.websocket().await;
        socket.subscribe("1", &self.query, variables).await;
        let mut message = socket.next().await.expect("an answer");
        match message["type"].as_str() {
            Some("error") => json!({ "errors": message["payload"] }),
            Some("next") => message["payload"].take(),
            _ => Json::Null,
        }
    }

    /// A cursor of the list.
    async fn cursor(&self, app: &TestApp) -> String {
        let answer = self.ask(app, None).await;
        let found = find(&answer, "cursor").unwrap_or_else(|| panic!("{} gives no cursor: {answer}", self.name));
        found.as_str().expect("a cursor").to_owned()
    }
}

/// The first value of that name, at any depth.
fn find<'a>(value: &'a Json, name: &str) -> Option<&'a Json> {
    match value {
        Json::Object(fields) => fields.get(name).or_else(|| fields.values().find_map(|field| find(field, name))),
        Json::Array(items) => items.iter().find_map(|item| find(item, name)),
        _ => None,
    }
}

/// Every list of the schema, most of them under two parents or filters.
async fn lists(app: &TestApp) -> Vec<List> {
    let chunks = json!({ "source": { "chunks": [{ "text": "one" }, { "text": "two" }] } });
    let mut lists = vec![List::connection("collections", "", ["", ""], "collections(first: 2, after: $after)")];
    lists[0].query = lists[0].query.replace("node(id: $id) { id }", "").replace("$id: ID!, ", "");
    for (collection, documents, filtered, of_document, events, progress, updates) in [
        ("a", "documents of a", "indexed documents of a", "chunks in a", "events in a", "run of a", "job of a"),
        ("b", "documents of b", "indexed documents of b", "chunks in b", "events in b", "run of b", "job of b"),
    ] {
        let collection = app.collection(collection).await;
        let payload = app.ingest_to_end(&collection, json!([chunks])).await;
        let (run, job) = (id(&payload["run"]), id(&payload["documents"][0]["job"]));
        let document = id(&payload["documents"][0]["document"]);
        let inside = |kind: &str| [format!("{kind}(id: $id) {{"), "}".to_owned()];
        for (name, kind, id, field) in [
            (documents, "collection", &collection, "documents(first: 2, after: $after)"),
            (filtered, "collection", &collection, "documents(first: 2, after: $after, status: INDEXED)"),
            (of_document, "document", &document, "chunks(first: 2, after: $after)"),
            (events, "job", &job, "events(first: 2, after: $after)"),
        ] {
            let around = inside(kind);
            lists.push(List::connection(name, id, [&around[0], &around[1]], field));
        }
        lists.push(List::subscription(progress, &run, "ingestProgress(runId: $id, after: $after)"));
        lists.push(List::subscription(updates, &job, "jobUpdated(jobId: $id, after: $after)"));
    }
    let any = lists[1].id.clone();
    for (name, field) in [
        ("jobs", "jobs(first: 2, after: $after)"),
        ("jobs that succeeded", "jobs(first: 2, after: $after, filter: { states: [SUCCEEDED] })"),
        ("jobs of a collection", "jobs(first: 2, after: $after, filter: { collectionId: $id })"),
        ("schedules", "schedules(first: 2, after: $after)"),
    ] {
        lists.push(List::connection(name, &any, ["", ""], field));
    }
    for (name, queue) in [("queue ingest", "ingest"), ("queue maintenance", "maintenance")] {
        let mut list = List::subscription(name, queue, "queueUpdated(queue: $id, after: $after)");
        list.query = list.query.replace("$id: ID!", "$id: String!");
        lists.push(list);
    }
    lists
}

#[tokio::test(flavor = "multi_thread")]
async fn no_list_goes_on_from_a_cursor_of_another_one() {
    let app = TestApp::start().await;
    let lists = lists(&app).await;
    let mut cursors = Vec::new();
    for list in &lists {
        cursors.push((list.name, list.cursor(&app).await));
    }
    for list in &lists {
        for (name, cursor) in &cursors {
            if is_same(list.name, name) {
                continue;
            }
            let answer = list.ask(&app, Some(cursor)).await;
            let error = &answer["errors"][0]["extensions"];
            let told = [&error["code"], &error["field"]];
            assert_eq!(told, ["BAD_USER_INPUT", "after"], "{} after a cursor of {name}: {answer}", list.name);
        }
    }
    for (list, (_, cursor)) in lists.iter().zip(&cursors).filter(|(list, _)| !list.name.starts_with("queue")) {
        let answer = list.ask(&app, Some(cursor)).await;
        assert_eq!(answer["errors"], Json::Null, "{} after its own cursor: {answer}", list.name);
    }
}

/// Whether two names are of one list: a job's events are, however they are read.
fn is_same(one: &str, other: &str) -> bool {
    let list = |name: &str| name.replace("events in", "job of");
    list(one) == list(other)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_goes_on_after_a_row_that_is_gone() {
    let app = TestApp::start().await;
    let collection = app.collection("docs").await;
    let documents = ["a", "b", "c"].map(|text| json!({ "source": { "text": text }, "title": text }));
    let payload = app.ingest_to_end(&collection, json!(documents)).await;
    let query = "query($id: ID!, $after: String) { collection(id: $id) {
        documents(first: 1, after: $after) { edges { cursor node { title } } } } }";
    let first = app.data(query, json!({ "id": collection })).await;
    app.delete_document(&id(&payload["documents"][0]["document"])).await;
    let cursor = find(&first, "cursor").expect("a cursor");
    let next = app.data(query, json!({ "id": collection, "after": cursor })).await;
    assert_eq!(find(&next, "title"), Some(&json!("b")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_beyond_the_end_is_refused() {
    let app = TestApp::start().await;
    let collection = app.collection("docs").await;
    let chunks = json!({ "source": { "chunks": [{ "text": "one" }, { "text": "two" }] } });
    let payload = app.ingest_to_end(&collection, json!([chunks])).await;
    let (run, job) = (id(&payload["run"]), id(&payload["documents"][0]["job"]));
    let document = id(&payload["documents"][0]["document"]);
    let inside = |kind: &str| format!("{kind}(id: $id) {{");
    let lists = [
        List::connection("chunks", &document, [&inside("document"), "}"], "chunks(first: 2, after: $after)"),
        List::connection("events", &job, [&inside("job"), "}"], "events(first: 20, after: $after)"),
        List::subscription("run", &run, "ingestProgress(runId: $id, after: $after)"),
        List::subscription("job", &job, "jobUpdated(jobId: $id, after: $after)"),
    ];
    let mut cursors = Vec::new();
    for list in &lists {
        cursors.push(list.cursor(&app).await);
    }
    // As where a backup was restored that is older than what a caller has seen.
    app.database.execute("UPDATE ingestion_runs SET last_event = 0").await;
    app.database.execute("ALTER TABLE jobs DISABLE TRIGGER USER").await;
    app.database.execute("UPDATE jobs SET last_event = 0").await;
    app.database.execute("UPDATE documents SET chunk_count = 0").await;
    for (list, cursor) in lists.iter().zip(cursors) {
        let answer = list.ask(&app, Some(&cursor)).await;
        let error = &answer["errors"][0]["extensions"];
        assert_eq!([&error["code"], &error["field"]], ["BAD_USER_INPUT", "after"], "{}: {answer}", list.name);
    }
}
