//! The query log: a line for each question, and no answer that waits for it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread;

use hickory_proto::op::ResponseCode;
use serde_json::{Value, json};

use crate::common::nodes::Does;
use crate::program::{Folder, Server, eventually, other};
use crate::question::Question;
use crate::world::{FRA, World};

/// More questions than wait for all threads together.
const MANY: usize = 9000;

/// A server whose query log goes there.
fn start(world: &World, to: &str, more: &str) -> Server {
    let log = format!("[querylog]\nto = \"{to}\"\n{more}");
    Server::start(&format!("{}\n{log}", world.config("")))
}

/// The lines of a file, once there are so many.
fn lines(path: &Path, count: usize) -> Vec<Value> {
    eventually("the lines are there", || {
        let text = fs::read_to_string(path).unwrap_or_default();
        let whole = text.ends_with('\n') && text.lines().count() >= count;
        whole.then(|| {
            text.lines()
                .map(|l| serde_json::from_str(l).unwrap())
                .collect()
        })
    })
}

fn counter(server: &Server, name: &str) -> u64 {
    server.json(&["status"])["counters"][name]
        .as_u64()
        .unwrap_or_default()
}

#[test]
fn a_line_tells_who_asked_and_what_was_given() {
    let world = World::of(155, 2);
    let server = start(&world, "file:queries.json", "");
    let path = server.folder.path("queries.json");
    let fra = server.ask(&Question::a("get.example.org").from(FRA));
    let tcp = Question::a("no.get.example.org").by_tcp(server.address);
    assert_eq!(tcp.rcode(), ResponseCode::NXDomain);
    server.ask(&Question::a("other.example.net"));
    let mut all = lines(&path, 3);
    assert_eq!(all.len(), 3, "{all:?}");
    for line in &mut all {
        let time = line.as_object_mut().unwrap().remove("time").unwrap();
        let time = time.as_str().unwrap().to_owned();
        assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
    }
    // Threads have lanes of their own: TCP's question may stand last.
    let line = |name: &str| {
        let named = |l: &&Value| l["name"].as_str().is_some_and(|n| n.starts_with(name));
        all.iter().find(named).unwrap()
    };
    assert_eq!(
        *line("get."),
        json!({
            "client": "127.0.0.1", "subnet": FRA, "scope": fra.scope().unwrap(), "transport": "udp",
            "name": "get.example.org.", "type": "A", "rcode": "NOERROR",
            "zone": "get.example.org.", "pool": "site", "nodes": ["fra"], "addresses": [fra.one()],
        })
    );
    assert_eq!(
        *line("no."),
        json!({
            "client": "127.0.0.1", "transport": "tcp", "name": "no.get.example.org.", "type": "A",
            "rcode": "NXDOMAIN", "zone": "get.example.org.",
        })
    );
    assert_eq!(
        *line("other."),
        json!({
            "client": "127.0.0.1", "transport": "udp", "name": "other.example.net.", "type": "A",
            "rcode": "REFUSED",
        })
    );

    // What turns logs over moves the file away: a new one is made.
    let moved = server.folder.path("queries.json.1");
    fs::rename(&path, &moved).unwrap();
    eventually("there is a new file", || {
        server.given(FRA);
        path.exists().then_some(())
    });
    // A new generation is known by its names too, and a place that would change needs a restart.
    let config = fs::read_to_string(server.folder.path("nearmost.toml")).unwrap();
    server.folder.write(
        "nearmost.toml",
        &config.replace("queries.json", "other.json"),
    );
    let ran = server.run(&["reload"]);
    assert!(
        ran.code != 0 && ran.err.contains("[querylog] to is "),
        "{ran:?}"
    );
    server.folder.write("nearmost.toml", &config);
    assert_eq!(server.run(&["reload"]).code, 0);
    let before = lines(&path, 0).len();
    server.given(FRA);
    let all = lines(&path, before + 1);
    assert_eq!(all.last().unwrap()["nodes"], json!(["fra"]), "{all:?}");
    let count = |path: &Path| fs::read_to_string(path).unwrap().lines().count() as u64;
    eventually("every line is counted", || {
        let written = counter(&server, "query log lines");
        (written == count(&moved) + count(&path)).then_some(())
    });
    assert_eq!(counter(&server, "query log drops"), 0);
}

#[test]
fn one_of_so_many_is_written_and_the_last_ones_at_the_end() {
    let world = World::of(156, 1);
    world.now(0, Does::Refuse);
    let server = start(&world, "file:queries.json", "sample = 10\n");
    let folder = Arc::clone(&server.folder);
    (0..41).for_each(|_| _ = server.given(FRA));
    assert_eq!(server.stop(), Some(0));
    let text = fs::read_to_string(folder.path("queries.json")).unwrap();
    // One in ten of each of two threads, from the first on.
    assert!((5..=6).contains(&text.lines().count()), "{text}");
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["fail_open"], true, "{line}");
        assert_eq!(line["nodes"], json!(["fra"]), "{line}");
    }
}

#[test]
fn a_pipe_that_nobody_reads_and_a_full_disk_delay_nothing() {
    if other("mkfifo").is_none() {
        return;
    }
    let world = World::of(157, 1);
    let folder = Arc::new(Folder::new());
    let pipe = folder.path("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let server = start(&world, &format!("file:{}", pipe.display()), "");
    (0..MANY).for_each(|_| _ = server.given(FRA));
    let dropped = counter(&server, "query log drops");
    assert_eq!(counter(&server, "rcode NOERROR"), MANY as u64);
    assert!(dropped > 0, "{dropped}");
    // Once somebody reads, what waited comes.
    let read = thread::spawn(move || fs::read_to_string(pipe));
    eventually("lines are written", || {
        (counter(&server, "query log lines") > 0).then_some(())
    });
    server.kill();
    let text = read.join().unwrap().unwrap();
    assert!(text.lines().count() > 0);
    let line: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(line["pool"], "site", "{line}");

    let full = start(&world, "file:/dev/full", "");
    (0..100).for_each(|_| _ = full.given(FRA));
    eventually("what cannot be written is counted", || {
        (counter(&full, "query log drops") == 100).then_some(())
    });
    assert_eq!(counter(&full, "query log lines"), 0);
    let said = full.log.wait(&["query log cannot be written"]);
    assert!(said.contains("No space left"), "{said}");
    assert_eq!(full.log.text().matches("cannot be written").count(), 1);
}

#[test]
fn a_file_that_cannot_be_opened_is_told_at_the_start() {
    let world = World::of(158, 1);
    let folder = Folder::with(&format!(
        "{}\n[querylog]\nto = \"file:not/there.json\"\n",
        world.config("")
    ));
    let ran = folder.run(&["serve"]);
    assert_ne!(ran.code, 0);
    assert!(
        ran.err.contains("the query log cannot go to file:") && ran.err.contains("No such file"),
        "{ran:?}"
    );
}
