//! Nodes that are neither well nor gone: stopped, and a thousand that hang.

use std::fmt::Write;
use std::fs;
use std::process::Command;

use crate::common::nodes::{Does, Node};
use crate::program::{Server, eventually, skip};
use crate::question::Question;
use crate::world::{FRA, World, server, wait, zone};

fn signal(process: u32, name: &str) {
    let kill = format!("kill -{name} {process}");
    let status = Command::new("sh").args(["-c", &kill]).status().unwrap();
    assert!(status.success());
}

#[test]
fn a_process_that_is_stopped_is_seen_by_who_waits_for_an_answer() {
    let world = World::of(41, 1);
    let node = Server::start(&world.config(""));
    let port = node.address.port();
    let probe = |name: &str, kind: &str| {
        format!(
            "[probe.{name}]\n{kind}\nport = {port}\nevery = \"1s\"\ntimeout = \"500ms\"\ndown = 2\nok = 2\nup = 2\n"
        )
    };
    let probes = probe("asks", "kind = \"dns\"\nquestion = \"get.example.org SOA\"")
        + &probe("connects", "kind = \"tcp\"");
    let (head, zone) = (server(), zone());
    let steering = Server::start(&format!(
        "{head}\n{zone}\n[pool.site]\nprobes = [\"asks\", \"connects\"]\n{probes}[node.fra]\nat = \"FRA\"\nip = [\"127.0.0.1\"]\n"
    ));
    let line = |probe: &str| {
        let lines = steering.json(&["health"]);
        let mut lines = lines.as_array().unwrap().iter();
        lines.find(|l| l["probe"] == probe).unwrap().clone()
    };
    let becomes = |state: &str| {
        eventually(&format!("it is {state}"), || {
            (line("asks")["state"] == state).then_some(())
        });
    };
    becomes("up");
    signal(node.pid(), "STOP");
    becomes("down");
    assert_eq!(
        line("asks")["last_error"],
        "timed out after 500 ms while waiting for the answer"
    );
    // Its kernel goes on taking connections.
    let connects = line("connects");
    assert_eq!(connects["state"], "up", "{connects}");
    assert_eq!(connects["last_ok"], true, "{connects}");
    signal(node.pid(), "CONT");
    becomes("up");
}

/// Nodes that hang, half of them in each way.
const HANGING: usize = 1000;

/// How many files this process, and so its children, may open.
fn open_files() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find(|l| l.starts_with("Max open files"));
    line.and_then(|l| l.split_whitespace().nth(3)?.parse().ok())
        .unwrap_or(usize::MAX)
}

#[test]
fn a_thousand_nodes_that_hang_delay_nobody() {
    if open_files() < 2 * HANGING {
        return skip("so many files may not be opened");
    }
    let good = wait(Node::start("127.42.0.1:0", Does::ok()));
    // They listen for all addresses of their half: one accepts and says nothing, the other's queue is full.
    let accepts = wait(Node::start("0.0.0.0:0", Does::Hang));
    let deaf = wait(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("0.0.0.0:0".parse().unwrap()).unwrap();
        socket.listen(1).unwrap()
    });
    let ports = [
        good.address.port(),
        accepts.address.port(),
        deaf.local_addr().unwrap().port(),
    ];
    let pools = [
        ("site", "1s", "500ms"),
        ("accepts", "5s", "4s"),
        ("deaf", "5s", "4s"),
    ];
    let mut config = server();
    config += "\n[zone.\"example.org\"]\nns = [\"ns1.example.org\"]\npools = { get = \"site\", a = \"accepts\", b = \"deaf\" }\n";
    for ((pool, every, timeout), port) in pools.iter().zip(ports) {
        write!(
            config,
            "[pool.{pool}]\nnodes = [\"tag:{pool}\"]\nprobes = [\"{pool}\"]\n\
             [probe.{pool}]\nkind = \"http\"\nport = {port}\nevery = \"{every}\"\ntimeout = \"{timeout}\"\n"
        )
        .unwrap();
    }
    let mut node = |tag: &str, ip: String| {
        let name = ip.replace('.', "-");
        writeln!(
            config,
            "[node.n{name}]\nat = \"FRA\"\ntags = [\"{tag}\"]\nip = [\"{ip}\"]"
        )
        .unwrap();
    };
    node("site", good.address.ip().to_string());
    for number in 0..HANGING {
        let (tag, net) = [("accepts", 43), ("deaf", 44)][number % 2];
        node(
            tag,
            format!("127.{net}.{}.{}", number / 200, number % 200 + 1),
        );
    }
    let server = Server::start(&config);
    // Most of them hang at any time now. In the time of one of their checks the good node is asked about four times, in turn
    // with all others never.
    let (before, question) = (good.served(), Question::a("get.example.org").from(FRA));
    let mut answers = 0;
    eventually("the good node is asked at its turns", || {
        for _ in 0..50 {
            assert_eq!(server.ask(&question).one(), good.address.ip().to_string());
            answers += 1;
        }
        (good.served() >= before + 5).then_some(())
    });
    assert!(answers >= 50);
    let lines = server.json(&["health"]);
    let lines = lines.as_array().unwrap();
    let (down, up): (Vec<_>, Vec<_>) = lines.iter().partition(|l| l["state"] == "down");
    assert_eq!((down.len(), up.len()), (HANGING, 1));
    for words in ["while connecting", "while waiting for the answer"] {
        let told = format!("timed out after 4 s {words}");
        let those = down.iter().filter(|l| l["last_error"] == told.as_str());
        assert!(those.count() > HANGING / 3, "{words}: {}", down[0]);
    }
    assert!(server.log.text().lines().count() > HANGING);
}
