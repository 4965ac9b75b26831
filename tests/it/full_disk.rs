//! A full disk under the database: said by name in answer, log, health and metric; jobs wait, and go on when there is
//! room. Over the program itself: what it knows of the disk belongs to its process.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use rand::RngExt;
use rand::distr::Alphanumeric;
use serde_json::{Value as Json, json};
use sqlx::{Connection, PgConnection};

use crate::embedded_server::temporary_directory;
use crate::process::{Running, vectorforge};
use crate::support::app::client;
use crate::support::gql::id;
use crate::support::{TestApp, until};

const CREATE: &str =
    "mutation($input: CreateCollectionInput!) { createCollection(input: $input) { collection { id } } }";
const INGEST: &str = "mutation($input: IngestDocumentsInput!) { ingestDocuments(input: $input) { run { id } } }";
const JOBS: &str = "{ jobs(filter: { queues: [\"ingest\"] }) { edges { node {
    state attempts error { code } attemptHistory { outcome error { code } } } } } }";

/// An hour: a job that goes on before did not wait for the end of its lease.
const LONG_LEASE: &str = "queue.lease_ms=3600000";

/// A program over HTTP.
struct Server {
    address: String,
}

impl Server {
    async fn gql(&self, query: &str, variables: Json) -> Json {
        let body = json!({ "query": query, "variables": variables });
        let response = client().post(format!("{}/graphql", self.address)).json(&body).send().await.expect("it answers");
        response.json().await.expect("JSON")
    }

    async fn collection(&self) -> String {
        let input = json!({ "name": "docs", "embedding": { "dimensions": 2 } });
        let answer = self.gql(CREATE, json!({ "input": input })).await;
        id(&answer["data"]["createCollection"]["collection"])
    }

    /// Ingests one document of so many ready-made chunks of 100 kB, which nothing compresses to nothing.
    async fn ingest(&self, collection: &str, chunks: usize) -> Json {
        let text = || rand::rng().sample_iter(Alphanumeric).take(100_000).map(char::from).collect::<String>();
        let chunks: Vec<_> = (0..chunks).map(|_| json!({ "text": text(), "vector": [1, 0] })).collect();
        let documents = json!([{ "source": { "chunks": chunks } }]);
        self.gql(INGEST, json!({ "input": { "collectionId": collection, "documents": documents } })).await
    }

    /// Status of `/readyz`, and what its probe of that name found.
    async fn readiness(&self, probe: &str) -> (u16, String) {
        let response = client().get(format!("{}/readyz", self.address)).send().await.expect("it answers");
        let (status, report) = (response.status().as_u16(), response.json::<Json>().await.expect("JSON"));
        let probes = report["probes"].as_array().expect("probes");
        let found = probes.iter().find(|found| found["name"] == probe).unwrap_or_else(|| panic!("{report}"));
        (status, found["detail"].as_str().expect("a sentence").to_owned())
    }

    async fn metrics(&self) -> String {
        let response = client().get(format!("{}/metrics", self.address)).send().await.expect("it answers");
        response.text().await.expect("text")
    }

    async fn jobs(&self) -> Vec<Json> {
        let mut answer = self.gql(JOBS, json!({})).await;
        let edges = answer["data"]["jobs"]["edges"].as_array_mut().expect("jobs");
        edges.iter_mut().map(|edge| edge["node"].take()).collect()
    }

    /// What must hold as long as the disk is full.
    async fn is_told_full(&self, log: &str) {
        let (status, detail) = self.readiness("storage").await;
        assert_eq!(status, 503, "{detail}");
        assert!(detail.starts_with("the disk of the database is full since "), "{detail}");
        let metrics = self.metrics().await;
        assert!(metrics.contains("\nvectorforge_storage_full 1"), "{metrics}");
        assert_eq!(log.matches("the disk of the database is full: make room").count(), 1, "{log}");
        assert!(log.contains("STORAGE_FULL") && !log.contains("backtrace"), "{log}");
    }

    /// Waits until it says that there is room again.
    async fn has_room(&self) {
        until("the server to have room again", async || {
            let (status, detail) = self.readiness("storage").await;
            (status == 200 && !detail.contains("full")).then_some(())
        })
        .await;
        assert!(self.metrics().await.contains("\nvectorforge_storage_full 0"));
    }

