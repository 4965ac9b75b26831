//! Where the PostgreSQL programs and the model are that come along.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// The directory that `make runtime` fills.
const DIR: &str = ".runtime";

/// Directories that may hold what `make runtime` fetched: the one that is set, otherwise the usual places.
pub fn runtime_dirs(set: Option<&Path>) -> Vec<PathBuf> {
    match set {
        Some(dir) => vec![dir.to_owned()],
        None => {
            let current_dir = std::env::current_dir().unwrap_or_default();
            let executable = std::env::current_exe().unwrap_or_default();
            usual_places(&current_dir, &executable)
        }
    }
}

/// Directories to look in: `.runtime` in the current directory, then beside the executable and in each of its
/// parents, so that `target/release/vectorforge` finds the checkout's.
fn usual_places(current_dir: &Path, executable: &Path) -> Vec<PathBuf> {
    let parents = executable.ancestors().skip(1);
    let mut places: Vec<PathBuf> = std::iter::once(current_dir).chain(parents).map(|dir| dir.join(DIR)).collect();
    let mut seen = HashSet::new();
    places.retain(|place| seen.insert(place.clone()));
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_current_directory_comes_first_then_the_executables_parents() {
        let places = usual_places(Path::new("/a"), Path::new("/a/target/debug/vectorforge"));
        let expected = ["/a/.runtime", "/a/target/debug/.runtime", "/a/target/.runtime", "/.runtime"];
        assert_eq!(places, expected.map(PathBuf::from));
    }
}
