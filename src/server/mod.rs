//! Sockets and their limits: questions come in, [`crate::answer`] answers them, replies go out.

mod connections;
mod framing;
pub mod h3;
mod held;
mod https;
pub mod kinds;
mod mmsg;
pub mod quic;
pub mod rrl;
mod service;
mod streak;
mod stream;
pub mod tcp;
pub mod tls;
pub mod udp;

use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};

use socket2::Socket;

use crate::answer::{Outcome, Request, Scratch};
use crate::metrics::Tally;
use crate::prefix::Client;
use crate::snapshot::{SAMPLED, Snapshot};

/// An error where a socket of IPv6 takes IPv4 too: those of IPv4 are others, and after it is bound this cannot be changed.
fn only_its_own(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    let both = address.is_ipv6() && address.ip().is_unspecified() && !socket.only_v6()?;
    if both {
        return Err(io::Error::other(
            "the socket takes IPv4 too: BindIPv6Only=ipv6-only in its unit changes that",
        ));
    }
    Ok(())
}

/// Binds a socket, also to an address that this machine does not have yet: others may give it that address while it runs, and take it away.
///
/// # Errors
/// As the system says.
pub fn bind_to(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    match socket.bind(&address.into()) {
        Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
            match address {
                SocketAddr::V4(_) => socket.set_freebind_v4(true),
                SocketAddr::V6(_) => socket.set_freebind_v6(true),
            }?;
            socket.bind(&address.into())
        }
        bound => bound,
    }
}

/// Counts the addresses that the newest answer gives, and for how long, for the threads with this number. Of some answers it keeps
/// who asked: `asked` tells it.
#[inline]
fn count_given(
    snapshot: &Snapshot,
    number: usize,
    scratch: &Scratch,
    asked: impl Fn() -> Option<(u32, Client)>,
) {
    if let Some(counters) = snapshot.given.get(number) {
        let given = scratch.given().iter();
        given
            .filter_map(|&address| counters.of.get(address as usize))
            .for_each(|of| {
                of.ttl.raise(scratch.given_ttl());
                if of.count.count() % SAMPLED == 0
                    && let Some((pool, client)) = asked()
                {
                    counters.sample(pool, client);
                }
            });
    }
}

/// Puts a question that got a reply into the queue of the query log, if there is one, as the threads with this number.
#[inline]
fn note_down(
    snapshot: &Snapshot,
    number: usize,
    request: Request<'_>,
    scratch: &Scratch,
    outcome: &Outcome,
) {
    if let Some(log) = &snapshot.log
        && outcome.len > 0
    {
        log.put(number, |asked| {
            asked.generation = snapshot.generation;
            asked.source = request.source;
            asked.transport = request.transport.word();
            asked.rcode = outcome.rcode;
            asked.zone = outcome.zone;
            asked.pool = outcome.pool.map(|used| used.pool);
            asked.scope = outcome.scope;
            asked.truncated = outcome.truncated;
            asked.none_left = outcome.none_left;
            asked.fail_open = outcome.fail_open;
            asked.keep(request.packet, scratch.given());
        });
    }
}

/// Answers one message and counts what became of it; nothing if that panicked. What a panic leaves behind is only scratch.
fn counted(tally: &mut Tally, answer: impl FnOnce() -> Outcome) -> Option<Outcome> {
    let Ok(outcome) = catch_unwind(AssertUnwindSafe(answer)) else {
        tally.panics += 1;
        return None;
    };
    if outcome.len == 0 {
        tally.silent += u64::from(!outcome.limited);
        tally.limited += u64::from(outcome.limited);
    } else {
        tally.slipped += u64::from(outcome.limited);
        tally.replied(outcome.rcode);
    }
    if let Some(qtype) = outcome.qtype {
        tally.asked(kinds::kind(qtype));
    }
    tally.truncated += u64::from(outcome.truncated);
    tally.none_left += u64::from(outcome.none_left);
    Some(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_may_come_later_is_bound() {
        // Addresses of documentation, which no machine has.
        for address in ["192.0.2.53:0", "[2001:db8::53]:0"] {
            let address = address.parse().unwrap();
            let tcp = tcp::bind(address).unwrap();
            let there = tcp.local_addr().unwrap();
            assert_eq!(there.ip(), address.ip());
            udp::bind(there, true).unwrap();
        }
    }

    #[test]
    fn a_panic_is_counted_and_goes_no_further() {
        let mut tally = Tally::default();
        let outcome = counted(&mut tally, || panic!("as a test of what follows"));
        assert_eq!(outcome, None);
        assert_eq!((tally.panics, tally.silent), (1, 0));
    }
}
