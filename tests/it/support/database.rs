//! One PostgreSQL per test run, migrated once into a template; one copy per test. `TEST_DATABASE_URL` (a server where
//! the user may create databases) takes the place of our own.

use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use embedded_postgres::{Durability, Server, ServerSettings};
use settings::{Config, Machine, Sources};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use vectorforge::store::Store;

static CLUSTER: OnceLock<Cluster> = OnceLock::new();

/// The run's server.
struct Cluster {
    url: String,
    template: String,
    _server: Option<(Server, Cleaner)>,
}

/// Removes the server's directory when this process is gone, however it went: statics are never dropped.
struct Cleaner(#[expect(dead_code, reason = "its standard input closes when this process ends")] Child);

/// A database of one test, dropped with it.
pub struct TestDatabase {
    /// Its URL.
    pub url: String,
    /// `None`: another process drops it.
    name: Option<String>,
}

impl TestDatabase {
    /// A copy of the migrated template.
    pub async fn create() -> Self {
        let cluster = tokio::task::spawn_blocking(|| CLUSTER.get_or_init(|| apart(Cluster::start()))).await;
        let cluster = cluster.expect("the test server starts");
        let name = format!("test_{}", uuid::Uuid::now_v7().simple());
        run(&cluster.url, &format!("CREATE DATABASE {name} TEMPLATE {}", cluster.template)).await;
        Self { url: with_database(&cluster.url, &name), name: Some(name) }
    }

    /// An empty database: no tables yet.
    pub async fn create_empty() -> Self {
        let template = Self::create().await;
        let cluster = CLUSTER.get().expect("started above");
        let name = format!("empty_{}", uuid::Uuid::now_v7().simple());
        run(&cluster.url, &format!("CREATE DATABASE {name}")).await;
        drop(template);
        Self { url: with_database(&cluster.url, &name), name: Some(name) }
    }

    /// An empty database without extensions.
    pub async fn create_bare() -> Self {
        drop(Self::create().await);
        let cluster = CLUSTER.get().expect("started above");
        let name = format!("bare_{}", uuid::Uuid::now_v7().simple());
        run(&cluster.url, &format!("CREATE DATABASE {name} TEMPLATE template0")).await;
        Self { url: with_database(&cluster.url, &name), name: Some(name) }
    }

    /// One that another process made and will drop.
    pub fn of_another(url: String) -> Self {
        Self { url, name: None }
    }

    /// Takes the database away from everyone, or gives it back. Connections there are end.
    pub async fn set_reachable(&self, is_reachable: bool) {
        let (name, url) = (self.name.as_ref().expect("our own database"), &CLUSTER.get().expect("started").url);
        run(url, &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {is_reachable}")).await;
        run(url, &format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")).await;
    }

    /// Runs a statement, as an operator would.
    pub async fn execute(&self, sql: &str) {
        run(&self.url, sql).await;
    }

    /// The number that a query gives.
    pub async fn number(&self, sql: &str) -> i64 {
        let mut connection = PgConnection::connect(&self.url).await.expect("the test database answers");
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await.expect(sql)
    }

    /// The first column of a query's rows, which must be texts.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        let mut connection = PgConnection::connect(&self.url).await.expect("the test database answers");
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_all(&mut connection).await.expect(sql)
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Some(name) = self.name.take() else { return };
        let url = CLUSTER.get().expect("a database has a server").url.clone();
        apart(async move { drop_database(&url, &name).await });
    }
}

impl Cluster {
    async fn start() -> Self {
        let (url, server) = match std::env::var("TEST_DATABASE_URL") {
            Ok(url) => (url, None),
            Err(_) => {
                let (server, cleaner) = own_server().await;
                (server.url().to_owned(), Some((server, cleaner)))
            }
        };
        let template = format!("template_{}", uuid::Uuid::now_v7().simple());
        run(&url, &format!("CREATE DATABASE {template}")).await;
        let store = Store::connect(&settings().database, &with_database(&url, &template)).await.expect("connects");
        store.migrate().await.expect("migrates");
        store.close().await;
        Self { url, template, _server: server }
    }
}

async fn own_server() -> (Server, Cleaner) {
    let dir = tempfile::Builder::new().prefix("vectorforge-test-").tempdir().expect("a temporary directory").keep();
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).expect("our own directory");
    let cleaner = Command::new("sh")
        .args([
            "-c",
            "trap '' INT TERM HUP; read -r _; for _ in 1 2 3 4 5 6 7 8 9 10; do rm -rf \"$0\" && exit; sleep 1; done",
        ])
        .arg(&dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh is there");
    let settings = ServerSettings {
        durability: Durability::None,
        max_connections: 400,
        ..ServerSettings::new(dir.join("data"), settings::runtime_dirs(None))
    };
    (Server::start(settings).await.expect("the test server starts"), Cleaner(cleaner))
}

/// Settings as a bare machine has them.
pub fn settings() -> Config {
    let machine = Machine { cores: 2, root: false, home: None, xdg_data_home: None };
    let sources = Sources { overrides: vec![("data_dir".into(), "/nowhere".into())], ..Sources::default() };
    Config::load(&sources, &machine).expect("the defaults are valid")
}

/// `FORCE` may not end the server's own processes: while autovacuum is at work in the database, the drop is refused.
async fn drop_database(url: &str, name: &str) {
    let mut connection = PgConnection::connect(url).await.expect("the test server answers");
    let sql = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
    for attempt in 0_u64.. {
        match sqlx::raw_sql(AssertSqlSafe(sql.clone())).execute(&mut connection).await {
            Ok(_) => return,
            Err(refused) if attempt == 50 => panic!("{sql}: {refused}"),
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(20 * attempt)).await,
        }
    }
}

async fn run(url: &str, sql: &str) {
    let mut connection = PgConnection::connect(url).await.expect("the test server answers");
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.expect(sql);
}

/// The URL with another database in its path.
fn with_database(url: &str, name: &str) -> String {
    let (address, query) = url.split_once('?').map_or((url, None), |(address, query)| (address, Some(query)));
    let (server, _) = address.rsplit_once('/').expect("a URL with a database");
    format!("{server}/{name}{}", query.map(|query| format!("?{query}")).unwrap_or_default())
}

/// Runs a future to its end on a thread and runtime of its own: each test's runtime ends with the test.
fn apart<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    let work = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(future)
    };
    std::thread::spawn(work).join().expect("the work ends")
}
