//! Files with secrets that others can read are told of, and folders with which the server does not start. The files are taken all the same: who is
//! on the machine is the operator's to know.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::rights;
use crate::config::Config;
use crate::diagnostic::Diagnostics;

/// Warns of those that a configuration names, and of its own file where it has secrets.
pub(super) fn look(path: &Path, config: &Config, found: &mut Diagnostics) {
    let folders = config.server.state.as_deref().into_iter();
    for folder in folders.chain([&*config.dnssec.keys]) {
        if let Err((wrong, way_out)) = rights::is_ours(folder) {
            let message = format!("{wrong}, so the server does not start");
            found.warning(None, message).note(way_out);
        }
        if let Some(name) = rights::stranger(folder, &config.server) {
            let folder = folder.display();
            let message =
                format!("{folder} is user {name}'s, who may change what the server believes");
            found.warning(None, message).note(format!(
                "chown -R it to the user of the server, or let that be {name}: `user` in [server]"
            ));
        }
    }
    let inside = config.keys.iter().any(|key| key.file.is_none());
    let own = (inside || !config.cookies.secrets.is_empty()).then_some(path);
    let tls = [&config.admin.tls, &config.tls.files].into_iter().flatten();
    let keys = tls.map(|tls| tls.key.0.as_path());
    let secrets = config.keys.iter().filter_map(|key| key.file.as_deref());
    let mut all: Vec<&Path> = own.into_iter().chain(keys).chain(secrets).collect();
    all.sort_unstable();
    all.dedup();
    for file in all {
        let Ok(about) = fs::metadata(file) else {
            continue;
        };
        let mode = about.permissions().mode() & 0o777;
        if mode & 0o004 != 0 {
            let file = file.display();
            let message = format!("{file} has secrets, and everybody can read it (mode {mode:o})");
            found
                .warning(None, message)
                .note(format!("chmod o-r {file}"));
        }
    }
}
