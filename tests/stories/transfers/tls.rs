//! Over TLS a zone leaves as it does over TCP, for those who may have it.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;

use super::{OTHER, folder_of, large, signed};
use crate::common::certificates::Authority;
use crate::program::{Ran, Server, other};

/// Whom the certificate is for.
const NAME: &str = "dns.example.org";

#[test]
fn kdig_gets_over_tls_what_it_gets_over_tcp() {
    if other("kdig").is_none() {
        return;
    }
    let tls = "[tls]\ncert = \"tls/cert.pem\"\nkey = \"tls/key.pem\"\ndot = [\"127.0.0.1:0\"]\n";
    let folder = folder_of(&large(1, 2000), "transfer = [\"key:transfer.key\"]", tls);
    let authority = Authority::new("transfers");
    let (cert, key) = authority.pair(&[NAME]);
    folder.write("tls/cert.pem", &cert);
    folder.write("tls/key.pem", &key);
    folder.write("authority.pem", &authority.pem);
    let server = Server::start_in(&Arc::new(folder));
    let line = server.log.wait(&["answering DNS over TLS on "]);
    let dot: SocketAddr = line.rsplit(' ').next().unwrap().parse().unwrap();
    let ca = format!("+tls-ca={}", server.folder.path("authority.pem").display());
    let hostname = format!("+tls-hostname={NAME}");
    let kdig = |at: SocketAddr, arguments: &[&str]| {
        let mut kdig = Command::new("kdig");
        kdig.arg(format!("@{}", at.ip()));
        kdig.args(["-p", &at.port().to_string(), "+timeout=10"]);
        kdig.args(["+noall", "+answer"]).args(arguments);
        Ran::of(&mut kdig)
    };
    let over_tls = |arguments: &[&str]| {
        let trust = [&*ca, &*hostname];
        kdig(dot, &[&trust[..], arguments].concat())
    };
    let same = |key: &str, what: &str| {
        let arguments = ["-y", key, what, "large.example"];
        let (tcp, tls) = (kdig(server.address, &arguments), over_tls(&arguments));
        assert_eq!(
            (tcp.code, tls.code),
            (0, 0),
            "{what}: {} {}",
            tcp.err,
            tls.err
        );
        let lines = tcp.out.lines().count();
        assert_eq!(lines, tls.out.lines().count(), "{what}");
        assert!(tcp.out == tls.out, "{what}: other lines");
        lines
    };
    let key = signed();
    assert_eq!(same(&key, "AXFR"), 4016);
    let changed = large(2, 2000).replace("n7 A 192.0.2.7\n", "n7 A 198.51.100.7\n");
    server.folder.write("zones/large.example.zone", &changed);
    assert_eq!(server.run(&["reload"]).code, 0);
    // What was and what is, each between the SOAs.
    assert_eq!(same(&key, "IXFR=1"), 6);
    assert_eq!(same(&key, "AXFR"), 4016);

    let wrong = format!("hmac-sha256:transfer.key:{OTHER}");
    for (arguments, why) in [
        (&["AXFR", "large.example"][..], "REFUSED"),
        (&["-y", &wrong, "AXFR", "large.example"][..], "BADSIG"),
    ] {
        let ran = over_tls(arguments);
        assert!(ran.code != 0 && ran.err.contains(why), "{ran:?}");
        assert!(!ran.out.contains("large.example."), "{ran:?}");
    }
}
