//! PowerDNS: zone files with LUA records, which are small programs. What such a program declares is carried over; what it works out is not.

mod declared;
mod lua;
mod pick;
mod pools;
mod probe;
mod settings;
mod token;
mod zones;

use std::path::Path;

use super::Work;
use super::read;
use super::zone::LARGEST;
use crate::diagnostic::Sources;
use crate::zone::Name;
use crate::zone::file::entries;

/// Reads zone files, each `FILE` or `ZONE=FILE`.
pub(super) fn import(files: &[String], work: &mut Work) {
    work.system.server.extend([
        "# listen = [\"192.0.2.53\"]         # UDP and TCP, port 53 unless given; without it 127.0.0.1:5300".to_owned(),
        "# at = \"FRA\"                     # where this name server stands: clients of whom nothing is known are taken to be there".to_owned(),
        "# state = \"/var/lib/nearmost\"    # a folder for what outlives a restart: orders, states, history".to_owned(),
    ]);
    for file in files {
        let (name, path) = match file.split_once('=') {
            Some((name, path)) => (Some(name), path),
            None => (None, file.as_str()),
        };
        let path = Path::new(path);
        let stated = name
            .map(Name::absolute)
            .or_else(|| stated(path))
            .unwrap_or_else(|| {
                let file = path.file_name().unwrap_or_default().to_string_lossy();
                let file = file.strip_prefix("db.").unwrap_or(&file);
                let file = file
                    .strip_suffix(".zone")
                    .or(file.strip_suffix(".db"))
                    .unwrap_or(file);
                Name::absolute(file)
            });
        match stated {
            Ok(name) => zones::read(path, &name, work),
            Err(error) => {
                let message = format!("{file}: the zone's name is not known: {error}");
                work.found.error(None, message).note("write ZONE=FILE");
            }
        }
    }
}

/// What a file says of its own name: the owner of its SOA, if that is written whole, or the first `$ORIGIN` before it.
fn stated(path: &Path) -> Option<Result<Name, crate::zone::NameError>> {
    let text = read::octets(path, LARGEST).ok()?;
    let mut sources = Sources::default();
    let file = sources.add("", Vec::new());
    let mut origin: Option<Name> = None;
    for entry in entries(&text, file, &mut crate::diagnostic::Diagnostics::default()) {
        let [first, rest @ ..] = &entry.words[..] else {
            continue;
        };
        if first.text.eq_ignore_ascii_case(b"$ORIGIN") {
            origin = Name::parse(rest.first()?.text, origin.as_ref()).ok();
        } else if rest
            .iter()
            .any(|w| !w.quoted && w.text.eq_ignore_ascii_case(b"SOA"))
        {
            let whole = first.text.ends_with(b".") || origin.is_some();
            return whole.then(|| Name::parse(first.text, origin.as_ref()));
        }
    }
    None
}
