//! Lists: pages that hold every row once, and pages that cost the same whatever their length.

use serde_json::{Value as Json, json};

use crate::support::TestApp;
use crate::support::gql::id;
use crate::support::watch::Watch;

/// A collection for vectors of two dimensions.
async fn own_vectors(app: &TestApp, name: &str) -> String {
    app.collection_with(json!({ "name": name, "embedding": { "dimensions": 2 } })).await
}

/// A document of so many chunks, each with its vector.
fn document(name: &str, chunks: usize) -> Json {
    let chunks: Vec<_> =
        (0..chunks).map(|index| json!({ "text": format!("{name} {index}"), "vector": [1, index] })).collect();
    json!({ "source": { "chunks": chunks }, "sourceUri": name, "title": name })
}

/// Walks a list two by two; `find` is where the connection stands in the data. Gives the names in order.
async fn walk(app: &TestApp, query: &str, id: &str, find: &str, name: &str, total: usize) -> Vec<String> {
    let (mut names, mut after) = (Vec::new(), Json::Null);
    loop {
        let data = app.data(query, json!({ "id": id, "first": 2, "after": after })).await;
        let page = data.pointer(find).unwrap_or_else(|| panic!("no {find} in {data}"));
        let edges = page["edges"].as_array().expect("edges");
        assert_eq!(page["totalCount"], total, "{page}");
        assert_eq!(page["pageInfo"]["hasPreviousPage"], !after.is_null(), "{page}");
        assert_eq!(page["pageInfo"]["hasNextPage"], names.len() + edges.len() < total, "{page}");
        assert_eq!(page["pageInfo"]["startCursor"], edges.first().map_or(Json::Null, |edge| edge["cursor"].clone()));
        assert_eq!(page["pageInfo"]["endCursor"], edges.last().map_or(Json::Null, |edge| edge["cursor"].clone()));
        names.extend(edges.iter().map(|edge| edge["node"][name].as_str().expect("a name").to_owned()));
        if page["pageInfo"]["hasNextPage"] == false {
            return names;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}

const PAGE: &str = "totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor } edges { cursor node";

#[tokio::test]
async fn paging_shows_every_row_once_in_order_and_tells_where_it_stands() {
    let app = TestApp::start().await;
    let names = |kind: &str| (0..5).map(|index| format!("{kind} {index}")).collect::<Vec<_>>();
    let mut first = String::new();
    for name in names("collection").iter().rev() {
        first = own_vectors(&app, name).await;
    }
    let documents: Vec<_> = names("document").iter().map(|name| document(name, 4)).collect();
    let payload = app.ingest(&first, json!(documents)).await;
    let other = id(&payload["documents"][0]["document"]);
    app.drain().await;

    let collections = format!(
        "query($first: Int!, $after: String) {{ list: collections(first: $first, after: $after) {{ {PAGE} {{ name }} }} }} }}"
    );
    let mut expected = names("collection");
    expected.reverse();
    assert_eq!(walk(&app, &collections, "", "/list", "name", 5).await, expected);
    let documents = format!(
        "query($id: ID!, $first: Int!, $after: String) {{ collection(id: $id) {{
            list: documents(first: $first, after: $after, status: INDEXED) {{ {PAGE} {{ title }} }} }} }} }}"
    );
    assert_eq!(walk(&app, &documents, &first, "/collection/list", "title", 5).await, names("document"));
    let chunks = format!(
        "query($id: ID!, $first: Int!, $after: String) {{ document(id: $id) {{
            list: chunks(first: $first, after: $after) {{ {PAGE} {{ text }} }} }} }} }}"
    );
    let expected = names("document 0").into_iter().take(4).collect::<Vec<_>>();
    assert_eq!(walk(&app, &chunks, &other, "/document/list", "text", 4).await, expected);
}

#[tokio::test]
async fn an_empty_list_is_one_empty_page() {
    let app = TestApp::builder().without_workers().start().await;
    let collections = format!(
        "query($first: Int!, $after: String) {{ list: collections(first: $first, after: $after) {{ {PAGE} {{ name }} }} }} }}"
    );
    assert_eq!(walk(&app, &collections, "", "/list", "name", 0).await, [""; 0]);
    let collection = app.collection("docs").await;
    let query =
        "query($id: ID!) { collection(id: $id) { documents(sourceUri: \"none\") { totalCount edges { cursor } } } }";
    let data = app.data(query, json!({ "id": collection })).await;
    assert_eq!(data["collection"]["documents"], json!({ "totalCount": 0, "edges": [] }));
}

