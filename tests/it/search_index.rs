//! The HNSW index: built when a collection has grown, used where it helps, and never at the price of missing hits.

use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value as Json, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use uuid::Uuid;
use vectorforge::id::Kind;
use vectorforge::store::entity::embedding_space::Metric;
use vectorforge::store::{DEFAULT_TENANT, embeddings, index, spaces};

use crate::support::documents::each;
use crate::support::vectors::{nearest, random};
use crate::support::{TestApp, until, vectors};

const DIMENSIONS: usize = 16;
/// Vectors above which an index is built, in these tests.
const THRESHOLD: usize = 100;
/// Documents of [`filled`], and chunks of each.
const DOCUMENTS: usize = 40;
const CHUNKS: usize = 10;

/// An application that builds indexes early, with a collection of [`DOCUMENTS`] and its vectors in their order.
/// Document `i` has the metadata `{"share<n>": i < n}` for some `n`.
async fn filled() -> (TestApp, String, Vec<Vec<f32>>) {
    let app = TestApp::builder().set("search.exact_threshold", THRESHOLD).start().await;
    let collection = own(&app, "own", DIMENSIONS, "COSINE").await;
    let vectors = random(1, DOCUMENTS * CHUNKS, DIMENSIONS);
    let documents = vectors.chunks(CHUNKS).enumerate().map(|(i, vectors)| {
        let metadata = json!({ "share1": i < 1, "share5": i < 5, "share20": i < 20, "share35": i < 35, "last": i == DOCUMENTS - 1 });
        vectors::document(&format!("{i:02}"), vectors, metadata)
    });
    app.ingest_to_end(&collection, Json::from_iter(documents)).await;
    (app, collection, vectors)
}

async fn own(app: &TestApp, name: &str, dimensions: usize, metric: &str) -> String {
    app.collection_with(json!({ "name": name, "embedding": { "dimensions": dimensions }, "metric": metric })).await
}

async fn index_status(app: &TestApp, collection: &str) -> Json {
    let query = "query($id: ID!) { collection(id: $id) { embedding { indexStatus } } }";
    app.data(query, json!({ "id": collection })).await["collection"]["embedding"]["indexStatus"].take()
}

async fn status_to_be(app: &TestApp, collection: &str, status: &str) {
    until(&format!("the index to be {status}"), async || (index_status(app, collection).await == status).then_some(()))
        .await;
}

async fn search(app: &TestApp, collection: &str, query: &[f32], first: usize, filter: Option<&Json>) -> Json {
    let filter = filter.map(|metadata| json!({ "metadata": metadata }));
    let query = json!({ "collectionId": collection, "query": { "vector": query }, "first": first, "filter": filter });
    app.search_with(query).await
}

/// How a search was answered.
fn way(found: &Json) -> (bool, &str) {
    (found["info"]["exact"].as_bool().expect("a flag"), found["info"]["index"].as_str().expect("a name"))
}

/// Places of the hits among all vectors of [`filled`].
fn places(found: &Json) -> Vec<usize> {
    let hits = found["hits"].as_array().expect("hits").iter();
    let place = |hit: &Json| {
        let text = hit["chunk"]["text"].as_str().expect("a text");
        let (document, chunk) = text.split_once(' ').expect("document and chunk");
        document.parse::<usize>().expect("a number") * CHUNKS + chunk.parse::<usize>().expect("a number")
    };
    hits.map(place).collect()
}

