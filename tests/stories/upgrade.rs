//! Another process takes the place of the one that answers.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::admin::{Answer, DRAIN, JSON, address, folder, orders, request, say, token};
use crate::common::nodes::Does;
use crate::program::{Folder, PATIENCE, Server, Stop, eventually, kill, skip, successors};
use crate::question::{Question, receive, send};
use crate::world::{FRA, World};

/// The processes that were to take over; they are nobody's children once the first is gone.
pub struct Successors<'a>(pub &'a Server);

impl Successors<'_> {
    pub fn pids(&self) -> Vec<u32> {
        successors(&self.0.log.text())
    }

    pub fn tell(&self, signal: &str) {
        for pid in self.pids() {
            kill(pid, signal);
        }
    }
}

impl Drop for Successors<'_> {
    fn drop(&mut self) {
        self.tell("KILL");
    }
}

#[test]
fn nothing_is_lost_when_another_process_takes_over() {
    let world = World::of(141, 2);
    let config = world.config("");
    let config = config.replacen("[server]", "[server]\nstate = \".\"", 1);
    let server = Server::start_in(&Arc::new(Folder::with(&config)));
    let successors = Successors(&server);
    assert_eq!(server.run(&["drain", "fra", "--why", "disk"]).code, 0);
    let question = Question::a("get.example.org").from(FRA);
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    send(&mut stream, &question.to_vec());
    assert!(!receive(&mut stream).is_empty());

    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stop = Stop(&stop);
        // Each question waits for its answer: one that is lost fails the story.
        let asking = scope.spawn(|| {
            let mut asked = 0;
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(server.given(FRA), world.ip(1));
                asked += 1;
            }
            asked
        });
        let upgraded = server.run(&["upgrade"]);
        assert_eq!(upgraded.code, 0, "{upgraded:?}");
        let first = format!("in the place of process {}", server.pid());
        assert!(upgraded.out.contains(&first), "{upgraded:?}");
        let status = server.json(&["status"]);
        assert_eq!(status["pid"].as_u64(), Some(successors.pids()[0].into()));
        assert_eq!(
            status["orders"][0]["why"], "disk",
            "what was ordered goes on"
        );
        // The old process finishes what is open.
        send(&mut stream, &question.to_vec());
        assert!(!receive(&mut stream).is_empty());
        drop(stream);
        server.log.wait(&["another process answers"]);
        // And the new one can be followed by another.
        assert_eq!(server.run(&["upgrade"]).code, 0);
        stop.store(true, Ordering::Relaxed);
        assert!(asking.join().unwrap() > 0);
    });
    assert_eq!(server.run(&["undrain", "fra"]).code, 0);
    server.gives(FRA, &world.ip(0));
    successors.tell("TERM");
    eventually("nobody answers any more", || {
        (server.run(&["status"]).code == 1).then_some(())
    });
}

/// Asks for something over a connection that is to go on.
fn begin<S: Read + Write>(mut stream: S) -> S {
    let ask = "GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";
    stream.write_all(ask.as_bytes()).unwrap();
    let (mut octets, mut said) = ([0; 4096], String::new());
    while !said.ends_with('}') {
        let length = stream.read(&mut octets).unwrap();
        assert!(length > 0, "{said}");
        said += &String::from_utf8_lossy(&octets[..length]);
    }
    stream
}

#[test]
fn a_process_that_is_replaced_takes_no_orders_any_more() {
    let world = World::of(214, 2);
    let (line, table) = token(&Folder::new(), "ola", "operator");
    let admin = format!("[admin]\nlisten = [\"127.0.0.1:0\"]\nplain = true\n{table}");
    let server = Server::start_in(&folder(&world, &admin));
    let _successors = Successors(&server);
    let (admin, control) = (address(&server), server.folder.path("control.sock"));
    let question = Question::a("get.example.org").from(FRA);
    let drain = request("POST", "/v1/order", &[JSON, &line], DRAIN);

    // The old process lives as long as this is used.
    let mut busy = TcpStream::connect(server.address).unwrap();
    send(&mut busy, &question.to_vec());
    assert!(!receive(&mut busy).is_empty());
    let tcp = TcpStream::connect(admin).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    let unix = UnixStream::connect(&control).unwrap();
    unix.set_read_timeout(Some(PATIENCE)).unwrap();
    // Two connections that wait, a page that is told of changes, and an order that has not come whole.
    let (tcp, unix) = (begin(tcp), begin(unix));
    let mut page = UnixStream::connect(&control).unwrap();
    page.set_read_timeout(Some(PATIENCE)).unwrap();
    let events = request("GET", "/v1/events", &[], "");
    page.write_all(events.as_bytes()).unwrap();
    let mut late = TcpStream::connect(admin).unwrap();
    late.set_read_timeout(Some(PATIENCE)).unwrap();
    let (first, rest) = drain.split_at(drain.len() - 9);
    late.write_all(first.as_bytes()).unwrap();

    let upgraded = server.run(&["upgrade"]);
    assert_eq!(upgraded.code, 0, "{upgraded:?}");
    for answer in [say(tcp, &drain), say(unix, &drain)] {
        assert!(
            answer.as_ref().is_none_or(|a| a.status == 503),
            "{answer:?}"
        );
    }
    late.write_all(rest.as_bytes()).unwrap();
    let answer = Answer::of(&mut late).unwrap();
    // A machine that stalls has let it wait for too long.
    assert!([503, 408].contains(&answer.status), "{answer:?}");
    let page = Answer::of(&mut page).unwrap();
    assert_eq!(page.status, 200, "{page:?}");
    send(&mut busy, &question.to_vec());
    assert!(!receive(&mut busy).is_empty(), "the old process is there");
    assert_eq!(orders(&server).as_array().map(Vec::len), Some(0));
    assert_eq!(
        say(TcpStream::connect(admin).unwrap(), &drain).map(|a| a.status),
        Some(200)
    );
}

