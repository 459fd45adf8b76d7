//! Floods with made-up senders, and clients that show who they are.

use std::cell::Cell;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_proto::op::{Edns, Message};
use hickory_proto::rr::RecordType;

use crate::program::{Folder, Server, eventually};
use crate::question::{Question, Reply};
use crate::world::{server, zone};

/// RFC 7873.
const COOKIE: u16 = 10;

fn config(more: &str) -> String {
    let node = "[pool.site]\n[node.fra]\nat = \"FRA\"\nip = [\"192.0.2.1\"]\n";
    format!("{}\n{}\n{node}{more}", server(), zone())
}

/// A question with a cookie.
fn with_cookie(cookie: &[u8]) -> Vec<u8> {
    let mut packet = Question::a("get.example.org").to_vec();
    // The length of the options stands last.
    let end = packet.len() - 2;
    packet.truncate(end);
    let len = u16::try_from(cookie.len()).unwrap();
    packet.extend((len + 4).to_be_bytes());
    packet.extend(COOKIE.to_be_bytes());
    packet.extend(len.to_be_bytes());
    packet.extend(cookie);
    packet
}

/// The cookie of a reply: it stands last but for what it is about.
fn cookie_of(reply: &[u8]) -> Vec<u8> {
    let head = [&COOKIE.to_be_bytes()[..], &24u16.to_be_bytes()].concat();
    let at = reply.windows(4).position(|w| w == head).expect("a cookie");
    reply[at + 4..at + 28].to_vec()
}

fn ask(socket: &UdpSocket, packet: &[u8]) -> Option<Vec<u8>> {
    socket.send(packet).unwrap();
    let mut reply = [0; 1500];
    loop {
        let len = socket.recv(&mut reply).ok()?;
        // Not that of an earlier question that was not waited for.
        if reply[..2] == packet[..2] {
            return Some(reply[..len].to_vec());
        }
    }
}

/// A client at this address.
fn client(server: &Server, from: &str) -> UdpSocket {
    let socket = UdpSocket::bind(from).unwrap();
    let patience = Some(Duration::from_secs(10));
    socket.set_read_timeout(patience).unwrap();
    socket.connect(server.address).unwrap();
    socket
}

fn counter(server: &Server, name: &str) -> u64 {
    server.json(&["status"])["counters"][name].as_u64().unwrap()
}

/// Replies a second that the stories allow to one network, of each kind.
const RATE: f64 = 10.0;
/// How many questions of a flood are counted.
const COUNTED: u16 = 20_000;
/// Octets that come back for each that was sent, at most (docs/abuse.md).
const MOST: f64 = 0.1;

/// What came of a flood.
#[derive(Debug)]
struct Flooded {
    socket: UdpSocket,
    whole: Cell<u64>,
    slips: Cell<u64>,
    back: Cell<u64>,
}

impl Flooded {
    fn take(&self) {
        let add = |to: &Cell<u64>, n: u64| to.set(to.get() + n);
        let mut reply = [0; 1500];
        while let Ok(len) = self.socket.recv(&mut reply) {
            add(&self.back, len as u64);
            let message = Message::from_vec(&reply[..len]).unwrap();
            // Where there is no budget for signatures, TC comes with the reason.
            let bare = |edns: &Edns| edns.options().as_ref().is_empty();
            if message.metadata.truncation && message.edns.as_ref().is_none_or(bare) {
                assert!(message.answers.is_empty());
                add(&self.slips, 1);
            } else {
                add(&self.whole, 1);
            }
        }
    }

    /// Until nothing more comes of what stood in queues.
    fn settle(&self, server: &Server) {
        let mut last = 0;
        eventually("all that came is counted", || {
            self.take();
            let all = counter(server, "received") + counter(server, "over the rate");
            (all == std::mem::replace(&mut last, all)).then_some(())
        });
        self.take();
    }
}