/// The only space of the database.
async fn space(connection: &mut PgConnection) -> Uuid {
    let row = sqlx::query("SELECT id::text FROM embedding_spaces").fetch_one(connection).await.expect("a space");
    row.get::<String, _>(0).parse().expect("an id")
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_and_ingests_go_on_while_the_index_is_built_and_use_it_afterwards() {
    let app = TestApp::builder().set("search.exact_threshold", THRESHOLD).start().await;
    let collection = own(&app, "own", DIMENSIONS, "COSINE").await;
    let vectors = random(1, 300, DIMENSIONS);
    app.indexed(&collection, vectors::document("00", &vectors[..CHUNKS], json!({}))).await;
    assert_eq!(index_status(&app, &collection).await, "NONE");

    // A transaction that might have written holds up a concurrent build at its first step, as a long ingest would.
    let mut writer = PgConnection::connect(&app.database.url).await.expect("the test database answers");
    let table = spaces::partition(space(&mut writer).await);
    let mut open = writer.begin().await.expect("a transaction");
    let lock = AssertSqlSafe(format!("LOCK TABLE {table} IN ROW EXCLUSIVE MODE"));
    sqlx::raw_sql(lock).execute(&mut *open).await.expect("a lock");
    let grown = app.ingest_to_end(&collection, json!([vectors::document("01", &vectors, json!({}))])).await;
    assert_eq!(grown["documents"][0]["outcome"], "ACCEPTED");
    status_to_be(&app, &collection, "BUILDING").await;
    let found = search(&app, &collection, &vectors[0], 5, None).await;
    assert_eq!((way(&found), &found["info"]["returned"]), ((true, "EXACT"), &json!(5)));
    app.indexed(&collection, vectors::document("02", &vectors[..CHUNKS], json!({}))).await;
    assert_eq!(index_status(&app, &collection).await, "BUILDING");

    open.rollback().await.expect("the lock is given back");
    status_to_be(&app, &collection, "READY").await;
    let found = search(&app, &collection, &vectors[0], 3, None).await;
    assert_eq!(way(&found), (false, "HNSW"));
    let mut same = each(found["hits"].as_array().expect("hits").iter().map(|hit| &hit["chunk"]), "text");
    same.sort_by_key(ToString::to_string);
    assert_eq!(same, ["00 0", "01 0", "02 0"], "what came before, while and after is all there");
    let jobs = "SELECT count(*) FROM jobs WHERE kind = 'build_index'";
    assert_eq!(app.database.number(jobs).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_finds_what_comparing_every_vector_finds() {
    let (app, collection, vectors) = filled().await;
    status_to_be(&app, &collection, "READY").await;
    let (mut same, mut all) = (0, 0);
    for query in random(2, 20, DIMENSIONS) {
        let found = search(&app, &collection, &query, 10, None).await;
        assert_eq!(way(&found), (false, "HNSW"));
        let expected = nearest("COSINE", &query, &vectors, 10);
        same += places(&found).iter().filter(|place| expected.iter().any(|(other, _)| other == *place)).count();
        all += expected.len();
        let scores: Vec<_> = found["hits"].as_array().expect("hits").iter().map(|hit| hit["score"].as_f64()).collect();
        assert!(scores.is_sorted_by(|a, b| a >= b), "nearest first: {scores:?}");
    }
    // Over so few vectors a search with 100 candidates sees a quarter of them and misses next to nothing; below this
    // the graph is broken, not unlucky.
    assert!(same * 10 >= all * 9, "recall@10 is {same} of {all}");

    // A chunk's own vector is in the index too, and still not among its hits.
    let chunk = search(&app, &collection, &vectors[5], 1, None).await["hits"][0]["chunk"].take();
    let query = json!({ "collectionId": collection, "query": { "chunkId": chunk["id"] }, "first": 10 });
    let found = app.search_with(query).await;
    assert_eq!((way(&found), &found["info"]["returned"]), ((false, "HNSW"), &json!(10)));
    assert!(!places(&found).contains(&5));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plan_of_an_index_search_uses_the_index_with_a_filter_and_without() {
    let (app, collection, vectors) = filled().await;
    status_to_be(&app, &collection, "READY").await;
    let mut connection = PgConnection::connect(&app.database.url).await.expect("the test database answers");
    let table = spaces::partition(space(&mut connection).await);
    let dimensions = i32::try_from(DIMENSIONS).expect("small");
    let distance = format!(
        "{} {} '{}'::vector({dimensions})",
        index::expression("e.embedding", dimensions).expect("few dimensions"),
        embeddings::operator(Metric::Cosine),
        json!(vectors[0]),
    );
    let fits = embeddings::METADATA_FITS.replace("$3", r#"'{"lang": "en"}'::jsonb"#);
    let filtered = format!("AND EXISTS (SELECT 1 FROM documents d WHERE d.id = e.document_id AND {fits})");
    for filter in ["", &filtered] {
        let settings = "SET hnsw.ef_search = 100; SET hnsw.iterative_scan = strict_order; SET enable_seqscan = off;
            SET enable_sort = off";
        sqlx::raw_sql(settings).execute(&mut connection).await.expect("settings");
        let explain = format!(
            "EXPLAIN SELECT e.chunk_id, ({distance})::float8 FROM {table} e WHERE e.live {filter} ORDER BY {distance} LIMIT 10"
        );
        let rows = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(&mut connection).await.expect("a plan");
        let plan: String = rows.iter().map(|row| row.get::<String, _>(0) + "\n").collect();
        assert!(plan.contains(&format!("Index Scan using {table}_hnsw")), "{plan}");
        assert!(!plan.contains("Sort"), "{plan}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_on_metadata_is_counted_by_the_index_on_metadata() {
    let app = TestApp::builder().without_workers().start().await;
    let collection = own(&app, "own", DIMENSIONS, "COSINE").await;
    app.database
        .execute(
            "INSERT INTO documents (id, tenant_id, collection_id, content_type, content_hash, size_bytes, metadata, status,
                 indexed_version, chunk_count)
             SELECT gen_random_uuid(), tenant_id, id, 'text/plain', sha256(n::text::bytea), 1,
                 jsonb_build_object('language', 'en', 'number', n % 1000, 'tags', jsonb_build_array('a', n % 10)),
                 'INDEXED', 1, 1
             FROM collections, generate_series(1, 20000) AS n",
        )
        .await;
    app.database.execute("ANALYZE documents").await;
    let collection = Kind::Collection.decode("id", &collection).expect("an id");
    for (filter, count) in [
        (json!({ "number": 7 }), 20),
        (json!({ "language": "en", "number": 7.0 }), 20),
        (json!({ "number": 7, "tags": ["a", 7] }), 20),
        (json!({ "number": 7, "tags": ["a"] }), 0),
    ] {
        let db = app.app.store.db();
        let found = embeddings::matching(db, DEFAULT_TENANT, collection, Some(&filter)).await.expect("a count");
        assert_eq!(found, count, "{filter}");
        let statement = embeddings::matching_statement(DEFAULT_TENANT, collection, Some(&filter));
        let statement = Statement { sql: format!("EXPLAIN {}", statement.sql), ..statement };
        let rows = db.query_all_raw(statement).await.expect("a plan");
        let lines = rows.iter().map(|row| row.try_get_by_index::<String>(0).expect("a line"));
        let plan = lines.collect::<Vec<_>>().join("\n");
        assert!(plan.contains("Bitmap Index Scan on documents_metadata"), "{filter}: {plan}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_loses_no_hits_and_is_answered_exactly_where_it_leaves_few() {
    let (app, collection, vectors) = filled().await;
    status_to_be(&app, &collection, "READY").await;
    for (field, documents, expected_way) in [
        ("share1", 0..1, (true, "EXACT")),
        ("share5", 0..5, (true, "EXACT")),
        ("share20", 0..20, (false, "HNSW")),
        ("share35", 0..35, (false, "HNSW")),
        ("last", DOCUMENTS - 1..DOCUMENTS, (true, "EXACT")),
    ] {
        let matching = documents.start * CHUNKS..documents.end * CHUNKS;
        for (query, first) in random(3, 6, DIMENSIONS).iter().zip([1, 3, 10, 50, 99, 100]) {
            let found = search(&app, &collection, query, first, Some(&json!({ field: true }))).await;
            let places = places(&found);
            assert_eq!(places.len(), first.min(matching.len()), "{field}, first {first}");
            assert!(places.iter().all(|place| matching.contains(place)), "{field}, first {first}: {places:?}");
            // Where an index search comes up short it is made again exactly, and says so.
            assert!(way(&found) == expected_way || way(&found) == (true, "EXACT"), "{field}, first {first}");
            if way(&found).0 {
                let expected = nearest("COSINE", query, &vectors[matching.clone()], first);
                let expected: Vec<_> = expected.into_iter().map(|(place, _)| place + matching.start).collect();
                assert_eq!(places, expected, "{field}, first {first}");
            }
        }
        let found = search(&app, &collection, &vectors[0], 1, Some(&json!({ field: true }))).await;
        assert_eq!(way(&found), expected_way, "{field}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_the_nearest_documents_leaves_as_many_hits_as_there_are() {
    let (app, collection, vectors) = filled().await;
    status_to_be(&app, &collection, "READY").await;
    let query = &vectors[0];
    for remaining in [30, 12, 3, 1] {
        loop {
            let found = search(&app, &collection, query, 100, None).await;
            let count = app.database.number("SELECT count(*) FROM documents").await;
            if count <= remaining {
                break;
            }
            app.delete_document(found["hits"][0]["chunk"]["document"]["id"].as_str().expect("an id")).await;
        }
        let left = usize::try_from(remaining).expect("small") * CHUNKS;
        for first in [1, 10, 25, 100] {
            let found = search(&app, &collection, query, first, None).await;
            assert_eq!(places(&found).len(), first.min(left), "{remaining} documents, first {first}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn vectors_are_indexed_whole_up_to_2000_dimensions_at_half_precision_up_to_4000_and_not_at_all_above() {
    let app = TestApp::builder().set("search.exact_threshold", 10).start().await;
    let mut found = Vec::new();
    // The largest first: whatever looks for spaces to index has seen it when the others are ready.
    for (dimensions, metric) in
        [(4_001, "L2"), (4_000, "INNER_PRODUCT"), (2_500, "L2"), (2_001, "COSINE"), (2_000, "L2")]
    {
        let collection = own(&app, &dimensions.to_string(), dimensions, metric).await;
        let vectors = random(dimensions as u64, 20, dimensions);
        app.indexed(&collection, vectors::document("00", &vectors, json!({}))).await;
        found.push((dimensions, metric, collection, vectors));
    }
    for (dimensions, metric, collection, vectors) in &found[1..] {
        status_to_be(&app, collection, "READY").await;
        let hits = search(&app, collection, &vectors[7], 5, None).await;
        assert_eq!((way(&hits), places(&hits)[0]), ((false, "HNSW"), 7), "{dimensions}");
        let expected = nearest(metric, &vectors[7], vectors, 1)[0].1;
        let score = hits["hits"][0]["score"].as_f64().expect("a score");
        // Half precision has eleven bits: one part in two thousand.
        assert!((score - expected).abs() <= expected.abs() / 500.0 + 0.03, "{dimensions}: {score} is not {expected}");
    }
    let (_, _, largest, vectors) = &found[0];
    assert_eq!(index_status(&app, largest).await, "NONE");
    assert_eq!(way(&search(&app, largest, &vectors[7], 5, None).await), (true, "EXACT"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_half_precision_cannot_hold_is_refused_where_it_would_be_indexed_so() {
    let app = TestApp::builder().without_workers().start().await;
    let query = "query($input: SearchInput!) { search(input: $input) { hits { rank } } }";
    for (dimensions, is_refused) in [(2_000, false), (2_001, true), (4_000, true), (4_001, false)] {
        let collection = own(&app, &dimensions.to_string(), dimensions, "L2").await;
        let mut vector = vec![0.0_f32; dimensions];
        for (number, is_over) in [(65_504.0, false), (-65_504.0, false), (65_536.0, true), (-1e6, true)] {
            vector[3] = number;
            let input = json!({ "input": { "collectionId": collection, "query": { "vector": vector } } });
            let answer = app.gql(query, input).await;
            let error = &answer["errors"][0]["extensions"];
            if is_refused && is_over {
                assert_eq!([&error["code"], &error["field"]], ["BAD_USER_INPUT", "input.query.vector.3"], "{number}");
            } else {
                assert_eq!(error, &Json::Null, "{number} in {dimensions}");
            }
        }
    }
}
