//! What an operator waits for, by the real program: `health` with 1,000 nodes, `whatif` with 50, and what 20,000 questions a second notice of
//! reloads that add a node, take it away again and change the records of a name, one after another.
//!
//! `cargo bench --bench operator`. Nodes are this process; verbs are processes of their own, so their start is in the times.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark prints, and has a clock of its own"
)]
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    unreachable_pub,
    dead_code,
    reason = "a benchmark ends with what goes wrong; shared modules"
)]

mod setup;

use std::fmt::Write;
use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use setup::Folder;

/// Of each verb.
const TIMES: usize = 21;
/// Questions a second, sent as many each millisecond, whether they are answered or not.
const RATE: u32 = 20_000;
const EACH_MS: u32 = RATE / 1000;
/// Reloads while they are asked.
const RELOADS: usize = 12;
const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    let nodes = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = nodes.local_addr().unwrap().port();
    std::thread::spawn(move || nodes.incoming().for_each(drop));
    {
        let server = Server::start(1000, port);
        server.measure("health, 1,000 nodes", &["health"]);
        server.measure("health --json, 1,000 nodes", &["health", "--json"]);
    }
    let server = Server::start(50, port);
    server.measure("whatif, 50 nodes", &["whatif", "--down", "n7"]);
    let text = "at = [48.0, 11.0]\ntags = [\"site\"]\nip = [\"127.0.9.99\"]\n";
    fs::write(server.folder.path().join("new.toml"), text).unwrap();
    server.measure("whatif --add, 50 nodes", &["whatif", "--add", "new.toml"]);
    server.measure("reload, 50 nodes", &["reload"]);
    reloads(&server, port);
}

struct Server {
    folder: Folder,
    listen: SocketAddr,
    child: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(nodes: usize, port: u16) -> Self {
        let folder = Folder::new(&format!("operator-{nodes}"));
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let listen = socket.local_addr().unwrap();
        drop(socket);
        let text = text(listen, nodes, port, 1);
        fs::write(folder.path().join("nearmost.toml"), text).unwrap();
        let child = verb(&folder, &["serve"])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self {
            folder,
            listen,
            child,
        };
        let asker = UdpSocket::bind("127.0.0.1:0").unwrap();
        asker.connect(listen).unwrap();
        let wait = Some(Duration::from_millis(50));
        asker.set_read_timeout(wait).unwrap();
        let (begun, mut reply) = (Instant::now(), [0; 512]);
        loop {
            let _ = asker.send(&question(1));
            if asker.recv(&mut reply).is_ok() {
                return server;
            }
            assert!(begun.elapsed() < PATIENCE, "the server does not answer");
        }
    }

    fn run(&self, words: &[&str]) -> Duration {
        let begun = Instant::now();
        let ran = verb(&self.folder, words).output().unwrap();
        let took = begun.elapsed();
        assert!(ran.status.success(), "{words:?}: {ran:?}");
        took
    }

    fn measure(&self, title: &str, words: &[&str]) {
        let mut took: Vec<Duration> = (0..TIMES).map(|_| self.run(words)).collect();
        took.sort();
        println!(
            "{title}: median {:.1} ms, slowest of {TIMES} {:.1} ms",
            ms(took[TIMES / 2]),
            ms(took[TIMES - 1])
        );
    }
}

fn verb(folder: &Folder, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nearmost"));
    command.current_dir(folder.path()).args(words);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// One pool of all nodes; two records of another name that say of which `turn` they are.
fn text(listen: SocketAddr, nodes: usize, port: u16, turn: usize) -> String {
    let mut text = format!(
        "[server]\nlisten = [\"{listen}\"]\nat = \"FRA\"\ncontrol = \"control.sock\"\nwatch = false\n\
         [zone.\"get.example.org\"]\nns = [\"ns1.example.org\"]\npools = {{ \"@\" = \"site\", \"pair\" = \"pair\" }}\n\
         [probe.tcp]\nkind = \"tcp\"\nport = {port}\n[pool.site]\nprobe = \"tcp\"\nnodes = [\"tag:site\"]\n\
         [pool.pair]\nprobe = \"tcp\"\nnodes = [\"pair\"]\n\
         [node.pair]\nat = \"FRA\"\nip = [\"127.9.1.{turn}\", \"127.9.2.{turn}\"]\n"
    );
    for n in 0..nodes {
        text += &node(n, &format!("127.10.{}.{}", n / 250, n % 250 + 1));
    }
    text
}

fn node(n: usize, ip: &str) -> String {
    let mut text = String::new();
    let (lat, lon) = ((n % 120) as f64 - 50.0, (n * 7 % 360) as f64 - 180.0);
    let _ = writeln!(
        text,
        "[node.n{n}]\nat = [{lat}, {lon}]\ntags = [\"site\"]\nip = [\"{ip}\"]"
    );
    text
}

/// `pair.get.example.org A`.
fn question(id: u16) -> Vec<u8> {
    let [high, low] = id.to_be_bytes();
    let mut packet = vec![high, low, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    packet.extend(b"\x04pair\x03get\x07example\x03org\0\0\x01\0\x01");
    packet
}

/// The turn that both addresses of a reply are of; none: they are of two, or it is no whole answer.
fn turn(reply: &[u8]) -> Option<u8> {
    let answers = u16::from_be_bytes([reply[6], reply[7]]);
    // Each record: a pointer to the name, type, class, TTL, length, the address.
    let addresses: Vec<&[u8]> = reply.get(question(0).len()..)?.chunks_exact(16).collect();
    let turns: Vec<u8> = addresses.iter().map(|record| record[15]).collect();
    (answers == 2 && turns.len() == 2 && turns[0] == turns[1]).then(|| turns[0])
}

fn reloads(server: &Server, port: u16) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server.listen).unwrap();
    let over = AtomicBool::new(false);
    let (mut right, mut mixed, mut turns) = (0u64, 0u64, std::collections::BTreeSet::new());
    let mut took = Vec::new();
    let sent = std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let begun = Instant::now();
            let mut sent = 0u64;
            while !over.load(Ordering::Relaxed) {
                let due = begun.elapsed().as_millis() as u64 * u64::from(EACH_MS);
                while sent < due {
                    socket.send(&question(sent as u16)).unwrap();
                    sent += 1;
                }
                std::thread::sleep(Duration::from_micros(500));
            }
            sent
        });
        let receiver = scope.spawn(|| {
            socket
                .set_read_timeout(Some(Duration::from_secs(1)))
                .unwrap();
            let mut reply = [0; 512];
            while let Ok(len) = socket.recv(&mut reply) {
                match turn(&reply[..len]) {
                    Some(turn) => {
                        right += 1;
                        turns.insert(turn);
                    }
                    None => mixed += 1,
                }
            }
        });
        let file = server.folder.path().join("nearmost.toml");
        for number in 0..RELOADS {
            let mut next = text(server.listen, 50, port, number + 2);
            if number % 2 == 0 {
                next += &node(500, "127.10.9.9");
            }
            fs::write(&file, next).unwrap();
            took.push(server.run(&["reload"]));
        }
        over.store(true, Ordering::Relaxed);
        let sent = sender.join().unwrap();
        receiver.join().unwrap();
        sent
    });
    took.sort();
    println!(
        "{RELOADS} reloads under {RATE} questions a second: {sent} sent, {} lost, {mixed} of two generations or none; {} generations were seen; a reload takes {:.0} ms in the median",
        sent - right - mixed,
        turns.len(),
        ms(took[RELOADS / 2])
    );
}
