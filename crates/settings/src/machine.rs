//! What the defaults need to know of the machine, as an argument so that tests decide it.

use std::env;
use std::path::PathBuf;
use std::thread::available_parallelism;

/// Where a system service keeps its state (Filesystem Hierarchy Standard 3.0, `/var/lib`).
const SYSTEM_DATA_DIR: &str = "/var/lib/vectorforge";

/// The facts that computed defaults are made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Processor cores that this process may use, at least 1.
    pub cores: usize,
    /// Whether the process runs as root, who keeps data in `/var/lib` instead of at home.
    pub root: bool,
    /// The user's home directory, where known.
    pub home: Option<PathBuf>,
    /// `XDG_DATA_HOME`, where set.
    pub xdg_data_home: Option<PathBuf>,
}

impl Machine {
    /// The machine and user that this process runs on and as.
    pub fn of_process() -> Self {
        Self {
            cores: available_parallelism().map_or(1, usize::from),
            root: rustix::process::geteuid().is_root(),
            home: env::home_dir(),
            xdg_data_home: env::var_os("XDG_DATA_HOME").map(PathBuf::from),
        }
    }

    /// Where data goes by default. A user without a home is a system account and gets the system's place.
    pub(super) fn data_dir(&self) -> PathBuf {
        // The XDG base directory specification says to ignore a path that is not absolute.
        let absolute = |path: &PathBuf| path.is_absolute();
        let xdg = self.xdg_data_home.clone().filter(absolute);
        let user_data = xdg.or_else(|| Some(self.home.clone().filter(absolute)?.join(".local/share")));
        match user_data {
            Some(directory) if !self.root => directory.join("vectorforge"),
            _ => PathBuf::from(SYSTEM_DATA_DIR),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_goes_to_the_system_for_root_and_to_xdg_or_home_for_a_user() {
        for (root, xdg, home, expected) in [
            (true, Some("/xdg"), Some("/home/u"), SYSTEM_DATA_DIR),
            (false, Some("/xdg"), Some("/home/u"), "/xdg/vectorforge"),
            (false, Some("relative"), Some("/home/u"), "/home/u/.local/share/vectorforge"),
            (false, None, Some("/home/u"), "/home/u/.local/share/vectorforge"),
            (false, None, None, SYSTEM_DATA_DIR),
        ] {
            let machine =
                Machine { cores: 1, root, home: home.map(PathBuf::from), xdg_data_home: xdg.map(PathBuf::from) };
            assert_eq!(machine.data_dir(), PathBuf::from(expected), "for {machine:?}");
        }
    }
}
