//! What a scrape of `/metrics` takes with 1,000 nodes of two addresses each, and what questions notice of it.
//!
//! `cargo bench --bench metrics`: the whole server runs in this process. Questions are asked one after another, in rounds with and without scrapes
//! in turn, so that whatever else the machine does is in both.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark prints, and has a clock of its own"
)]
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    dead_code,
    reason = "a benchmark ends with what goes wrong; shared modules"
)]

mod setup;

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nearmost::admin;
use nearmost::control::{self, Handed};
use setup::Folder;

const NODES: usize = 1000;
const SCRAPES: usize = 100;
/// Rounds of each sort, and how long one is.
const ROUNDS: usize = 6;
const ROUND: Duration = Duration::from_secs(1);
/// Prometheus asks every 15 s or so; here it is every tenth of a second.
const BETWEEN: Duration = Duration::from_millis(100);

fn main() {
    let folder = Folder::new("metrics");
    // On every address of 127/8.
    let nodes = TcpListener::bind("0.0.0.0:0").unwrap();
    let config = folder.path().join("nearmost.toml");
    std::fs::write(&config, text(nodes.local_addr().unwrap().port())).unwrap();
    std::thread::spawn(move || nodes.incoming().for_each(drop));
    let loaded = control::load(&config);
    let parts = loaded.parts.expect("the configuration is good");
    let socket = parts.config.server.control.clone();
    let prepared = control::prepare(&config, &parts, Handed::default(), None).unwrap();
    let (running, doors) = control::start(&config, parts, prepared, None).unwrap();
    {
        let _inside = running.runtime().enter();
        admin::serve(doors, running.handle()).unwrap();
    }

    let mut took: Vec<Duration> = (0..SCRAPES).map(|_| scrape(&socket).0).collect();
    took.sort();
    let text = scrape(&socket).1;
    let lines = text.lines().filter(|line| !line.starts_with('#')).count();
    println!(
        "a scrape of {NODES} nodes: median {:.1} ms, slowest of {SCRAPES} {:.1} ms, {lines} numbers, {} octets",
        ms(took[SCRAPES / 2]),
        ms(took[SCRAPES - 1]),
        text.len()
    );

    let listen = running.handle().listen()[0];
    let mut sorts = [
        ("without scrapes", Vec::new()),
        ("with scrapes", Vec::new()),
    ];
    for _ in 0..ROUNDS {
        for (scraping, (_, took)) in sorts.iter_mut().enumerate() {
            round(listen, (scraping == 1).then_some(&socket), took);
        }
    }
    for (words, took) in &mut sorts {
        took.sort();
        let at = |per_cent: usize| ms(took[took.len() * per_cent / 100]) * 1000.0;
        println!(
            "questions {words}: {} answered, round trip median {:.0} us, 99 of 100 {:.0} us",
            took.len(),
            at(50),
            at(99)
        );
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// One pool of all nodes, probed every 10 s.
fn text(port: u16) -> String {
    let mut text = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nat = \"FRA\"\nworkers = 1\n\
         [zone.\"get.example.org\"]\nns = [\"ns1.example.org\"]\npools = {{ \"@\" = \"site\" }}\n\
         [pool.site]\nprobes = [\"tcp\"]\n[probe.tcp]\nkind = \"tcp\"\nport = {port}\n"
    );
    for n in 0..NODES {
        let (a, b, lat) = (n / 250, n % 250 + 1, (n % 120) as f64 - 50.0);
        let _ = writeln!(
            text,
            "[node.n{n}]\nat = [{lat}, {}]\nip = [\"127.10.{a}.{b}\", \"127.11.{a}.{b}\"]",
            (n * 7 % 360) as f64 - 180.0
        );
    }
    text
}

fn scrape(socket: &Path) -> (Duration, String) {
    let begun = Instant::now();
    let mut stream = UnixStream::connect(socket).unwrap();
    let request = b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(request).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    (begun.elapsed(), text)
}

/// Asks for a round, one question after another.
fn round(listen: SocketAddr, scraped: Option<&std::path::PathBuf>, took: &mut Vec<Duration>) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        if let Some(control) = scraped {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    scrape(control);
                    std::thread::sleep(BETWEEN);
                }
            });
        }
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(listen).unwrap();
        socket.set_read_timeout(Some(ROUND)).unwrap();
        // `get.example.org A`.
        let question = b"\0\x01\0\0\0\x01\0\0\0\0\0\0\x03get\x07example\x03org\0\0\x01\0\x01";
        let (begun, mut reply) = (Instant::now(), [0; 512]);
        while begun.elapsed() < ROUND {
            let asked = Instant::now();
            socket.send(question).unwrap();
            let len = socket.recv(&mut reply).expect("a reply");
            assert!(reply[3] & 15 == 0 && len > 40, "an answer with an address");
            took.push(asked.elapsed());
        }
        over.store(true, Ordering::Relaxed);
    });
}
