//! A server in this process: collections, runs and events in memory, and faults on demand.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::extract::State as Shared;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json as Body, Router};
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use crate::{ServerOptions, ServerUrl};

/// What the server knows, what it was asked, and how it shall misbehave.
#[derive(Default)]
pub struct State {
    pub collections: BTreeMap<String, String>,
    /// Text by source URI.
    pub documents: HashMap<String, String>,
    /// File names of each batch that was taken in.
    pub batches: Vec<Vec<String>>,
    /// `after` of each subscription.
    pub afters: Vec<Option<String>>,
    pub sockets: usize,
    /// Most runs that were open at once.
    pub most_open: usize,
    /// The answer to `search`.
    pub search: Json,
    pub not_ready: bool,
    /// The next socket drops after this many events.
    pub drop_after: Option<usize>,
    /// Every socket drops at once.
    pub drop_always: bool,
    /// This many ingest operations are refused.
    pub refusals: usize,
    /// With which code and message.
    pub refusal: (&'static str, &'static str),
    /// More documents than this are too many.
    pub documents_limit: Option<usize>,
    events: HashMap<String, Vec<Json>>,
}

/// The server; it ends with the test's runtime.
#[derive(Clone)]
pub struct Fake {
    pub url: ServerUrl,
    state: Arc<Mutex<State>>,
    /// Runs that are open now.
    open: Arc<watch::Sender<usize>>,
    /// Subscriptions that were asked for so far.
    subscriptions: Arc<watch::Sender<usize>>,
    /// Runs do not end before this many are open.
    hold: usize,
}

impl Fake {
    pub async fn start() -> Self {
        Self::start_holding(0).await
    }

    pub async fn start_holding(hold: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let fake = Self { url, state: Arc::default(), open: Arc::default(), subscriptions: Arc::default(), hold };
        let pages = Router::new()
            .route("/graphql", post(answer).get(upgrade))
            .route("/readyz", get(ready))
            .with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, pages).await });
        fake
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn options(&self) -> ServerOptions {
        ServerOptions { url: self.url.clone() }
    }

    async fn wait_for_open_runs(&self, count: usize) {
        self.open.subscribe().wait_for(|&open| open >= count).await.unwrap();
    }

    pub async fn wait_for_subscriptions(&self, count: usize) {
        self.subscriptions.subscribe().wait_for(|&asked| asked >= count).await.unwrap();
    }

    fn ingest(&self, input: &Json) -> Json {
        let documents = input["documents"].as_array().unwrap();
        let mut state = self.state();
        if state.refusals > 0 {
            state.refusals -= 1;
            return error(state.refusal.0, "input", state.refusal.1);
        }
        if state.documents_limit.is_some_and(|limit| documents.len() > limit) {
            return error("PAYLOAD_TOO_LARGE", "input.documents", "too many");
        }
        let is_blank = |document: &Json| document["source"]["text"].as_str().unwrap().trim().is_empty();
        if let Some(index) = documents.iter().position(is_blank) {
            let field = format!("input.documents.{index}.source.text");
            return error("BAD_USER_INPUT", &field, &format!("{field}: got text that is blank"));
        }
        let run = format!("run_{}", state.batches.len() + 1);
        let mut events = Events::new(documents.len());
        let outcomes: Vec<_> = documents.iter().map(|document| take(&mut state, &mut events, document)).collect();
        let names = documents.iter().map(|document| file_name(document["sourceUri"].as_str().unwrap()));
        state.batches.push(names.collect());
        let run_state = events.finish();
        if run_state != "SUCCEEDED" {
            state.events.insert(run.clone(), events.list);
            self.open.send_modify(|open| *open += 1);
            state.most_open = state.most_open.max(*self.open.borrow());
        }
        json!({ "data": { "ingestDocuments": { "run": { "id": run, "state": run_state }, "documents": outcomes } } })
    }
}

fn take(state: &mut State, events: &mut Events, document: &Json) -> Json {
    let uri = document["sourceUri"].as_str().unwrap().to_owned();
    let text = document["source"]["text"].as_str().unwrap().to_owned();
    let before = state.documents.insert(uri.clone(), text.clone());
    let outcome = match before {
        Some(before) if before == text => "UNCHANGED",
        Some(_) => "REPLACED",
        None => "ACCEPTED",
    };
    events.work(outcome, &uri, &text);
    json!({ "outcome": outcome })
}

/// The events of a run, made when it is taken in.
struct Events {
    list: Vec<Json>,
    total: usize,
    done: usize,
    failed: usize,
}

impl Events {
    fn new(total: usize) -> Self {
        Self { list: Vec::new(), total, done: 0, failed: 0 }
    }

    fn work(&mut self, outcome: &str, uri: &str, text: &str) {
        let mut document = json!({ "id": format!("doc_{}", self.list.len()), "sourceUri": uri, "error": null });
        if outcome == "UNCHANGED" {
            self.done += 1;
        } else if text.contains("poison") {
            self.failed += 1;
            document["error"] = json!({ "code": "INTERNAL", "message": "could not\u{1b}[2J read it" });
            self.push("DOCUMENT_FAILED", document, "RUNNING");
        } else {
            self.done += 1;
            self.push("DOCUMENT_INDEXED", document, "RUNNING");
        }
    }