    /// Waits for the end of all jobs: each in the one attempt that counts, and none was taken for lost.
    async fn finishes_all_in_one_attempt(&self) {
        let jobs = until("the jobs to succeed", async || {
            let jobs = self.jobs().await;
            jobs.iter().all(|job| job["state"] == "SUCCEEDED").then_some(jobs)
        })
        .await;
        for job in jobs {
            assert_eq!(job["attempts"], 1, "{job}");
            assert!(!job.to_string().contains("WORKER_LOST"), "{job}");
        }
    }
}

fn code(answer: &Json) -> &Json {
    &answer["errors"][0]["extensions"]["code"]
}

/// A small disk of its own; unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Only root may.
    fn mount(at: &Path, megabytes: u32) -> Self {
        fs::create_dir(at).expect("a directory");
        let options = format!("size={megabytes}m,mode=0755");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at).status();
        assert!(mounted.expect("mount is there").success(), "cannot mount a small disk at {}", at.display());
        Self(at.to_owned())
    }

    /// Leaves so many bytes free. Gives what took the rest: removed, there is room again.
    fn fill(&self, but: usize) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = fs::File::create(&path).expect("a file");
        let block = vec![0; 64 << 10];
        let mut written = 0_u64;
        while file.write_all(&block).is_ok() {
            written += block.len() as u64;
        }
        file.set_len(written.saturating_sub(but as u64)).expect("shorter");
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: PostgreSQL may not have ended yet.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root, who alone may mount a small disk"]
async fn a_full_disk_is_said_by_name_and_all_goes_on_by_itself_when_there_is_room() {
    let dir = temporary_directory();
    let disk = SmallDisk::mount(&dir.path().join("data"), 300);
    let mut command = vectorforge(dir.path(), &["serve", "--set", LONG_LEASE, "--set", "health.free_bytes=0"]);
    command.env("RUST_BACKTRACE", "1");
    let mut serve = Running::start(command, dir.path());
    let server = Server { address: serve.ready().await };
    let collection = server.collection().await;
    let answer = server.ingest(&collection, 1).await;
    assert!(answer["errors"].is_null(), "{answer}");
    server.finishes_all_in_one_attempt().await;
    assert!(server.metrics().await.contains("\nvectorforge_storage_free_bytes "));

    // The document is there in time, what its job makes of it is not.
    server.gql("mutation { pauseQueue(input: { name: \"ingest\" }) { queue { name } } }", json!({})).await;
    let answer = server.ingest(&collection, 80).await;
    assert!(answer["errors"].is_null(), "{answer}");
    make_room_in_the_log(&dir.path().join("data/socket")).await;
    let filler = disk.fill(1 << 20);
    server.gql("mutation { resumeQueue(input: { name: \"ingest\" }) { queue { name } } }", json!({})).await;
    until("the job to meet the full disk", async || {
        serve.log().contains("the disk of the database is full").then_some(())
    })
    .await;
    for _ in 0..3 {
        let answer = server.ingest(&collection, 80).await;
        assert_eq!(code(&answer), "STORAGE_FULL", "{answer}");
        let message = answer["errors"][0]["message"].as_str().expect("a message");
        assert!(message.ends_with("the disk of the database is full; it goes on when there is room"), "{message}");
    }
    server.is_told_full(&serve.log()).await;
    assert!(server.jobs().await.iter().all(|job| job["state"] != "DEAD" && job["attempts"] == 1));

    fs::remove_file(filler).expect("there");
    server.has_room().await;
    server.finishes_all_in_one_attempt().await;
    assert_eq!(serve.log().matches("the disk of the database has room again").count(), 1, "{}", serve.log());
    let answer = server.ingest(&collection, 1).await;
    assert!(answer["errors"].is_null(), "{answer}");
    server.finishes_all_in_one_attempt().await;
    serve.stop().await;
}

/// Lets PostgreSQL make the next files of its log ahead of time, which end it where they cannot be made. What it says
/// when it ends is the embedded server's business.
async fn make_room_in_the_log(socket: &Path) {
    let url = format!("postgres:///postgres?host={}&user=postgres", socket.display());
    let mut superuser = PgConnection::connect(&url).await.expect("root may enter");
    for _ in 0..3 {
        sqlx::raw_sql("SELECT pg_switch_wal(); CHECKPOINT").execute(&mut superuser).await.expect("switches");
    }
}

/// As PostgreSQL answers where its disk is full: the code is what tells, on every system and in every language.
const FILL: &str = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
    CREATE TRIGGER full_chunks BEFORE INSERT ON chunks EXECUTE FUNCTION refuse();
    CREATE TRIGGER full_jobs BEFORE UPDATE ON jobs FOR EACH ROW WHEN (NEW.state <> 'RUNNING')
        EXECUTE FUNCTION refuse()";
