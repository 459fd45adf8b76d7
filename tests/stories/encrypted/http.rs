//! What HTTP says around the messages (RFC 8484), as curl sees it in both versions.

use std::process::Command;

use super::Encrypted;
use super::client::{NAME, get, post, say};
use crate::crowd::frames::base64url;
use crate::program::{Ran, other};
use crate::question::Question;
use crate::world::{FRA, World};

/// `curl` at the resource; the status and whatever `arguments` has it say.
fn curl(all: &Encrypted, path: &str, arguments: &[&str]) -> Ran {
    let port = all.doh.port();
    Ran::of(
        Command::new("curl")
            .args(["--silent", "--output", "/dev/null", "--max-time", "20"])
            .args(["--write-out", "%{http_code} %{http_version}"])
            .arg("--cacert")
            .arg(all.server.folder.path("authority.pem"))
            .args(["--resolve", &format!("{NAME}:{port}:127.0.0.1")])
            .args(arguments)
            .arg(format!("https://{NAME}:{port}{path}")),
    )
}

#[test]
fn what_is_wrong_with_the_http_is_told_in_its_own_codes() {
    let world = World::of(211, 1);
    let all = Encrypted::start(&world, "");
    if other("curl").is_none() {
        return;
    }
    let packet = Question::a("get.example.org").to_vec();
    let good = format!("/dns-query?a=b&dns={}", base64url(&packet));
    let mut response = packet.clone();
    response[2] |= 0x80;
    let response = format!("/dns-query?dns={}", base64url(&response));
    let folder = &all.server.folder;
    std::fs::write(folder.path("question"), &packet).unwrap();
    std::fs::write(folder.path("long"), vec![0; 70_000]).unwrap();
    let sent = |name: &str| format!("@{}", folder.path(name).display());
    let (question, long) = (sent("question"), sent("long"));
    let message = "content-type: application/dns-message";
    let cases: [(&str, &[&str], u16); 13] = [
        (&good, &[], 200),
        (
            "/dns-query",
            &["-H", message, "--data-binary", &question],
            200,
        ),
        (
            "/dns-query",
            &[
                "-H",
                "content-type: Application/DNS-message; x=y",
                "--data-binary",
                &question,
            ],
            200,
        ),
        ("/dns-query", &[], 400),
        ("/dns-query?dns=", &[], 400),
        ("/dns-query?dns=AAA=", &[], 400),
        (&response, &[], 400),
        ("/", &[], 404),
        (
            "/dns-query/x",
            &["-H", message, "--data-binary", &question],
            404,
        ),
        (&good, &["-X", "PUT"], 405),
        ("/dns-query", &["-H", message, "--data-binary", &long], 413),
        (
            "/dns-query",
            &[
                "-H",
                message,
                "-H",
                "transfer-encoding: chunked",
                "--data-binary",
                &long,
            ],
            413,
        ),
        (
            "/dns-query",
            &["-H", "content-type: text/plain", "--data-binary", &question],
            415,
        ),
    ];
    for (version, word) in [("--http1.1", "1.1"), ("--http2", "2")] {
        for (path, arguments, status) in &cases {
            if version == "--http2" && arguments.contains(&"transfer-encoding: chunked") {
                continue;
            }
            let ran = curl(&all, path, &[&[version], *arguments].concat());
            assert_eq!(
                ran.out,
                format!("{status} {word}"),
                "{path} {arguments:?} {ran:?}"
            );
        }
    }
    let allowed = say(&all.trust(), all.doh, "DELETE /dns-query HTTP/1.1", &[]);
    assert!(allowed.head.contains("allow: get, post"), "{allowed:?}");
}

#[test]
fn an_answer_is_kept_no_longer_than_its_records_and_that_of_a_pool_by_nobody_else() {
    let world = World::of(212, 1);
    let all = Encrypted::start(&world, "");
    let age = |packet: &[u8]| {
        let by_post = post(&all.trust(), all.doh, packet).head;
        let path = format!("/dns-query?dns={}", base64url(packet));
        assert_eq!(get(&all.trust(), all.doh, &path).status, 200);
        let lines = by_post.lines().find(|l| l.starts_with("cache-control: "));
        lines.unwrap()[15..].to_owned()
    };
    let ask = |name: &str| Question::a(name).to_vec();
    let given = Question::a("get.example.org").from(FRA);
    let ttl = all.server.ask(&given).ttl();
    assert_eq!(age(&given.to_vec()), format!("private, max-age={ttl}"));
    assert_eq!(age(&ask("ns1.large.example")), "max-age=300");
    // The SOA's last field.
    assert_eq!(age(&ask("nobody.large.example")), "max-age=60");
    assert_eq!(age(&ask("www.example.com")), "max-age=0");
}
