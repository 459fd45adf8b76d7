//! A generation made of zone texts, and its answers.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use nearmost::answer::{LONGEST, Outcome, Request, Scratch, Transport, answer};
use nearmost::control;
use nearmost::snapshot::Snapshot;

use super::message::Message;

thread_local! {
    /// Used again as a worker does, so that what one question leaves meets the next.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Writes each zone as a file into `folder` and builds a generation of them; `more` is put into the configuration.
pub(crate) fn snapshot(folder: &Path, zones: &[(&str, &str)], more: &str) -> Snapshot {
    let mut text = more.to_owned();
    for (apex, zone) in zones {
        let path = folder.join(format!("{apex}.zone"));
        std::fs::write(&path, zone).unwrap();
        text += &format!("\n[zone.\"{apex}\"]\nfile = {path:?}\n");
    }
    let loaded = control::load_text(&folder.join("nearmost.toml"), &text);
    let shown = loaded.found.render(&loaded.sources, false);
    let parts = loaded.parts.unwrap_or_else(|| panic!("{shown}"));
    let built = control::build(&parts, 1, std::time::Duration::ZERO);
    built.expect("a generation").snapshot
}

/// Asks for the octets of a reply; none where there is to be none.
pub(crate) fn ask(snapshot: &Snapshot, packet: &[u8], transport: Transport) -> Option<Vec<u8>> {
    let mut out = vec![0xa5; LONGEST];
    let outcome = ask_into(snapshot, packet, transport, &mut out);
    out.truncate(outcome.len);
    (!out.is_empty()).then_some(out)
}

/// As [`ask`], without an allocation.
pub(crate) fn ask_into(
    snapshot: &Snapshot,
    packet: &[u8],
    transport: Transport,
    out: &mut [u8],
) -> Outcome {
    let request = Request {
        packet,
        source: IpAddr::V4(Ipv4Addr::LOCALHOST),
        transport,
        draw: 1,
    };
    let table = snapshot.table.load();
    SCRATCH.with_borrow_mut(|scratch| answer(snapshot, &table, request, scratch, out))
}

/// Asks for a reply that must be there and be well-formed.
pub(crate) fn read(snapshot: &Snapshot, packet: &[u8], transport: Transport) -> Message {
    let octets = ask(snapshot, packet, transport).expect("a reply");
    Message::read(&octets).unwrap_or_else(|e| panic!("{e}: {octets:02x?}"))
}
