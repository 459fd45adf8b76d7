//! What the process may do once its sockets are bound: less. Started as root it becomes the user that the configuration names; and whoever is
//! not root lets go of what it has of root's rights. All this before the first packet is read and before the first thread is started, as
//! a thread has its rights from the one that starts it.

use std::ffi::CString;
use std::fs;
use std::io;
use std::ops::RangeInclusive;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, Uid, User, geteuid, getgrouplist, setgroups, setresgid, setresuid};
use rustix::fs::Access;
use rustix::io::Errno;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set, set_capabilities,
    set_no_new_privs,
};

use crate::config::Server;

/// The user that the process becomes.
#[derive(Debug)]
pub(super) struct Target {
    name: String,
    pub(super) uid: Uid,
    pub(super) gid: Gid,
    groups: Vec<Gid>,
}

impl Target {
    /// The user of the configuration, if we are root; none: we stay who we are.
    pub(super) fn of(server: &Server) -> Result<Option<Self>, String> {
        let Some(name) = &server.user else {
            if geteuid().is_root() {
                tracing::warn!("it stays root, as `user` of [server] names nobody else");
            }
            return Ok(None);
        };
        let user = user(name).map_err(|e| format!("[server] user: {e}"))?;
        if !geteuid().is_root() {
            if geteuid() != user.uid {
                tracing::info!("not started as root, so it does not become user {name}");
            }
            return Ok(None);
        }
        let gid = match &server.group {
            None => user.gid,
            Some(name) => group(name).map_err(|e| format!("[server] group: {e}"))?,
        };
        let known = CString::new(user.name.clone()).map_err(|e| e.to_string())?;
        let groups = getgrouplist(&known, gid).unwrap_or_else(|_| vec![gid]);
        Ok(Some(Self {
            name: user.name,
            uid: user.uid,
            gid,
            groups,
        }))
    }

    /// Makes a folder that is not there, for the user. One that is there stays as it is: it may hold what is others'.
    pub(super) fn make(&self, folder: &Path) -> Result<(), String> {
        if folder.exists() {
            return Ok(());
        }
        let made = fs::create_dir_all(folder)
            // A link that the user puts in its place is not followed.
            .and_then(|()| lchown(folder, Some(self.uid.as_raw()), Some(self.gid.as_raw())));
        made.map_err(|e| format!("{}: {e}", folder.display()))
    }

    /// Becomes the user, for good: real, effective and saved, in all threads.
    pub(super) fn enter(&self) -> Result<(), String> {
        let entered = setgroups(&self.groups)
            .and_then(|()| setresgid(self.gid, self.gid, self.gid))
            .and_then(|()| setresuid(self.uid, self.uid, self.uid));
        entered.map_err(|e| format!("cannot become user {}: {e}", self.name))?;
        // A set-user-ID program would lead back.
        set_no_new_privs(true).map_err(|e| e.to_string())
    }

    /// An error, with the way out, where the user may not write in a folder. `config` is the file of the configuration.
    pub(super) fn writes(&self, folder: &Path, config: &Path) -> Result<(), String> {
        let wanted = Access::WRITE_OK | Access::EXEC_OK;
        rustix::fs::access(folder, wanted).map_err(|e| {
            let (name, shown) = (&self.name, folder.display());
            let way_out = match holds(folder, config) {
                true => format!(
                    "name a folder with `state` (or `control`) in [server]: whoever may write in {shown} may change the configuration"
                ),
                false => format!("chown -R {name} {shown}"),
            };
            format!("user {name} may not write in {shown}: {e}\n  = {way_out}")
        })
    }

    /// Warns of files that the next reload could not read.
    pub(super) fn reads<'a>(&self, files: impl Iterator<Item = &'a Path>) {
        for file in files {
            // One that is not there is nobody's fault.
            if rustix::fs::access(file, Access::READ_OK) == Err(Errno::ACCESS) {
                let file = file.display();
                tracing::warn!("user {} may not read {file}: a reload will fail", self.name);
            }
        }
    }
}

