//! The examples: what their READMEs tell comes true when it is typed, with other ports.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use crate::common::nodes::{Does, Node};
use crate::program::{Folder, Ran, Server, eventually, other, ours};
use crate::world::wait;

#[test]
fn the_distribution_goes_as_it_is_told() {
    walk("distribution", "5301", "18081");
}

#[test]
fn the_shop_goes_as_it_is_told() {
    walk("shop", "5302", "18082");
}

#[test]
fn the_downloads_go_as_they_are_told() {
    walk("download", "5303", "18083");
}

/// A command of a README, and what it says there.
struct Step {
    command: String,
    shown: Vec<String>,
}

/// The commands in blocks that are fenced as `console`.
fn steps(readme: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for line in readme.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_| inside) {
            steps.push(Step {
                command: command.into(),
                shown: Vec::new(),
            });
        } else if inside {
            let step = steps.last_mut().unwrap();
            step.shown.push(line.into());
        }
    }
    steps
}

/// Whether a program said what is shown: these lines in this order, where `...` stands for any lines and `…` for any words.
fn said(shown: &[String], lines: &str) -> bool {
    let all = !shown.iter().any(|s| s == "...");
    let mut lines = lines.lines();
    let mut wanted = shown.iter().filter(|s| *s != "...");
    let found = wanted.all(|s| {
        if all {
            lines.next().is_some_and(|line| like(s, line))
        } else {
            lines.any(|line| like(s, line))
        }
    });
    found && (!all || lines.next().is_none())
}

/// Whether a line is the one shown. Columns may have another width.
fn like(shown: &str, line: &str) -> bool {
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (shown, line) = (plain(shown), plain(line));
    let mut parts = shown.split('…');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let mut open = false;
    for part in parts {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
        open = part.is_empty();
    }
    open || rest.is_empty()
}

#[test]
fn what_is_shown_is_compared() {
    let shown = |lines: &[&str]| lines.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert!(said(&shown(&["a  b", "c … d …"]), "a b\nc 1 2 d 3\n"));
    assert!(!said(&shown(&["a"]), "a\nb\n"));
    assert!(!said(&shown(&["a", "b"]), "a\n"));
    assert!(!said(&shown(&["a … b"]), "a 1 b c\n"));
    assert!(said(&shown(&["...", "b", "..."]), "a\nb\nc\n"));
    assert!(!said(&shown(&["b", "...", "a"]), "a\nb\n"));
    assert!(said(&[], "") && !said(&[], "a\n"));
}

/// Types what the README of an example tells to type, until it says what is shown.
fn walk(example: &str, listen: &str, probe: &str) {
    if other("dig").is_none() {
        return;
    }
    let readme = fs::read_to_string(ours(&format!("examples/{example}/README.md"))).unwrap();
    let start = format!("../mirrors start {probe} ");
    let started = readme.lines().find_map(|l| l.strip_prefix(&start)).unwrap();
    let nodes = listening(&started.split(' ').collect::<Vec<_>>());
    let port = nodes[0].address.port().to_string();

    let folder = Arc::new(Folder::new());
    let replaced = [
        (format!("\"127.0.0.1:{listen}\""), "\"127.0.0.1:0\"".into()),
        (format!("= {probe}\n"), format!("= {port}\n")),
    ];
    let mut count = [0; 2];
    copy(
        &ours(&format!("examples/{example}")),
        "",
        &folder,
        &mut |text| {
            let parts = replaced.iter().zip(&mut count);
            parts.fold(text, |text, ((there, here), count)| {
                *count += text.matches(there).count();
                text.replace(there, here)
            })
        },
    );
    assert_eq!(count, [1, 1], "each port stands in one place");

    let server = Server::start_in(&folder);
    let ours = server.address.port().to_string();
    let steps = steps(&readme);
    assert!(steps.len() > 8, "{example}: {}", steps.len());
    for step in &steps {
        let words: Vec<&str> = step.command.split_whitespace().collect();
        if let ["../mirrors", verb, port, addresses @ ..] = &*words {
            assert_eq!(*port, probe, "{}", step.command);
            addresses.iter().for_each(|a| turn(&nodes, a, verb));
            continue;
        }
        let typed = step
            .command
            .replace(&format!("-p {listen} "), &format!("-p {ours} "));
        let mut last = Last {
            command: &typed,
            out: String::new(),
        };
        eventually(&step.command, || {
            last.out = type_in(&folder, &typed).out;
            said(&step.shown, &last.out).then_some(())
        });
    }
}

/// What a command said last; told where the story fails.
struct Last<'a> {
    command: &'a str,
    out: String,
}

impl Drop for Last<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {} says at last\n{}", self.command, self.out);
        }
    }
}

/// A command line in a shell that knows `nearmost`; its errors stand in its output.
fn type_in(folder: &Folder, line: &str) -> Ran {
    let program = env!("CARGO_BIN_EXE_nearmost");
    let script = format!("exec 2>&1\nnearmost() {{ '{program}' \"$@\"; }}\n{line}\n");
    Ran::of(
        Command::new("sh")
            .args(["-c", &script])
            .current_dir(folder.path("")),
    )
}

/// Nodes at these addresses, all on one port that is free.
fn listening(addresses: &[&str]) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    for address in addresses {
        let port = nodes.first().map_or(0, |n| n.address.port());
        nodes.push(wait(Node::start(&format!("{address}:{port}"), Does::ok())));
    }
    nodes
}

/// What `mirrors` does to one of them.
fn turn(nodes: &[Node], address: &str, verb: &str) {
    let node = nodes.iter().find(|n| n.address.ip().to_string() == address);
    let does = if verb == "stop" {
        Does::Refuse
    } else {
        Does::ok()
    };
    wait(node.unwrap().now(does));
}

/// Copies a folder's files, changed.
fn copy(from: &Path, to: &str, folder: &Folder, change: &mut impl FnMut(String) -> String) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{to}{}", path.file_name().unwrap().to_string_lossy());
        if path.is_dir() {
            copy(&path, &format!("{name}/"), folder, change);
        } else if name.ends_with(".toml") || name.ends_with(".zone") {
            folder.write(&name, &change(fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn mirrors_start_and_end_by_their_addresses() {
    if other("python3").is_none() {
        return;
    }
    let folder = Folder::new();
    let addresses = ["127.0.5.1", "127.0.5.2"];
    let nodes = listening(&addresses);
    let port = nodes[0].address.port();
    let script = ours("examples/mirrors");
    let mirrors = |verb: &str, more: &[&str]| {
        Ran::of(
            Command::new(&script)
                .args([verb, &port.to_string()])
                .args(more)
                .env("TMPDIR", folder.path("")),
        )
    };
    let open = |address: &str| TcpStream::connect((address, port)).is_ok();
    assert_eq!(mirrors("start", &["127.0.5.1"]).code, 1, "it is taken");
    for node in &nodes {
        wait(node.now(Does::Refuse));
    }
    let started = mirrors("start", &addresses);
    assert_eq!(started.code, 0, "{started:?}");
    assert!(addresses.iter().all(|a| open(a)), "{started:?}");
    assert_eq!(mirrors("stop", &["127.0.5.1"]).code, 0);
    eventually("the first is gone", || (!open("127.0.5.1")).then_some(()));
    assert!(open("127.0.5.2"));
    assert_eq!(mirrors("stop", &[]).code, 0);
    eventually("the second too", || (!open("127.0.5.2")).then_some(()));
    assert_eq!(mirrors("stop", &["127.0.5.2"]).code, 1, "not started");
}
