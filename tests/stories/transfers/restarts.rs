//! What secondaries are told of a zone that was changed while nothing ran.

use std::sync::Arc;

use super::peers;
use super::{large, server_of};
use crate::program::{Server, eventually};

#[test]
fn a_zone_that_changed_under_its_serial_meanwhile_is_warned_of() {
    let ours = server_of(&large(7, 3), "transfer = [\"127.0.0.1\"]", "");
    let folder = Arc::clone(&ours.folder);
    eventually("it is kept", || {
        let kept = folder.path("state/served/large.example.zone");
        kept.exists().then_some(())
    });
    drop(ours);
    let words = "zone large.example. has changed, and its serial has not gone up";
    let mut starts = Vec::new();
    for (serial, names) in [(7, 3), (7, 4), (6, 4), (8, 5)] {
        folder.write("zones/large.example.zone", &large(serial, names));
        let ours = Server::start_in(&folder);
        starts.push(ours.log.text().contains(words));
        // What is kept then is of this start.
        eventually("it is served", || {
            peers::serial(ours.address, "large.example").filter(|s| *s == serial)
        });
    }
    assert_eq!(starts, [false, true, true, false]);
}
