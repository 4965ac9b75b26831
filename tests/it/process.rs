//! The program itself: its sentences, its exit codes, and its life with the embedded PostgreSQL.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Resource, Rlimit, Signal, kill_process, prlimit};
use serde_json::{Value as Json, json};
use vectorforge::tasks::Tasks;

use crate::embedded_server::{is_gone, pid, temporary_directory};
use crate::support::app::client;
use crate::support::gql::id;
use crate::support::{TestApp, until};

/// The program in a directory of its own, with nothing of this process's settings.
pub fn vectorforge(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vectorforge"));
    command.args(arguments).current_dir(dir).env_clear().stdin(Stdio::null());
    command.env("VECTORFORGE_RUNTIME_DIR", Path::new(env!("CARGO_MANIFEST_DIR")).join(".runtime"));
    command.env("VECTORFORGE_DATA_DIR", dir.join("data")).env("VECTORFORGE_HTTP__PORT", free_port().to_string());
    command
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").port()
}

/// A program that runs; killed with the test.
pub struct Running {
    child: Child,
    log: std::path::PathBuf,
}

impl Running {
    /// Starts it; what it says goes to a file.
    pub fn start(mut command: Command, dir: &Path) -> Self {
        let log = dir.join(format!("log-{}", uuid::Uuid::now_v7()));
        let file = fs::File::create(&log).expect("a file");
        Self { child: command.stdout(Stdio::null()).stderr(file).spawn().expect("the program starts"), log }
    }

