//! A mirror: a process of its own that serves one page over TLS, well or badly, as it is told on its standard input.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// The argument that makes a mirror of the program.
pub(crate) const WORD: &str = "mirror";
/// What it takes when it is slow: longer than the probe's timeout.
const SLOW: Duration = Duration::from_millis(700);
/// How long it waits before each octet of a body that it sends slowly.
const DRIP: Duration = Duration::from_millis(50);

pub(crate) struct Mirror {
    pub(crate) ips: Vec<IpAddr>,
    pub(crate) port: u16,
    folder: PathBuf,
    running: Option<(Child, ChildStdin, BufReader<ChildStdout>)>,
}

impl Mirror {
    /// It listens on the port of all its addresses when this returns; port 0 is any.
    pub(crate) fn new(ips: Vec<IpAddr>, port: u16, folder: &Path) -> Self {
        let mut mirror = Self {
            ips,
            port,
            folder: folder.to_owned(),
            running: None,
        };
        mirror.start();
        mirror
    }

    pub(crate) fn start(&mut self) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg(WORD)
            .arg(&self.folder)
            .arg(self.port.to_string())
            .args(self.ips.iter().map(ToString::to_string))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (orders, said) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut said = BufReader::new(said);
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        self.port = line.trim().parse().expect("it listens");
        self.running = Some((child, orders, said));
    }

    pub(crate) fn kill(&mut self) {
        let (mut child, ..) = self.running.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub(crate) fn signal(&mut self, signal: &str) {
        let (child, ..) = self.running.as_ref().unwrap();
        let kill = format!("kill -{signal} {}", child.id());
        let status = Command::new("sh").args(["-c", &kill]).status().unwrap();
        assert!(status.success());
    }

    pub(crate) fn ips6(&self) -> impl Iterator<Item = IpAddr> {
        self.ips.iter().copied().filter(IpAddr::is_ipv6)
    }

    /// It has heard when this returns.
    pub(crate) fn order(&mut self, word: &str) {
        let (_, orders, said) = self.running.as_mut().unwrap();
        writeln!(orders, "{word}").unwrap();
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), word);
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        if self.running.is_some() {
            self.kill();
        }
    }
}

/// Writes an authority's certificate, and three of a mirror: a good one, one that has expired, and one for another name.
pub(crate) fn certificates(folder: &Path) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = params.self_signed(&key).unwrap().pem();
    fs::write(folder.join("ca.pem"), pem).unwrap();
    let issuer = Issuer::new(params, key);
    for (name, host, year) in [
        ("good", "get.example.org", 2090),
        ("expired", "get.example.org", 2020),
        ("misnamed", "m8.example.net", 2090),
    ] {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![host.into()]).unwrap();
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(year, 12, 31);
        let certificate = params.signed_by(&key, &issuer).unwrap();
        fs::write(folder.join(format!("{name}.crt")), certificate.der()).unwrap();
        fs::write(folder.join(format!("{name}.key")), key.serialize_der()).unwrap();
    }
}

fn tls(folder: &Path, name: &str) -> Arc<ServerConfig> {
    let read = |ending: &str| fs::read(folder.join(format!("{name}.{ending}"))).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(read("key")));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(read("crt"))], key)
        .unwrap();
    Arc::new(config)
}

/// What a mirror serves with, one way or the other.
struct Certificates {
    good: Arc<ServerConfig>,
    expired: Arc<ServerConfig>,
    misnamed: Arc<ServerConfig>,
}

/// Is a mirror until standard input ends.
pub(crate) fn serve(folder: &Path, port: &str, ips: &[String]) {
    let order = Arc::new(Mutex::new(String::from("good")));
    let certificates = Arc::new(Certificates {
        good: tls(folder, "good"),
        expired: tls(folder, "expired"),
        misnamed: tls(folder, "misnamed"),
    });
    let mut port = port.parse().unwrap();
    for ip in ips {
        let ip: IpAddr = ip.parse().unwrap();
        let listener = TcpListener::bind((ip, port)).unwrap();
        port = listener.local_addr().unwrap().port();
        let (order, certificates) = (Arc::clone(&order), Arc::clone(&certificates));
        std::thread::spawn(move || accept(&listener, &order, &certificates));
    }
    println!("{port}");
    for line in std::io::stdin().lines().map_while(Result::ok) {
        order.lock().unwrap().clone_from(&line);
        println!("{line}");
    }
}

fn accept(listener: &TcpListener, order: &Mutex<String>, certificates: &Certificates) {
    for (turn, stream) in listener.incoming().flatten().enumerate() {
        let order = order.lock().unwrap().clone();
        let does = match &*order {
            "flap" if turn % 3 == 0 => "broken".into(),
            "flap" => "good".into(),
            _ => order,
        };
        let tls = Arc::clone(match &*does {
            "expired" => &certificates.expired,
            "misnamed" => &certificates.misnamed,
            _ => &certificates.good,
        });
        std::thread::spawn(move || answer(stream, tls, &does));
    }
}

/// One page; a client that leaves is none of our business.
fn answer(stream: TcpStream, tls: Arc<ServerConfig>, does: &str) {
    let mut stream = StreamOwned::new(ServerConnection::new(tls).unwrap(), stream);
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    if does == "slow" {
        std::thread::sleep(SLOW);
    }
    let (status, page) = match does {
        "broken" => (500, "out of order\n"),
        "wrong" => (200, "It works!\n"),
        _ => (200, "mirror of everything\n"),
    };
    let length = page.len();
    let head =
        format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    let _ = stream.write_all(head.as_bytes());
    if does == "drip" {
        for octet in page.bytes() {
            std::thread::sleep(DRIP);
            if stream.write_all(&[octet]).is_err() {
                return;
            }
        }
    } else {
        let _ = stream.write_all(page.as_bytes());
    }
    stream.conn.send_close_notify();
    let _ = stream.flush();
}
