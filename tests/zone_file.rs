//! The reader of zone files against other people's programs: each record of the rich zone must have the RDATA that Knot
//! and NSD give it. Both serve the zone on loopback, kdig transfers it in the form of RFC 3597 (dig calls
//! an IPSECKEY without a key malformed).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test: it may fail, says what it skips, and waits for other programs by the clock"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nearmost::diagnostic::{Diagnostics, Sources};
use nearmost::zone::{Data, Name, Record, file};

/// Types that Knot and NSD act on or that only one of them reads: compared, but not part of the zone for questions.
const SIGNED: &str = r"
$ORIGIN types.example.
$TTL 300
@ SOA ns1 h 1 2 3 4 5
@ NS ns1
ns1 A 192.0.2.1
a RRSIG A 8 3 300 20300101000000 20200101000000 12345 types.example. AQIDBA==
a RRSIG TYPE65280 ED25519 3 300 20380119031408 19700101000000 65535 types.example. AQIDBA==
a NSEC b A MX RRSIG NSEC TYPE1234
a NSEC \*.Q.types.example. A
b NSEC c
c NSEC3 1 1 12 aabbccdd 2t7b4g4vsa5smi47k61mv5bv1a22bojr MX DNSKEY NS SOA NSEC3PARAM RRSIG CAA TYPE65535
c NSEC3 1 0 0 - 0P9MHAVEQVM6T7VBL5LOP2U3T2RP3TOM
c NSEC3PARAM 1 0 12 aabbccdd
c NSEC3PARAM 1 0 0 -
d CDS 0 0 0 00
d IPSECKEY 10 3 0 Gateway.d
d CDNSKEY 0 3 0 AA==
";

/// Types that only NSD reads in their text form.
const HISTORIC: &str = r#"
a MD b
a MF b
a MB b
a MG b
a MR b
a NULL \# 2 0102
a WKS 192.0.2.1 TCP smtp 80 21
a WKS 192.0.2.1 17 53
a X25 311061700956
a ISDN 150862028003217 004
a ISDN "150862028003218"
a NSAP 0x47.0005.80.005a00.0000.0001.e133.ffffff000161.00
a SIG A 8 2 300 20300101000000 20200101000000 12345 types.example. AQIDBA==
a PX 10 map822 mapx400
a NXT b A MX SIG NXT
a AVC "app-name:WOLFGANG|app-class:OAM"
a DLV 12345 8 2 000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f
a HINFO "" ""
a HTTPS 1 . dohpath=/dns-query{?dns} alpn=h2
"#;

#[test]
fn knot_reads_the_rich_zone_as_we_do() {
    let Some(oracle) = oracle("knotd") else {
        return;
    };
    let zone = std::fs::read_to_string(rich()).unwrap();
    compare(
        &zone,
        "rich.example.",
        &oracle.serve("rich.example.", &zone),
    );
}

#[test]
fn nsd_reads_the_rich_zone_as_we_do() {
    let Some(oracle) = oracle("nsd") else { return };
    let zone = std::fs::read_to_string(rich()).unwrap();
    compare(
        &zone,
        "rich.example.",
        &oracle.serve("rich.example.", &zone),
    );
}

#[test]
fn knot_reads_signatures_as_we_do() {
    let Some(oracle) = oracle("knotd") else {
        return;
    };
    compare(
        SIGNED,
        "types.example.",
        &oracle.serve("types.example.", SIGNED),
    );
}

#[test]
fn nsd_reads_signatures_and_historic_types_as_we_do() {
    let Some(oracle) = oracle("nsd") else { return };
    let zone = format!("{SIGNED}{HISTORIC}");
    compare(
        &zone,
        "types.example.",
        &oracle.serve("types.example.", &zone),
    );
}

#[test]
fn the_rich_zone_has_no_errors() {
    let mut sources = Sources::default();
    let mut found = Diagnostics::default();
    let origin = Name::absolute("rich.example").unwrap();
    let contents = file::read(&rich(), &origin, &mut sources, &mut found);
    assert_eq!(contents.origin, origin);
    let read = contents.records.len();
    let records = file::check(&origin, contents.records, &[], &mut found);
    assert_eq!(found.errors(), 0, "{}", found.render(&sources, false));
    assert_eq!(records.len(), read, "{}", found.render(&sources, false));
    assert!(read > 400, "{read}");
}

fn rich() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("zones/rich.example.zone")
}

/// Owner and type, then RDATA, sorted. Names in RDATA may have lost their case, so all letters have.
type Zone = BTreeMap<(String, u16), Vec<String>>;

fn compare(text: &str, origin: &str, theirs: &str) {
    let mut sources = Sources::default();
    let mut found = Diagnostics::default();
    let apex = Name::absolute(origin).unwrap();
    let contents = file::read_text(
        Path::new("zone"),
        text.as_bytes(),
        &apex,
        &mut sources,
        &mut found,
    );
    assert_eq!(found.errors(), 0, "{}", found.render(&sources, false));
    let ours = ours(&contents.records);
    let theirs = transferred(theirs);
    for (key, rdata) in &theirs {
        assert_eq!(ours.get(key), Some(rdata), "{key:?}");
    }
    assert_eq!(ours.len(), theirs.len());
}

fn ours(records: &[Record]) -> Zone {
    let mut zone = Zone::new();
    for record in records {
        let Data::Plain { rtype, rdata } = &record.data else {
            panic!("a pool")
        };
        let hex = rdata
            .to_ascii_lowercase()
            .iter()
            .fold(String::new(), |mut hex, octet| {
                let _ = write!(hex, "{octet:02x}");
                hex
            });
        let set = zone
            .entry((record.owner.to_lower().to_string(), *rtype))
            .or_default();
        if !set.contains(&hex) {
            set.push(hex);
        }
    }
    zone.values_mut().for_each(|set| set.sort());
    zone
}

