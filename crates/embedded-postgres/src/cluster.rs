//! The database cluster: made once, whole or not at all, and checked at every later start.

use std::{
    fs::{self, File},
    io::{Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use crate::{
    DATABASE, Durability, ROLE,
    account::Account,
    child::{self, Signal},
    error::ServerError,
    runtime::{Runtime, remove_tree},
    start::Start,
    wait::wait_for,
};

/// The cluster's directory inside the data directory.
const DIR: &str = "postgres";
/// Where a cluster is made: this and a random ending. Whatever has such a name is the rest of an interrupted attempt.
const UNFINISHED_PREFIX: &str = "postgres.new-";
/// Long enough for the programs of a killed `initdb` to see that it is gone.
const CLEAR_TIMEOUT: Duration = Duration::from_secs(5);
/// No two attempts in one directory, which the lock allows only one after the other, meet by this many bytes.
const ENDING_BYTES: usize = 8;
/// Inside the cluster, so that it appears together with the role it belongs to.
const PASSWORD_FILE: &str = "vectorforge.password";
/// 256 bits: beyond guessing, over a loopback port or not.
const PASSWORD_BYTES: usize = 32;
/// Owns the cluster, creates the extension; nothing connects as it in operation.
const SUPERUSER: &str = "postgres";

/// Where the cluster of `data_dir` lies, or will.
pub(crate) fn path(data_dir: &Path) -> PathBuf {
    data_dir.join(DIR)
}

/// The password of [`ROLE`] over TCP.
pub(crate) fn password(cluster: &Path) -> Result<String, ServerError> {
    let path = cluster.join(PASSWORD_FILE);
    let doing = format!("read the password in {}", path.display());
    fs::read_to_string(path).map_err(ServerError::io(doing))
}

/// Fails unless PostgreSQL of version `major` can serve the existing `cluster` as `account`.
pub(crate) fn check(cluster: &Path, major: &str, account: &Account) -> Result<(), ServerError> {
    let doing = format!("read {}", cluster.display());
    let owner = fs::metadata(cluster).map_err(ServerError::io(doing))?.uid();
    if owner != account.uid() {
        return Err(ServerError::WrongOwner { path: cluster.to_owned(), owner, account: account.name().to_owned() });
    }
    let Ok(found) = fs::read_to_string(cluster.join("PG_VERSION")) else {
        return Err(ServerError::NotACluster { path: cluster.to_owned() });
    };
    if found.trim() != major {
        return Err(ServerError::WrongMajor {
            path: cluster.to_owned(),
            found: found.trim().to_owned(),
            expected: major.to_owned(),
        });
    }
    Ok(())
}

/// What it takes to make a cluster.
pub(crate) struct NewCluster<'a> {
    pub(crate) data_dir: &'a Path,
    pub(crate) runtime: &'a Runtime,
    pub(crate) account: &'a Account,
    pub(crate) durability: Durability,
    pub(crate) start: &'a Start,
}

impl NewCluster<'_> {
    /// Makes the cluster with role, database and extension beside its place and renames it there, so that a crash at
    /// any moment leaves either nothing or all of it.
    pub(crate) fn create(&self) -> Result<(), ServerError> {
        clear_unfinished(self.data_dir)?;
        let ending = random_hex(ENDING_BYTES)?;
        let password = random_hex(PASSWORD_BYTES)?;
        let unfinished = self.data_dir.join(format!("{UNFINISHED_PREFIX}{ending}"));
        let mut private = fs::DirBuilder::new();
        let made = private.mode(0o700).create(&unfinished);
        let made = made.and_then(|()| self.account.give(&unfinished));
        made.map_err(ServerError::unwritable(&unfinished))?;
        self.run_initdb(&unfinished)?;
        self.run_statements(&unfinished, &password)?;
        self.write_password(&unfinished, &password)?;
        self.sync_all(&unfinished)?;

        let place = path(self.data_dir);
        let renamed = fs::rename(&unfinished, &place).and_then(|()| File::open(self.data_dir)?.sync_all());
        renamed.map_err(ServerError::unwritable(place))
    }

    fn run_initdb(&self, cluster: &Path) -> Result<(), ServerError> {
        let initdb = self.runtime.program("initdb");
        let mut command = child::command(&initdb, self.account, self.data_dir, Signal::KILL);
        command.arg("--pgdata").arg(cluster).args([
            // The same order and the same case rules on every machine, whatever its C library: an index of text must
            // survive an upgrade of the system.
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            // Only the account itself can enter the socket's directory; everybody can reach a TCP port.
            "--auth-local=trust",
            "--auth-host=scram-sha-256",
            "--no-instructions",
            // Written to disk once, by `sync_all`.
            "--no-sync",
        ]);
        command.arg("--username").arg(SUPERUSER);
        self.run("initdb", "run initdb", &mut command)
    }

    /// Runs the first statements without a server: PostgreSQL's single-user mode takes one statement per line.
    fn run_statements(&self, cluster: &Path, password: &str) -> Result<(), ServerError> {
        let postgres = self.runtime.program("postgres");
        let mut child = child::command(&postgres, self.account, self.data_dir, Signal::KILL)
            .args(["--single", "-c", "exit_on_error=on", "-c", "fsync=off", "-D"])
            .arg(cluster)
            .arg("template1")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(ServerError::io("run postgres"))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that failed early reads no more; its own words, below, say why.
            let _ = stdin.write_all(first_statements(password).as_bytes());
        }
        succeeded("postgres", &self.start.wait(child, "run postgres")?)
    }

    /// Runs a program that says on standard error what it complains of.
    fn run(&self, program: &'static str, doing: &'static str, command: &mut Command) -> Result<(), ServerError> {
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(ServerError::io(doing))?;
        succeeded(program, &self.start.wait(child, doing)?)
    }

    fn write_password(&self, cluster: &Path, password: &str) -> Result<(), ServerError> {
        let path = cluster.join(PASSWORD_FILE);
        let mut options = File::options();
        let created = options.write(true).create_new(true).mode(0o600).open(&path);
        let written = created.and_then(|mut file| {
            file.write_all(password.as_bytes())?;
            self.account.give(&path)
        });
        written.map_err(ServerError::unwritable(path))
    }

    /// Puts the finished cluster on disk before its name says that it is whole.
    fn sync_all(&self, cluster: &Path) -> Result<(), ServerError> {
        if self.durability == Durability::None {
            return Ok(());
        }
        let initdb = self.runtime.program("initdb");
        let mut command = child::command(&initdb, self.account, self.data_dir, Signal::KILL);
        command.args(["--sync-only", "--pgdata"]).arg(cluster);
        self.run("initdb", "run initdb", &mut command)
    }
}

