//! Multipart forms that are none, or say something that cannot be meant: read to their bound, and refused in words.
//! <https://github.com/jaydenseric/graphql-multipart-request-spec>

use serde_json::{Value as Json, json};

use crate::support::TestApp;
use crate::support::raw::{self, Answer};
use crate::support::refusal::Refusals;

const INGEST: &str = "mutation($input: IngestDocumentsInput!, $other: String) { ingestDocuments(input: $input) {
    documents { document { id } } } }";

/// A place of the form's document.
const PLACE: &str = "variables.input.documents.0.source.upload";

/// A part: its head without the line `content-disposition: form-data`, and its bytes.
type Part<'a> = (&'a str, &'a str);

const FILE: Part = ("; name=\"0\"; filename=\"a.txt\"", "cats");

struct Forms {
    app: TestApp,
    operations: String,
}

impl Forms {
    async fn serving() -> Self {
        let app = TestApp::builder()
            .without_workers()
            .set("http.body_limit_bytes", 1 << 20)
            .set("http.json_values_limit", 1_000)
            .set("ingest.documents_limit", 4)
            .start()
            .await;
        let collection = app.collection("docs").await;
        let input = json!({ "collectionId": collection, "documents": [{ "source": { "upload": null } }] });
        let operations = json!({ "query": INGEST, "variables": { "input": input, "other": "text" } }).to_string();
        Self { app, operations }
    }

    /// Sends these bytes as a form; the whole of it is written before the answer is read.
    async fn send(&self, boundary: &str, body: &[u8]) -> Answer {
        let content_type = format!("multipart/form-data{boundary}");
        let headers = [("apollo-require-preflight", "1"), ("content-type", &content_type)];
        raw::post(&self.app.address, &headers, body).await
    }