/// Sends many questions from this address, as fast as it goes: for a second, by which a network may be ahead of its rate, and then those that count.
fn flood(server: &Server, from: &str, question: impl Fn(u16) -> Vec<u8>) -> Flooded {
    let flooded = Flooded {
        socket: client(server, from),
        whole: Cell::new(0),
        slips: Cell::new(0),
        back: Cell::new(0),
    };
    flooded.socket.set_nonblocking(true).unwrap();
    // A full queue of the system is no matter here.
    let send = |number: u16| {
        let packet = question(number);
        let sent = flooded.socket.send(&packet).is_ok();
        flooded.take();
        if sent { packet.len() as u64 } else { 0 }
    };
    let start = Instant::now();
    // With other names and types than those that count.
    for number in (COUNTED..3 * COUNTED).cycle() {
        if start.elapsed() > Duration::from_secs(1) {
            break;
        }
        send(number);
    }
    flooded.settle(server);
    // A machine that stalls gives the network the time for more replies: then they are counted once more.
    eventually(&format!("{from} is sent {MOST} of what it sends"), || {
        let before = flooded.back.get();
        let sent: u64 = (0..COUNTED).map(send).sum();
        flooded.settle(server);
        let times = (flooded.back.get() - before) as f64 / sent as f64;
        let (whole, slips) = (flooded.whole.get(), flooded.slips.get());
        eprintln!("{from}: {whole} whole replies, {slips} slips, x{times:.3}");
        // Of two kinds, where there is no budget for signatures; a second ahead, and one of each kind besides.
        let allowed = 2.0 * (RATE * (start.elapsed().as_secs_f64() + 1.0) + 1.0);
        assert!(whole as f64 <= allowed, "{whole} of {allowed}");
        (times <= MOST).then_some(())
    });
    flooded
}

