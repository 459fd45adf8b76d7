//! Questions as packets, and replies as lines of text. Replies are read by hickory-proto, not by our own code.

use std::net::IpAddr;

use hickory_proto::op::Message;
use hickory_proto::rr::RData;
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use nearmost::zone::Name;
use nearmost::zone::rtype::RecordType;

use crate::world::network;

/// `NAME TYPE from ADDRESS [ecs NET/LEN | ecs 0 | ecs none] [tcp] [edns] [nsid] [size N]`
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) name: Name,
    pub(crate) qtype: u16,
    pub(crate) from: IpAddr,
    pub(crate) ecs: Option<Ecs>,
    pub(crate) tcp: bool,
    edns: bool,
    nsid: bool,
    size: u16,
}

/// A client subnet option: family, SOURCE, and as many octets of the address as that needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ecs {
    pub(crate) family: u16,
    pub(crate) source: u8,
    octets: Vec<u8>,
}

impl Ecs {
    /// A block's address; for IPv6 such as `::ffff:192.0.2.0/120` too.
    pub(crate) fn of(addr: IpAddr, len: u8) -> Self {
        let (family, mut octets) = match addr {
            IpAddr::V4(a) => (1, a.octets().to_vec()),
            IpAddr::V6(a) => (2, a.octets().to_vec()),
        };
        octets.truncate(usize::from(len.div_ceil(8)));
        Self {
            family,
            source: len,
            octets,
        }
    }

    fn read(text: &str) -> Result<Self, String> {
        match text {
            // As `dig +subnet=0` and `+subnet=0.0.0.0/0` send it.
            "0" => Ok(Self {
                family: 0,
                source: 0,
                octets: Vec::new(),
            }),
            _ => network(text).map(|net| Self::of(net.addr, net.len)),
        }
    }

    fn data(&self, scope: u8) -> Vec<u8> {
        let mut out = self.family.to_be_bytes().to_vec();
        out.extend([self.source, scope]);
        out.extend(&self.octets);
        out
    }
}

impl Question {
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let mut words = text.split(' ');
        let mut next = |what: &str| words.next().ok_or(format!("{what} is missing"));
        let name = Name::absolute(next("a name")?).map_err(|e| e.to_string())?;
        let RecordType(qtype) = next("a type")?.parse().map_err(|_| "no such type")?;
        if next("`from`")? != "from" {
            return Err("`from ADDRESS` is missing".into());
        }
        let from = next("an address")?.parse().map_err(|_| "no address")?;
        let mut question = Self {
            name,
            qtype,
            from,
            ecs: None,
            tcp: false,
            edns: false,
            nsid: false,
            size: 1232,
        };
        while let Some(word) = words.next() {
            match word {
                "tcp" => question.tcp = true,
                "edns" => {}
                "nsid" => question.nsid = true,
                "ecs" => question.ecs = Some(Ecs::read(words.next().unwrap_or("?"))?),
                "size" => {
                    question.size = words.next().and_then(|n| n.parse().ok()).ok_or("no size")?;
                }
                _ => return Err(format!("\"{word}\" is nothing to ask with")),
            }
            question.edns |= word != "tcp";
        }
        Ok(question)
    }

    /// A question that is not written out.
    pub(crate) fn about(
        name: &str,
        qtype: u16,
        from: IpAddr,
        ecs: Option<Ecs>,
    ) -> Result<Self, String> {
        let text = format!("{name} {} from {from} edns", RecordType(qtype));
        Ok(Self {
            ecs,
            ..Self::read(&text)?
        })
    }

    pub(crate) fn packet(&self) -> Vec<u8> {
        let mut out = vec![0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(self.edns)];
        out.extend(self.name.wire());
        out.extend(self.qtype.to_be_bytes());
        out.extend([0, 1]);
        if !self.edns {
            return out;
        }
        let mut options: Vec<u8> = Vec::new();
        if self.nsid {
            options.extend([0, 3, 0, 0]);
        }
        if let Some(ecs) = &self.ecs {
            let data = ecs.data(0);
            options.extend([0, 8, 0, u8::try_from(data.len()).unwrap_or(0)]);
            options.extend(data);
        }
        out.extend([0, 0, 41]);
        out.extend(self.size.to_be_bytes());
        out.extend([0; 4]);
        out.extend(u16::try_from(options.len()).unwrap_or(0).to_be_bytes());
        out.extend(options);
        out
    }
}

/// A reply, read.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) message: Message,
    pub(crate) scope: Option<u8>,
}

impl Reply {
    pub(crate) fn read(question: &Question, packet: &[u8]) -> Result<Self, String> {
        let message = Message::from_vec(&renamed(packet, question))
            .map_err(|e| format!("a reply that cannot be read: {e}"))?;
        let asked = (question.name.to_string(), question.qtype);
        let echoed = message
            .queries
            .first()
            .map(|q| (q.name().to_string(), u16::from(q.query_type())));
        if message.metadata.id != 0x1234
            || echoed.as_ref().is_none_or(|e| {
                e.0.trim_end_matches('.') != asked.0.trim_end_matches('.') || e.1 != asked.1
            })
        {
            return Err(format!("a reply to another question: {echoed:?}"));
        }
        let scope = scope(question, &message)?;
        Ok(Self { message, scope })
    }