#[tokio::test]
async fn a_filter_shows_its_documents_and_counts_them() {
    let app = TestApp::builder().without_workers().start().await;
    let collection = own_vectors(&app, "docs").await;
    let payload = app.ingest(&collection, json!([document("a", 1), document("b", 1), document("c", 1)])).await;
    let hash = app
        .data(
            "query($id: ID!) { document(id: $id) { contentHash } }",
            json!({ "id": id(&payload["documents"][2]["document"]) }),
        )
        .await["document"]["contentHash"]
        .clone();
    let query = "query($id: ID!, $status: DocumentStatus, $uri: String, $hash: String) { collection(id: $id) {
        documents(status: $status, sourceUri: $uri, contentHash: $hash) { totalCount edges { node { title } } } } }";
    for (filter, expected) in [
        (json!({}), vec!["a", "b", "c"]),
        (json!({ "status": "PENDING" }), vec!["a", "b", "c"]),
        (json!({ "status": "INDEXED" }), vec![]),
        (json!({ "uri": "b" }), vec!["b"]),
        (json!({ "uri": "b", "status": "INDEXED" }), vec![]),
        (json!({ "uri": "B" }), vec![]),
        (json!({ "hash": hash }), vec!["c"]),
        (json!({ "hash": "0".repeat(64) }), vec![]),
    ] {
        let mut variables = filter.clone();
        variables["id"] = json!(collection);
        let data = app.data(query, variables).await;
        let list = &data["collection"]["documents"];
        let titles: Vec<_> =
            list["edges"].as_array().expect("edges").iter().map(|edge| &edge["node"]["title"]).collect();
        assert_eq!(titles, expected, "{filter}");
        assert_eq!(list["totalCount"], expected.len(), "{filter}");
    }
}

/// The statements of an operation once its connections are warm.
async fn statements(app: &TestApp, watch: &Watch, query: &str, variables: &Json) -> (Vec<String>, Json) {
    app.data(query, variables.clone()).await;
    watch.take_statements();
    let data = app.data(query, variables.clone()).await;
    (watch.take_statements(), data)
}

#[tokio::test]
async fn a_page_costs_no_statement_for_each_of_its_rows() {
    let writer = TestApp::start().await;
    let mut collection = String::new();
    for index in 0..20 {
        collection = own_vectors(&writer, &format!("collection {index}")).await;
        writer.ingest(&collection, json!([document("a", 2), document("b", 2)])).await;
    }
    let many: Vec<_> = (0..20).map(|index| document(&format!("many {index}"), 1)).collect();
    writer.ingest(&collection, json!(many)).await;
    writer.drain().await;
    // No workers, so that every statement is the operation's.
    let reader = TestApp::builder().database(writer.database.clone()).without_workers();
    let reader = reader.set("database.statement_log", true).set("database.slow_statement_ms", 3_600_000).start().await;
    drop(writer);
    let watch = Watch::this_thread();

    let lists = "query($first: Int!) { collections(first: $first) { totalCount edges { node {
        name documentCount chunkCount embedding { dimensions indexStatus } documents(first: 2) { totalCount edges { node {
            title text collection { name } job { state document { id } run { state } }
            chunks(first: 2) { totalCount edges { node { text document { title } } } } } } } } } } }";
    let search = "query($first: Int!, $id: ID!) {
        search(input: { collectionId: $id, query: { vector: [1, 1] }, first: $first }) {
            hits { rank chunk { text document { title collection { name } job { state } } } } } }";
    for (query, rows) in [(lists, "/collections/edges"), (search, "/search/hits")] {
        let (of_two, data) = statements(&reader, &watch, query, &json!({ "first": 2, "id": collection })).await;
        assert_eq!(data.pointer(rows).and_then(Json::as_array).map(Vec::len), Some(2));
        let (of_twenty, data) = statements(&reader, &watch, query, &json!({ "first": 20, "id": collection })).await;
        assert_eq!(data.pointer(rows).and_then(Json::as_array).map(Vec::len), Some(20));
        assert!(of_two.len() > 3, "the watch sees nothing: {of_two:?}");
        // Two fields that ask for the same kind of row share a statement or not, as their turns fall: a few more or less.
        // A field that asked row by row would cost one for each of the eighteen rows more.
        assert!(of_twenty.len() < of_two.len() + 9, "{query}: {of_two:#?} and {of_twenty:#?}");
    }
}
