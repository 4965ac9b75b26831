//! The collection a command names.

use serde::Deserialize;
use serde_json::json;

use super::api_client::ApiClient;
use super::error::ClientError;
use super::page::{PAGE, Page};
use super::terminal::plain;

/// How many collections are named where the wanted one is not there: one screen line.
const KNOWN_SHOWN: usize = 10;
/// How many are looked through for a name like the wanted one: beyond that it would take noticeably long.
const KNOWN_READ: usize = 1_000;

const BY_NAME: &str = "query($name: String!) { collectionByName(name: $name) { id } }";
const KNOWN: &str = "query($first: Int!, $after: String) { collections(first: $first, after: $after) {
    edges { node { name } } pageInfo { hasNextPage endCursor }
} }";
const CREATE: &str =
    "mutation($input: CreateCollectionInput!) { createCollection(input: $input) { collection { id } } }";

#[derive(Deserialize)]
struct Id {
    id: String,
}

/// Id of the collection of that name; [`ClientError::NoCollection`] names the one that may be meant, or those there are.
pub(super) async fn find(server: &ApiClient, name: &str) -> Result<String, ClientError> {
    match look_up(server, name).await? {
        Some(id) => Ok(id),
        None => Err(no_collection(server, name, known(server).await.ok().as_deref())),
    }
}

/// Id of the collection of that name, made with the server's default settings where it is not there.
pub(super) async fn find_or_create(server: &ApiClient, name: &str) -> Result<String, ClientError> {
    if let Some(id) = look_up(server, name).await? {
        return Ok(id);
    }
    match create(server, name).await {
        // Somebody else was faster.
        Err(ClientError::Refused(refusal)) if refusal.has_code("ALREADY_EXISTS") => find(server, name).await,
        created => created,
    }
}

async fn look_up(server: &ApiClient, name: &str) -> Result<Option<String>, ClientError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Data {
        collection_by_name: Option<Id>,
    }
    let data: Data = server.ask(BY_NAME, json!({ "name": name })).await?;
    Ok(data.collection_by_name.map(|collection| collection.id))
}

async fn create(server: &ApiClient, name: &str) -> Result<String, ClientError> {
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

/// Names of the collections, at most about [`KNOWN_READ`].
async fn known(server: &ApiClient) -> Result<Vec<String>, ClientError> {
    #[derive(Deserialize)]
    struct Data {
        collections: Page<Named>,
    }
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    let (mut names, mut after) = (Vec::new(), None);
    while names.len() < KNOWN_READ {
        let data: Data = server.ask(KNOWN, json!({ "first": PAGE, "after": after })).await?;
        let (collections, next) = data.collections.open();
        names.extend(collections.map(|collection| collection.name));
        after = next;
        if after.is_none() {
            break;
        }
    }
    Ok(names)
}

fn no_collection(server: &ApiClient, name: &str, known: Option<&[String]>) -> ClientError {
    let create = "to make a new one, `vectorforge ingest` takes --create";
    let advice = match known {
        // The names only help: a server that gives fewer at once than are asked for gives none.
        None => create.to_owned(),
        Some([]) => "there is none yet; `vectorforge ingest PATH --collection NAME --create` makes one".to_owned(),
        Some(known) => match nearest(name, known) {
            Some(near) => format!("did you mean {near:?}? Otherwise, {create}"),
            None => format!("there are {}; {create}", listed(known)),
        },
    };
    ClientError::NoCollection { name: plain(name), url: server.url.to_string(), advice }
}

fn listed(known: &[String]) -> String {
    let shown: Vec<_> = known.iter().take(KNOWN_SHOWN).map(|name| format!("{:?}", plain(name))).collect();
    let more = known.len().saturating_sub(KNOWN_SHOWN);
    if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
}

/// The known name that is fewest edits away from what was typed, whatever its case; none where more than a third of it
/// would have to change.
fn nearest(name: &str, known: &[String]) -> Option<String> {
    let typed = name.trim().to_lowercase();
    let distance = |known: &String| strsim::damerau_levenshtein(&typed, &known.trim().to_lowercase());
    let near = known.iter().min_by_key(|known| distance(known))?;
    let most = typed.chars().count().div_ceil(3);
    (distance(near) <= most).then(|| plain(near))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_told_from_another_name() {
        let known = ["name", "handbook", "Team notes", "日本語"].map(str::to_owned);
        for (typed, near) in [
            ("nmae", Some("name")),
            ("NAME", Some("name")),
            ("handbok", Some("handbook")),
            ("team-notes", Some("Team notes")),
            ("日本", Some("日本語")),
            ("x", None),
            ("invoices", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, &known).as_deref(), near, "{typed:?}");
        }
    }

    #[test]
    fn many_names_are_cut_to_a_line() {
        let known: Vec<_> = (0..12).map(|n| format!("c{n}")).collect();
        assert!(listed(&known).ends_with("\"c9\" and 2 more"), "{}", listed(&known));
    }
}
