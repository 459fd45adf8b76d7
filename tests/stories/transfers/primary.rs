//! We as a secondary of Knot: all of the zone, what differs when it tells us, a restart without it, and the end of its time.

use std::fs;
use std::sync::Arc;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::peers::{free_port, knot_primary, serial};
use super::{OTHER, SECRET, large, signed, transferred};
use crate::program::{Folder, Server, eventually, other};
use crate::question::Question;

fn config(port: u16, primary: u16, secret: &str) -> String {
    format!(
        "[server]\nlisten = [\"127.0.0.1:{port}\"]\nstate = \"state\"\n[key.\"transfer.key\"]\nsecret = \"{secret}\"\n\
         [zone.\"large.example\"]\nprimary = [{{ at = \"127.0.0.1:{primary}\", key = \"transfer.key\" }}]\ntransfer = [\"127.0.0.1\"]\n"
    )
}

#[test]
fn we_follow_knot_and_outlive_it() {
    if other("knotd").is_none() || other("dig").is_none() {
        return;
    }
    let (port, theirs) = (free_port(), free_port());
    let Some(knot) = knot_primary(&large(1, 3000), theirs, port) else {
        return;
    };
    let folder = Arc::new(Folder::with(&config(port, theirs, SECRET)));
    fs::create_dir(folder.path("state")).unwrap();
    let ours = Server::start_in(&folder);
    let has = |ours: &Server, wanted| {
        eventually("the serial is there", || {
            serial(ours.address, "large.example").filter(|s| *s == wanted)
        });
    };
    has(&ours, 1);
    let same = || {
        let (of_knot, of_ours) = (
            transferred(knot.address, "large.example", &signed()),
            transferred(ours.address, "large.example", ""),
        );
        assert!(of_knot.len() > 5900);
        assert_eq!(of_knot, of_ours);
    };
    same();
    // Knot is told to read its file again, and tells us.
    let zone = large(2, 2990);
    knot.folder.write("large.example.zone", &zone);
    knot.reload();
    has(&ours, 2);
    ours.log.wait(&["serial 2", "what differs"]);
    same();
    let status = ours.json(&["status"]);
    let line = &status["received"][0];
    assert_eq!(
        (line["serial"].as_u64(), line["expired"].as_bool()),
        (Some(2), Some(false))
    );
    assert!(ours.run(&["status"]).out.contains("ZONE OF OTHERS"));
    drop(ours);
    drop(knot);
    // Nobody is there to ask: what is kept is served.
    let ours = Server::start_in(&folder);
    has(&ours, 2);
    ours.log.wait(&["is not refreshed"]);
    assert_eq!(serial(ours.address, "large.example"), Some(2));
}

#[test]
fn a_zone_ends_when_its_time_is_over() {
    if other("knotd").is_none() {
        return;
    }
    let (port, theirs) = (free_port(), free_port());
    let zone = large(1, 5).replace("3600 600 86400", "5 5 8");
    let Some(knot) = knot_primary(&zone, theirs, port) else {
        return;
    };
    let folder = Arc::new(Folder::with(&config(port, theirs, SECRET)));
    fs::create_dir(folder.path("state")).unwrap();
    let ours = Server::start_in(&folder);
    let code = |ours: &Server| {
        let reply = ours.ask(&Question::new("mail.large.example", RecordType::A));
        reply.0.metadata.response_code
    };
    eventually("it has come", || {
        (code(&ours) == ResponseCode::NoError).then_some(())
    });
    let status = || folder.run(&["status"]).code;
    eventually("status is content", || (status() == 0).then_some(()));
    drop(knot);
    eventually("it has ended", || {
        (code(&ours) == ResponseCode::ServFail).then_some(())
    });
    ours.log.wait(&["has expired"]);
    assert_eq!(status(), 1);
    // It comes back.
    let Some(_knot) = knot_primary(&zone, theirs, port) else {
        return;
    };
    eventually("it has come back", || {
        (code(&ours) == ResponseCode::NoError).then_some(())
    });
}

#[test]
fn with_the_wrong_key_nothing_comes() {
    if other("knotd").is_none() {
        return;
    }
    let (port, theirs) = (free_port(), free_port());
    let Some(_knot) = knot_primary(&large(1, 5), theirs, port) else {
        return;
    };
    let folder = Arc::new(Folder::with(&config(port, theirs, OTHER)));
    fs::create_dir(folder.path("state")).unwrap();
    let ours = Server::start_in(&folder);
    ours.log.wait(&["is not refreshed", "BADSIG"]);
    let reply = ours.ask(&Question::new("mail.large.example", RecordType::A));
    assert_eq!(reply.0.metadata.response_code, ResponseCode::ServFail);
}
