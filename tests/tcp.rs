//! DNS over TCP on loopback, against clients that are fast, slow, broken or hostile. Other addresses of 127/8 are other clients.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use nearmost::answer::Transport;
use nearmost::diagnostic::Span;
use nearmost::geo::World;
use nearmost::health::Table;
use nearmost::metrics::Questions;
use nearmost::prefix::Prefix;
use nearmost::server::tcp::{Limits, Way, bind, serve};
use nearmost::snapshot::{Allow, Current, Secondaries, Settings, Snapshot, TableCell, Zones};
use nearmost::zone::version::{Journal, Records, Rr, Version};
use nearmost::zone::{Data, Name, Record, Zone, rtype};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// The type of `big.example`.
const TXT: u16 = 16;
/// When to give up on what must happen: longer than any machine stalls.
const PATIENCE: Duration = Duration::from_secs(30);
/// A limit that no test reaches.
const NEVER: Duration = Duration::from_secs(3600);
/// A limit that a test waits for.
const SOON: Duration = Duration::from_millis(200);

const RELAXED: Limits = Limits {
    connections: 1000,
    per_client: 1000,
    per_network: 1000,
    idle: NEVER,
    message: NEVER,
    total: NEVER,
    write: NEVER,
};

fn record(owner: &str, rtype: u16, rdata: &[u8]) -> Record {
    Record {
        owner: Name::absolute(owner).expect("a name"),
        ttl: 60,
        data: Data::Plain {
            rtype,
            rdata: rdata.into(),
        },
        span: Span::new(0, 0, 0),
    }
}

/// `www.example` has an address, `big.example` a reply of some 50 000 octets.
fn snapshot() -> Snapshot {
    let mut soa = b"\x01a\0\x01b\0".to_vec();
    soa.extend_from_slice(&[0; 20]);
    let mut records = vec![
        record("example", rtype::SOA, &soa),
        record("example", rtype::NS, b"\x01a\0"),
        record("www.example", rtype::A, &[192, 0, 2, 1]),
    ];
    for number in 0..200 {
        let mut text = vec![b'x'; 250];
        text[0] = 249;
        text[1] = number;
        records.push(record("big.example", TXT, &text));
    }
    let apex = Name::absolute("example").expect("a name");
    Snapshot {
        addresses: Vec::new(),
        given: Vec::new(),
        log: None,
        built: Default::default(),
        generation: 1,
        zones: Zones::new(vec![Zone::build(&apex, &records, &HashMap::new())]),
        secondaries: vec![secondaries(&apex)],
        primaries: vec![],
        query: vec![],
        serial_every: Default::default(),
        received_memory: 0,
        keys: Default::default(),
        pools: vec![],
        nodes: vec![],
        near: vec![],
        world: World::build(&[], &[]).into(),
        databases: Vec::new().into(),
        private: vec![],
        signed: None,
        settings: Settings {
            udp_size: 1232,
            nsid: None,
            keepalive: None,
            padding: false,
            rrl: None,
            cookies: None,
        },
        table: TableCell::new(Table::new(vec![])),
    }
}

/// This machine may have a zone of 16 MiB: more than the system keeps for who does not read.
fn secondaries(apex: &Name) -> Secondaries {
    static LARGE: OnceLock<Arc<Journal>> = OnceLock::new();
    let journal = LARGE.get_or_init(|| {
        let rdata: Vec<Vec<u8>> = (0..4096u16)
            .map(|n| [&n.to_be_bytes()[..], &[0; 4094]].concat())
            .collect();
        let rr = |rdata| Rr {
            owner: apex.wire(),
            rtype: 65_280,
            ttl: 60,
            rdata,
        };
        let mut soa = b"\x01a\0\x01b\0".to_vec();
        soa.extend_from_slice(&[0; 20]);
        let version = Version {
            apex: apex.clone(),
            ttl: 60,
            soa: soa.into(),
            records: Arc::new(Records::new(rdata.iter().map(|r| rr(&r[..])))),
        };
        Arc::new(Journal::new(version))
    });
    let own = Secondaries {
        allow: vec![Allow {
            from: Some(Prefix::holding([127, 0, 0, 0].into(), 8)),
            key: None,
        }],
        is_served: true,
        ..Secondaries::default()
    };
    own.journal.store(Some(Arc::clone(journal)));
    own
}

