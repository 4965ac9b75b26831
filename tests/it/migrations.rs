//! The schema, up and down, and the servers that cannot hold it.

use migration::{Migrator, MigratorTrait};
use vectorforge::store::Store;
use vectorforge::store::connect::ConnectError;

use serde_json::json;

use crate::document_sources::longest;
use crate::embedded_server::temporary_directory;
use crate::process::{Running, vectorforge};
use crate::support::TestApp;
use crate::support::database::{TestDatabase, settings};

async fn connect(url: &str) -> Result<Store, ConnectError> {
    Store::connect(&settings().database, url).await
}

/// Every column, constraint, index, trigger and function, one line each; without the migrations' own table.
async fn schema(database: &TestDatabase) -> Vec<String> {
    let sql = "SELECT line FROM (
            SELECT concat_ws(' ', table_name, column_name, data_type, udt_name, is_nullable, column_default) AS line
            FROM information_schema.columns WHERE table_schema = 'public'
            UNION ALL SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid))
            FROM pg_constraint WHERE connamespace = 'public'::regnamespace
            UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
            UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
            UNION ALL SELECT concat_ws(' ', oid::regprocedure, prosrc) FROM pg_proc
            WHERE pronamespace = 'public'::regnamespace AND prolang = (SELECT oid FROM pg_language WHERE lanname = 'plpgsql')
        ) AS lines WHERE line NOT LIKE '%seaql_migrations%' ORDER BY line";
    database.texts(sql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_migration_can_be_undone_and_done_again() {
    let database = TestDatabase::create_empty().await;
    let store = connect(&database.url).await.expect("connects");
    assert!(!store.is_migrated().await.expect("answers"));
    store.migrate().await.expect("up");
    store.migrate().await.expect("nothing to do");
    assert!(store.is_migrated().await.expect("answers"));
    let complete = schema(&database).await;
    assert!(complete.iter().any(|line| line.starts_with("chunks text text")), "{complete:#?}");

    let mut before = complete.clone();
    for migration in Migrator::migrations().iter().rev() {
        store.migrate_down(1).await.unwrap_or_else(|error| panic!("{} down: {error}", migration.name()));
        assert!(!store.is_migrated().await.expect("answers"));
        let after = schema(&database).await;
        assert_ne!(after, before, "{} undid nothing", migration.name());
        before = after;
    }
    assert_eq!(before, Vec::<String>::new(), "something is left behind");

    store.migrate().await.expect("up again");
    assert_eq!(schema(&database).await, complete);
    assert_eq!(database.number("SELECT count(*) FROM tenants").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_start_at_once_migrate_one_after_another() {
    let database = TestDatabase::create_empty().await;
    let start = async || {
        let store = connect(&database.url).await?;
        store.migrate().await?;
        store.is_migrated().await.map_err(|cause| ConnectError::Failed { doing: "ask", cause })
    };
    let (first, second, third) = tokio::join!(start(), start(), start());
    for started in [first, second, third] {
        assert!(started.expect("migrates"));
    }
    let applied = database.number("SELECT count(*) FROM seaql_migrations").await;
    assert_eq!(usize::try_from(applied).expect("a count"), Migrator::migrations().len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_pgvector_that_may_not_get_it_is_refused_with_the_sentence_that_mends_it() {
    // Where the tests' user may create extensions, nobody may in a read-only session.
    let read_only = |database: &TestDatabase| {
        let separator = if database.url.contains('?') { '&' } else { '?' };
        format!("{}{separator}options=-c%20default_transaction_read_only%3Don", database.url)
    };
    let without = TestDatabase::create_bare().await;
    let refused = connect(&read_only(&without)).await.expect_err("it may not be created").to_string();
    let expected = "pgvector is not installed in this database; as a superuser run in it: CREATE EXTENSION vector (";
    assert!(refused.starts_with(expected), "{refused}");

    let with = TestDatabase::create_empty().await;
    let store = connect(&read_only(&with)).await.expect("it is there, so nothing is to be created");
    let version = store.pgvector_version().await.expect("answers");
    assert!(version.is_some_and(|version| version.starts_with("0.")));
}

#[tokio::test(flavor = "multi_thread")]
async fn migrating_tells_how_many_steps_it_went() {
    let database = TestDatabase::create().await;
    let (dir, all) = (temporary_directory(), Migrator::migrations().len());
    for (arguments, sentence) in [
        (&["migrate", "down", "3"][..], "undid 3 migrations".to_owned()),
        (&["migrate", "up"], "applied 3 migrations: the schema is up to date".to_owned()),
        (&["migrate", "up"], "nothing to migrate: the schema is up to date".to_owned()),
        (&["migrate", "down"], "undid 1 migration".to_owned()),
        (&["migrate", "down", "999"], format!("undid {} migrations of 999: no more were applied", all - 1)),
        (&["migrate", "down", "999"], "nothing to undo: no migration is applied".to_owned()),
    ] {
        let mut command = vectorforge(dir.path(), arguments);
        command.env("DATABASE_URL", &database.url);
        let (code, said) = Running::start(command, dir.path()).outcome().await;
        assert_eq!(code, Some(0), "{said}");
        assert!(said.lines().any(|line| line.ends_with(&sentence)), "no `{sentence}` in: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_cannot_be_undone_with_what_is_stored_says_so_in_one_sentence_and_stays() {
    let app = TestApp::builder().without_workers().start().await;
    let collection = app.collection("docs").await;
    app.ingest(&collection, json!([{ "source": { "text": "words" }, "sourceUri": longest(1) }])).await;
    let before = schema(&app.database).await;
    let dir = temporary_directory();
    let mut command = vectorforge(dir.path(), &["migrate", "down", "999"]);
    command.env("DATABASE_URL", &app.database.url);
    let (code, said) = Running::start(command, dir.path()).outcome().await;
    assert_eq!(code, Some(1), "{said}");
    let errors: Vec<_> = said.lines().filter(|line| line.contains("ERROR")).collect();
    let begin = "could not undo m0026_document_sources, and left it as it is: what is stored does not fit the schema \
        before it (index row size ";
    let end = "delete that, and give the same command again";
    assert!(matches!(errors[..], [error] if error.contains(begin) && error.ends_with(end)), "{said}");
    assert!(!said.contains("CREATE UNIQUE INDEX"), "{said}");
    assert_eq!(schema(&app.database).await, before);
}
