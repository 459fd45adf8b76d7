//! Knot and NSD, as secondaries and as primaries, on loopback.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hickory_proto::rr::{RData, RecordType};

use super::SECRET;
use crate::program::{Folder, other};
use crate::question::Question;

/// A running server; it is stopped when this is dropped.
pub struct Peer {
    child: Child,
    pub address: SocketAddr,
    pub folder: Folder,
}

impl Drop for Peer {
    fn drop(&mut self) {
        // NSD's children end with it only when it is asked to.
        let _ = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        let until = Instant::now() + Duration::from_secs(3);
        while Instant::now() < until && !matches!(self.child.try_wait(), Ok(Some(_))) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Peer {
    /// Has it read its files again.
    pub fn reload(&self) {
        crate::program::signal(&self.child, "HUP");
    }
}

/// A port that is free now, for a server that has to be told before it starts.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

fn start(
    program: &str,
    folder: Folder,
    port: u16,
    configuration: &str,
    arguments: &[&str],
) -> Option<Peer> {
    let path = other(program)?;
    folder.write("configuration", configuration);
    let log = std::fs::File::create(folder.path("said")).unwrap();
    let child = Command::new(path)
        .args(arguments)
        .arg("-c")
        .arg(folder.path("configuration"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let address = ([127, 0, 0, 1], port).into();
    Some(Peer {
        child,
        address,
        folder,
    })
}

const KNOT_KEY: &str = "key:\n- id: transfer.key\n  algorithm: hmac-sha256\n  secret: ";

fn knot_head(folder: &Path, port: u16) -> String {
    format!(
        "server:\n  rundir: {folder:?}\n  listen: 127.0.0.1@{port}\n  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n\
         log:\n- target: stderr\n  any: info\ndatabase:\n  storage: {folder:?}\n{KNOT_KEY}{SECRET}\n"
    )
}

/// Knot as a secondary of `large.example` of this server.
pub fn knot_secondary(primary: SocketAddr, port: u16) -> Option<Peer> {
    let folder = Folder::new();
    let path = folder.path("");
    let configuration = knot_head(&path, port)
        + &format!(
            "remote:\n- id: primary\n  address: {}@{}\n  key: transfer.key\nacl:\n- id: notice\n  address: 127.0.0.1\n  key: transfer.key\n  action: notify\n- id: out\n  address: 127.0.0.1\n  action: transfer\n\
             template:\n- id: default\n  storage: {path:?}\n  zonefile-sync: 0\n\
             zone:\n- domain: large.example\n  master: primary\n  acl: [notice, out]\n",
            primary.ip(),
            primary.port()
        );
    start("knotd", folder, port, &configuration, &[])
}

/// Knot as the primary of `large.example`, which tells a secondary at this port.
pub fn knot_primary(zone: &str, port: u16, secondary: u16) -> Option<Peer> {
    let folder = Folder::new();
    folder.write("large.example.zone", zone);
    let path = folder.path("");
    let configuration = knot_head(&path, port)
        + &format!(
            "remote:\n- id: secondary\n  address: 127.0.0.1@{secondary}\n  key: transfer.key\nacl:\n- id: out\n  key: transfer.key\n  action: transfer\n\
             template:\n- id: default\n  storage: {path:?}\n  zonefile-load: difference\n  journal-content: changes\n  zonefile-sync: -1\n\
             zone:\n- domain: large.example\n  file: large.example.zone\n  notify: secondary\n  acl: out\n"
        );
    start("knotd", folder, port, &configuration, &[])
}

/// Files of a Knot, its configuration among them.
pub struct Files {
    port: u16,
    list: Vec<(String, String)>,
}

/// Knot as the primary of these zones, which tells a secondary at this port; they are members of `catalog`, which it makes itself.
pub fn knot_of(zones: &[(&str, &str)], catalog: Option<&str>, port: u16, secondary: u16) -> Files {
    let mut configuration = format!(
        "remote:\n- id: secondary\n  address: 127.0.0.1@{secondary}\n  key: transfer.key\nacl:\n- id: out\n  key: transfer.key\n  action: transfer\n\
         template:\n- id: default\n  storage: STORAGE\n  notify: secondary\n  acl: out\n  zonefile-sync: -1\nzone:\n"
    );
    let member = match catalog {
        Some(catalog) => {
            configuration += &format!("- domain: {catalog}\n  catalog-role: generate\n");
            format!("  catalog-role: member\n  catalog-zone: {catalog}\n")
        }
        None => String::new(),
    };
    let mut list = Vec::new();
    for (name, zone) in zones {
        let load = "zonefile-load: difference\n  journal-content: changes";
        configuration += &format!("- domain: {name}\n  file: {name}.zone\n  {load}\n{member}");
        list.push((format!("{name}.zone"), (*zone).to_owned()));
    }
    list.push(("configuration".to_owned(), configuration));
    Files { port, list }
}

/// Knot as the primary of these zones, which it signs as these lines of a policy say; it tells a secondary there.
pub fn knot_signing(zones: &[(&str, &str, &str)], port: u16, secondary: SocketAddr) -> Files {
    let (mut policies, mut domains) = (String::new(), String::new());
    let mut list = Vec::new();
    for (name, zone, policy) in zones {
        policies += &format!("- id: {name}\n  {policy}\n");
        domains += &format!(
            "- domain: {name}\n  file: {name}.zone\n  dnssec-signing: on\n  dnssec-policy: {name}\n"
        );
        list.push((format!("{name}.zone"), (*zone).to_owned()));
    }
    let configuration = format!(
        "remote:\n- id: secondary\n  address: {}@{}\n  key: transfer.key\nacl:\n- id: out\n  address: 127.0.0.1\n  action: transfer\n- id: key\n  key: transfer.key\n  action: transfer\n\
         policy:\n{policies}template:\n- id: default\n  storage: STORAGE\n  notify: secondary\n  acl: [out, key]\n  zonefile-sync: -1\n  \
         zonefile-load: difference-no-serial\n  journal-content: all\nzone:\n{domains}",
        secondary.ip(),
        secondary.port()
    );
    list.push(("configuration".to_owned(), configuration));
    Files { port, list }
}

impl Files {
    fn write(&self, folder: &Folder) {
        let path = folder.path("");
        for (name, text) in &self.list {
            let head = match &**name {
                "configuration" => knot_head(&path, self.port),
                _ => String::new(),
            };
            folder.write(
                name,
                &(head + &text.replace("STORAGE", &format!("{path:?}"))),
            );
        }
    }
}

impl Peer {
    /// A Knot with these files.
    pub fn of(files: &Files) -> Self {
        let folder = Folder::new();
        files.write(&folder);
        let configuration = std::fs::read_to_string(folder.path("configuration")).unwrap();
        start("knotd", folder, files.port, &configuration, &[]).expect("it was looked for")
    }

    /// Has it read these files instead.
    pub fn list(&self, files: &Files) {
        files.write(&self.folder);
        self.reload();
    }
}

/// NSD as a secondary of `large.example` of this server.
pub fn nsd_secondary(primary: SocketAddr, port: u16) -> Option<Peer> {
    let folder = Folder::new();
    let path = folder.path("");
    let primary = format!("{}@{}", primary.ip(), primary.port());
    let configuration = format!(
        "server:\n  ip-address: 127.0.0.1@{port}\n  username: \"\"\n  chroot: \"\"\n  zonesdir: {path:?}\n  database: \"\"\n  \
         pidfile: \"{0}pid\"\n  xfrdfile: \"{0}xfrd\"\n  zonelistfile: \"{0}list\"\n  xfrdir: {path:?}\n  server-count: 1\n  \
         rrl-ratelimit: 0\n  verbosity: 2\n  xfrd-reload-timeout: 0\n  logfile: \"{0}log\"\nremote-control:\n  control-enable: no\n\
         key:\n  name: transfer.key\n  algorithm: hmac-sha256\n  secret: \"{SECRET}\"\n\
         zone:\n  name: large.example\n  zonefile: large.example.zone\n  request-xfr: {primary} transfer.key\n  allow-notify: 127.0.0.1 transfer.key\n  provide-xfr: 127.0.0.1 NOKEY\n",
        path.display()
    );
    start("nsd", folder, port, &configuration, &["-d"])
}

/// The serial of the zone that a server answers with, if it does.
pub fn serial(server: SocketAddr, zone: &str) -> Option<u32> {
    let question = Question::new(zone, RecordType::SOA).to_vec();
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    socket.connect(server).unwrap();
    socket.send(&question).ok()?;
    let mut buffer = vec![0; 4096];
    let len = socket.recv(&mut buffer).ok()?;
    let message = hickory_proto::op::Message::from_vec(&buffer[..len]).ok()?;
    message
        .answers
        .iter()
        .find_map(|record| match &record.data {
            RData::SOA(soa) => Some(soa.serial),
            _ => None,
        })
}
