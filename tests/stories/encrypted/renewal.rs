//! Certificates that are renewed, expired or wrong.

use std::sync::Arc;

use super::client::{NAME, Trust, exchange, post};
use super::{Encrypted, certify};
use crate::common::certificates::Authority;
use crate::metrics::scrape_at;
use crate::program::Folder;
use crate::question::Question;
use crate::world::World;

#[test]
fn a_renewed_certificate_is_shown_and_what_is_open_goes_on() {
    let world = World::of(221, 1);
    let all = Encrypted::start(&world, "");
    let packet = Question::a("get.example.org").to_vec();
    let old = all.trust();
    let mut open = old.connect(all.dot).unwrap();
    assert!(exchange(&mut open, &packet).is_some());

    let second = Authority::new("second");
    let new = Trust::new(&second);
    assert!(new.connect(all.dot).is_none(), "not yet");
    certify(&all.server.folder, &second);
    all.server
        .log
        .wait(&["files changed", "the certificate of encrypted questions"]);
    assert!(
        exchange(&mut open, &packet).is_some(),
        "what is open goes on"
    );
    assert!(Trust::new(&all.authority).connect(all.dot).is_none());
    assert!(exchange(&mut new.connect(all.dot).unwrap(), &packet).is_some());
    assert_eq!(post(&new, all.doh, &packet).status, 200);
    // What was agreed on with the old certificate counts no more, and nobody is the worse for it.
    assert!(old.connect(all.dot).is_none());

    // A key of another certificate changes nothing.
    let (_, key) = all.authority.pair(&[NAME]);
    all.server.folder.write("tls/key.pem", &key);
    let bad = all.server.run(&["reload"]);
    assert_eq!(bad.code, 78, "{bad:?}");
    assert!(
        bad.err.contains("not the key of the certificate"),
        "{bad:?}"
    );
    assert!(exchange(&mut new.connect(all.dot).unwrap(), &packet).is_some());
}

#[test]
fn an_expired_certificate_is_told_of_and_another_address_needs_a_restart() {
    let world = World::of(222, 1);
    let authority = Authority::new("first");
    let (cert, key) = authority.pair_until(&[NAME], (2020, 1, 2));
    let tls = "[tls]\ncert = \"cert.pem\"\nkey = \"key.pem\"\ndot = [\"127.0.0.1:0\"]\n";
    let config = format!("{}\n{tls}", world.config(""));
    let folder = Arc::new(Folder::with(&config));
    folder.write("cert.pem", &cert);
    folder.write("key.pem", &key);
    let checked = folder.run(&["check"]);
    assert_eq!(checked.code, 0, "{checked:?}");
    let words = "the certificate has expired at 2020-01-02 00:00";
    assert!(checked.err.contains(words), "{checked:?}");

    let server = crate::program::Server::start_in(&folder);
    let warnings = &server.json(&["status"])["warnings"];
    assert_eq!(warnings[0], "[tls]: certificate has ended, 2020-01-02");
    let (_, metrics) = scrape_at(&folder.path("nearmost.sock"), "*/*");
    let ends = "nearmost_own_certificate_expiry_timestamp_seconds{for=\"tls\"} 1577923200.0\n";
    assert!(metrics.contains(ends), "{metrics}");
    folder.write(
        "nearmost.toml",
        &config.replace("dot = [\"127.0.0.1:0\"]", "doh = [\"127.0.0.1:0\"]"),
    );
    let refused = server.run(&["reload"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("[tls] dot is"), "{refused:?}");
}