/// Lines of `kdig +generic`: owner, TTL, class, type, `\#`, length, octets.
fn transferred(lines: &str) -> Zone {
    let mut zone = Zone::new();
    for line in lines
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with(';'))
    {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [owner, _, "IN", rtype, "\\#", length, rest @ ..] = words.as_slice() else {
            panic!("{line}")
        };
        let rdata = rest.concat();
        assert_eq!(rdata.len(), 2 * length.parse::<usize>().unwrap(), "{line}");
        let octets: Vec<u8> = (0..rdata.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&rdata[i..i + 2], 16).unwrap())
            .collect();
        let hex: String = octets
            .to_ascii_lowercase()
            .iter()
            .map(|o| format!("{o:02x}"))
            .collect();
        let owner = Name::absolute(owner).unwrap().to_lower().to_string();
        let set = zone
            .entry((owner, rtype.strip_prefix("TYPE").unwrap().parse().unwrap()))
            .or_default();
        // A transfer begins and ends with the SOA.
        if !set.contains(&hex) {
            set.push(hex);
        }
    }
    zone.values_mut().for_each(|set| set.sort());
    zone
}

/// A server that is installed here, and kdig. None, told on stdout, where one is missing; with NEARMOST_REQUIRE_ALL=1
/// that is a failure.
fn oracle(server: &'static str) -> Option<Oracle> {
    let missing = [server, "kdig"]
        .into_iter()
        .find(|name| find(name).is_none());
    if let Some(name) = missing {
        assert!(
            std::env::var("NEARMOST_REQUIRE_ALL").as_deref() != Ok("1"),
            "{name} is not installed"
        );
        println!("skipped: {name} is not installed");
        return None;
    }
    Some(Oracle { server })
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/bin".into()]);
    folders
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

struct Oracle {
    server: &'static str,
}

/// Ends the server when the test ends.
struct Running(Child, PathBuf);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        let _ = std::fs::remove_dir_all(&self.1);
    }
}

impl Oracle {
    /// Serves one zone, transfers it, and gives what kdig prints.
    fn serve(&self, origin: &str, zone: &str) -> String {
        let folder = std::env::temp_dir().join(format!(
            "nearmost-{}-{}-{origin}",
            self.server,
            std::process::id()
        ));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("zone"), zone).unwrap();
        let port = free_port();
        let configuration = if self.server == "nsd" {
            nsd(&folder, origin, port)
        } else {
            knot(&folder, origin, port)
        };
        let file = folder.join("conf");
        std::fs::write(&file, configuration).unwrap();
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let mut command = Command::new(find(self.server).unwrap());
        command
            .arg("-c")
            .arg(&file)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .stdin(Stdio::null());
        if self.server == "nsd" {
            command.arg("-d");
        }
        let running = Running(command.spawn().unwrap(), folder.clone());
        wait_for(port, &folder);
        let port = port.to_string();
        let arguments = ["+tcp", "+generic", "+noidn", "@127.0.0.1", "-p", &port];
        let output = Command::new(find("kdig").unwrap())
            .args(arguments)
            .args([origin, "AXFR"])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        assert!(text.contains("TYPE6"), "{text}\n{log}");
        drop(running);
        text
    }
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// Until the zone's SOA is answered over TCP.
fn wait_for(port: u16, folder: &Path) {
    let end = Instant::now() + Duration::from_secs(20);
    let name = std::fs::read_to_string(folder.join("conf")).unwrap();
    let origin = if name.contains("rich.example.") {
        "rich.example"
    } else {
        "types.example"
    };
    while !answers(port, origin) {
        let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        assert!(Instant::now() < end, "no answer\n{log}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn answers(port: u16, origin: &str) -> bool {
    let name = Name::absolute(origin).unwrap();
    let mut query = vec![0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    query.extend_from_slice(name.wire());
    query.extend([0, 6, 0, 1]);
    let mut message = u16::try_from(query.len()).unwrap().to_be_bytes().to_vec();
    message.append(&mut query);
    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else {
        return false;
    };
    stream
        .set_read_timeout(Some(Duration::from_secs(2)))
        .unwrap();
    let mut head = [0; 14];
    // Two octets of length, then the header: NOERROR and one answer.
    stream.write_all(&message).is_ok()
        && stream.read_exact(&mut head).is_ok()
        && head[5] & 15 == 0
        && head[9] == 1
}

fn knot(folder: &Path, origin: &str, port: u16) -> String {
    let folder = folder.display();
    format!(
        "server:\n    rundir: {folder}\n    listen: 127.0.0.1@{port}\n\
         database:\n    storage: {folder}/db\n\
         acl:\n  - id: all\n    address: 127.0.0.1\n    action: transfer\n\
         zone:\n  - domain: {origin}\n    file: {folder}/zone\n    acl: all\n    journal-content: none\n    zonefile-sync: -1\n"
    )
}

fn nsd(folder: &Path, origin: &str, port: u16) -> String {
    let folder = folder.display();
    format!(
        "server:\n    ip-address: 127.0.0.1@{port}\n    username: \"\"\n    chroot: \"\"\n    zonesdir: {folder}\n    database: \"\"\n\
         \x20   pidfile: {folder}/pid\n    xfrdfile: {folder}/xfrd\n    zonelistfile: {folder}/list\n    xfrdir: {folder}\n\
         \x20   server-count: 1\n    rrl-ratelimit: 0\n\
         remote-control:\n    control-enable: no\n\
         zone:\n    name: {origin}\n    zonefile: zone\n    provide-xfr: 127.0.0.1 NOKEY\n"
    )
}