    /// Sends the form of these parts.
    async fn parts(&self, parts: &[Part<'_>]) -> Answer {
        self.send("; boundary=b", form(parts).as_bytes()).await
    }

    async fn mapped(&self, map: &Json) -> Answer {
        self.parts(&[(OPERATIONS, &self.operations), (MAP, &map.to_string()), FILE]).await
    }
}

const OPERATIONS: &str = "; name=\"operations\"";
const MAP: &str = "; name=\"map\"";

fn form(parts: &[Part<'_>]) -> String {
    let part = |(head, text): &Part| format!("--b\r\ncontent-disposition: form-data{head}\r\n\r\n{text}\r\n");
    parts.iter().map(part).collect::<String>() + "--b--\r\n"
}

/// Words of the libraries under the reader.
const THEIR_WORDS: [&str; 6] = ["multer", "serde", "multipart stream", "expected value", "trailing", "invalid type"];

/// Checks a refusal of the request as a whole.
fn assert_refused(answer: &Answer, field: &str, shown: &str) {
    assert_eq!((answer.status, answer.code().as_str()), (400, "BAD_USER_INPUT"), "{shown}: {answer:?}");
    let refusal = answer.refusal();
    assert_eq!(refusal["field"], field, "{shown}: {refusal}");
    assert!(refusal["got"].is_string() && refusal["expected"].is_string(), "{shown}: {refusal}");
    let message = refusal["message"].as_str().expect("a message");
    assert!(!THEIR_WORDS.iter().any(|word| message.contains(word)), "{shown}: {message}");
}

#[tokio::test]
async fn a_map_that_does_not_meet_the_operation_and_the_files_is_refused_by_the_file() {
    let forms = Forms::serving().await;
    let refusals = Refusals::of(&forms.app).await;
    for (map, field) in [
        (json!([PLACE]), "map"),
        (json!(null), "map"),
        (json!("0"), "map"),
        (json!({ "0": PLACE }), "map.0"),
        (json!({ "0": null }), "map.0"),
        (json!({ "0": [] }), "map.0"),
        (json!({ "0": [7] }), "map.0"),
        (json!({ "0": ["variables.input.documents.1.source.upload"] }), "map.0"),
        (json!({ "0": ["variables.input.documents.+0.source.upload"] }), "map.0"),
        (json!({ "0": ["variables.input.documents.-1.source.upload"] }), "map.0"),
        (json!({ "0": ["variables.nothing"] }), "map.0"),
        (json!({ "0": ["variables."] }), "map.0"),
        (json!({ "0": ["variables"] }), "map.0"),
        (json!({ "0": ["query"] }), "map.0"),
        (json!({ "0": ["0.variables.input"] }), "map.0"),
        (json!({ "0": [""] }), "map.0"),
        (json!({ "0": ["variables.other"] }), "map.0"),
        (json!({ "0": ["variables.input"] }), "map.0"),
        (json!({ "0": [PLACE, PLACE] }), "map.0"),
        (json!({ "7": [PLACE] }), "0"),
        (json!({ "0": [PLACE], "7": [PLACE] }), "map.7"),
        (json!({}), "0"),
    ] {
        assert_refused(&forms.mapped(&map).await, field, &map.to_string());
    }
    for map in [
        json!({ "0": vec![PLACE; 5] }),
        (0..5).map(|file| (file.to_string(), json!([PLACE]))).collect::<serde_json::Map<_, _>>().into(),
    ] {
        let answer = forms.mapped(&map).await;
        assert_eq!((answer.status, answer.code().as_str()), (413, "PAYLOAD_TOO_LARGE"), "{map}: {answer:?}");
        assert_eq!(answer.refusal()["field"], "map");
    }
    refusals.left_nothing().await;
}

#[tokio::test]
async fn parts_that_are_missing_doubled_misplaced_or_nameless_are_refused_by_name() {
    let forms = Forms::serving().await;
    let refusals = Refusals::of(&forms.app).await;
    let map = json!({ "0": [PLACE] }).to_string();
    let (operations, map): (Part, Part) = ((OPERATIONS, &forms.operations), (MAP, &map));
    let second: Part = ("; name=\"1\"; filename=\"a.txt\"", "dogs");
    for (parts, field) in [
        (&[][..], "operations"),
        (&[operations], "map"),
        (&[operations, map], "0"),
        (&[map, operations, FILE], "operations"),
        (&[operations, FILE, map], "map"),
        (&[FILE, operations, map], "operations"),
        (&[operations, operations, map, FILE], "map"),
        (&[operations, map, map, FILE], "map"),
        (&[operations, map, FILE, operations], "operations"),
        (&[operations, map, FILE, FILE], "0"),
        (&[operations, map, FILE, second], "1"),
        (&[operations, map, ("; filename=\"a.txt\"", "cats")], "request body"),
        (&[operations, map, ("; name=\"\"; filename=\"a.txt\"", "cats")], "request body"),
        (&[operations, map, ("", "cats")], "request body"),
        (&[(OPERATIONS, ""), map, FILE], "operations"),
        (&[(OPERATIONS, "{"), map, FILE], "operations"),
        (&[(OPERATIONS, "[]"), map, FILE], "operations"),
        (&[(OPERATIONS, "{}"), map, FILE], "operations.query"),
        (&[(OPERATIONS, "{\"query\": 1}"), map, FILE], "operations.query"),
        (&[(OPERATIONS, "{\"query\": \"{ a }\", \"variables\": []}"), map, FILE], "operations.variables"),
        (&[operations, (MAP, ""), FILE], "map"),
        (&[operations, (MAP, "{\"0\": [\"variables.a\"], \"0\": []}"), FILE], "map.0"),
    ] {
        assert_refused(&forms.parts(parts).await, field, &format!("{parts:?}"));
    }
    refusals.left_nothing().await;
}

#[tokio::test]
async fn bytes_that_are_no_form_are_refused() {
    let forms = Forms::serving().await;
    let refusals = Refusals::of(&forms.app).await;
    let sound = form(&[(OPERATIONS, &forms.operations), (MAP, &json!({ "0": [PLACE] }).to_string()), FILE]);
    for boundary in
        ["", "; boundary=", "; boundary=\"\"", "; boundary=a; boundary=b", &format!("; boundary={}", "b".repeat(71))]
    {
        assert_refused(&forms.send(boundary, sound.as_bytes()).await, "content-type.boundary", boundary);
    }
    let many_headers = format!("--b\r\n{}\r\n", "x: y\r\n".repeat(100));
    let long_name = form(&[(&format!("; name=\"{}\"", "n".repeat(100_000)), "")]);
    for body in [
        "",
        "--",
        "--b",
        "--b\r\n",
        "no form at all",
        "--b\r\n\r\n\r\n--b--",
        "--bx\r\ncontent-disposition: form-data; name=\"operations\"\r\n\r\n{}\r\n--b--",
        "--b\r\ncontent-disposition: form-data; name=\"operations\"\r\n\r\n{}",
        "--b\r\ncontent-disposition\r\n\r\n{}\r\n--b--",
        "--b\r\n\u{e9}: \u{0}\r\n\r\n{}\r\n--b--",
        &sound.replace("--b", "--c"),
        &sound.replace("\r\n", "\n"),
        &sound[..sound.len() - "--b--\r\n".len()],
        &sound[..sound.len() / 2],
        &many_headers,
        &long_name,
        &"x".repeat(500_000),
        &format!("--b\r\n{}", "x: y\r\n".repeat(80_000)),
        &format!("--b{}", " ".repeat(500_000)),
    ] {
        assert_refused(&forms.send("; boundary=b", body.as_bytes()).await, "request body", &format!("{body:.200}"));
    }
    refusals.left_nothing().await;
}

#[tokio::test]
async fn a_refusal_at_the_first_part_is_seen_by_a_client_that_sends_all_of_them_first() {
    let forms = Forms::serving().await;
    let file: Part = ("; name=\"0\"; filename=\"a.txt\"", &"x".repeat(900_000));
    let map = json!({ "0": ["variables.nothing"] }).to_string();
    // Once per way in which the connection used to be cut, and often: it was cut in most tries only.
    for _ in 0..20 {
        assert_refused(&forms.parts(&[(OPERATIONS, "{"), (MAP, &map), file]).await, "operations", "operations");
        assert_refused(&forms.parts(&[(OPERATIONS, &forms.operations), (MAP, &map), file]).await, "map.0", "map");
    }
    let beyond: Part = ("; name=\"0\"; filename=\"a.txt\"", &"x".repeat(1_500_000));
    let map = json!({ "0": [PLACE] }).to_string();
    for _ in 0..20 {
        let answer = forms.parts(&[(OPERATIONS, &forms.operations), (MAP, &map), beyond]).await;
        assert_eq!((answer.status, answer.code().as_str()), (413, "PAYLOAD_TOO_LARGE"), "{answer:?}");
    }
}

#[tokio::test]
async fn the_values_of_an_operation_are_counted() {
    let forms = Forms::serving().await;
    let operations = json!({ "query": INGEST, "variables": { "other": vec![0; 1_000] } }).to_string();
    let answer = forms.parts(&[(OPERATIONS, &operations), (MAP, "{}")]).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "PAYLOAD_TOO_LARGE"), "{answer:?}");
    assert_eq!(answer.refusal()["field"], "operations");
}
