//! Which operating-system user PostgreSQL runs as, and what that user can reach.

use std::{
    fs, io,
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
};

use crate::error::ServerError;

/// Accounts to serve as when root starts us, in order of preference.
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];

/// The user PostgreSQL runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    name: String,
    uid: u32,
    gid: u32,
    /// We are root and PostgreSQL runs as this other user.
    switched: bool,
}

impl Account {
    /// Ourselves; but for root the owner of the existing `cluster`, else the first account of `UNPRIVILEGED`.
    ///
    /// The owner comes first because giving a whole cluster to another user would lock its first owner out.
    pub(crate) fn choose(cluster: &Path) -> Result<Self, ServerError> {
        let uid = rustix::process::geteuid();
        if !uid.is_root() {
            let gid = rustix::process::getegid();
            return Ok(Self::ourselves(uid.as_raw(), gid.as_raw()));
        }
        let owner = fs::metadata(cluster).ok().filter(|m| m.uid() != 0);
        if let Some(owner) = owner {
            return Ok(Self::other(format!("id {}", owner.uid()), owner.uid(), owner.gid()));
        }
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        UNPRIVILEGED.iter().find_map(|name| Self::from_passwd(&passwd, name)).ok_or(ServerError::NoAccount)
    }

    fn ourselves(uid: u32, gid: u32) -> Self {
        Self { name: format!("id {uid}"), uid, gid, switched: false }
    }

    fn other(name: String, uid: u32, gid: u32) -> Self {
        Self { name, uid, gid, switched: true }
    }

    /// The line of `name` in the text of a passwd file (passwd(5)). These are local system accounts, so directory
    /// services need not be asked.
    fn from_passwd(passwd: &str, name: &str) -> Option<Self> {
        let lines = passwd.lines().map(|line| line.split(':'));
        lines.into_iter().find_map(|mut fields| {
            if fields.next()? != name {
                return None;
            }
            let uid = fields.nth(1)?.parse().ok().filter(|&uid| uid != 0)?;
            let gid = fields.next()?.parse().ok()?;
            Some(Self::other(format!("\"{name}\""), uid, gid))
        })
    }

    /// For messages: a quoted name or `id N`.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn uid(&self) -> u32 {
        self.uid
    }

    /// Whether this is another user than the one we run as.
    pub(crate) fn is_switched(&self) -> bool {
        self.switched
    }

    /// Makes `command` run as this user, without our supplementary groups.
    pub(crate) fn apply(&self, command: &mut Command) {
        if self.switched {
            command.uid(self.uid).gid(self.gid);
        }
    }

    /// Makes this user the owner of `path` itself.
    pub(crate) fn give(&self, path: &Path) -> io::Result<()> {
        if !self.switched {
            return Ok(());
        }
        chown(path, Some(self.uid), Some(self.gid))
    }

    /// Fails if this user may not enter `dir` or one of its parents. Mode bits only: an access list that grants more
    /// is not seen.
    pub(crate) fn check_reach(&self, dir: &Path) -> Result<(), ServerError> {
        if !self.switched {
            return Ok(());
        }
        match self.blocked_at(dir) {
            None => Ok(()),
            Some(blocked) => {
                Err(ServerError::Unreachable { account: self.name.clone(), blocked, path: dir.to_owned() })
            }
        }
    }

    fn blocked_at(&self, dir: &Path) -> Option<PathBuf> {
        let is_closed =
            |parent: &&Path| !fs::metadata(parent).is_ok_and(|m| self.may_enter(m.mode(), m.uid(), m.gid()));
        // The last is the nearest to the root.
        dir.ancestors().filter(is_closed).last().map(Path::to_owned)
    }

    /// The search permission of a directory (path_resolution(7)): the first class that matches decides.
    fn may_enter(&self, mode: u32, owner: u32, group: u32) -> bool {
        let search_bit = if self.uid == owner {
            0o100
        } else if self.gid == group {
            0o010
        } else {
            0o001
        };
        mode & search_bit != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
        # a comment\n\
        postgresql:x:7:7::/:/bin/false\n\
        postgres:x:101:104:PostgreSQL,,,:/var/lib/postgresql:/bin/bash\n\
        broken:x:ten:10::/:/bin/false\n\
        toor:x:0:0::/root:/bin/sh\n";

    #[test]
    fn an_account_is_read_from_its_own_passwd_line_only() {
        let found = Account::from_passwd(PASSWD, "postgres").expect("listed");
        assert_eq!((found.name(), found.uid, found.gid), ("\"postgres\"", 101, 104));
        for absent in ["nobody", "postgre", "broken", "# a comment"] {
            assert_eq!(Account::from_passwd(PASSWD, absent), None, "{absent}");
        }
    }

    #[test]
    fn another_name_of_root_is_no_account_to_serve_as() {
        assert_eq!(Account::from_passwd(PASSWD, "toor"), None);
    }

    #[test]
    fn the_first_class_that_matches_decides_who_may_enter() {
        let account = Account::other("me".into(), 10, 20);
        for (mode, owner, group, expected) in [
            (0o700, 10, 99, true),
            (0o077, 10, 20, false),
            (0o010, 1, 20, true),
            (0o701, 1, 20, false),
            (0o701, 1, 2, true),
            (0o770, 1, 2, false),
            (0o004, 1, 2, false),
        ] {
            let got = account.may_enter(mode, owner, group);
            assert_eq!(got, expected, "mode {mode:o} owner {owner} group {group}");
        }
    }
}