/// A running server.
struct Server {
    addresses: Vec<SocketAddr>,
    counters: Arc<Questions>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Server {
    fn start(limits: Limits) -> Self {
        Self::on(&["127.0.0.1:0"], limits)
    }

    fn on(addresses: &[&str], limits: Limits) -> Self {
        let bound = |a: &&str| {
            let bound = bind(a.parse().expect("an address")).expect("a free port");
            tokio::net::TcpListener::from_std(bound).expect("within a runtime")
        };
        let listeners: Vec<_> = addresses.iter().map(bound).collect();
        let local = |l: &tokio::net::TcpListener| l.local_addr().expect("a bound socket");
        let addresses = listeners.iter().map(local).collect();
        let counters = Arc::new(Questions::default());
        let current = Arc::new(Current::new(snapshot()));
        let (stop, stopped) = oneshot::channel();
        let way = Way {
            transport: Transport::Tcp,
            listeners,
            knocks: None,
            counters: counters.clone(),
            number: 0,
            shown: None,
        };
        let serving = serve(vec![way], current, limits, async {
            let _: Result<(), _> = stopped.await;
            Duration::ZERO
        });
        Self {
            addresses,
            counters,
            stop,
            task: tokio::spawn(serving),
        }
    }

    async fn connect(&self) -> TcpStream {
        self.connect_from(Ipv4Addr::LOCALHOST).await
    }

    async fn connect_from(&self, source: Ipv4Addr) -> TcpStream {
        let socket = TcpSocket::new_v4().expect("a socket");
        // Small, so that the server's own bounds are what shows.
        for set in [
            TcpSocket::set_send_buffer_size,
            TcpSocket::set_recv_buffer_size,
        ] {
            set(&socket, 64 * 1024).expect("a socket");
        }
        socket
            .bind((source, 0).into())
            .expect("127/8 is all our own");
        let connected = within(socket.connect(self.addresses[0])).await;
        connected.expect("a listening server")
    }

    /// Asks on a connection of its own and checks the reply.
    async fn is_well(&self) {
        ask(&mut self.connect().await, 4711).await;
    }

    /// Stops it after a last good answer.
    async fn end(self) {
        self.is_well().await;
        assert_eq!(self.counters.panics.get(), 0);
        self.stop.send(()).expect("a running server");
        within(self.task).await.expect("an orderly end");
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    let waited = timeout(PATIENCE, future).await;
    waited.expect("it happens before patience ends")
}

/// Waits for what counters or sockets will show.
async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let looking = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    assert!(timeout(PATIENCE, looking).await.is_ok(), "{what}");
}

/// A query with its length: `www` or `big`, of the example zone.
fn query(id: u16, label: &[u8; 3], rtype: u16) -> Vec<u8> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3]);
    message.extend_from_slice(label);
    message.extend_from_slice(b"\x07example\0");
    message.extend_from_slice(&rtype.to_be_bytes());
    message.extend_from_slice(&[0, 1]);
    framed(&message)
}

/// All of the zone.
fn axfr() -> Vec<u8> {
    framed(b"\0\x01\0\0\0\x01\0\0\0\0\0\0\x07example\0\0\xfc\0\x01")
}

fn framed(message: &[u8]) -> Vec<u8> {
    let len = u16::try_from(message.len()).expect("a short message");
    [&len.to_be_bytes()[..], message].concat()
}

fn www(id: u16) -> Vec<u8> {
    query(id, b"www", rtype::A)
}

async fn send(stream: &mut TcpStream, octets: &[u8]) {
    let sent = within(stream.write_all(octets)).await;
    sent.expect("an open connection");
}

/// One reply without its length; none at the end of the stream.
async fn receive(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let len = within(stream.read_u16()).await.ok()?;
    let mut reply = vec![0; len.into()];
    let read = within(stream.read_exact(&mut reply)).await;
    read.expect("a whole reply");
    Some(reply)
}