const EMPTY: &str = "DROP TRIGGER full_chunks ON chunks; DROP TRIGGER full_jobs ON jobs";

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_meet_a_full_disk_keep_their_place_and_lose_no_attempt() {
    let app = TestApp::builder().without_workers().start().await;
    let dir = temporary_directory();
    let mut command = vectorforge(dir.path(), &["serve", "--set", LONG_LEASE, "--set", "queue.max_attempts=1"]);
    command.env("DATABASE_URL", &app.database.url);
    let mut serve = Running::start(command, dir.path());
    let server = Server { address: serve.ready().await };
    let collection = server.collection().await;
    app.database.execute(FILL).await;
    for _ in 0..6 {
        let answer = server.ingest(&collection, 1).await;
        assert!(answer["errors"].is_null(), "{answer}");
    }
    until("jobs to meet the full disk", async || {
        serve.log().contains("the disk of the database is full").then_some(())
    })
    .await;
    app.database.execute(EMPTY).await;
    server.finishes_all_in_one_attempt().await;
    let told = server.jobs().await.iter().any(|job| job["attemptHistory"].to_string().contains("STORAGE_FULL"));
    assert!(told, "the history tells why it took so long");
    // A look for room succeeds here, and the next job tells that it was none: each is told once, not by every job.
    let count = |told: &str| serve.log().matches(told).count();
    let begun = count("the disk of the database is full: make room");
    assert_eq!(begun, count("the disk of the database has room again"), "{}", serve.log());
    assert!(!serve.log().contains("job attempt failed"), "{}", serve.log());
    serve.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root, who alone may mount a small disk"]
async fn an_upload_for_which_there_is_no_room_is_refused_by_name_and_told_once() {
    let dir = temporary_directory();
    let disk = SmallDisk::mount(&dir.path().join("tmp"), 1);
    let app = TestApp::builder().without_workers().start().await;
    let mut command = vectorforge(dir.path(), &["serve"]);
    command.env("DATABASE_URL", &app.database.url).env("TMPDIR", &disk.0);
    let mut serve = Running::start(command, dir.path());
    let server = Server { address: serve.ready().await };
    let collection = server.collection().await;
    let upload = async |bytes: usize| {
        let documents = json!([{ "source": { "upload": null } }]);
        let input = json!({ "input": { "collectionId": collection, "documents": documents } });
        let operations = json!({ "query": INGEST, "variables": input });
        let map = json!({ "0": ["variables.input.documents.0.source.upload"] });
        let part = |name: &str, text: &str| {
            format!("--limit\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n")
        };
        let parts = [part("operations", &operations.to_string()), part("map", &map.to_string())];
        let file = part("0\"; filename=\"a.txt", &"a".repeat(bytes));
        let request =
            client().post(format!("{}/graphql", server.address)).body(parts.concat() + &file + "--limit--\r\n");
        let request = request.header("content-type", "multipart/form-data; boundary=limit");
        let response = request.header("graphql-require-preflight", "1").send().await.expect("it answers");
        (response.status().as_u16(), response.json::<Json>().await.expect("JSON"))
    };
    for _ in 0..3 {
        let (status, answer) = upload(3 << 20).await;
        assert_eq!((status, code(&answer)), (507, &json!("STORAGE_FULL")), "{answer}");
    }
    let (status, answer) = upload(1_000).await;
    assert!(status == 200 && answer["errors"][0]["extensions"]["code"] != "STORAGE_FULL", "{answer}");
    assert_eq!(serve.log().matches("no room for uploaded files").count(), 1, "{}", serve.log());
    serve.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_file_on_a_full_disk_is_told_on_standard_error_and_stops_nobody() {
    let app = TestApp::builder().without_workers().start().await;
    let dir = temporary_directory();
    let mut command = vectorforge(dir.path(), &["serve", "--set", "log.file=/dev/full"]);
    command.env("DATABASE_URL", &app.database.url);
    let mut serve = Running::start(command, dir.path());
    let server = Server { address: serve.ready().await };
    let log = serve.log();
    assert_eq!(log.matches("a log cannot be written: its lines are lost until it can").count(), 1, "{log}");
    assert!(log.contains("No space left on device"), "{log}");
    let metrics = server.metrics().await;
    assert!(metrics.contains("vectorforge_log_lines_lost_total{place=\"log.file\"}"), "{metrics}");
    serve.stop().await;
}
