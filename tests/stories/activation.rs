//! Sockets that the service manager has opened before the server is there.

use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::process::{Child, Command, Stdio};

use crate::program::{Folder, PATIENCE, eventually, kill, successors, terminate, wait};
use crate::question::Question;
use crate::world::{FRA, World, server_on};

/// A server that was started as the service manager does it: descriptors from 3 on, and their number in the environment.
struct Activated<'a> {
    folder: &'a Folder,
    child: Child,
}

impl<'a> Activated<'a> {
    /// The shell gives them their numbers; the log is a file then, as all three streams were sockets.
    fn with(folder: &'a Folder, sockets: [OwnedFd; 3]) -> Self {
        let script = "exec 3<&0 4>&1 5>&2 0</dev/null >log 2>&1; \
             LISTEN_PID=$$ LISTEN_FDS=3 LISTEN_FDNAMES=dns:dns:control exec \"$0\" serve";
        let [first, second, third] = sockets.map(Stdio::from);
        let child = Command::new("sh")
            .args(["-c", script, env!("CARGO_BIN_EXE_nearmost")])
            .current_dir(folder.path(""))
            .stdin(first)
            .stdout(second)
            .stderr(third)
            .spawn()
            .unwrap();
        Self { folder, child }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path("log")).unwrap_or_default()
    }

    fn says(&self, words: &str) {
        eventually(words, || self.log().contains(words).then_some(()));
    }
}

impl Drop for Activated<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for process in successors(&self.log()) {
            kill(process, "KILL");
        }
        if std::thread::panicking() {
            eprintln!("--- the server's log\n{}", self.log());
        }
    }
}

/// What the manager opens: an address, and the control socket.
struct Opened {
    udp: UdpSocket,
    tcp: TcpListener,
    control: UnixListener,
}

impl Opened {
    fn new(folder: &Folder) -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind(tcp.local_addr().unwrap()).unwrap();
        // As the manager's are.
        udp.set_nonblocking(true).unwrap();
        let control = UnixListener::bind(folder.path("nearmost.sock")).unwrap();
        Self { udp, tcp, control }
    }

    fn address(&self) -> SocketAddr {
        self.tcp.local_addr().unwrap()
    }

    fn sockets(&self) -> [OwnedFd; 3] {
        [
            self.tcp.try_clone().unwrap().into(),
            self.control.try_clone().unwrap().into(),
            self.udp.try_clone().unwrap().into(),
        ]
    }
}

#[test]
fn a_question_that_was_asked_before_the_server_ran_is_answered() {
    let world = World::of(156, 1);
    let folder = Folder::new();
    let opened = Opened::new(&folder);
    let address = opened.address();
    let config = world
        .config("")
        .replace("127.0.0.1:0", &address.to_string());
    // More workers than sockets: they share them.
    folder.write(
        "nearmost.toml",
        &config.replace("workers = 2", "workers = 3"),
    );
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let question = Question::a("get.example.org").from(FRA).to_vec();
    client.send_to(&question, address).unwrap();

    let mut server = Activated::with(&folder, opened.sockets());
    let mut reply = [0; 512];
    let length = client.recv(&mut reply).expect("the answer to what waited");
    assert_eq!(reply[..2], question[..2]);
    assert!(length > question.len(), "with an address");
    server.says("answering on ");
    assert_eq!(
        Question::a("get.example.org")
            .from(FRA)
            .by_tcp(address)
            .one(),
        world.ip(0)
    );
    let status = folder.run(&["status", "--json"]).json();
    assert_eq!(status["pid"].as_u64(), Some(server.child.id().into()));

    // Another process is handed the very same sockets, and the first is asked nothing any more.
    assert_eq!(folder.run(&["upgrade"]).code, 0);
    let second = folder.run(&["status", "--json"]).json()["pid"].as_u64();
    assert_ne!(second, Some(server.child.id().into()));
    assert_eq!(wait(&mut server.child), Some(0));
    let asked = Question::a("get.example.org").from(FRA).by_udp(address);
    assert_eq!(asked.one(), world.ip(0));
    assert_eq!(
        second,
        successors(&server.log()).last().map(|p| u64::from(*p))
    );
    kill(successors(&server.log())[0], "TERM");
    eventually("the second has stopped", || {
        server.log().contains("INFO stopping").then_some(())
    });

    // The control socket's file is the manager's: it is still there, for the next start.
    fs::remove_file(folder.path("log")).unwrap();
    let mut third = Activated::with(&folder, opened.sockets());
    third.says("answering on ");
    assert_eq!(folder.run(&["status"]).code, 0);
    terminate(&third.child);
    assert_eq!(wait(&mut third.child), Some(0));
    assert!(folder.path("nearmost.sock").exists());
}

#[test]
fn a_socket_that_nobody_asked_for_is_an_error() {
    let folder = Folder::new();
    let opened = Opened::new(&folder);
    let zone = "[zone.\"x\"]\nns = [\"ns.example\"]\n";
    folder.write("nearmost.toml", &(server_on("127.0.0.1:0") + zone));
    let address = opened.address();
    // Port 0 takes what there is of the address; here another address is asked for.
    let config =
        (server_on("127.0.0.2:0") + zone).replace("[server]", "[server]\ncontrol = \"other.sock\"");
    folder.write("nearmost.toml", &config);
    let mut server = Activated::with(&folder, opened.sockets());
    assert_eq!(wait(&mut server.child), Some(1));
    let log = server.log();
    for words in [
        "sockets that are of no use",
        &format!("TCP {address}"),
        &format!("UDP {address}"),
        "nearmost.sock",
    ] {
        assert!(log.contains(words), "{words}: {log}");
    }
    assert!(
        !folder.path("other.sock").exists(),
        "what was made is removed"
    );
}