/// The next reply is the address of `www.example`.
async fn expect_www(stream: &mut TcpStream, id: u16) {
    let reply = receive(stream).await.expect("a reply");
    assert_eq!(reply[..2], id.to_be_bytes());
    assert_eq!(reply[2..8], [0x84, 0, 0, 1, 0, 1]);
    assert!(reply.windows(4).any(|w| w == [192, 0, 2, 1]));
}

async fn ask(stream: &mut TcpStream, id: u16) {
    send(stream, &www(id)).await;
    expect_www(stream, id).await;
}

/// Whatever still comes is read; then the server has closed.
async fn expect_closed(stream: &mut TcpStream) {
    let mut rest = [0; 4096];
    while let Ok(1..) = within(stream.read(&mut rest)).await {}
}

#[tokio::test]
async fn a_hundred_queries_in_one_segment() {
    let server = Server::start(RELAXED);
    let mut client = server.connect().await;
    let all: Vec<u8> = (0..100).flat_map(www).collect();
    send(&mut client, &all).await;
    for id in 0..100 {
        expect_www(&mut client, id).await;
    }
    assert_eq!(server.counters.received.get(), 100);
    assert_eq!(server.counters.codes()[0], 100);
    server.end().await;
}

#[tokio::test]
async fn octet_by_octet() {
    let server = Server::start(RELAXED);
    let mut client = server.connect().await;
    client.set_nodelay(true).expect("an open connection");
    for id in 0..3 {
        for octet in www(id) {
            send(&mut client, &[octet]).await;
            tokio::task::yield_now().await;
        }
        expect_www(&mut client, id).await;
    }
    server.end().await;
}

#[tokio::test]
async fn the_length_apart_and_the_next_message_half_there() {
    let server = Server::start(RELAXED);
    let mut client = server.connect().await;
    client.set_nodelay(true).expect("an open connection");
    let (first, second) = (www(1), www(2));
    send(&mut client, &first[..2]).await;
    server.is_well().await;
    send(&mut client, &[&first[2..], &second[..9]].concat()).await;
    expect_www(&mut client, 1).await;
    send(&mut client, &second[9..]).await;
    expect_www(&mut client, 2).await;
    server.end().await;
}

#[tokio::test]
async fn replies_larger_than_buffers() {
    let server = Server::start(RELAXED);
    let mut client = server.connect().await;
    for id in 0..20 {
        send(&mut client, &query(id, b"big", TXT)).await;
    }
    for id in 0..20u16 {
        let reply = receive(&mut client).await.expect("a reply");
        assert_eq!(reply[..2], id.to_be_bytes());
        assert_eq!(reply[6..8], [0, 200]);
        assert!(reply.len() > 50_000);
    }
    ask(&mut client, 20).await;
    server.end().await;
}

#[tokio::test]
async fn half_closed_clients_get_all_their_replies() {
    let server = Server::start(RELAXED);
    let mut client = server.connect().await;
    let mut all: Vec<u8> = (0..30).flat_map(www).collect();
    all.extend_from_slice(&www(30)[..7]);
    send(&mut client, &all).await;
    client.shutdown().await.expect("an open connection");
    for id in 0..30 {
        expect_www(&mut client, id).await;
    }
    assert_eq!(receive(&mut client).await, None);
    server.end().await;
}

#[tokio::test]
async fn two_queries_then_a_reset() {
    let server = Server::start(RELAXED);
    for _ in 0..20 {
        let mut client = server.connect().await;
        send(&mut client, &[www(1), www(2)].concat()).await;
        // Closed with something unread, or before anything could come: a reset either way.
        client.set_zero_linger().expect("an open connection");
    }
    server.end().await;
}

#[tokio::test]
async fn nonsense_closes_after_what_came_before() {
    let server = Server::start(RELAXED);
    for nonsense in [&[0, 0][..], &[0, 11], &[0; 40_000]] {
        let mut client = server.connect().await;
        send(&mut client, &[&www(1), &www(2), nonsense].concat()).await;
        expect_www(&mut client, 1).await;
        expect_www(&mut client, 2).await;
        let end = within(client.read(&mut [0])).await;
        assert_eq!(end.expect("no reset: that can cost replies"), 0);
    }
    server.end().await;
}