    /// Address and TTL of each address record, in order.
    pub(crate) fn addresses(&self) -> Vec<(IpAddr, u32)> {
        let of = |r: &hickory_proto::rr::Record| Some((r.data.ip_addr()?, r.ttl));
        self.message.answers.iter().filter_map(of).collect()
    }

    /// Target, without the final dot, and TTL of each alias, in order.
    pub(crate) fn aliases(&self) -> Vec<(String, u32)> {
        let of = |r: &hickory_proto::rr::Record| match &r.data {
            RData::CNAME(to) => Some((to.0.to_string().trim_end_matches('.').to_owned(), r.ttl)),
            _ => None,
        };
        self.message.answers.iter().filter_map(of).collect()
    }

    /// The reply in the words of scenarios; `node` gives the name for an address.
    pub(crate) fn lines(&self, node: &dyn Fn(IpAddr) -> Option<String>) -> Vec<String> {
        let mut out = vec![self.first_line()];
        let asked = self
            .message
            .queries
            .first()
            .map(|q| q.name().to_string().to_lowercase());
        let sections = [
            ("", &self.message.answers),
            ("authority ", &self.message.authorities),
            ("additional ", &self.message.additionals),
        ];
        for (section, records) in sections {
            for record in records {
                let data = record
                    .data
                    .ip_addr()
                    .and_then(node)
                    .unwrap_or_else(|| record.data.to_string());
                let owner = record.name.to_string();
                let owner = if Some(owner.to_lowercase()) == asked {
                    String::new()
                } else {
                    owner + " "
                };
                out.push(format!(
                    "{section}{owner}{} {} {data}",
                    record.ttl,
                    record.record_type()
                ));
            }
        }
        out
    }

    fn first_line(&self) -> String {
        let meta = &self.message.metadata;
        let rcode = match u16::from(meta.response_code) {
            0 => "NOERROR".into(),
            1 => "FORMERR".into(),
            2 => "SERVFAIL".into(),
            3 => "NXDOMAIN".into(),
            5 => "REFUSED".into(),
            other => format!("RCODE{other}"),
        };
        let mut out: String = rcode;
        for (set, word) in [
            (meta.authoritative, " aa"),
            (meta.truncation, " tc"),
            (meta.recursion_available, " ra"),
            (meta.authentic_data, " ad"),
        ] {
            out += if set { word } else { "" };
        }
        if let Some(scope) = self.scope {
            out += &format!(" scope {scope}");
        }
        for (code, option) in self.message.edns.iter().flat_map(|e| e.options().as_ref()) {
            match option {
                EdnsOption::Unknown(15, data) if data.len() >= 2 => {
                    let text = String::from_utf8_lossy(&data[2..]);
                    out += format!(" ede {} {text}", u16::from_be_bytes([data[0], data[1]]))
                        .trim_end();
                }
                EdnsOption::NSID(id) => {
                    out += &format!(" nsid {}", String::from_utf8_lossy(id.as_ref()));
                }
                EdnsOption::Subnet(_) | EdnsOption::Unknown(RENAMED, _) => {}
                _ => out += &format!(" option {code:?}"),
            }
        }
        out
    }
}

/// The code under which hickory-proto, which knows no family 0, is shown such a client subnet option.
const RENAMED: u16 = 65_001;

fn renamed(packet: &[u8], question: &Question) -> Vec<u8> {
    let mut packet = packet.to_vec();
    let option = [0, 8, 0, 4, 0, 0, 0];
    if question.ecs.as_ref().is_some_and(|e| e.family == 0)
        && let Some(at) = packet.windows(option.len()).rposition(|w| w == option)
    {
        packet[at..at + 2].copy_from_slice(&RENAMED.to_be_bytes());
    }
    packet
}

/// The scope of the reply's client subnet option, which has to echo the question's exactly (RFC 7871 7.2.1).
fn scope(question: &Question, message: &Message) -> Result<Option<u8>, String> {
    let options = message.edns.as_ref().map(hickory_proto::op::Edns::options);
    let found: Vec<&EdnsOption> = options
        .iter()
        .flat_map(|o| [EdnsCode::Subnet, EdnsCode::Unknown(RENAMED)].map(|c| o.get(c)))
        .flatten()
        .collect();
    let (scope, echoed) = match (&found[..], &question.ecs) {
        ([], None) => return Ok(None),
        ([EdnsOption::Subnet(subnet)], Some(_)) => {
            let (scope, echo) = (
                subnet.scope_prefix(),
                Ecs::of(subnet.addr(), subnet.source_prefix()),
            );
            (scope, Some(echo))
        }
        ([EdnsOption::Unknown(_, data)], Some(asked)) => (
            data[3],
            (data[..3] == asked.data(0)[..3]).then(|| asked.clone()),
        ),
        _ => {
            return Err(format!(
                "asked with {:?}, the reply has {found:?}",
                question.ecs
            ));
        }
    };
    if echoed == question.ecs {
        Ok(Some(scope))
    } else {
        Err(format!(
            "the reply echoes {echoed:?} for {:?}",
            question.ecs
        ))
    }
}
