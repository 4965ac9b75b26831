//! The start, step by step.

use std::{
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    DATABASE, ROLE, Server, ServerError, ServerSettings,
    account::Account,
    child::{self, Signal},
    cluster::{self, NewCluster},
    lock::DirLock,
    log::Log,
    orphan,
    process::Process,
    runtime::{self, Runtime},
    socket::Endpoint,
    start::Start,
};

/// A server that nobody has used yet needs no checkpoint: a recovery that does not stop within this is killed.
const ABANDONED_TIMEOUT: Duration = Duration::from_secs(1);

/// Everything from nothing to a server that accepts connections, or, where it is abandoned, to nothing again. Blocks the
/// thread.
pub(crate) fn launch(settings: &ServerSettings, start: &Start) -> Result<Server, ServerError> {
    let began = Instant::now();
    let runtime_root = find_runtime(&settings.runtime_dirs)?;
    let data_dir = std::path::absolute(&settings.data_dir).map_err(ServerError::unwritable(&settings.data_dir))?;
    let account = Account::choose(&cluster::path(&data_dir))?;
    let data_dir = prepare_data_dir(&data_dir, &account)?;
    let lock = DirLock::take(&data_dir, &account)?;

    let runtime = Runtime::open(&runtime_root, &account, &data_dir)?;
    let cluster = prepare_cluster(settings, &data_dir, &runtime, &account, start)?;
    let endpoint = Endpoint::prepare(&data_dir, settings.port, &account)?;
    let password = endpoint.tcp.then(|| cluster::password(&cluster));
    let password = password.transpose()?;

    let (log, log_file) = Log::open(&data_dir, &account)?;
    let mut command = server_command(settings, &runtime, &account, &cluster, &endpoint);
    command.stdout(Stdio::null()).stderr(log_file);
    let process = Process::spawn(command, settings.stop_timeout).map_err(ServerError::io("run postgres"))?;
    wait_ready(&process, &cluster, settings, &log, start)?;
    tracing::info!(
        pid = process.pid().as_raw_pid(),
        data_dir = %data_dir.display(),
        elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        "PostgreSQL is ready"
    );
    Ok(Server { process, lock, url: endpoint.socket_url(ROLE, DATABASE), endpoint, log, password })
}

fn find_runtime(places: &[PathBuf]) -> Result<PathBuf, ServerError> {
    let found = runtime::find(places)?;
    // Programs are started from another directory than ours.
    let doing = format!("resolve {}", found.display());
    std::path::absolute(found).map_err(ServerError::io(doing))
}

/// Makes the data directory if it is not there, and returns its path without links.
///
/// One that is new or empty is given to the account. One with something in it may have another purpose too, so its
/// owner and mode stay: the account must be able to enter it.
fn prepare_data_dir(data_dir: &Path, account: &Account) -> Result<PathBuf, ServerError> {
    let made = fs::create_dir_all(data_dir.parent().unwrap_or(data_dir)).and_then(|()| {
        if !data_dir.is_dir() {
            fs::DirBuilder::new().mode(0o700).create(data_dir)?;
        }
        if fs::read_dir(data_dir)?.next().is_none() {
            account.give(data_dir)?;
        }
        data_dir.canonicalize()
    });
    let data_dir = made.map_err(ServerError::unwritable(data_dir))?;
    account.check_reach(&data_dir)?;
    Ok(data_dir)
}

fn prepare_cluster(
    settings: &ServerSettings,
    data_dir: &Path,
    runtime: &Runtime,
    account: &Account,
    start: &Start,
) -> Result<PathBuf, ServerError> {
    let cluster = cluster::path(data_dir);
    if cluster.exists() {
        cluster::check(&cluster, runtime.major(), account)?;
        orphan::stop_all(&cluster, settings.stop_timeout, start)?;
        return Ok(cluster);
    }
    tracing::info!(cluster = %cluster.display(), "creating the database cluster");
    let new = NewCluster { data_dir, runtime, account, durability: settings.durability, start };
    new.create()?;
    Ok(cluster)
}

/// SIGINT at our death is a fast shutdown: the next start finds a clean cluster.
fn server_command(
    settings: &ServerSettings,
    runtime: &Runtime,
    account: &Account,
    cluster: &Path,
    endpoint: &Endpoint,
) -> Command {
    let mut command = child::command(runtime.program("postgres"), account, cluster, Signal::INT);
    command.arg("-D").arg(cluster);
    for (name, value) in endpoint.options().into_iter().chain(settings.options()) {
        command.arg("-c").arg(format!("{name}={value}"));
    }
    command
}

/// The process is stopped by its drop if this fails.
fn wait_ready(
    process: &Process,
    cluster: &Path,
    settings: &ServerSettings,
    log: &Log,
    start: &Start,
) -> Result<(), ServerError> {
    match process.wait_ready(cluster, settings.start_timeout, start) {
        _ if start.check().is_err() => process.stop_within(ABANDONED_TIMEOUT).and_then(|()| start.check()),
        Some(Ok(())) => Ok(()),
        Some(Err(status)) => Err(ServerError::NotStarted { status, log: log.path().to_owned(), tail: log.tail() }),
        None => Err(ServerError::StartTimeout {
            waited: settings.start_timeout,
            log: log.path().to_owned(),
            tail: log.tail(),
        }),
    }
}
