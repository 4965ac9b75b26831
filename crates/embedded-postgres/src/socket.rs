//! Where the server listens: a Unix socket in a directory only its account can enter, and a loopback port if wanted.

use std::{
    collections::hash_map::DefaultHasher,
    fs,
    hash::{Hash, Hasher},
    io,
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use crate::{account::Account, error::ServerError};

/// Longest path of a socket, in bytes: `sun_path` has 108 with its zero on Linux, 104 on macOS.
const MAX_SOCKET_PATH: usize = 103;
/// Longest name PostgreSQL gives a socket.
const LONGEST_NAME: &str = "/.s.PGSQL.65535.lock";
/// A socket's name contains a port also when no TCP port is open.
const DEFAULT_PORT: u16 = 5432;

/// Where a server listens.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    /// Directory of the socket, mode 0700.
    pub(crate) socket_dir: PathBuf,
    /// TCP port, and part of the socket's name.
    pub(crate) port: u16,
    /// Whether the TCP port is open on 127.0.0.1.
    pub(crate) tcp: bool,
}

impl Endpoint {
    /// Makes the socket's directory and picks the port. A free port (`Some(0)`) is found by taking it for a moment;
    /// should another program take it before PostgreSQL does, the start fails and may be tried again.
    pub(crate) fn prepare(data_dir: &Path, port: Option<u16>, account: &Account) -> Result<Self, ServerError> {
        let socket_dir = socket_dir(data_dir, account.uid());
        make_private(&socket_dir, account)?;
        let tcp = port.is_some();
        let port = match port {
            None => DEFAULT_PORT,
            Some(wanted) => available(wanted)?,
        };
        Ok(Self { socket_dir, port, tcp })
    }

    /// PostgreSQL's settings for it.
    pub(crate) fn options(&self) -> [(String, String); 3] {
        let addresses = if self.tcp { "127.0.0.1" } else { "" };
        // The value is a list: quotes keep a comma or a space in the path from dividing it.
        let quoted = self.socket_dir.to_string_lossy().replace('"', "\"\"");
        [
            ("listen_addresses".to_owned(), addresses.to_owned()),
            ("port".to_owned(), self.port.to_string()),
            ("unix_socket_directories".to_owned(), format!("\"{quoted}\"")),
        ]
    }

    /// Connection string over the socket, without a password.
    pub(crate) fn socket_url(&self, user: &str, database: &str) -> String {
        let dir = percent_encoded(&self.socket_dir.to_string_lossy());
        format!("postgres:///{database}?host={dir}&port={}&user={user}", self.port)
    }

    /// Connection string over TCP, with the password.
    pub(crate) fn tcp_url(&self, user: &str, password: &str, database: &str) -> String {
        format!("postgres://{user}:{password}@127.0.0.1:{}/{database}", self.port)
    }
}

/// Inside the data directory, or a short path in `/tmp` where that one is too long for a socket (or not UTF-8, which
/// neither a connection string nor PostgreSQL's settings carry).
fn socket_dir(data_dir: &Path, uid: u32) -> PathBuf {
    let inside = data_dir.join("socket");
    let fits = |path: &str| path.len() + LONGEST_NAME.len() <= MAX_SOCKET_PATH;
    if inside.to_str().is_some_and(fits) {
        return inside;
    }
    // Need not be the same for the next build: nobody looks for it but this process.
    let mut hasher = DefaultHasher::new();
    data_dir.hash(&mut hasher);
    PathBuf::from(format!("/tmp/vectorforge-{uid}-{:016x}", hasher.finish()))
}

/// Creates `dir` with mode 0700 for `account`, or accepts it as it was left. In `/tmp` anybody may have put something
/// else there first, in order to sit between us and the server: a link, or a directory of their own.
fn make_private(dir: &Path, account: &Account) -> Result<(), ServerError> {
    let refuse = |reason: String| ServerError::SocketDir { path: dir.to_owned(), reason };
    match fs::DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => return account.give(dir).map_err(|e| refuse(e.to_string())),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(refuse(error.to_string())),
    }
    let found = fs::symlink_metadata(dir).map_err(|e| refuse(e.to_string()))?;
    if !found.is_dir() {
        return Err(refuse("it is not a directory".to_owned()));
    }
    if found.uid() != account.uid() {
        return Err(refuse(format!("it belongs to user id {}, not to {}", found.uid(), account.name())));
    }
    if found.mode() & 0o077 != 0 {
        return Err(refuse(format!("its mode is {:o}, not 700", found.mode() & 0o777)));
    }
    Ok(())
}

/// Checks that a loopback port can be had now; 0 becomes a free one.
fn available(port: u16) -> Result<u16, ServerError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let address = listener.and_then(|listener| listener.local_addr());
    match address {
        Ok(address) => Ok(address.port()),
        Err(source) => Err(ServerError::Port { port, source }),
    }
}

/// Percent-encoding for a query value (RFC 3986, section 2.1).
fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_socket_lies_in_the_data_directory_unless_its_path_is_too_long() {
        let short = Path::new("/var/lib/vectorforge");
        assert_eq!(socket_dir(short, 7), short.join("socket"));

        let long = PathBuf::from(format!("/{}", "long/".repeat(20)));
        let dir = socket_dir(&long, 7);
        assert!(dir.starts_with("/tmp") && dir.as_os_str().len() < 50, "{}", dir.display());
        assert_ne!(dir, socket_dir(&long.join("other"), 7), "each data directory has its own");
    }

    proptest! {
        #[test]
        fn a_socket_path_always_fits_its_limit(data_dir in "(/[a-zé ,]{1,30}){1,8}") {
            let dir = socket_dir(Path::new(&data_dir), u32::MAX);
            prop_assert!(dir.as_os_str().len() + LONGEST_NAME.len() <= MAX_SOCKET_PATH);
        }
    }

    #[test]
    fn a_link_or_an_open_directory_is_refused_as_socket_directory() {
        let temp = tempfile::tempdir().expect("temporary directory");
        let account = Account::choose(Path::new("/nonexistent")).expect("an account");
        let private = temp.path().join("private");
        make_private(&private, &account).expect("fresh");
        make_private(&private, &account).expect("left over from last time");

        let link = temp.path().join("link");
        symlink(&private, &link).expect("link");
        let open = temp.path().join("open");
        fs::DirBuilder::new().mode(0o755).create(&open).expect("directory");
        account.give(&open).expect("give");
        for (dir, reason) in [(link, "it is not a directory"), (open, "its mode is 755, not 700")] {
            let message = make_private(&dir, &account).expect_err("unsafe").to_string();
            assert!(message.contains(reason), "{message}");
        }
    }

    #[test]
    fn a_path_is_encoded_for_a_connection_string() {
        for (path, expected) in [("/a/b-c_d.e~", "/a/b-c_d.e~"), ("/a b&c?é+", "/a%20b%26c%3F%C3%A9%2B")] {
            assert_eq!(percent_encoded(path), expected);
        }
    }

    #[test]
    fn a_taken_port_is_named_in_the_refusal() {
        let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = holder.local_addr().expect("bound").port();
        let message = available(port).expect_err("taken").to_string();
        assert!(message.contains(&format!("127.0.0.1:{port}")), "{message}");
    }
}