    /// The state of the run as `ingestDocuments` tells it.
    fn finish(&mut self) -> &'static str {
        if self.list.is_empty() {
            return "SUCCEEDED";
        }
        let state = if self.failed == 0 { "SUCCEEDED" } else { "PARTIAL" };
        self.push("RUN_FINISHED", Json::Null, state);
        "PENDING"
    }

    fn push(&mut self, kind: &str, document: Json, state: &str) {
        let run = json!({
            "state": state, "documentsTotal": self.total, "documentsDone": self.done, "documentsFailed": self.failed,
            "chunksTotal": 2 * self.done, "chunksEmbedded": 2 * self.done,
        });
        let cursor = (self.list.len() + 1).to_string();
        self.list.push(json!({ "cursor": cursor, "kind": kind, "document": document, "run": run }));
    }
}

fn file_name(uri: &str) -> String {
    uri.rsplit('/').next().unwrap().to_owned()
}

fn error(code: &str, field: &str, message: &str) -> Json {
    json!({ "data": null, "errors": [{ "message": message, "extensions": { "code": code, "field": field } }] })
}

async fn ready(Shared(fake): Shared<Fake>) -> Response {
    if fake.state().not_ready {
        (StatusCode::SERVICE_UNAVAILABLE, "database: does not answer\n").into_response()
    } else {
        "ready".into_response()
    }
}

async fn answer(Shared(fake): Shared<Fake>, Body(operation): Body<Json>) -> Body<Json> {
    let query = operation["query"].as_str().unwrap();
    let variables = &operation["variables"];
    Body(if query.contains("ingestDocuments") {
        fake.ingest(&variables["input"])
    } else if query.contains("createCollection") {
        let name = variables["input"]["name"].as_str().unwrap();
        fake.state().collections.insert(name.to_owned(), format!("col_{name}"));
        json!({ "data": { "createCollection": { "collection": { "id": format!("col_{name}") } } } })
    } else if query.contains("collectionByName") {
        let id = fake.state().collections.get(variables["name"].as_str().unwrap()).cloned();
        json!({ "data": { "collectionByName": id.map(|id| json!({ "id": id })) } })
    } else if query.contains("sourceUriPrefix") {
        let prefix = variables["prefix"].as_str().unwrap();
        let mut uris: Vec<_> = fake.state().documents.keys().filter(|uri| uri.starts_with(prefix)).cloned().collect();
        uris.sort();
        let edges: Vec<_> = uris.iter().map(|uri| json!({ "node": { "id": uri, "sourceUri": uri } })).collect();
        let page_info = json!({ "hasNextPage": false, "endCursor": null });
        json!({ "data": { "collection": { "documents": { "edges": edges, "pageInfo": page_info } } } })
    } else if query.contains("deleteDocument") {
        let id = variables["id"].as_str().unwrap();
        fake.state().documents.remove(id);
        json!({ "data": { "deleteDocument": { "deletedDocumentId": id } } })
    } else if query.contains("collections") {
        let edge = |name: &String| json!({ "node": { "name": name } });
        let edges: Vec<_> = fake.state().collections.keys().map(edge).collect();
        let page_info = json!({ "hasNextPage": false, "endCursor": null });
        json!({ "data": { "collections": { "edges": edges, "pageInfo": page_info } } })
    } else {
        json!({ "data": { "search": fake.state().search } })
    })
}

async fn upgrade(Shared(fake): Shared<Fake>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.protocols(["graphql-transport-ws"]).on_upgrade(|socket| serve(fake, socket))
}

/// One socket; returning drops it without a word.
async fn serve(fake: Fake, mut socket: WebSocket) {
    let drop_after = {
        let mut state = fake.state();
        state.sockets += 1;
        if state.drop_always { Some(0) } else { state.drop_after.take() }
    };
    let (send, mut to_send) = mpsc::channel::<Json>(1);
    let mut sent = 0;
    loop {
        tokio::select! {
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => {
                    let message: Json = serde_json::from_str(&text).unwrap();
                    match message["type"].as_str().unwrap() {
                        "connection_init" => {
                            let ack = json!({ "type": "connection_ack" }).to_string();
                            socket.send(Message::text(ack)).await.unwrap();
                        }
                        "subscribe" => { tokio::spawn(subscription(fake.clone(), message, send.clone())); }
                        other => panic!("unexpected {other}"),
                    }
                }
                Some(Ok(_)) => {}
                _ => return,
            },
            Some(message) = to_send.recv() => {
                if drop_after.is_some_and(|events| sent >= events) {
                    return;
                }
                sent += 1;
                if is_last(&message) {
                    fake.open.send_modify(|open| *open -= 1);
                }
                if socket.send(Message::text(message.to_string())).await.is_err() {
                    return;
                }
            }
        }
    }
}

fn is_last(message: &Json) -> bool {
    message["payload"]["data"]["ingestProgress"]["kind"] == "RUN_FINISHED"
}

async fn subscription(fake: Fake, message: Json, send: mpsc::Sender<Json>) {
    let id = &message["id"];
    let variables = &message["payload"]["variables"];
    let after = variables["after"].as_str().map(str::to_owned);
    let events = fake.state().events[variables["run"].as_str().unwrap()].clone();
    fake.state().afters.push(after.clone());
    fake.subscriptions.send_modify(|asked| *asked += 1);
    let seen: usize = after.map_or(0, |cursor| cursor.parse().unwrap());
    for event in events.into_iter().skip(seen) {
        let next = json!({ "type": "next", "id": id, "payload": { "data": { "ingestProgress": event } } });
        if is_last(&next) && fake.hold > 0 && fake.state().most_open < fake.hold {
            fake.wait_for_open_runs(fake.hold).await;
        }
        if send.send(next).await.is_err() {
            return;
        }
    }
    let _ = send.send(json!({ "type": "complete", "id": id })).await;
}
