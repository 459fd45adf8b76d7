//! Who may have how many connections to the admin API: strangers keep no operator out, and nobody who may look keeps out others.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};

use crate::admin::{address, folder, request, say, token};
use crate::program::{Folder, PATIENCE, Server};
use crate::world::World;

/// A connection from an address of loopback.
fn from(number: u8, at: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let own = IpAddr::from([127, 215, 1, number]);
    socket.bind(&SocketAddr::new(own, 0).into()).unwrap();
    socket.connect(&at.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Reads on until these words have come.
fn read_until(stream: &mut TcpStream, words: &str) {
    let (mut octets, mut said) = ([0; 4096], String::new());
    while !said.contains(words) {
        let length = stream.read(&mut octets).unwrap();
        assert!(length > 0, "it has ended: {said}");
        said += &String::from_utf8_lossy(&octets[..length]);
    }
}

#[test]
fn strangers_keep_no_operator_out() {
    let world = World::of(215, 2);
    let (line, table) = token(&Folder::new(), "mira", "reader");
    let admin = format!("[admin]\nlisten = [\"127.0.0.1:0\"]\nplain = true\n{table}");
    let server = Server::start_in(&folder(&world, &admin));
    let at = address(&server);
    let ask = |path: &str| request("GET", path, &[&line], "");
    let mut page = from(1, at);
    page.write_all(ask("/v1/events").as_bytes()).unwrap();
    read_until(&mut page, "data: ");

    let silent = |number: u8| {
        let mut stream = from(number, at);
        let half = b"GET /v1/status HTTP/1.1\r\nhost: 127.0.0.1\r\nx-slow: ";
        stream.write_all(half).unwrap();
        stream
    };
    let _crowd: Vec<TcpStream> = (0..80).map(|n| silent(1 + n % 2)).collect();
    let metrics = say(from(3, at), &ask("/metrics")).unwrap();
    assert_eq!(metrics.status, 200, "{metrics:?}");
    let name = "nearmost_admin_closed_connections_total ";
    let closed = metrics.body.lines().find_map(|l| l.strip_prefix(name));
    assert!(closed.is_some_and(|n| n != "0"), "{closed:?}");
    server.log.wait(&["connections closed", "127.215.1."]);

    // Who has shown a token stays, though it was the first of an address that has connected too often.
    assert_eq!(server.run(&["drain", "fra", "--why", "disk"]).code, 0);
    read_until(&mut page, "drained");
}

#[test]
fn no_token_has_all_pages() {
    let world = World::of(216, 1);
    let tools = Folder::new();
    let (mira, first) = token(&tools, "mira", "reader");
    let (ola, second) = token(&tools, "ola", "operator");
    let admin = format!("[admin]\nlisten = [\"127.0.0.1:0\"]\nplain = true\n{first}{second}");
    let server = Server::start_in(&folder(&world, &admin));
    let at = address(&server);
    let open = |line: &str| {
        let mut page = from(1, at);
        let asked = request("GET", "/v1/events", &[line], "");
        page.write_all(asked.as_bytes()).unwrap();
        let mut status = [0; 12];
        page.read_exact(&mut status).unwrap();
        (String::from_utf8_lossy(&status[9..]).into_owned(), page)
    };
    let pages: Vec<_> = (0..8).map(|_| open(&mira)).collect();
    assert!(pages.iter().all(|(status, _)| status == "200"));
    assert_eq!(open(&mira).0, "503");
    assert_eq!(open(&ola).0, "200");
}