#[test]
fn other_types_and_other_names_each_time_are_no_way_around() {
    let zone = "[zone.\"get.example.org\"]\nfile = \"zones/get.example.org.zone\"\nsigned = true\n";
    let node = "[pool.site]\n[node.fra]\nat = \"FRA\"\nip = [\"192.0.2.1\"]\n";
    let folder = Folder::with(&format!("{}\n{zone}{node}[rrl]\nrate = 10\n", server()));
    let records = "$TTL 300\n@ SOA ns host 1 7200 1800 1209600 300\n@ NS ns\nns A 192.0.2.53\n@ 300/30 POOL site\n\
                   text TXT \"hello\"\nalias CNAME text\n*.wild CNAME text\n";
    folder.write("zones/get.example.org.zone", records);
    assert_eq!(folder.run(&["keys", "new", "get.example.org"]).code, 0);
    let server = Server::start_in(&Arc::new(folder));
    let ask = |name: &str, rtype: RecordType| Question::new(name, rtype).signed().to_vec();
    let other = |number: u16| RecordType::from(256 + number);
    type Asks<'a> = &'a dyn Fn(u16) -> Vec<u8>;
    let ways: [(&str, Asks<'_>); 6] = [
        ("one type", &|_| ask("get.example.org", RecordType::A)),
        ("types that are not there", &|n| {
            ask("get.example.org", other(n))
        }),
        ("types of an alias", &|n| {
            ask("alias.get.example.org", other(n))
        }),
        ("names that are not there", &|n| {
            ask(&format!("x{n}.get.example.org"), RecordType::A)
        }),
        ("names of a wildcard", &|n| {
            ask(&format!("x{n}.wild.get.example.org"), RecordType::A)
        }),
        ("both", &|n| {
            ask(&format!("x{n}.wild.get.example.org"), other(n))
        }),
    ];
    for (number, (way, asks)) in (1..).zip(ways) {
        eprintln!("{way}:");
        flood(&server, &format!("127.78.{number}.1:0"), asks);
    }
}

#[test]
fn a_flood_from_one_network_is_cut_and_all_others_are_answered() {
    let server = Server::start(&config("[rrl]\nrate = 10\n"));
    let packet = Question::a("get.example.org").to_vec();
    let flooded = flood(&server, "127.78.0.1:0", |_| packet.clone());
    assert!(flooded.slips.get() > 100, "{flooded:?}");

    // The same network by TCP and with a cookie of ours.
    let known = client(&server, "127.78.0.2:0");
    assert_eq!(
        Question::a("get.example.org").by_tcp(server.address).one(),
        "192.0.2.1"
    );
    let cookie = eventually("a cookie", || {
        // Until the bucket has room again, or a slip comes, which has none.
        known
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        let reply = ask(&known, &with_cookie(&[7; 8]));
        reply.filter(|r| r.len() > 60).map(|r| cookie_of(&r))
    });
    known
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    for _ in 0..200 {
        let _ = flooded.socket.send(&packet);
        let packet = with_cookie(&cookie);
        let reply = Reply::of(&packet, &ask(&known, &packet).expect("an answer"));
        assert_eq!(reply.one(), "192.0.2.1");
    }
    // Other networks, each right behind a volley that no queue is too short for.
    let limited = counter(&server, "over the rate");
    for network in 1..=20 {
        let before = counter(&server, "received");
        let volley = (0..100).filter(|_| flooded.socket.send(&packet).is_ok());
        let volley = volley.count() as u64;
        let other = client(&server, &format!("127.79.{network}.1:0"));
        for _ in 0..5 {
            let packet = Question::a("get.example.org").to_vec();
            let reply = Reply::of(&packet, &ask(&other, &packet).expect("an answer"));
            assert_eq!(reply.one(), "192.0.2.1");
        }
        eventually("all of the volley has come", || {
            (counter(&server, "received") >= before + volley + 5).then_some(())
        });
    }
    assert!(counter(&server, "over the rate") > limited);
}

#[test]
fn a_cookie_is_given_without_a_question() {
    let server = Server::start(&config("[rrl]\nrate = 1000\n"));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    socket.connect(server.address).unwrap();
    let bare = |id: u8, cookie: &[u8]| {
        let len = u8::try_from(cookie.len()).unwrap();
        let head = [id, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        let opt = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, len + 4, 0, 10, 0, len];
        [&head[..], &opt, cookie].concat()
    };
    let ask = |packet: &[u8]| {
        let reply = ask(&socket, packet).expect("a reply");
        // No question, no records but OPT; its upper bits of the code come third in its TTL's place.
        assert_eq!(reply[4..12], [0, 0, 0, 0, 0, 0, 0, 1]);
        let code = u16::from(reply[12 + 5]) << 4 | u16::from(reply[3] & 0xf);
        (code, cookie_of(&reply))
    };
    let (code, given) = ask(&bare(1, &[7; 8]));
    assert_eq!((code, &given[..8]), (0, &[7; 8][..]));
    assert_eq!(ask(&bare(2, &given)), (0, given.clone()));
    let mut other = given.clone();
    other[23] ^= 1;
    let (code, renewed) = ask(&bare(3, &other));
    assert_eq!(code, 23, "BADCOOKIE");
    assert_eq!(ask(&bare(4, &renewed)), (0, renewed));
    // It is as good as any other.
    let packet = with_cookie(&given);
    assert_eq!(cookie_of(&self::ask(&socket, &packet).unwrap()), given);

    let none = Server::start(&config("[cookies]\ngive = false\n"));
    socket.connect(none.address).unwrap();
    let reply = self::ask(&socket, &bare(4, &[7; 8])).expect("a reply");
    assert_eq!(reply[3] & 0xf, 1, "FORMERR");
}

#[test]
fn cookies_are_those_that_dig_knows() {
    let secret = "e5e973e5a6b2a43f48e7dc849e37bfcf";
    let server = Server::start(&config(&format!("[cookies]\nsecrets = [\"{secret}\"]\n")));
    let dug = server.dig(&["+cookie", "get.example.org"]);
    assert!(dug.out.contains("(good)"), "{dug:?}");
    let none = server.dig(&["+nocookie", "get.example.org"]);
    assert!(!none.out.contains("COOKIE"), "{none:?}");
    // RFC 7873 5.2.2: a cookie of no such length.
    let wrong = server.dig(&["+ednsopt=10:0102", "+nocookie", "get.example.org"]);
    assert!(wrong.out.contains("FORMERR"), "{wrong:?}");

    // Another server with the same secret knows the cookie; none is given where that is said.
    let socket = |server: &Server| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        socket.connect(server.address).unwrap();
        socket
    };
    let given = cookie_of(&ask(&socket(&server), &with_cookie(&[3; 8])).unwrap());
    let other = Server::start(&config(&format!(
        "[cookies]\nsecrets = [\"{secret}\", \"{}\"]\n",
        "00".repeat(16)
    )));
    let renewed = cookie_of(&ask(&socket(&other), &with_cookie(&given)).unwrap());
    assert_eq!(renewed, given, "it is known, and new enough");
    let none = Server::start(&config("[cookies]\ngive = false\n"));
    let reply = ask(&socket(&none), &with_cookie(&given)).unwrap();
    assert!(!reply.windows(4).any(|w| w == [0, 10, 0, 24]));
}