    /// What it said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("UTF-8")
    }

    /// Where it serves, once it does.
    pub async fn ready(&mut self) -> String {
        until("the program to be ready", async || {
            let log = self.log();
            assert!(self.child.try_wait().expect("our child").is_none(), "it ended: {log}");
            Some(log.split_once("ready: ")?.1.split_whitespace().next()?.to_owned())
        })
        .await
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(pid(self.child.id()), signal).expect("it runs");
    }

    /// Its end.
    pub async fn ended(&mut self) -> ExitStatus {
        until("the program to end", async || self.child.try_wait().expect("our child")).await
    }

    /// Asks it to stop, and waits until it has done so as it should.
    pub async fn stop(self) {
        self.signal(Signal::TERM);
        let (code, said) = self.outcome().await;
        assert_eq!(code, Some(0), "{said}");
    }

    /// Its end and what it said.
    pub async fn outcome(mut self) -> (Option<i32>, String) {
        let code = self.ended().await.code();
        (code, self.log())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn gql(address: &str, query: &str, variables: Json) -> Json {
    let body = json!({ "query": query, "variables": variables });
    let response = client().post(format!("{address}/graphql")).json(&body).send().await.expect("it answers");
    let mut answer: Json = response.json().await.expect("JSON");
    assert_eq!(answer["errors"], Json::Null, "{query}");
    answer["data"].take()
}

const CREATE: &str =
    "mutation($input: CreateCollectionInput!) { createCollection(input: $input) { collection { id } } }";
const INGEST: &str = "mutation($input: IngestDocumentsInput!) { ingestDocuments(input: $input) { run { id } } }";

async fn ingest(address: &str, collection: &str, documents: Json) {
    let input = json!({ "collectionId": collection, "documents": documents });
    let run = id(&gql(address, INGEST, json!({ "input": input })).await["ingestDocuments"]["run"]);
    until("the run to succeed", async || {
        let query = "query($id: ID!) { run(id: $id) { state } }";
        let state = gql(address, query, json!({ "id": run })).await["run"]["state"].take();
        assert!(!["PARTIAL", "FAILED"].map(Json::from).contains(&state), "{state}");
        (state == "SUCCEEDED").then_some(())
    })
    .await;
}

/// The text of the best hit.
async fn best(address: &str, collection: &str, question: &str) -> String {
    let query = "query($input: SearchInput!) { search(input: $input) { hits { chunk { text } } } }";
    let input = json!({ "collectionId": collection, "query": { "text": question }, "first": 1 });
    let data = gql(address, query, json!({ "input": input })).await;
    data["search"]["hits"][0]["chunk"]["text"].as_str().expect("a hit").to_owned()
}

/// The embedded server's process id.
pub fn postgres(dir: &Path) -> u32 {
    let file = fs::read_to_string(dir.join("data/postgres/postmaster.pid")).expect("PostgreSQL runs");
    file.lines().next().and_then(|line| line.parse().ok()).expect("a process id")
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_ingests_searches_stops_cleanly_and_has_it_all_at_the_next_start() {
    let dir = temporary_directory();
    // Nobody is under way when it stops: it does not wait for the grace.
    let no_grace = &["serve", "--set", "http.shutdown_grace_ms=3600000"];
    let mut serve = Running::start(vectorforge(dir.path(), no_grace), dir.path());
    let address = serve.ready().await;
    let health = client().get(format!("{address}/health")).send().await.expect("it answers");
    assert_eq!(health.status(), 200);
    let data = gql(&address, CREATE, json!({ "input": { "name": "docs" } })).await;
    let collection = id(&data["createCollection"]["collection"]);
    let (cats, databases) = ("Kittens and other felines sleep most of the day.", "PostgreSQL stores rows in tables.");
    let documents = json!([{ "source": { "text": cats } }, { "source": { "text": databases } }]);
    ingest(&address, &collection, documents).await;
    assert_eq!(best(&address, &collection, "how long does a cat rest?").await, cats);

    let second = Running::start(vectorforge(dir.path(), &["serve"]), dir.path());
    let (code, said) = second.outcome().await;
    let sentence = format!("is in use by process {}; stop it or set VECTORFORGE_DATA_DIR", serve.child.id());
    assert!(code == Some(1) && said.contains(&sentence), "{code:?}: {said}");

    let server = postgres(dir.path());
    serve.signal(Signal::TERM);
    let (code, said) = serve.outcome().await;
    assert_eq!(code, Some(0), "{said}");
    assert!(rustix::process::test_kill_process(pid(server)).is_err(), "PostgreSQL still runs");

    let mut again = Running::start(vectorforge(dir.path(), &["serve"]), dir.path());
    let address = again.ready().await;
    assert_eq!(best(&address, &collection, "where are records kept?").await, databases);
    again.signal(Signal::INT);
    assert_eq!(again.outcome().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_stops_cleanly_while_it_reads_a_large_document() {
    let dir = temporary_directory();
    let mut serve = Running::start(vectorforge(dir.path(), &["serve"]), dir.path());
    let address = serve.ready().await;
    let data = gql(&address, CREATE, json!({ "input": { "name": "docs" } })).await;
    let collection = id(&data["createCollection"]["collection"]);
    // Seconds of reading, as our own code is not optimized here, and minutes of embedding.
    let text = "> a\n\n".repeat(1_800_000);
    let documents = json!([{ "source": { "text": text }, "contentType": "text/markdown" }]);
    let input = json!({ "collectionId": collection, "documents": documents });
    gql(&address, INGEST, json!({ "input": input })).await;
    let is_reading = "query($id: ID!) { collection(id: $id) { documents { edges { node { status } } } } }";
    until("the document to be read", async || {
        let data = gql(&address, is_reading, json!({ "id": collection })).await;
        let status = data["collection"]["documents"]["edges"][0]["node"]["status"].clone();
        (status == "PROCESSING").then_some(())
    })
    .await;
    let server = postgres(dir.path());
    serve.signal(Signal::TERM);
    let (code, said) = serve.outcome().await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("unfinished jobs were given back"), "{said}");
    assert!(rustix::process::test_kill_process(pid(server)).is_err(), "PostgreSQL still runs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_serve_or_postgresql_loses_nothing_that_was_answered() {
    let dir = temporary_directory();
    let mut serve = Running::start(vectorforge(dir.path(), &["serve"]), dir.path());
    let address = serve.ready().await;
    let own_vectors = json!({ "name": "docs", "embedding": { "dimensions": 2 } });
    let data = gql(&address, CREATE, json!({ "input": own_vectors })).await;
    let collection = id(&data["createCollection"]["collection"]);
    let chunks = json!([{ "text": "kept", "vector": [1.0, 2.0] }]);
    ingest(&address, &collection, json!([{ "source": { "chunks": chunks } }])).await;
    serve.signal(Signal::KILL);
    serve.ended().await;

    let mut again = Running::start(vectorforge(dir.path(), &["serve"]), dir.path());
    let address = again.ready().await;
    let count = "query($id: ID!) { collection(id: $id) { chunkCount } }";
    assert_eq!(gql(&address, count, json!({ "id": collection })).await["collection"]["chunkCount"], 1);

    kill_process(pid(postgres(dir.path())), Signal::KILL).expect("it runs");
    let (code, said) = again.outcome().await;
    assert_eq!(code, Some(1), "{said}");
    let last = said.lines().last().expect("a last word");
    assert!(last.contains("ERROR") && last.contains("signal: 9"), "{said}");

    let mut once_more = Running::start(vectorforge(dir.path(), &["serve"]), dir.path());
    let address = once_more.ready().await;
    assert_eq!(gql(&address, count, json!({ "id": collection })).await["collection"]["chunkCount"], 1);
    let orphan = postgres(dir.path());
    drop(once_more);
    is_gone(orphan).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_process_does_the_jobs_of_another_process_api_and_stops_cleanly() {
    let app = TestApp::builder().without_workers().start().await;
    let collection = app.collection_with(json!({ "name": "docs", "embedding": { "dimensions": 2 } })).await;
    let dir = temporary_directory();
    let mut command = vectorforge(dir.path(), &["worker"]);
    command.env("DATABASE_URL", &app.database.url);
    let mut worker = Running::start(command, dir.path());
    let address = worker.ready().await;
    let chunks = json!([{ "text": "kept", "vector": [1.0, 2.0] }]);
    app.ingest_to_end(&collection, json!([{ "source": { "chunks": chunks } }])).await;
    for (path, expected) in [("/health", 200), ("/metrics", 200), ("/graphql", 404)] {
        let answer = client().get(format!("{address}{path}")).send().await.expect("it answers");
        assert_eq!(answer.status(), expected, "{path}");
    }
    worker.signal(Signal::TERM);
    assert_eq!(worker.outcome().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn faulty_settings_are_told_all_at_once_without_their_secrets() {
    let dir = temporary_directory();
    for arguments in [&["serve"][..], &["worker"], &["migrate", "up"]] {
        let mut command = vectorforge(dir.path(), arguments);
        command.env("DATABASE_URL", "mysql://user:hunter2@host/db").env("VECTORFORGE_HTTP__PORT", "banana");
        command.env("VECTORFORGE_HTTP__PROT", "1").env("VECTORFORGE_QUEUE__HEARTBEAT_MS", "20000");
        let (code, said) = Running::start(command, dir.path()).outcome().await;
        assert_eq!(code, Some(78), "{said}");
        for expected in ["database.url", "http.port: got \"banana\"", "VECTORFORGE_HTTP__PROT", "queue.heartbeat_ms"] {
            assert!(said.contains(expected), "{expected} is not in: {said}");
        }
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_the_program_from_starting_is_told_in_one_sentence() {
    let app = TestApp::builder().without_workers().start().await;
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("bound").port().to_string();
    let on_taken_port = [("DATABASE_URL", app.database.url.as_str()), ("VECTORFORGE_HTTP__PORT", port.as_str())];
    let nobody_there = [
        ("DATABASE_URL", "postgres://user:hunter2@127.0.0.1:1/db"),
        ("VECTORFORGE_DATABASE__CONNECT_TIMEOUT_MS", "300"),
    ];
    let dir = temporary_directory();
    for (argument, variables, sentence) in [
        ("serve", &on_taken_port[..], "; stop what uses it, or set VECTORFORGE_HTTP__HOST and VECTORFORGE_HTTP__PORT"),
        ("serve", &nobody_there, "did not answer within 300ms"),
        ("serve", &nobody_there, "Connection refused"),
        ("worker", &[], "set DATABASE_URL to it"),
        ("worker", &[on_taken_port[0], ("VECTORFORGE_QUEUE__WORKERS", "0")], "queue.workers is 0"),
    ] {
        let mut command = vectorforge(dir.path(), &[argument]);
        command.envs(variables.iter().copied());
        let (code, said) = Running::start(command, dir.path()).outcome().await;
        assert_eq!(code, Some(1), "{said}");
        let errors: Vec<_> = said.lines().filter(|line| line.contains("ERROR")).collect();
        assert!(matches!(errors[..], [error] if error.contains(sentence)), "no `{sentence}` in: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn schema_prints_the_schema() {
    let output = vectorforge(Path::new("/"), &["schema"]).output().expect("the program runs");
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).expect("UTF-8"), vectorforge::graphql::sdl());
}

#[tokio::test]
async fn the_first_background_task_that_ends_is_named_with_its_cause() {
    use vectorforge::error::{Error, Result};
    async fn fails() -> Result<()> {
        Err(Error::unavailable("listen for signals", std::io::Error::other("no route")))
    }
    async fn panics() -> Result<()> {
        panic!("a bug")
    }
    type Start = fn(&mut Tasks);
    let cases: [(Start, &str); 4] = [
        (|tasks| tasks.spawn("signals", async { Ok(()) }), "the task `signals` ended"),
        (|tasks| tasks.spawn_draining("ingest", async { Ok(()) }), "the task `ingest` ended"),
        (|tasks| tasks.spawn("signals", fails()), "the task `signals` failed: could not listen for signals"),
        (|tasks| tasks.spawn("signals", panics()), "a task panicked"),
    ];
    for (spawn, expected) in cases {
        let mut tasks = Tasks::default();
        tasks.spawn("metrics", std::future::pending());
        spawn(&mut tasks);
        let cause = format!("{:#}", tasks.first_end().await);
        assert!(cause.starts_with(expected), "{cause}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_without_a_file_left_for_connections_goes_on_once_others_end() {
    let dir = temporary_directory();
    let mut server = Running::start(vectorforge(dir.path(), &["serve"]), dir.path());
    let address = server.ready().await;
    let id = server.child.id();
    let files = fs::read_dir(format!("/proc/{id}/fd")).expect("it runs").count() as u64;
    let few = Some(files + 16);
    prlimit(Some(pid(id)), Resource::Nofile, Rlimit { current: few, maximum: few }).expect("our child");

    let connect = async || tokio::net::TcpStream::connect(address.trim_start_matches("http://")).await;
    let mut silent = Vec::new();
    for _ in 0..64 {
        silent.push(connect().await.expect("the system's queue has room"));
    }
    until("the files to run out", async || server.log().contains("connections cannot be accepted").then_some(())).await;
    drop(silent);
    let health = format!("{address}/healthz");
    until("an answer", async || client().get(&health).send().await.is_ok_and(|it| it.status() == 200).then_some(()))
        .await;
    assert!(server.child.try_wait().expect("our child").is_none(), "{}", server.log());
}
