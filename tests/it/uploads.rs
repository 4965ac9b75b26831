//! Files by the multipart request spec. <https://github.com/jaydenseric/graphql-multipart-request-spec>

use serde_json::{Value as Json, json};

use crate::support::TestApp;
use crate::support::gql::id;
use crate::support::refusal::Refusals;

const INGEST: &str = "mutation($input: IngestDocumentsInput!) { ingestDocuments(input: $input) {
    documents { outcome document { id contentType } } } }";

/// A file of a form: its name, its part's content type (none where empty), its bytes.
type File<'a> = (&'a str, &'a str, &'a [u8]);

const BOUNDARY: &str = "a-boundary";

/// Appends one part to a form.
fn part(form: &mut Vec<u8>, name: &str, file: Option<&str>, content_type: &str, bytes: &[u8]) {
    let file = file.map(|file| format!("; filename=\"{file}\"")).unwrap_or_default();
    let content_type =
        if content_type.is_empty() { String::new() } else { format!("content-type: {content_type}\r\n") };
    let head = format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"{file}\r\n{content_type}\r\n");
    form.extend(head.bytes().chain(bytes.iter().copied()).chain(*b"\r\n"));
}

/// Sends a form of these parts; gives the status and the answer.
async fn send(app: &TestApp, operations: &Json, map: Option<&Json>, files: &[File<'_>]) -> (u16, Json) {
    let mut form = Vec::new();
    part(&mut form, "operations", None, "", operations.to_string().as_bytes());
    if let Some(map) = map {
        part(&mut form, "map", None, "", map.to_string().as_bytes());
    }
    for (index, (name, content_type, bytes)) in files.iter().enumerate() {
        part(&mut form, &index.to_string(), Some(name), content_type, bytes);
    }
    form.extend(format!("--{BOUNDARY}--\r\n").bytes());
    let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
    let request = app.client.post(format!("http://{}/graphql", app.address)).header("content-type", content_type);
    let response =
        request.header("graphql-require-preflight", "1").body(form).send().await.expect("the server answers");
    (response.status().as_u16(), response.json().await.expect("the answer is JSON"))
}

fn operations(collection: &str, documents: Json) -> Json {
    json!({ "query": INGEST, "variables": { "input": { "collectionId": collection, "documents": documents } } })
}

/// Ingests one document for each file, with a content type in the input where one is given.
async fn upload(app: &TestApp, collection: &str, files: &[File<'_>], told: Option<&str>) -> Json {
    let document = json!({ "source": { "upload": null }, "contentType": told });
    let map: Json = (0..files.len())
        .map(|index| (index.to_string(), json!([format!("variables.input.documents.{index}.source.upload")])))
        .collect::<serde_json::Map<_, _>>()
        .into();
    send(app, &operations(collection, json!(vec![document; files.len()])), Some(&map), files).await.1
}

#[tokio::test]
async fn a_file_that_is_no_text_is_refused_by_its_bytes_whatever_is_said_of_it() {
    let app = TestApp::builder().without_workers().start().await;
    let collection = app.collection("docs").await;
    let docx = b"PK\x03\x04\x14\0\x06\0\x08\0\0\0!\0word/document.xml";
    let ascii_pdf = &b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\nstartxref\n9\n%%EOF\n"[..];
    for (file, told, what) in [
        (("paper.md", "text/markdown", ascii_pdf), None, "a PDF document"),
        (("paper.txt", "text/plain", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"), Some("text/plain"), "a PDF document"),
        (("report.html", "text/html", docx), Some("text/html"), "a Word document (docx)"),
        (("photo.md", "", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"), None, "a PNG image"),
        (("photo.txt", "", b"\xff\xd8\xff\xe0\0\x10JFIF"), None, "a JPEG image"),
        (("logs.txt", "", b"\x1f\x8b\x08\0\0"), None, "a gzip archive"),
        (("tool", "", b"\x7fELF\x02\x01\x01\0"), None, "an ELF program"),
        (("letter.txt", "", b"{\\rtf1\\ansi Dear all}"), None, "an RTF document"),
    ] {
        let answer = upload(&app, &collection, &[file], told).await;
        let told = &answer["errors"][0]["extensions"];
        assert_eq!(told["code"], "UNSUPPORTED_CONTENT_TYPE", "{} {answer}", file.0);
        assert_eq!((&told["field"], &told["got"]), (&json!("input.documents.0.source.upload"), &json!(what)));
        assert_eq!(told["expected"], "one of text/plain, text/markdown, text/html, in UTF-8");
    }
    assert_eq!(app.database.number("SELECT count(*) FROM documents").await, 0);
}

#[tokio::test]
async fn markdown_html_and_plain_text_are_uploaded_read_and_found() {
    let app = TestApp::start().await;
    let collection = app.collection("docs").await;
    let files: [File; 3] = [
        ("cats.md", "", b"# Cats\n\ncats sleep all day"),
        ("dogs.html", "", b"<html><title>Dogs</title><body><p>dogs bark <b>loud</b></p></body></html>"),
        ("birds.txt", "", b"birds sing early"),
    ];
    let answer = upload(&app, &collection, &files, None).await;
    app.drain().await;
    let query = "query($id: ID!) { document(id: $id) { status title contentType sizeBytes text } }";
    for ((index, file), (title, content_type, text)) in files.iter().enumerate().zip([
        (json!("Cats"), "text/markdown", "# Cats\n\ncats sleep all day"),
        (json!("Dogs"), "text/html", "dogs bark loud"),
        (json!(null), "text/plain", "birds sing early"),
    ]) {
        let document = &answer["data"]["ingestDocuments"]["documents"][index];
        assert_eq!(document["outcome"], "ACCEPTED", "{answer}");
        let data = app.data(query, json!({ "id": id(&document["document"]) })).await;
        let read = &data["document"];
        assert_eq!((&read["status"], &read["title"]), (&json!("INDEXED"), &title), "{}", file.0);
        assert_eq!((&read["contentType"], &read["sizeBytes"]), (&json!(content_type), &json!(file.2.len())));
        assert!(read["text"].as_str().expect("a text").contains(text), "{read}");
    }
    let found = app.search(&collection, "dogs bark").await;
    assert_eq!(found["hits"][0]["chunk"]["document"]["title"], "Dogs");
}

#[tokio::test]
async fn the_content_type_comes_from_the_input_else_the_name_else_the_part() {
    let app = TestApp::builder().without_workers().start().await;
    let collection = app.collection("docs").await;
    for (index, (name, part, told, expected)) in [
        ("a.md", "text/html", Some("text/plain"), "text/plain"),
        ("a.MD", "text/html", None, "text/markdown"),
        ("a.md", "application/octet-stream", None, "text/markdown"),
        ("readme", "text/html; charset=utf-8", None, "text/html"),
        ("readme", "", None, "text/plain"),
    ]
    .into_iter()
    .enumerate()
    {
        let bytes = format!("document {index}");
        let answer = upload(&app, &collection, &[(name, part, bytes.as_bytes())], told).await;
        let document = &answer["data"]["ingestDocuments"]["documents"][0]["document"];
        assert_eq!(document["contentType"], expected, "{name} {part} {told:?}: {answer}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_document_is_refused_by_its_place() {
    let app = TestApp::builder().without_workers().set("ingest.document_limit_bytes", 1_000).start().await;
    let collection = app.collection("docs").await;
    let refusals = Refusals::of(&app).await;
    let large = [b'x'; 1_001];
    for (file, told, code, field) in [
        (("a.txt", "", b"caf\xe9".as_slice()), None, "BAD_USER_INPUT", "source.upload"),
        (("a.txt", "", b"\xff\xfeh\0i\0"), None, "BAD_USER_INPUT", "source.upload"),
        (("a.txt", "", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"), None, "UNSUPPORTED_CONTENT_TYPE", "source.upload"),
        (("a.txt", "", b"nul \0 byte"), None, "BAD_USER_INPUT", "source.upload"),
        (("a.txt", "", b""), None, "BAD_USER_INPUT", "source.upload"),
        (("a.html", "", b" \r\n"), None, "BAD_USER_INPUT", "source.upload"),
        (("a.txt", "", &large), None, "PAYLOAD_TOO_LARGE", "source.upload"),
        (("a.zip", "application/zip", b"PK"), None, "UNSUPPORTED_CONTENT_TYPE", "contentType"),
        (("a.txt", "", b"x"), Some("image/png"), "UNSUPPORTED_CONTENT_TYPE", "contentType"),
    ] {
        let good: File = ("good.txt", "", b"good");
        let answer = upload(&app, &collection, &[good, file], told).await;
        let extensions = &answer["errors"][0]["extensions"];
        // A content type in the input is told of all files, the first among them.
        let index = usize::from(told.is_none());
        let field = format!("input.documents.{index}.{field}");
        assert_eq!((&extensions["code"], &extensions["field"]), (&json!(code), &json!(field)), "{answer}");
        assert!(extensions["got"].is_string() && extensions["expected"].is_string(), "{answer}");
    }
    refusals.left_nothing().await;
}

#[tokio::test]
async fn one_file_may_stand_at_several_places_and_files_come_in_any_order() {
    let app = TestApp::start().await;
    let collection = app.collection("docs").await;
    let document = |uri: &str| json!({ "source": { "upload": null }, "sourceUri": uri });
    let form = operations(&collection, json!([document("a"), document("b"), document("c")]));
    let place = |index: usize| format!("variables.input.documents.{index}.source.upload");
    let map = json!({ "1": [place(2), place(0)], "0": [place(1)] });
    let files: [File; 2] = [("dogs.txt", "", b"dogs bark"), ("cats.txt", "", b"cats sleep")];
    let (_, answer) = send(&app, &form, Some(&map), &files).await;
    app.drain().await;
    let query = "query($id: ID!) { document(id: $id) { text } }";
    for (index, text) in ["cats sleep", "dogs bark", "cats sleep"].into_iter().enumerate() {
        let document = &answer["data"]["ingestDocuments"]["documents"][index]["document"];
        let data = app.data(query, json!({ "id": id(document) })).await;
        assert_eq!(data["document"]["text"], text, "{index}: {answer}");
    }
}

#[tokio::test]
async fn a_file_that_is_only_claimed_is_refused() {
    let app = TestApp::builder().without_workers().start().await;
    let collection = app.collection("docs").await;
    let refusals = Refusals::of(&app).await;
    for claim in ["#__graphql_file__:0", "#__graphql_file__:x", "#__graphql_file__:", "a.txt", ""] {
        let documents = json!([{ "source": { "upload": claim } }]);
        let answer = app.gql(INGEST, operations(&collection, documents)["variables"].clone()).await;
        let code = &answer["errors"][0]["extensions"]["code"];
        assert!(code == "BAD_USER_INPUT" || code == "GRAPHQL_VALIDATION_FAILED", "{claim}: {answer}");
    }
    refusals.left_nothing().await;
}
