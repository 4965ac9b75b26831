//! Sources of documents: one document each, however long the URI and whatever its script.

use migration::{Migrator, MigratorTrait};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sea_orm::{ConnectionTrait, DbBackend, QueryTrait, Statement};
use serde_json::{Value as Json, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use vectorforge::store::{Store, documents};

use crate::support::TestApp;
use crate::support::database::{TestDatabase, settings};

/// Characters of the longest URI.
const LONGEST: usize = 2_048;

/// The longest URI in a script of three bytes a character, which no compression makes short.
pub fn longest(seed: u64) -> String {
    let mut rng = StdRng::seed_from_u64(seed);
    let character = |_| char::from_u32(rng.random_range(0x4e00..0x9fff)).expect("a character");
    (0..LONGEST).map(character).collect()
}

fn document(uri: &str, text: &str) -> Json {
    json!({ "sourceUri": uri, "source": { "text": text } })
}

fn outcomes(payload: &Json) -> Vec<&str> {
    let documents = payload["documents"].as_array().expect("documents");
    documents.iter().map(|document| document["outcome"].as_str().expect("an outcome")).collect()
}

#[tokio::test]
async fn a_uri_of_the_longest_kind_names_one_document_which_is_found_and_replaced_by_it() {
    let app = TestApp::builder().without_workers().start().await;
    let collection = app.collection("docs").await;
    let (one, other) = (longest(1), longest(2));
    // Alike but for the end.
    let twin: String = one.chars().take(LONGEST - 1).chain(['x']).collect();
    let batch = |text: &str| json!([document(&one, text), document(&other, text), document(&twin, text)]);
    assert_eq!(outcomes(&app.ingest(&collection, batch("first")).await), ["ACCEPTED"; 3]);
    assert_eq!(outcomes(&app.ingest(&collection, batch("second")).await), ["REPLACED"; 3]);
    assert_eq!(app.database.number("SELECT count(*) FROM documents").await, 3);

    let list = "query($id: ID!, $uri: String) { collection(id: $id) { documents(sourceUri: $uri) {
        totalCount edges { node { sourceUri } } } } }";
    for uri in [&one, &other, &twin] {
        let found = app.data(list, json!({ "id": collection, "uri": uri })).await["collection"]["documents"].take();
        assert_eq!((&found["totalCount"], &found["edges"][0]["node"]["sourceUri"]), (&json!(1), &json!(uri)));
    }
    let emoji = "🦀".repeat(LONGEST);
    assert_eq!(outcomes(&app.ingest(&collection, json!([document(&emoji, "words")])).await), ["ACCEPTED"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_of_before_the_hash_keep_their_sources_apart_and_found() {
    let database = TestDatabase::create_empty().await;
    let store = Store::connect(&settings().database, &database.url).await.expect("connects");
    store.migrate().await.expect("up");
    let names: Vec<_> = Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect();
    let place = names.iter().position(|name| name == "m0026_document_sources").expect("it is there");
    let steps = u32::try_from(names.len() - place).expect("a few");
    store.migrate_down(steps).await.expect("down");
    database
        .execute(
            "INSERT INTO collections (id, tenant_id, name, chunking)
                 SELECT '00000000-0000-7000-8000-00000000000a', id, 'docs', '{}' FROM tenants",
        )
        .await;
    insert(&database, "x:old").await.expect("a document");
    store.migrate().await.expect("up again");

    let twice = insert(&database, "x:old").await.expect_err("it is there").to_string();
    assert!(twice.contains("documents_source"), "{twice}");
    insert(&database, "x:new").await.expect("another source");
    let collection = "00000000-0000-7000-8000-00000000000a".parse().expect("an id");
    let found = documents::same_as(store.db(), collection, vec!["x:old".into(), "x:gone".into()], vec![]).await;
    let found: Vec<_> = found.expect("answers").into_iter().filter_map(|row| row.source_uri).collect();
    assert_eq!(found, ["x:old"]);
}

async fn insert(database: &TestDatabase, uri: &str) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(&database.url).await.expect("connects");
    let sql = format!(
        "INSERT INTO documents (id, tenant_id, collection_id, source_uri, content_type, content_hash, size_bytes, status)
         SELECT gen_random_uuid(), tenant_id, id, '{uri}', 'text/plain', '', 0, 'PENDING' FROM collections"
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_and_contents_are_looked_up_in_their_indexes_however_many_documents_there_are() {
    let app = TestApp::builder().without_workers().start().await;
    app.collection("docs").await;
    let crowd =
        "INSERT INTO documents (id, tenant_id, collection_id, source_uri, content_type, content_hash, size_bytes,
            status)
        SELECT gen_random_uuid(), tenant_id, c.id, CASE WHEN n % 2 = 0 THEN 'x:' || n END, 'text/plain',
            sha256(n::text::bytea), 1, 'INDEXED' FROM collections c, generate_series(1, 50000) AS n;
        ANALYZE documents";
    app.database.execute(crowd).await;
    let id = app.database.texts("SELECT id::text FROM collections").await[0].parse().expect("an id");
    let (uris, hashes) = ((0..100).map(|n| format!("x:{n}")).collect(), vec![vec![0; 32]; 100]);
    let question = documents::same_as_question(id, uris, hashes).build(DbBackend::Postgres);
    let explain = Statement { sql: format!("EXPLAIN {}", question.sql), ..question };
    let rows = app.app.store.db().query_all_raw(explain).await.expect("explains");
    let plan: Vec<String> = rows.iter().map(|row| row.try_get_by_index(0).expect("a line")).collect();
    let plan = plan.join("\n");
    assert!(plan.contains("documents_source") && plan.contains("documents_content"), "{plan}");
    assert!(!plan.contains("Seq Scan") && !plan.contains("documents_page"), "{plan}");
}
