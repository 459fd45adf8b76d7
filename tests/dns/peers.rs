//! Knot and NSD of the system's packages, on loopback, with the zones of a test.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use super::message::{self, Message};

/// Longer than any server needs, so that a test that hangs ends.
const PATIENCE: Duration = Duration::from_secs(2);

/// The number of the questions that find out whether a server is ready: none of the test's own.
const READY: u16 = 0xffff;

/// The first number of questions that are sent after those that may have no reply.
pub(crate) const AFTER: u16 = 0xe000;

/// A running server; it is stopped when this is dropped.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    child: Child,
    address: SocketAddr,
    socket: UdpSocket,
}

impl Drop for Peer {
    fn drop(&mut self) {
        // NSD has children of its own that end with it only when it is asked to, so it is asked.
        let _ = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        for _ in 0..100 {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Peer {
    /// Starts Knot; none, and a line that says so, where it is not installed.
    pub(crate) fn knot(folder: &Path, zones: &[(&str, &str)]) -> Option<Self> {
        Self::start("knotd", folder, zones, |folder, port| {
            let mut text = format!(
                "server:\n  rundir: {folder:?}\n  listen: 127.0.0.1@{port}\n  udp-max-payload: 4096\n  udp-workers: 1\n  \
                 tcp-workers: 1\n  background-workers: 1\n\
                 log:\n- target: stderr\n  any: error\n\
                 database:\n  storage: {folder:?}\n\
                 template:\n- id: default\n  storage: {folder:?}\n  journal-content: none\n  zonefile-sync: -1\n  \
                 semantic-checks: off\nzone:\n"
            );
            for (apex, _) in zones {
                text += &format!("- domain: {apex}\n  file: {apex}.zone\n");
            }
            text
        })
    }

    /// Starts NSD; none, and a line that says so, where it is not installed.
    pub(crate) fn nsd(folder: &Path, zones: &[(&str, &str)]) -> Option<Self> {
        Self::start("nsd", folder, zones, |folder, port| {
            let mut text = format!(
                "server:\n  ip-address: 127.0.0.1@{port}\n  username: \"\"\n  chroot: \"\"\n  zonesdir: {folder:?}\n  \
                 database: \"\"\n  pidfile: \"{0}/pid\"\n  xfrdfile: \"{0}/xfrd\"\n  zonelistfile: \"{0}/list\"\n  \
                 xfrdir: {folder:?}\n  server-count: 1\n  minimal-responses: yes\n  rrl-ratelimit: 0\n  \
                 ipv4-edns-size: 4096\n  verbosity: 0\n  \
                 logfile: \"{0}/log\"\n\
                 remote-control:\n  control-enable: no\n",
                folder.display()
            );
            for (apex, _) in zones {
                text += &format!("zone:\n  name: {apex}\n  zonefile: {apex}.zone\n");
            }
            text
        })
    }

    fn start(
        name: &'static str,
        folder: &Path,
        zones: &[(&str, &str)],
        configuration: impl Fn(&Path, u16) -> String,
    ) -> Option<Self> {
        let program = installed(name)?;
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder).unwrap();
        for (apex, text) in zones {
            std::fs::write(folder.join(format!("{apex}.zone")), text).unwrap();
        }
        // Between the search for a port and its use somebody else may take it: then another is tried.
        let peer = (0..5).find_map(|_| {
            let port = free_port();
            let path = folder.join("configuration");
            std::fs::write(&path, configuration(&folder, port)).unwrap();
            Self::run(name, &program, &path, port, zones[0].0)
        });
        let said = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        Some(peer.unwrap_or_else(|| panic!("{name} does not answer: {}", said())))
    }

    fn run(
        name: &'static str,
        program: &Path,
        configuration: &Path,
        port: u16,
        apex: &str,
    ) -> Option<Self> {
        let mut command = Command::new(program);
        if name == "nsd" {
            command.arg("-d");
        }
        let child = command
            .arg("-c")
            .arg(configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let address = (Ipv4Addr::LOCALHOST, port).into();
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.connect(address).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        let mut peer = Self {
            name,
            child,
            address,
            socket,
        };
        let ready = peer.serves(apex);
        peer.socket.set_read_timeout(Some(PATIENCE)).unwrap();
        ready.then_some(peer)
    }

    /// Waits until it answers for the zone, or has ended.
    fn serves(&mut self, apex: &str) -> bool {
        let soa = message::query(READY, &message::name(apex), message::rtype::SOA, None);
        let mut buffer = [0; 512];
        for _ in 0..400 {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return false;
            }
            let sent = self.socket.send(&soa);
            if let Ok(len) = sent.and_then(|_| self.socket.recv(&mut buffer))
                && Message::read(&buffer[..len]).is_ok_and(|m| m.rcode == 0)
            {
                return true;
            }
            sleep(Duration::from_millis(25));
        }
        false
    }

    /// Asks by UDP. None where no reply comes, which takes its time.
    pub(crate) fn udp(&self, packet: &[u8]) -> Option<Vec<u8>> {
        let mut reply = vec![0; 65_535];
        for _ in 0..3 {
            self.socket.send(packet).unwrap();
            while let Ok(len) = self.socket.recv(&mut reply) {
                // A late reply to an earlier question is passed over.
                if packet.len() < 2 || reply[..2] == packet[..2] {
                    reply.truncate(len);
                    return Some(reply);
                }
            }
        }
        None
    }

    /// Whether it stays silent: no reply to `packet`, but one to the question sent after it. `after` is another each
    /// time, from [`AFTER`] on; no other question has such a number.
    pub(crate) fn ignores(&self, packet: &[u8], apex: &str, after: u16) -> bool {
        let soa = message::query(after, &message::name(apex), message::rtype::SOA, None);
        self.socket.send(packet).unwrap();
        self.socket.send(&soa).unwrap();
        let mut silent = true;
        let mut reply = [0; 4096];
        while reply[..2] != after.to_be_bytes() {
            self.socket
                .recv(&mut reply)
                .expect("a reply to the second question");
            silent &= u16::from_be_bytes([reply[0], reply[1]]) >= AFTER;
        }
        silent
    }

    /// Asks by TCP. None where the connection is closed without a reply.
    pub(crate) fn tcp(&self, packet: &[u8]) -> Option<Vec<u8>> {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let len = u16::try_from(packet.len()).unwrap().to_be_bytes();
        stream.write_all(&[&len, packet].concat()).unwrap();
        let mut len = [0; 2];
        stream.read_exact(&mut len).ok()?;
        let mut reply = vec![0; usize::from(u16::from_be_bytes(len))];
        stream.read_exact(&mut reply).ok()?;
        Some(reply)
    }
}

fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain(["/usr/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|program| program.is_file());
    if found.is_none() {
        let required = std::env::var_os("NEARMOST_REQUIRE_ALL").is_some();
        assert!(!required, "{name} is not installed");
        println!("skipped: {name} is not installed");
    }
    found
}

/// A port that is free for UDP and TCP.
fn free_port() -> u16 {
    loop {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = tcp.local_addr().unwrap().port();
        if UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// A folder of this test's own that is removed when this is dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("nearmost-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
