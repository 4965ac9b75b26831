//! GraphQL clients: HTTP and `graphql-transport-ws`, as a frontend uses them.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value as Json, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::TestApp;

/// Fields of a run that tests look at.
pub const PROGRESS: &str = "subscription($run: ID!, $after: String) { ingestProgress(runId: $run, after: $after) {
    cursor at kind document { id status chunkCount error { code message } }
    run { state documentsTotal documentsDone documentsFailed chunksTotal chunksEmbedded } } }";

impl TestApp {
    /// The whole answer to an operation.
    pub async fn gql(&self, query: &str, variables: Json) -> Json {
        let body = json!({ "query": query, "variables": variables });
        let url = format!("http://{}/graphql", self.address);
        let response = self.client.post(url).json(&body).send().await.expect("the server answers");
        response.json().await.expect("the answer is JSON")
    }

    /// The data of an operation that must not fail.
    pub async fn data(&self, query: &str, variables: Json) -> Json {
        let mut answer = self.gql(query, variables).await;
        assert_eq!(answer["errors"], Json::Null, "{query}");
        answer["data"].take()
    }

    /// The first error of an operation that must fail: its `extensions` with the `message` and `path` among them.
    pub async fn refusal(&self, query: &str, variables: Json) -> Json {
        let mut answer = self.gql(query, variables).await;
        let mut error = answer["errors"][0].take();
        assert!(error.is_object(), "expected a refusal of {query}, got {answer}");
        let (message, path) = (error["message"].take(), error["path"].take());
        let mut extensions = error["extensions"].take();
        extensions["message"] = message;
        extensions["path"] = path;
        extensions
    }

    /// Makes a collection of the server's model; gives its id.
    pub async fn collection(&self, name: &str) -> String {
        self.collection_with(json!({ "name": name })).await
    }

    /// Makes a collection from an input; gives its id.
    pub async fn collection_with(&self, input: Json) -> String {
        let query =
            "mutation($input: CreateCollectionInput!) { createCollection(input: $input) { collection { id } } }";
        let data = self.data(query, json!({ "input": input })).await;
        id(&data["createCollection"]["collection"])
    }

    /// Ingests; gives the payload.
    pub async fn ingest(&self, collection: &str, documents: Json) -> Json {
        let query = "mutation($input: IngestDocumentsInput!) { ingestDocuments(input: $input) {
            run { id state documentsTotal documentsDone } documents { outcome document { id status title sourceUri }
            job { id state } } } }";
        let input = json!({ "input": { "collectionId": collection, "documents": documents } });
        self.data(query, input).await["ingestDocuments"].take()
    }

    /// Searches by text; gives the payload.
    pub async fn search(&self, collection: &str, text: &str) -> Json {
        self.search_with(json!({ "collectionId": collection, "query": { "text": text } })).await
    }

    /// Searches; gives the payload.
    pub async fn search_with(&self, input: Json) -> Json {
        let query = "query($input: SearchInput!) { search(input: $input) {
            hits { rank score chunk { id text index startChar endChar document { id title sourceUri metadata } } }
            info { exact index returned requested shortfall queryCutAtTokens tookMs stages { name ms } } } }";
        self.data(query, json!({ "input": input })).await["search"].take()
    }

    /// Opens a WebSocket and has it acknowledged.
    pub async fn websocket(&self) -> Socket {
        let mut socket = self.bare_websocket().await;
        socket.send(json!({ "type": "connection_init" })).await;
        assert_eq!(socket.next().await.expect("an acknowledgement")["type"], "connection_ack");
        socket
    }

    /// Opens a WebSocket and says nothing.
    pub async fn bare_websocket(&self) -> Socket {
        let mut request = format!("ws://{}/graphql", self.address).into_client_request().expect("a request");
        let protocol = "graphql-transport-ws".parse().expect("a header");
        request.headers_mut().insert("sec-websocket-protocol", protocol);
        // Without Nagle's algorithm, as browsers: with it every second message in a row waits for an acknowledgement.
        let connecting = tokio_tungstenite::connect_async_with_config(request, None, true);
        let (stream, _) = connecting.await.expect("the server upgrades");
        Socket(stream)
    }

    /// All events of a run after a cursor, up to its end.
    pub async fn progress(&self, run: &str, after: Option<&str>) -> Vec<Json> {
        let mut socket = self.websocket().await;
        socket.subscribe("1", PROGRESS, json!({ "run": run, "after": after })).await;
        let mut events = Vec::new();
        while let Some(message) = socket.next().await {
            match message["type"].as_str() {
                Some("next") => events.push(message["payload"]["data"]["ingestProgress"].clone()),
                Some("complete") => break,
                _ => panic!("unexpected message: {message}"),
            }
        }
        events
    }
}

/// The id of an object.
pub fn id(object: &Json) -> String {
    object["id"].as_str().unwrap_or_else(|| panic!("no id in {object}")).to_owned()
}

/// One `graphql-transport-ws` connection.
pub struct Socket(pub WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// Sends a message.
    pub async fn send(&mut self, message: Json) {
        self.0.send(Message::Text(message.to_string().into())).await.expect("the socket is open");
    }

    /// Starts a subscription.
    pub async fn subscribe(&mut self, id: &str, query: &str, variables: Json) {
        let payload = json!({ "query": query, "variables": variables });
        self.send(json!({ "id": id, "type": "subscribe", "payload": payload })).await;
    }

    /// The next message; `{"type": "close", "code": …}` for a close frame, `None` at the end.
    pub async fn next(&mut self) -> Option<Json> {
        loop {
            match self.0.next().await? {
                Ok(Message::Text(text)) => return serde_json::from_str(&text).ok(),
                Ok(Message::Close(frame)) => {
                    let code = frame.map(|frame| u16::from(frame.code));
                    return Some(json!({ "type": "close", "code": code }));
                }
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }
}
