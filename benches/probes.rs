//! What probing costs: 1,000 nodes with an IPv4 and an IPv6 address, two probes of each every 10 s, by the real program.
//!
//! `cargo bench --bench probes [-- https]`: plain connections, and pages over HTTP or HTTPS. The nodes are this process. It
//! takes a network namespace of its own, in which every node has its own address of both families.

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

#[path = "../tests/common/certificates.rs"]
mod certificates;
#[path = "load/cpu.rs"]
mod cpu;
#[path = "../tests/common/namespace.rs"]
mod namespace;

use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

const NODES: u32 = 1000;
const EVERY: u64 = 10;
/// Until all checks are at their places in the interval, and how long is measured then, in seconds.
const SETTLE: u64 = 2 * EVERY;
const MEASURED: u64 = 3 * EVERY;
const NAME: &str = "get.example.org";
/// All of it is local there.
const NET: &str = "ip -6 route add local fd00:6e::/64 dev lo";

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| words.iter().any(|w| w == word);
    if !has("inside") && !has("outside") {
        let permitted = namespace::set_up(NET).output();
        if permitted.is_ok_and(|ran| ran.status.success()) {
            let error = namespace::this_after(NET).args(&words).arg("inside").exec();
            println!("unshare: {error}");
        }
    }
    let own_net = has("inside");
    if !own_net {
        println!("no namespace is permitted: two IPv4 addresses for each node instead");
    }
    let folder = std::env::temp_dir().join(format!("nearmost-probes-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let authority = certificates::Authority::new("bench");
    std::fs::write(folder.join("ca.pem"), &authority.pem).unwrap();
    let tls = has("https").then(|| TlsAcceptor::from(authority.server(&[NAME], 2090)));
    let https = tls.is_some();
    let accepted = Arc::new(AtomicU64::new(0));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listener = runtime.block_on(TcpListener::bind("[::]:0")).unwrap();
    let port = listener.local_addr().unwrap().port();
    let counted = Arc::clone(&accepted);
    runtime.spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                continue;
            };
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(serve(stream, tls.clone()));
        }
    });
    std::fs::write(folder.join("nearmost.toml"), config(port, https, own_net)).unwrap();
    let server = Server::start(folder);
    measure(server.0.id(), &accepted, https);
}

/// Answers one request, if one comes.
async fn serve(stream: TcpStream, tls: Option<TlsAcceptor>) {
    match tls {
        None => answer(stream).await,
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                answer(stream).await;
            }
        }
    }
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut head = Vec::with_capacity(512);
    while !head.ends_with(b"\r\n\r\n") {
        if !matches!(stream.read_buf(&mut head).await, Ok(1..)) {
            return;
        }
    }
    let _ = stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n")
        .await;
    let _ = stream.shutdown().await;
}

fn config(port: u16, https: bool, own_net: bool) -> String {
    let web = if https {
        "kind = \"https\"\nca = \"ca.pem\""
    } else {
        "kind = \"http\""
    };
    let mut text = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\ncontrol = \"control.sock\"\n\
         [zone.\"example.org\"]\nns = [\"ns1.example.org\"]\npools = {{ get = \"site\" }}\n\
         [pool.site]\nprobes = [\"web\", \"port\"]\n\
         [probe.web]\n{web}\nport = {port}\nexpect = {{ body = \"ok\" }}\nevery = \"{EVERY}s\"\n\
         [probe.port]\nkind = \"tcp\"\nport = {port}\nevery = \"{EVERY}s\"\n"
    );
    for node in 1..=NODES {
        let (high, low) = (node / 250, node % 250 + 1);
        let (lat, lon) = (
            f64::from(node % 120) - 60.0,
            f64::from(node * 7 % 360) - 180.0,
        );
        let other = if own_net {
            format!("fd00:6e::{node:x}")
        } else {
            format!("127.101.{high}.{low}")
        };
        writeln!(
            text,
            "[node.n{node}]\nat = [{lat}, {lon}]\nip = [\"127.100.{high}.{low}\", \"{other}\"]"
        )
        .unwrap();
    }
    text
}

/// The program in its folder; both end with it.
struct Server(Child, PathBuf);

impl Server {
    /// Starts it, and waits until it answers.
    fn start(folder: PathBuf) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_nearmost"))
            .arg("serve")
            .current_dir(&folder)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let answering = |line: &String| line.contains("answering on ");
        let found = log.by_ref().map_while(Result::ok).find(answering);
        assert!(found.is_some(), "the server ended");
        // Whatever it says later must not block it.
        std::thread::spawn(move || log.count());
        Self(child, folder)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        let _ = std::fs::remove_dir_all(&self.1);
    }
}

fn measure(process: u32, accepted: &AtomicU64, https: bool) {
    std::thread::sleep(Duration::from_secs(SETTLE));
    let used = || ["probe", "server"].map(|thread| cpu::used(process, Some(thread)));
    let (before, started) = (used(), Instant::now());
    let mut seconds = Vec::new();
    let mut last = accepted.load(Ordering::Relaxed);
    for second in 1..=MEASURED {
        let end = started + Duration::from_secs(second);
        std::thread::sleep(end.saturating_duration_since(Instant::now()));
        let now = accepted.load(Ordering::Relaxed);
        seconds.push(now - last);
        last = now;
    }
    let (after, elapsed) = (used(), started.elapsed());
    let sum: u64 = seconds.iter().sum();
    let (mean, most) = (sum / MEASURED, seconds.iter().max().unwrap());
    let [probing, serving] =
        [0, 1].map(|n| 100.0 * (after[n] - before[n]).as_secs_f64() / elapsed.as_secs_f64());
    println!(
        "{NODES} nodes, 2 addresses, tcp and {} every {EVERY} s, {MEASURED} s measured:",
        if https { "https" } else { "http" }
    );
    println!(
        "  checks each second     mean {mean}, most {most}, least {}",
        seconds.iter().min().unwrap()
    );
    println!(
        "  CPU of the probes      {probing:.1} % of a core (all other runtime threads {serving:.1} %)"
    );
    println!(
        "  each check             {:.0} us",
        1e6 * (after[0] - before[0]).as_secs_f64() / sum as f64
    );
    println!(
        "  memory of the server   {:.1} MiB resident, databases and maps included",
        cpu::resident(process)
    );
    if *most > 2 * mean {
        println!("  a second carries more than twice the mean: {seconds:?}");
    }
}
