//! What is said of mirrors that behave in all the ways that mirrors do.

use std::sync::Arc;
use std::time::Duration;

use nearmost::clock::{Clock, utc};

use crate::common::certificates::{Authority, self_signed};
use crate::common::nodes::Does;
use crate::program::{Folder, Server, eventually};
use crate::question::Question;
use crate::world::{World, server, zone};

/// One node at Frankfurt for each mirror of a world.
fn tables(world: &World, names: &[&str]) -> String {
    let node = |(number, name): (u8, &&str)| {
        format!(
            "[node.{name}]\nat = \"FRA\"\nip = [\"{}\"]\n",
            world.ip(number)
        )
    };
    (0..).zip(names).map(node).collect()
}

fn config(world: &World, names: &[&str], probe: &str) -> String {
    let (server, zone, nodes) = (server(), zone(), tables(world, names));
    format!("{server}\n{zone}\n[pool.site]\nprobes = [\"web\"]\nanswer = \"all\"\n{probe}\n{nodes}")
}

/// Waits until each node has its state and its words.
fn said(server: &Server, expected: &[(&str, &str, &str)]) {
    for (node, state, words) in expected {
        eventually(&format!("{node} is {state}: {words}"), || {
            let line = server.json(&["health", node])[0].clone();
            let error = line["last_error"].as_str().unwrap_or("-");
            (line["state"] == *state && error == *words).then_some(())
        });
    }
}

fn only_the_first_is_given(server: &Server, world: &World) {
    let question = Question::a("get.example.org");
    eventually("only the first is given", || {
        (server.ask(&question).addresses() == [world.ip(0)]).then_some(())
    });
}

#[test]
fn http_mirrors_are_judged_by_what_they_do() {
    let all = [
        ("good", Does::ok()),
        ("hangs", Does::Hang),
        ("broken", Does::Answer(500, "oops\n".into())),
        ("resets", Does::Reset),
        ("drips", Does::DripHeader),
        (
            "redirects",
            Does::Redirect("https://elsewhere.example/".into()),
        ),
        ("refuses", Does::Refuse),
        ("flaps", Does::Flap),
    ];
    let names = all.clone().map(|(name, _)| name);
    let world = World::with(30, all.map(|(_, does)| (does, None)).to_vec());
    let probe = world.probe("http", "path = \"/\"");
    let server = Server::start(&config(&world, &names, &probe));
    said(
        &server,
        &[
            ("good", "up", "-"),
            (
                "hangs",
                "down",
                "timed out after 500 ms while waiting for the answer",
            ),
            ("broken", "down", "status 500, expected 2xx"),
            (
                "resets",
                "down",
                "connection reset while waiting for the answer",
            ),
            (
                "drips",
                "down",
                "timed out after 500 ms while waiting for the answer",
            ),
            (
                "redirects",
                "down",
                "status 302, expected 2xx (redirects to https://elsewhere.example/)",
            ),
            ("refuses", "down", "connection refused"),
            // Every second check fails: never two successes in a row.
            ("flaps", "down", "status 500, expected 2xx"),
        ],
    );
    only_the_first_is_given(&server, &world);
    let table = server.run(&["health"]);
    assert_eq!(table.code, 1);
    let wide = table.out.lines().find(|l| l.chars().count() > 100);
    assert_eq!(wide, None, "no line is wider than 100 columns");
    let near = server.run(&["health", "brokn"]);
    assert_eq!(near.code, 2, "{near:?}");
    assert!(near.err.contains("did you mean \"broken\"?"), "{near:?}");
}

#[test]
fn https_mirrors_need_a_certificate_for_the_shared_name() {
    let known = Authority::new("known");
    let unknown = Authority::new("unknown");
    let name = ["get.example.org"];
    let all = [
        ("good", known.server(&name, 2090)),
        ("expired", known.server(&name, 2020)),
        ("misnamed", known.server(&["other.example.org"], 2090)),
        ("stranger", unknown.server(&name, 2090)),
        ("own", self_signed(&name)),
    ];
    let names = all.each_ref().map(|(name, _)| *name);
    let mirrors = all.map(|(_, tls)| (Does::ok(), Some(tls))).to_vec();
    let world = World::with(31, mirrors);
    let probe = world.probe("https", "path = \"/\"\nca = \"ca.pem\"");
    let folder = Folder::with(&config(&world, &names, &probe));
    folder.write("ca.pem", &known.pem);
    let server = Server::start_in(&Arc::new(folder));
    let nobody = "certificate is not from a known authority";
    said(
        &server,
        &[
            ("good", "up", "-"),
            ("expired", "down", "certificate expired 2020-12-31"),
            (
                "misnamed",
                "down",
                "certificate is for other names: other.example.org, not get.example.org",
            ),
            ("stranger", "down", nobody),
            ("own", "down", nobody),
        ],
    );
    only_the_first_is_given(&server, &world);
    server
        .log
        .wait(&["expired", "unknown -> down", "certificate expired"]);
}

/// The day after so many, in UTC.
fn day_after(days: u64) -> (i32, u8, u8) {
    let text = utc(Clock::start().now() + Duration::from_secs(days * 86_400));
    (
        text[..4].parse().unwrap(),
        text[5..7].parse().unwrap(),
        text[8..10].parse().unwrap(),
    )
}

#[test]
fn a_certificate_that_ends_soon_is_warned_of_and_no_failure() {
    let authority = Authority::new("known");
    let name = ["get.example.org"];
    let mirrors = [
        authority.server(&name, 2090),
        authority.server_until(&name, day_after(5)),
    ];
    let world = World::with(32, mirrors.map(|tls| (Does::ok(), Some(tls))).to_vec());
    let probe = world.probe("https", "ca = \"ca.pem\"\nwarn_cert = \"14d\"");
    let folder = Folder::with(&config(&world, &["good", "soon"], &probe));
    folder.write("ca.pem", &authority.pem);
    let server = Server::start_in(&Arc::new(folder));
    said(&server, &[("good", "up", "-"), ("soon", "up", "-")]);
    eventually("some checks more", || {
        (world.nodes[1].served() > 4).then_some(())
    });
    let soon = server.json(&["health", "soon"])[0].clone();
    // It ends as a day begins.
    let words = "certificate ends in 4 days, ";
    let warning = soon["warning"].as_str().unwrap();
    assert!(warning.starts_with(words), "{soon}");
    assert_eq!(soon["certificate_days"], 4);
    assert!(soon["tls_ms"].as_f64().unwrap() > 0.0, "{soon}");
    let good = server.json(&["health", "good"])[0].clone();
    assert!(good["warning"].is_null(), "{good}");
    assert!(good["certificate_days"].as_i64().unwrap() > 1000, "{good}");
    let table = server.run(&["health"]);
    assert_eq!(table.code, 0, "{table:?}");
    assert_eq!(table.out.matches("certificate").count(), 1, "{table:?}");
    let status = server.run(&["status"]);
    let line = format!("soon {} web: {words}", world.ip(1));
    assert!(status.code == 0 && status.out.contains(&line), "{status:?}");
    server.log.wait(&[&line]);
    assert_eq!(server.log.text().matches(&line).count(), 1);
}