/// Makes the state folder as a start does, if we are root and it is not there: for the user that the server becomes.
///
/// # Errors
/// In words: there is no such user, or it cannot be made.
pub fn make_state(server: &Server) -> Result<(), String> {
    let state = server.state.as_deref().filter(|state| !state.exists());
    match state.filter(|_| geteuid().is_root()) {
        Some(state) => Target::of(server)?.map_or(Ok(()), |target| target.make(state)),
        None => Ok(()),
    }
}

/// An error where anybody may write in a folder whose files are believed: what is wrong, and the way out.
pub(super) fn is_ours(folder: &Path) -> Result<(), (String, String)> {
    let Ok(about) = fs::metadata(folder) else {
        return Ok(());
    };
    let mode = about.permissions().mode();
    if mode & 0o002 == 0 {
        return Ok(());
    }
    let (folder, mode) = (folder.display(), mode & 0o7777);
    let wrong = format!("{folder}: anybody may write in it (mode {mode:o})");
    Err((wrong, format!("chmod o-w {folder}")))
}

/// The ordinary user that a folder belongs to whose files are believed, where that is neither who we are nor whom the server becomes. Users of the
/// system do not count: the service manager may start the server as one of them.
pub(super) fn stranger(folder: &Path, server: &Server) -> Option<String> {
    let owner = Uid::from_raw(fs::metadata(folder).ok()?.uid());
    let own = server.user.as_deref().and_then(|name| user(name).ok());
    let known = [Some(geteuid()), own.map(|user| user.uid)];
    let is_ordinary = ORDINARY.contains(&owner.as_raw());
    (is_ordinary && !known.contains(&Some(owner))).then(|| name_of(owner))
}

/// Users that are people, as most systems number them (`UID_MIN` and `UID_MAX` of login.defs(5)).
const ORDINARY: RangeInclusive<u32> = 1000..=60_000;

/// Whether a file is in a folder, or below it, by whatever names.
fn holds(folder: &Path, file: &Path) -> bool {
    let by_name = |path: &Path| std::path::absolute(path).ok();
    let in_fact = |path: &Path| fs::canonicalize(path).ok();
    let is_in = |of: &dyn Fn(&Path) -> Option<PathBuf>| {
        of(file).is_some_and(|file| of(folder).is_some_and(|folder| file.starts_with(folder)))
    };
    is_in(&by_name) || is_in(&in_fact)
}

/// Lets go of all rights of root that a process of another user has: it has bound its sockets, and nothing else needs one.
pub(super) fn let_go() -> io::Result<()> {
    if geteuid().is_root() {
        return Ok(());
    }
    let none = CapabilitySet::empty();
    let has = capabilities(None)?;
    if (has.permitted | has.inheritable).is_empty() {
        return Ok(());
    }
    clear_ambient_capability_set()?;
    set_capabilities(
        None,
        CapabilitySets {
            effective: none,
            permitted: none,
            inheritable: none,
        },
    )?;
    Ok(())
}

/// Who we are, by name if there is one.
#[must_use]
pub(super) fn who() -> String {
    name_of(geteuid())
}

fn name_of(uid: Uid) -> String {
    match User::from_uid(uid) {
        Ok(Some(user)) => user.name,
        Ok(None) | Err(_) => uid.to_string(),
    }
}

fn user(name: &str) -> io::Result<User> {
    let found = match name.parse() {
        Ok(number) => User::from_uid(Uid::from_raw(number))?,
        Err(_) => User::from_name(name)?,
    };
    found.ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::NotFound,
            format!("there is no user {name} on this machine"),
        )
    })
}

/// The group of a name or number.
pub(super) fn group(name: &str) -> io::Result<Gid> {
    if let Ok(number) = name.parse() {
        return Ok(Gid::from_raw(number));
    }
    let unknown = || io::Error::new(io::ErrorKind::NotFound, format!("there is no group {name}"));
    Ok(Group::from_name(name)?.ok_or_else(unknown)?.gid)
}
