//! A small DNS client: questions with a client's network, and replies as the stories judge them.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

use hickory_proto::op::{Edns, Message, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::{Name, RData, RecordType};

use crate::program::PATIENCE;

/// RFC 7871.
const ECS: u16 = 8;
/// RFC 8914.
const EXTENDED_ERROR: u16 = 15;

/// A question of class IN with EDNS.
#[derive(Clone, Debug)]
pub struct Question {
    name: Name,
    rtype: RecordType,
    net: Option<(IpAddr, u8)>,
    udp_size: u16,
    recursive: bool,
    signed: bool,
}

impl Question {
    pub fn new(name: &str, rtype: RecordType) -> Self {
        let mut name = Name::from_ascii(name).unwrap();
        name.set_fqdn(true);
        Self {
            name,
            rtype,
            net: None,
            udp_size: 1232,
            recursive: false,
            signed: false,
        }
    }

    pub fn a(name: &str) -> Self {
        Self::new(name, RecordType::A)
    }

    /// As a resolver asks for a client in this network, such as `192.0.2.0/24`.
    pub fn from(mut self, net: &str) -> Self {
        let (address, length) = net.split_once('/').unwrap();
        self.net = Some((address.parse().unwrap(), length.parse().unwrap()));
        self
    }

    pub fn udp_size(mut self, octets: u16) -> Self {
        self.udp_size = octets;
        self
    }

    /// For a resolver.
    pub fn recursive(mut self) -> Self {
        self.recursive = true;
        self
    }

    /// With signatures.
    pub fn signed(mut self) -> Self {
        self.signed = true;
        self
    }

    pub fn to_vec(&self) -> Vec<u8> {
        static NEXT: AtomicU16 = AtomicU16::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut message = Message::query();
        message.metadata.id = id;
        message.metadata.op_code = OpCode::Query;
        message.metadata.recursion_desired = self.recursive;
        message.add_query(Query::query(self.name.clone(), self.rtype));
        let mut edns = Edns::new();
        edns.set_max_payload(self.udp_size);
        edns.set_dnssec_ok(self.signed);
        if let Some((address, length)) = self.net {
            edns.options_mut()
                .insert(EdnsOption::Unknown(ECS, option(address, length)));
        }
        message.set_edns(edns);
        message.to_vec().unwrap()
    }

    pub fn by_udp(&self, server: SocketAddr) -> Reply {
        let socket = socket_to(server);
        let packet = self.to_vec();
        socket.send(&packet).unwrap();
        let mut buffer = vec![0; 65_535];
        let length = socket.recv(&mut buffer).expect("a reply");
        buffer.truncate(length);
        Reply::of(&packet, &buffer)
    }

    pub fn by_tcp(&self, server: SocketAddr) -> Reply {
        let mut stream = TcpStream::connect(server).unwrap();
        let packet = self.to_vec();
        send(&mut stream, &packet);
        Reply::of(&packet, &receive(&mut stream))
    }
}

/// A socket that takes replies of this server alone.
pub fn socket_to(server: SocketAddr) -> UdpSocket {
    let any: SocketAddr = if server.is_ipv4() {
        "127.0.0.1:0".parse().unwrap()
    } else {
        "[::1]:0".parse().unwrap()
    };
    let socket = UdpSocket::bind(any).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect(server).unwrap();
    socket
}

/// Sends a message with its length before it (RFC 1035 4.2.2).
pub fn send(stream: &mut impl Write, packet: &[u8]) {
    let mut octets = u16::try_from(packet.len()).unwrap().to_be_bytes().to_vec();
    octets.extend_from_slice(packet);
    stream.write_all(&octets).unwrap();
}

/// Receives a message with its length before it.
pub fn receive(stream: &mut TcpStream) -> Vec<u8> {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut octets = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut octets).unwrap();
    octets
}

/// The data of an ECS option: family, source length, scope 0, as many octets as the length needs.
fn option(address: IpAddr, length: u8) -> Vec<u8> {
    let (family, octets) = match address {
        IpAddr::V4(v4) => (1, v4.octets().to_vec()),
        IpAddr::V6(v6) => (2, v6.octets().to_vec()),
    };
    let mut data = vec![0, family, length, 0];
    data.extend_from_slice(&octets[..usize::from(length).div_ceil(8)]);
    data
}

/// A reply to a question.
#[derive(Debug)]
pub struct Reply(pub Message);

impl Reply {
    pub fn of(question: &[u8], reply: &[u8]) -> Self {
        assert_eq!(question[..2], reply[..2], "the reply to another question");
        Self(Message::from_vec(reply).unwrap())
    }

    pub fn rcode(&self) -> ResponseCode {
        self.0.metadata.response_code
    }

    /// All addresses of the answer, sorted.
    pub fn addresses(&self) -> Vec<String> {
        let address = |data: &RData| match data {
            RData::A(a) => Some(a.0.to_string()),
            RData::AAAA(aaaa) => Some(aaaa.0.to_string()),
            _ => None,
        };
        let answers = self.0.answers.iter();
        let mut all: Vec<String> = answers.filter_map(|r| address(&r.data)).collect();
        all.sort();
        all
    }

    /// The one address of the answer.
    pub fn one(&self) -> String {
        let all = self.addresses();
        assert_eq!(all.len(), 1, "{self:?}");
        all[0].clone()
    }

    pub fn ttl(&self) -> u32 {
        self.0.answers[0].ttl
    }

    pub fn is_nodata(&self) -> bool {
        self.rcode() == ResponseCode::NoError
            && self.0.answers.is_empty()
            && self
                .0
                .authorities
                .iter()
                .any(|r| r.record_type() == RecordType::SOA)
    }

    /// The scope of the ECS option, if there is one.
    pub fn scope(&self) -> Option<u8> {
        match self.0.edns.as_ref()?.option(EdnsCode::Subnet)? {
            EdnsOption::Subnet(subnet) => Some(subnet.scope_prefix()),
            _ => None,
        }
    }

    /// Code and text of an extended error, if there is one.
    pub fn extended_error(&self) -> Option<(u16, String)> {
        let code = EdnsCode::Unknown(EXTENDED_ERROR);
        match self.0.edns.as_ref()?.option(code)? {
            EdnsOption::Unknown(_, data) => Some((
                u16::from_be_bytes([data[0], data[1]]),
                String::from_utf8_lossy(&data[2..]).into_owned(),
            )),
            _ => None,
        }
    }

    /// The answer section in presentation form.
    pub fn records(&self) -> Vec<String> {
        self.0.answers.iter().map(ToString::to_string).collect()
    }
}
