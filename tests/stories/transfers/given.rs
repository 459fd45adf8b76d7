//! Primaries of our own making, which do what no sane one does.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What one has to give: a small zone of any name.
#[derive(Clone, Debug)]
pub struct Given {
    pub serial: u32,
    /// Refresh, retry and expire.
    pub times: [u32; 3],
    /// So many names of a hundred labels each, which make a hundred names of each.
    pub deep: u16,
    /// What IXFR is answered with, other than what is right.
    pub ixfr: Ixfr,
    /// The types of the questions that have come, the first first.
    pub asked: Vec<u16>,
    /// Where the last one has come from.
    pub came: Option<IpAddr>,
}

/// How IXFR is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ixfr {
    /// By the SOA alone, or all of the zone.
    Fine,
    /// By this code.
    Code(u8),
    /// By steps that fit nothing.
    Misfit,
}

pub const IXFR: u16 = 251;
pub const AXFR: u16 = 252;

/// A primary, as long as the story.
pub struct Primary {
    pub address: SocketAddr,
    given: Arc<Mutex<Given>>,
}

impl Primary {
    /// On 127.0.0.`last`, on the same port as others may have elsewhere.
    pub fn start(last: u8, serial: u32, times: [u32; 3]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::new(127, 0, 0, last), 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let given = Arc::new(Mutex::new(Given {
            serial,
            times,
            deep: 0,
            ixfr: Ixfr::Fine,
            asked: Vec::new(),
            came: None,
        }));
        let shared = Arc::clone(&given);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // Who goes away in the middle is nobody's concern.
                let _ = answer(stream, &shared);
            }
        });
        Self { address, given }
    }

    /// Looks at what it gives, or changes it.
    pub fn with<T>(&self, look: impl FnOnce(&mut Given) -> T) -> T {
        look(&mut self.given.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells a secondary of its serial, and waits for the reply.
    pub fn notify(&self, zone: &str, secondary: SocketAddr) {
        let serial = self.with(|given| given.serial);
        let mut message = vec![0, 9, 0x24, 0, 0, 1, 0, 1, 0, 0, 0, 0];
        message.extend(wire(zone));
        message.extend([0, 6, 0, 1]);
        message.extend(record(&wire(zone), 6, &soa(serial, [1; 3])));
        let socket = UdpSocket::bind((self.address.ip(), 0)).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        socket.send_to(&message, secondary).unwrap();
        let mut reply = [0; 512];
        let len = socket.recv(&mut reply).unwrap();
        assert!(len >= 12 && reply[3] & 0xf == 0, "{:?}", &reply[..len]);
    }
}

/// A name in wire form.
pub fn wire(name: &str) -> Vec<u8> {
    let labels = name.split('.').filter(|l| !l.is_empty());
    let mut out: Vec<u8> = labels
        .flat_map(|l| [&[u8::try_from(l.len()).unwrap()], l.as_bytes()].concat())
        .collect();
    out.push(0);
    out
}

fn soa(serial: u32, [refresh, retry, expire]: [u32; 3]) -> Vec<u8> {
    let mut out = [wire("ns1.primary.example"), wire("host.primary.example")].concat();
    for number in [serial, refresh, retry, expire, 60] {
        out.extend(number.to_be_bytes());
    }
    out
}

fn record(owner: &[u8], rtype: u16, rdata: &[u8]) -> Vec<u8> {
    let mut out = owner.to_vec();
    out.extend(rtype.to_be_bytes());
    out.extend([0, 1, 0, 0, 0, 60]);
    out.extend(u16::try_from(rdata.len()).unwrap().to_be_bytes());
    out.extend(rdata);
    out
}

fn answer(mut stream: TcpStream, given: &Mutex<Given>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut len = [0; 2];
    stream.read_exact(&mut len)?;
    let mut question = vec![0; u16::from_be_bytes(len).into()];
    stream.read_exact(&mut question)?;
    let mut end = 12;
    while question[end] != 0 {
        end += 1 + usize::from(question[end]);
    }
    let apex = question[12..=end].to_vec();
    let qtype = u16::from_be_bytes([question[end + 1], question[end + 2]]);
    let mut given = given.lock().unwrap_or_else(PoisonError::into_inner);
    given.asked.push(qtype);
    given.came = Some(stream.peer_addr()?.ip());
    let newest = record(&apex, 6, &soa(given.serial, given.times));
    let mut whole = vec![
        newest.clone(),
        record(&apex, 2, &wire("ns1.primary.example")),
        record(&[b"\x01a", &apex[..]].concat(), 1, &[192, 0, 2, 1]),
    ];
    for number in 0..given.deep {
        let [high, low] = number.to_be_bytes();
        let owner = [&b"\x01d".repeat(100)[..], &[2, high, low], &apex].concat();
        whole.push(record(&owner, 1, &[192, 0, 2, 2]));
    }
    whole.push(newest.clone());
    // The SOA of an IXFR question ends it, unless it is signed.
    let at = question.len().saturating_sub(20);
    let theirs = u32::from_be_bytes(*question[at..].first_chunk().unwrap());
    let (mut code, mut records) = (0, whole);
    if qtype == IXFR {
        match given.ixfr {
            Ixfr::Fine if theirs >= given.serial => records.truncate(1),
            Ixfr::Fine => {}
            Ixfr::Code(other) => (code, records) = (other, Vec::new()),
            Ixfr::Misfit => {
                let before = record(&apex, 6, &soa(theirs, given.times));
                let never = record(&[b"\x05never", &apex[..]].concat(), 1, &[192, 0, 2, 9]);
                records = vec![newest.clone(), before, never, newest.clone(), newest];
            }
        }
    }
    let count = u8::try_from(records.len()).unwrap();
    let mut reply = vec![
        question[0],
        question[1],
        0x84,
        code,
        0,
        1,
        0,
        count,
        0,
        0,
        0,
        0,
    ];
    reply.extend_from_slice(&question[12..end + 5]);
    reply.extend(records.concat());
    let len = u16::try_from(reply.len()).unwrap();
    stream.write_all(&[&len.to_be_bytes()[..], &reply].concat())
}