#[tokio::test]
async fn messages_that_are_no_queries() {
    let server = Server::start(RELAXED);
    let mut client = server.connect().await;
    let mut response = www(1);
    response[4] = 0x80;
    let update = framed(&[0, 2, 0x28, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let noise = framed(&[0x55; 700]);
    send(
        &mut client,
        &[&response[..], &update, &noise, &www(4)].concat(),
    )
    .await;
    let reply = receive(&mut client).await.expect("NOTIMP");
    assert_eq!((reply[1], reply[3] & 15), (2, 4));
    let reply = receive(&mut client).await.expect("an error");
    assert_eq!(reply[..2], [0x55; 2]);
    expect_www(&mut client, 4).await;
    assert_eq!(server.counters.silent.get(), 1);
    server.end().await;
}

/// Each connection is closed by the one limit that is short, and by no reply too late.
#[tokio::test]
async fn silence_is_closed_after_the_idle_time() {
    let server = Server::start(Limits {
        idle: SOON,
        ..RELAXED
    });
    let mut silent = server.connect().await;
    expect_closed(&mut silent).await;
    let mut client = server.connect().await;
    ask(&mut client, 1).await;
    expect_closed(&mut client).await;
    server.end().await;
}

#[tokio::test]
async fn a_message_must_be_whole_in_time() {
    let server = Server::start(Limits {
        message: SOON,
        ..RELAXED
    });
    let mut client = server.connect().await;
    ask(&mut client, 1).await;
    send(&mut client, &[&www(2), &[0, 200][..]].concat()).await;
    expect_www(&mut client, 2).await;
    // Octets buy no time: there are more of them than the deadline has milliseconds, and the message never gets whole.
    let mut sent = 0;
    let dripping = async {
        while client.write_all(&[0]).await.is_ok() {
            sent += 1;
            assert!(sent < 199, "the deadline passed long ago");
            tokio::time::sleep(SOON / 20).await;
        }
    };
    within(dripping).await;
    server.end().await;
}

#[tokio::test]
async fn no_connection_lives_for_ever() {
    let server = Server::start(Limits {
        total: SOON,
        ..RELAXED
    });
    let mut silent = server.connect().await;
    expect_closed(&mut silent).await;
    let mut busy = server.connect().await;
    let asking = async {
        for id in 0.. {
            if busy.write_all(&www(id)).await.is_err() || receive(&mut busy).await.is_none() {
                return;
            }
        }
    };
    within(asking).await;
    server.end().await;
}

/// Sends queries until the server takes no more; how many octets it took.
async fn stuff(client: &mut TcpStream) -> usize {
    let batch: Vec<u8> = (0..100).flat_map(|id| query(id, b"big", TXT)).collect();
    let mut taken = 0;
    while let Ok(Ok(more)) = timeout(SOON, client.write(&batch[taken % batch.len()..])).await {
        taken += more;
    }
    taken
}

#[tokio::test]
async fn who_does_not_read_is_not_read_from() {
    let server = Server::start(RELAXED);
    let mut client = server.connect().await;
    let taken = stuff(&mut client).await;
    assert!(taken < 2 << 20, "{taken} octets taken");
    let answered = server.counters.received.get();
    assert!(answered < 100, "{answered} answers kept for one client");
    // It can still have them all.
    client.shutdown().await.expect("an open connection");
    let mut replies = 0;
    while receive(&mut client).await.is_some() {
        replies += 1;
    }
    assert_eq!(replies, taken / query(0, b"big", TXT).len());
    server.end().await;
}

#[tokio::test]
async fn replies_must_be_taken_in_time() {
    let server = Server::start(Limits {
        write: SOON,
        ..RELAXED
    });
    let mut client = server.connect().await;
    stuff(&mut client).await;
    until("the write ends", || server.counters.send_errors.get() == 1).await;
    expect_closed(&mut client).await;
    server.end().await;
}

#[tokio::test]
async fn a_zone_comes_in_messages_that_are_well_filled() {
    let server = Server::start(RELAXED);
    let mut client = server.connect().await;
    send(&mut client, &axfr()).await;
    let (mut messages, mut octets) = (0, 0);
    // 4096 records and two SOA; messages hold no more than 16 KiB, and are not nearly empty.
    let mut records = 0;
    while records < 4098 {
        let message = receive(&mut client).await.expect("more of the zone");
        records += u32::from(u16::from_be_bytes([message[6], message[7]]));
        (messages, octets) = (messages + 1, octets + message.len());
        assert!(message.len() <= 16 * 1024);
    }
    assert!(octets / messages > 12 * 1024, "{octets} in {messages}");
    server.end().await;
}

#[tokio::test]
async fn a_zone_must_be_taken_in_time() {
    let server = Server::start(Limits {
        write: SOON,
        ..RELAXED
    });
    let mut client = server.connect().await;
    send(&mut client, &axfr()).await;
    until("the write ends", || server.counters.send_errors.get() == 1).await;
    server.end().await;
}

#[tokio::test]
async fn a_client_beyond_its_cap_loses_its_own_connections() {
    let server = Server::start(Limits {
        per_client: 3,
        ..RELAXED
    });
    let mut other = server.connect_from([127, 0, 0, 9].into()).await;
    let source = [127, 0, 0, 2].into();
    let mut own = Vec::new();
    for id in 0..6 {
        let mut client = server.connect_from(source).await;
        ask(&mut client, id).await;
        own.push(client);
    }
    for client in &mut own[..3] {
        expect_closed(client).await;
    }
    for client in &mut own[3..] {
        ask(client, 7).await;
    }
    ask(&mut other, 8).await;
    assert_eq!(server.counters.evicted.get(), 3);
    server.end().await;
}

/// One of the slow: connects and then says nothing, sends an octet a second, or asks and never reads; and comes again.
async fn slow(addr: SocketAddr, number: u8) -> std::io::Result<()> {
    let connect = || async {
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::new(127, 0, 1, number), 0).into())?;
        socket.connect(addr).await
    };
    let mut stream = connect().await?;
    loop {
        let written = match number % 3 {
            0 => stream.write_all(&[1]).await,
            1 => timeout(SOON, stream.write_all(&query(0, b"big", TXT).repeat(1000)))
                .await
                .unwrap_or(Ok(())),
            _ => stream.writable().await,
        };
        tokio::time::sleep(Duration::from_secs(1)).await;
        if written.is_err() {
            stream = connect().await?;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_slow_clients_cost_the_others_nothing() {
    let server = Server::start(Limits {
        connections: 50,
        per_client: 10,
        ..RELAXED
    });
    let mut steady = server.connect_from([127, 0, 0, 3].into()).await;
    let mut slow_ones = tokio::task::JoinSet::new();
    for number in 0..200 {
        slow_ones.spawn(slow(server.addresses[0], number));
        if number % 10 == 0 {
            ask(&mut steady, number.into()).await;
        }
    }
    until("the cap is reached", || {
        server.counters.evicted.get() >= 150
    })
    .await;
    for id in 0..200 {
        let source = Ipv4Addr::from([127, 0, 2, u8::try_from(id % 20).expect("below 20")]);
        let mut client = server.connect_from(source).await;
        ask(&mut client, id).await;
        ask(&mut client, id).await;
        ask(&mut steady, id).await;
    }
    assert!(slow_ones.try_join_next().is_none(), "they are still at it");
    drop(slow_ones);
    server.end().await;
}

#[tokio::test]
async fn several_addresses_share_one_cap() {
    let limits = Limits {
        connections: 2,
        ..RELAXED
    };
    let server = Server::on(&["127.0.0.1:0", "[::1]:0"], limits);
    let mut first = server.connect().await;
    ask(&mut first, 1).await;
    let mut second = within(TcpStream::connect(server.addresses[1]))
        .await
        .expect("::1");
    ask(&mut second, 2).await;
    let mut third = within(TcpStream::connect(server.addresses[1]))
        .await
        .expect("::1");
    ask(&mut third, 3).await;
    expect_closed(&mut first).await;
    ask(&mut second, 4).await;
    server.end().await;
}

#[tokio::test]
async fn stopping_closes_everything() {
    let server = Server::start(RELAXED);
    let mut client = server.connect().await;
    ask(&mut client, 1).await;
    let address = server.addresses[0];
    server.end().await;
    expect_closed(&mut client).await;
    assert!(TcpStream::connect(address).await.is_err());
}