/// Removes what interrupted attempts left. The programs that a killed `initdb` had started may write there for another
/// moment; hence the retries, and hence a new name for each attempt: they must not write into the next one.
fn clear_unfinished(data_dir: &Path) -> Result<(), ServerError> {
    let entries = fs::read_dir(data_dir).map_err(ServerError::unwritable(data_dir))?;
    for entry in entries.flatten() {
        let name = entry.file_name();
        if !name.to_string_lossy().starts_with(UNFINISHED_PREFIX) {
            continue;
        }
        let path = entry.path();
        if wait_for(CLEAR_TIMEOUT, || remove_tree(&path).ok()).is_none() {
            remove_tree(&path).map_err(ServerError::unwritable(path))?;
        }
    }
    Ok(())
}

/// Run in `template1`, so that every database made later has the extension too. Our role is an ordinary one, as on a
/// managed PostgreSQL: a statement that slips in cannot run programs or read files. It may create databases (tests
/// copy a template) and read the server's statistics.
fn first_statements(password: &str) -> String {
    format!(
        "CREATE EXTENSION vector\n\
         CREATE ROLE {ROLE} LOGIN CREATEDB IN ROLE pg_monitor PASSWORD '{password}'\n\
         CREATE DATABASE {DATABASE} OWNER {ROLE}\n"
    )
}

fn succeeded(program: &'static str, output: &Output) -> Result<(), ServerError> {
    if output.status.success() {
        return Ok(());
    }
    Err(ServerError::Init { program, status: output.status, output: child::last_lines(&output.stderr) })
}

/// `len` random bytes, two digits each.
fn random_hex(len: usize) -> Result<String, ServerError> {
    let mut bytes = vec![0; len];
    let filled = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    filled.map_err(ServerError::io("read /dev/urandom"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
