//! The addresses of a name, with their TTL, from the resolvers of this machine: `getaddrinfo` tells no TTL, and cannot be told to end.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::{Name as Owner, RData, Record};
use tokio::time::timeout;

use super::ask::{Ask, is_cut, rcode, rcode_text};
use super::words::{self, Phase};
use crate::zone::{Name, rtype};

/// What one resolver may take for one family.
const PATIENCE: Duration = Duration::from_millis(1500);
/// So many times is asked: three resolvers, or again those that have said nothing.
const TRIES: usize = 3;
/// Addresses of one family that are taken.
pub const MOST: usize = 16;
/// Aliases that are followed within a reply.
const ALIASES: usize = 16;

/// What the resolvers say of one family of addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Sorted, each once, at most [`MOST`]; none: the name has none.
    pub addresses: Vec<IpAddr>,
    /// How long it holds; none where there is no address.
    pub ttl: Option<Duration>,
}

/// What was found for a name, or why it was not, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// IPv4.
    pub v4: Result<Found, String>,
    /// IPv6.
    pub v6: Result<Found, String>,
}

/// Resolves a name, both families at one time. Takes no longer than 4.5 seconds, whatever the resolvers do.
pub async fn resolve(name: &Name, resolvers: &[SocketAddr]) -> Resolved {
    let (v4, v6) = tokio::join!(
        family(name, rtype::A, resolvers),
        family(name, rtype::AAAA, resolvers)
    );
    Resolved { v4, v6 }
}

/// The next resolver is asked where one fails; what all said is told.
async fn family(name: &Name, rtype: u16, resolvers: &[SocketAddr]) -> Result<Found, String> {
    let ask = Ask::new(name, rtype);
    let mut errors: Vec<String> = Vec::new();
    // Those that have said something, were it no answer, are not asked again.
    let mut silent: VecDeque<SocketAddr> = resolvers.iter().copied().collect();
    for _ in 0..TRIES {
        let Some(server) = silent.pop_front() else {
            break;
        };
        let error = match timeout(PATIENCE, reply(&ask, server)).await {
            Err(_) => {
                silent.push_back(server);
                words::timed_out(PATIENCE, Phase::Waiting)
            }
            Ok(Err(error)) => words::io(&error, Phase::Waiting),
            Ok(Ok(reply)) => match rcode(&reply) {
                0 => match read(&reply) {
                    Ok(found) => return Ok(found),
                    Err(error) => error,
                },
                // That is what the DNS says, not what this resolver could not find out.
                3 => return Err(rcode_text(3)),
                other => rcode_text(other),
            },
        };
        let error = format!("{server}: {}", words::line(&error));
        if !errors.contains(&error) {
            errors.push(error);
        }
    }
    if errors.is_empty() {
        errors.push("no resolver".into());
    }
    Err(errors.join("; "))
}

async fn reply(ask: &Ask, server: SocketAddr) -> std::io::Result<Vec<u8>> {
    let reply = ask.by_udp(server).await?;
    if is_cut(&reply) {
        return ask.by_tcp(server).await;
    }
    Ok(reply)
}

/// The addresses at the end of the aliases that begin at the name asked for. The least TTL on the way holds for all.
fn read(reply: &[u8]) -> Result<Found, String> {
    let message = Message::from_vec(reply)
        .map_err(|error| format!("the reply is no good message: {error}"))?;
    let Some(question) = message.queries.first() else {
        return Err("the reply has no question".into());
    };
    let mut owner: Owner = question.name().clone();
    let mut ttl = u32::MAX;
    for _ in 0..ALIASES {
        let here = message.answers.iter().filter(|r| r.name == owner);
        let alias = here.clone().find_map(|r| match &r.data {
            RData::CNAME(to) => Some((to.0.clone(), r.ttl)),
            _ => None,
        });
        let Some((to, alias_ttl)) = alias else {
            return Ok(found(here, ttl));
        };
        ttl = ttl.min(alias_ttl);
        owner = to;
    }
    Err(format!("more than {ALIASES} aliases"))
}

fn found<'a>(records: impl Iterator<Item = &'a Record>, mut ttl: u32) -> Found {
    let mut addresses: Vec<IpAddr> = Vec::new();
    for record in records {
        match &record.data {
            RData::A(a) => addresses.push(a.0.into()),
            RData::AAAA(aaaa) => addresses.push(aaaa.0.into()),
            _ => continue,
        }
        ttl = ttl.min(record.ttl);
    }
    // Resolvers turn them about with each reply; those that are kept must not change with it.
    addresses.sort_unstable();
    addresses.dedup();
    addresses.truncate(MOST);
    let ttl = (!addresses.is_empty()).then(|| Duration::from_secs(ttl.into()));
    Found { addresses, ttl }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::op::Query;
    use hickory_proto::rr::RecordType;
    use hickory_proto::rr::rdata::{A, CNAME};

    fn owner(name: &str) -> Owner {
        Owner::from_ascii(name).unwrap()
    }

    fn message(records: Vec<Record>) -> Vec<u8> {
        let mut message = Message::query();
        message.add_query(Query::query(owner("m.example."), RecordType::A));
        message.answers = records;
        message.to_vec().unwrap()
    }

    fn a(name: &str, ttl: u32, last: u8) -> Record {
        Record::from_rdata(owner(name), ttl, RData::A(A::new(192, 0, 2, last)))
    }

    fn cname(name: &str, ttl: u32, to: &str) -> Record {
        Record::from_rdata(owner(name), ttl, RData::CNAME(CNAME(owner(to))))
    }

    #[test]
    fn aliases_are_followed_and_the_least_ttl_holds() {
        let found = read(&message(vec![
            a("other.example.", 5, 66),
            cname("M.example.", 100, "b.example."),
            a("c.example.", 300, 2),
            cname("b.example.", 200, "c.example."),
            a("c.example.", 300, 1),
            a("c.example.", 300, 1),
        ]))
        .unwrap();
        let wanted = ["192.0.2.1", "192.0.2.2"].map(|a| a.parse::<IpAddr>().unwrap());
        assert_eq!(found.addresses, wanted);
        assert_eq!(found.ttl, Some(Duration::from_secs(100)));
    }

    #[test]
    fn no_address_loops_and_too_many() {
        let nothing = Found {
            addresses: Vec::new(),
            ttl: None,
        };
        assert_eq!(read(&message(Vec::new())), Ok(nothing));
        let around = vec![
            cname("m.example.", 1, "b.example."),
            cname("b.example.", 1, "m.example."),
        ];
        assert!(read(&message(around)).is_err());
        let many = (0..40).rev().map(|n| a("m.example.", 9, n)).collect();
        let many = read(&message(many)).unwrap();
        assert_eq!(many.addresses.len(), MOST);
        assert_eq!(many.addresses[0].to_string(), "192.0.2.0");
        assert!(read(b"123456789012").is_err());
    }
}
