//! Questions, the same each time.

use nearmost::prefix::Client;
use nearmost::wire::Query;
use nearmost::zone::Name;

use super::{POOL_NAMES, Size};

/// Octets of an empty OPT record.
pub const OPT: usize = 11;

/// A generator of Knuth's: the same questions each time.
#[derive(Clone, Copy, Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next number, of 40 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(0x1405_7b7e_f767_814f);
        self.0 >> 24
    }
}

/// Kinds of questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A random static name.
    Static,
    /// A random one of the first thousand static names.
    StaticFew,
    /// A random pool for a random client.
    Pool,
    /// The same pool for the same client.
    PoolOne,
    /// A random name that does not exist.
    Missing,
    /// A random name that a wildcard answers.
    Wildcard,
    /// An alias of an alias of an alias of an alias.
    Chain,
}

impl Kind {
    /// So many questions to a configuration of this size, the same each time.
    pub fn questions(self, size: &Size, count: usize) -> Vec<Vec<u8>> {
        let mut random = Random(1);
        let packets = (0..count).map(|_| self.question(size, &mut random));
        packets.collect()
    }

    fn question(self, size: &Size, random: &mut Random) -> Vec<u8> {
        let r = random.next();
        let below = |n: usize| r % n as u64;
        let name = match self {
            Self::Static => format!("h{}", below(size.names)),
            Self::StaticFew => format!("h{}", below(size.names.min(1_000))),
            Self::Pool => format!("p{}", below(size.pools.max(POOL_NAMES))),
            Self::PoolOne => "p0".into(),
            Self::Missing => format!("x{r}"),
            Self::Wildcard => format!("x{r}.wild"),
            Self::Chain => "c1".into(),
        };
        let client = match self {
            Self::Pool => Some(random.next()),
            Self::PoolOne => Some(0x5480_0000),
            _ => None,
        };
        packet(&format!("{name}.example.org"), client)
    }
}

/// A question for addresses with EDNS; of a client, if there is one: its /24 counts, moved to where addresses are routable.
fn packet(name: &str, client: Option<u64>) -> Vec<u8> {
    let mut out = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    out.extend_from_slice(Name::absolute(name).expect("a name").wire());
    out.extend_from_slice(&[0, 1, 0, 1, 0, 0, 41, 4, 208, 0, 0, 0, 0]);
    match client {
        Some(client) => {
            let [.., a, b, c, _] = client.to_be_bytes();
            out.extend_from_slice(&[0, 11, 0, 8, 0, 7, 0, 1, 24, 0, a % 223 + 1, b, c]);
        }
        None => out.extend_from_slice(&[0, 0]),
    }
    out
}

/// A question as it is read.
pub fn query(packet: &[u8]) -> Query<'_> {
    Query::parse(packet).expect("a good question")
}

/// The clients that the questions state.
pub fn clients(packets: &[Vec<u8>]) -> Vec<Client> {
    let stated = packets
        .iter()
        .filter_map(|packet| query(packet).edns?.ecs?.client());
    stated.map(Client::of).collect()
}
