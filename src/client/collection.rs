//! The collection a command names.

use serde::Deserialize;
use serde_json::json;

use super::error::ClientError;
use super::server::Server;
use super::terminal::plain;

/// How many collections are named where the wanted one is not there: one screen line.
const KNOWN_SHOWN: usize = 10;

const BY_NAME: &str = "query($name: String!) { collectionByName(name: $name) { id } }";
const KNOWN: &str = "query($first: Int!) { collections(first: $first) { edges { node { name } } } }";
const CREATE: &str =
    "mutation($input: CreateCollectionInput!) { createCollection(input: $input) { collection { id } } }";

#[derive(Deserialize)]
struct Id {
    id: String,
}

/// Id of the collection of that name; [`ClientError::NoCollection`] names those there are.
pub(super) async fn find(server: &Server, name: &str) -> Result<String, ClientError> {
    match look_up(server, name).await? {
        Some(id) => Ok(id),
        None => Err(no_collection(server, name, known(server).await?)),
    }
}

/// Id of the collection of that name, made with the server's default settings where it is not there.
pub(super) async fn find_or_create(server: &Server, name: &str) -> Result<String, ClientError> {
    if let Some(id) = look_up(server, name).await? {
        return Ok(id);
    }
    match create(server, name).await {
        // Somebody else was faster.
        Err(ClientError::Refused(refusal)) if refusal.has_code("ALREADY_EXISTS") => find(server, name).await,
        created => created,
    }
}

async fn look_up(server: &Server, name: &str) -> Result<Option<String>, ClientError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Data {
        collection_by_name: Option<Id>,
    }
    let data: Data = server.ask(BY_NAME, json!({ "name": name })).await?;
    Ok(data.collection_by_name.map(|collection| collection.id))
}

async fn create(server: &Server, name: &str) -> Result<String, ClientError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Data {
        create_collection: Created,
    }
    #[derive(Deserialize)]
    struct Created {
        collection: Id,
    }
    let data: Data = server.ask(CREATE, json!({ "input": { "name": name } })).await?;
    Ok(data.create_collection.collection.id)
}

async fn known(server: &Server) -> Result<Vec<String>, ClientError> {
    #[derive(Deserialize)]
    struct Data {
        collections: Page,
    }
    #[derive(Deserialize)]
    struct Page {
        edges: Vec<Edge>,
    }
    #[derive(Deserialize)]
    struct Edge {
        node: Named,
    }
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    let data: Data = server.ask(KNOWN, json!({ "first": KNOWN_SHOWN })).await?;
    Ok(data.collections.edges.into_iter().map(|edge| edge.node.name).collect())
}

fn no_collection(server: &Server, name: &str, known: Vec<String>) -> ClientError {
    let known = match known.as_slice() {
        [] => "there is none yet; `vectorforge ingest PATH --collection NAME` makes one".to_owned(),
        names => format!("there are {}", names.iter().map(|name| plain(name)).collect::<Vec<_>>().join(", ")),
    };
    ClientError::NoCollection { name: plain(name), url: server.url.to_string(), known }
}
