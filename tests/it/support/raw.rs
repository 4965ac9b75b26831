//! HTTP written by hand, for what no client library sends.

use serde_json::Value as Json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer as it came.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    /// Reads one; the connection ends with it.
    pub async fn read(stream: &mut TcpStream) -> Self {
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("the server answers");
        Self::of(&String::from_utf8(answer).expect("the answer is text"))
    }

    fn of(answer: &str) -> Self {
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Self { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The first error's `extensions`; nothing but errors may be there.
    pub fn refusal(&self) -> Json {
        let mut body: Json = serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"));
        assert_eq!(body.get("data"), None, "{self:?}");
        let mut extensions = body["errors"][0]["extensions"].take();
        extensions["message"] = body["errors"][0]["message"].take();
        extensions
    }

    /// The first error's code; empty where the request was run.
    pub fn code(&self) -> String {
        let body: Json = serde_json::from_str(&self.body).unwrap_or_default();
        body["errors"][0]["extensions"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// Sends bytes and reads the answer.
pub async fn exchange(address: &str, request: impl AsRef<[u8]>) -> Answer {
    let mut stream = TcpStream::connect(address).await.expect("the server listens");
    stream.write_all(request.as_ref()).await.expect("the server reads");
    Answer::read(&mut stream).await
}

/// Posts bytes to `/graphql` under these headers, `host` not among them; all are written before the answer is read.
pub async fn post(address: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Answer {
    let (body, localhost) = (body.as_ref(), ("host", "localhost"));
    let length = body.len().to_string();
    let headers = [&[localhost, ("content-length", &length)], headers].concat();
    exchange(address, [request("POST /graphql", &headers, "").as_bytes(), body].concat()).await
}

/// A request of these lines of a head, `connection: close` among them, and a body.
pub fn request(line: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut text = format!("{line} HTTP/1.1\r\nconnection: close\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        text.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    format!("{text}\r\n{body}")
}