#[test]
fn a_successor_that_fails_changes_nothing() {
    let world = World::of(142, 1);
    let config = world.config("");
    let server = Server::start(&config);
    let _successors = Successors(&server);
    // As long as it is not read again by itself.
    server.folder.write(
        "nearmost.toml",
        &config.replacen("[server]", "[server]\nwatch = false", 1),
    );
    server.log.wait(&["reloaded, generation 2"]);
    server
        .folder
        .write("nearmost.toml", &(config.clone() + "[nod.x]\n"));
    let failed = server.run(&["upgrade"]);
    assert_eq!(failed.code, 1, "{failed:?}");
    assert!(failed.err.contains("goes on answering"), "{failed:?}");
    assert_eq!(server.given(FRA), world.ip(0));
    let alone = Folder::with(&config.replacen("[server]", "[server]\nstate = \".\"", 1));
    let nobody = alone.run(&["serve", "--take-over"]);
    assert_eq!(nobody.code, 1, "{nobody:?}");
    assert!(nobody.err.contains("gives its sockets away"), "{nobody:?}");
}

#[test]
fn a_successor_that_fails_late_leaves_all_files_alone() {
    let world = World::of(196, 1);
    let config = world
        .config("")
        .replacen("[server]", "[server]\nwatch = false", 1);
    let server = Server::start(&config);
    let successors = Successors(&server);
    // It is opened after the sockets are taken and the first round has ended.
    let wrong = config.clone() + "[querylog]\nto = \"file:not/there.json\"\n";
    server.folder.write("nearmost.toml", &wrong);
    let failed = server.run(&["upgrade"]);
    assert_eq!(failed.code, 1, "{failed:?}");
    assert!(failed.err.contains("goes on answering"), "{failed:?}");
    assert_eq!(server.run(&["status"]).code, 0);
    // Nor is that in the way of the next.
    server.folder.write("nearmost.toml", &config);
    let upgraded = server.run(&["upgrade"]);
    assert_eq!(upgraded.code, 0, "{upgraded:?}");
    let files = ["nearmost.sock", "nearmost.takeover"].map(|file| server.folder.path(file));
    eventually("it is offered again", || {
        files.iter().all(|file| file.exists()).then_some(())
    });
    successors.tell("TERM");
    eventually("the last has taken them away", || {
        (!files.iter().any(|file| file.exists())).then_some(())
    });
}

#[test]
fn a_server_that_ends_while_another_takes_over_leaves_it_a_control_socket() {
    let world = World::of(197, 1);
    let config = world
        .config("")
        .replacen("[server]", "[server]\nwatch = false", 1);
    let server = Server::start(&config);
    let successors = Successors(&server);
    // Its first round lasts until the other has ended.
    world.now(0, Does::Hang);
    let long = config.replacen("timeout = \"500ms\"", "timeout = \"10s\"", 1);
    assert_ne!(long, config);
    let long = long.replacen("every = \"1s\"", "every = \"20s\"", 1);
    server.folder.write("nearmost.toml", &long);
    kill(server.pid(), "USR2");
    eventually("it has taken the sockets", || {
        let rounds = server.log.text();
        (rounds.matches("waiting for the first round").count() == 2).then_some(())
    });
    // Nor is another started meanwhile, whoever asks.
    let another = server.run(&["upgrade"]);
    assert_eq!(another.code, 1, "{another:?}");
    let told = format!("process {} is to take over already", successors.pids()[0]);
    assert!(another.err.contains(&told), "{another:?}");
    kill(server.pid(), "USR2");
    server.log.wait(&["no other process is started", &told]);
    kill(server.pid(), "TERM");
    server.log.wait(&["has ended without a word"]);
    let pid = eventually("the other is told what to do", || {
        let status = server.run(&["status", "--json"]);
        (!status.out.is_empty()).then(|| status.json()["pid"].as_u64())
    });
    assert_eq!(pid, Some(successors.pids()[0].into()));
    assert_eq!(
        server
            .run(&["drain", "fra", "--why", "disk", "--anyway"])
            .code,
        0
    );
    // The one that it hands on is the one that it has.
    server.folder.write("nearmost.toml", &config);
    let upgraded = server.run(&["upgrade"]);
    assert_eq!(upgraded.code, 0, "{upgraded:?}");
}

#[test]
fn the_first_process_of_a_container_is_not_replaced() {
    let alone = ["-rpf", "--mount-proc", "--kill-child"];
    let may = Command::new("unshare").args(alone).arg("true").status();
    if !may.is_ok_and(|ran| ran.success()) {
        return skip("nobody may have namespaces here");
    }
    let world = World::of(198, 1);
    let folder = Arc::new(Folder::with(&world.config("")));
    let mut command = Command::new("unshare");
    command
        .args(alone)
        .arg(folder.command(&[]).get_program())
        .arg("serve")
        .current_dir(folder.path(""))
        .stderr(Stdio::piped());
    let server = Server::start_as(&folder, &mut command);
    let upgraded = server.run(&["upgrade"]);
    assert_eq!(upgraded.code, 1, "{upgraded:?}");
    assert!(
        upgraded.err.contains("start another container"),
        "{upgraded:?}"
    );
    assert_eq!(server.json(&["status"])["pid"], 1);
    assert_eq!(server.given(FRA), world.ip(0));
}
