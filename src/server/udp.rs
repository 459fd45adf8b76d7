//! UDP: threads of their own, each with its own socket on the same address, so that the kernel spreads the load.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use rustix::net::sockopt::{
    Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
};
use socket2::{Domain, Protocol, Socket, Type};

use super::mmsg::{Batch, Datagram};
use super::rrl::{Limiter, Verdict, slip};
use super::streak::Streak;
use super::{bind_to, count_given, counted, note_down, only_its_own};
use crate::answer::{Outcome, Request, Scratch, Transport, answer, client};
use crate::clock::Clock;
use crate::health::Table;
use crate::metrics::{Questions, Tally};
use crate::prefix::Client;
use crate::snapshot::{Current, Snapshot};

/// How long a worker may not notice that it is told to stop.
const NOTICE: Duration = Duration::from_millis(200);

/// A socket on `address`; `shared` with others of ours on the same port. With a wildcard address it tells for each datagram
/// which address was asked.
///
/// # Errors
/// As the system says.
pub fn bind(address: SocketAddr, shared: bool) -> io::Result<UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Not where it is the only one: another program could take half of its questions unseen, and the system has one look-up less.
    socket.set_reuse_port(shared)?;
    prepare(&socket, address)?;
    bind_to(&socket, address)?;
    Ok(socket.into())
}

/// Makes a socket that somebody else has bound as [`bind`] makes them.
///
/// # Errors
/// As the system says; or it takes IPv4 too, as then senders and replies have addresses of another form.
pub fn adopt(socket: UdpSocket) -> io::Result<UdpSocket> {
    let address = socket.local_addr()?;
    let socket = Socket::from(socket);
    only_its_own(&socket, address)?;
    socket.set_nonblocking(false)?;
    prepare(&socket, address)?;
    Ok(socket.into())
}

fn prepare(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    // Room for a burst while the thread is not scheduled; what the system grants is enough.
    let _ = socket.set_recv_buffer_size(4 << 20);
    let _ = socket.set_send_buffer_size(4 << 20);
    socket.set_read_timeout(Some(NOTICE))?;
    // Whoever forges an ICMP message could make the system believe in a small MTU, and have replies leave in fragments, of which others
    // can be put in the place of the second (RFC 9715). QUIC looks for the MTU itself, by an option of its own.
    let _ = match address {
        SocketAddr::V4(_) => set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::OMIT),
        SocketAddr::V6(_) => set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::OMIT),
    };
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => {
            setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?;
        }
        IpAddr::V6(ip) if ip.is_unspecified() => {
            setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        }
        _ => {}
    }
    Ok(())
}

/// Answers what comes to `socket` until `stop`.
fn serve(
    socket: &UdpSocket,
    current: &Current,
    counters: &Questions,
    limiter: Arc<Limiter>,
    stop: &AtomicBool,
    number: usize,
) {
    let clock = Clock::start();
    let any = |address: SocketAddr| address.ip().is_unspecified();
    let mut batch = Batch::new(socket.local_addr().is_ok_and(any));
    let mut worker = Worker {
        number,
        limiter,
        now: 0,
        draw: number as u64,
        scratch: Scratch::default(),
        pool: None,
        tally: Tally::default(),
    };
    while !stop.load(Ordering::Relaxed) {
        match batch.receive(socket) {
            Ok(count) => {
                // One generation and one table for a batch: loaded once, and no reply mixes two.
                let snapshot = current.load();
                let table = snapshot.table.load();
                for i in 0..count {
                    worker.look_ahead(&snapshot, batch.packet(i));
                }
                if snapshot.settings.rrl.is_some() {
                    worker.now = microseconds(clock.now());
                }
                let mut streak = Streak::of(&snapshot, number);
                for i in 0..count {
                    let Some(mut datagram) = batch.datagram(i) else {
                        continue;
                    };
                    let len = worker.answer(&snapshot, &table, &mut streak, &mut datagram);
                    if len > 0 {
                        batch.reply(i, len);
                    }
                }
                // Before the replies are out, so that whoever has one finds it counted.
                counters.add(&mut worker.tally);
                streak.end();
                counters.send_errors.add(batch.send(socket));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // An ICMP error of an earlier reply says nothing of the next datagram; what lasts must not spin.
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// What a thread keeps from datagram to datagram.
struct Worker {
    number: usize,
    limiter: Arc<Limiter>,
    /// Microseconds since 1970, when the batch came.
    now: u64,
    draw: u64,
    scratch: Scratch,
    /// The pool that was asked last.
    pool: Option<u32>,
    tally: Tally,
}

impl Worker {
    /// Most of what a question of a pool costs is waiting for the client's range to come from memory. So that this is waited for
    /// by a whole batch at once, it is touched before the first is answered: a guess, by the pool that was asked last
    /// and a client option where nearly all resolvers put it, last in the packet, of an IPv4 /24.
    #[inline]
    fn look_ahead(&self, snapshot: &Snapshot, packet: &[u8]) {
        if let Some([0, 8, 0, 7, 0, 1, 24, 0, a, b, c]) = packet.last_chunk()
            && let Some(pool) = self.pool.and_then(|n| snapshot.pools.get(n as usize))
            && let Some(family) = &pool.v4
        {
            let client = Client::of(Ipv4Addr::new(*a, *b, *c, 0).into());
            family.steering.map.touch(client);
        }
    }

    /// Octets of the reply; 0: none is to be sent.
    fn answer(
        &mut self,
        snapshot: &Snapshot,
        table: &Table,
        streak: &mut Streak<'_>,
        datagram: &mut Datagram<'_>,
    ) -> usize {
        self.tally.received += 1;
        // A generator of Knuth's is random enough to draw nodes by weight.
        self.draw = self
            .draw
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(0x1405_7b7e_f767_814f);
        let request = Request {
            packet: datagram.packet,
            source: datagram.source,
            transport: Transport::Udp,
            draw: self.draw,
        };
        let scratch = &mut self.scratch;
        let reply = &mut *datagram.reply;
        let (limiter, now) = (&self.limiter, self.now);
        let answer = || {
            let outcome = answer(snapshot, table, request, scratch, reply);
            match &snapshot.settings.rrl {
                None => outcome,
                Some(limit) => {
                    let verdict =
                        limiter.judge(limit, request.source, (&outcome, reply), now, request.draw);
                    let size = snapshot.settings.udp_size;
                    limited(outcome, verdict, (request.packet, size), reply)
                }
            }
        };
        let outcome = counted(&mut self.tally, answer);
        let Some(outcome) = outcome else { return 0 };
        if outcome.limited {
            return outcome.len;
        }
        streak.count(&outcome, &self.scratch);
        count_given(snapshot, self.number, &self.scratch, || {
            Some((outcome.pool?.pool, client(snapshot, request)?))
        });
        note_down(snapshot, self.number, request, &self.scratch, &outcome);
        self.pool = outcome.pool.map_or(self.pool, |used| Some(used.pool));
        outcome.len
    }
}

/// What is left of a reply.
#[inline]
fn limited(
    outcome: Outcome,
    verdict: Verdict,
    (query, udp_size): (&[u8], u16),
    reply: &mut [u8],
) -> Outcome {
    let len = match verdict {
        Verdict::Send => return outcome,
        Verdict::Drop => 0,
        Verdict::Slip => slip(reply, query, udp_size),
    };
    Outcome {
        len,
        truncated: len > 0,
        limited: true,
        ..outcome
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "there are 500,000 years of microseconds in 64 bits"
)]
fn microseconds(time: Duration) -> u64 {
    time.as_micros() as u64
}

/// Starts the thread of this `number` that answers on a socket; numbers count from 0 and tell whose counters of the generation are its own. Should it end before `stop`, the process ends: a server with a core less
/// that says nothing of it is worse.
///
/// # Errors
/// If the system gives no thread.
pub fn spawn(
    socket: UdpSocket,
    current: Arc<Current>,
    counters: Arc<Questions>,
    limiter: Arc<Limiter>,
    stop: Arc<AtomicBool>,
    number: usize,
) -> io::Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new()
        .name(format!("udp-{number}"))
        .spawn(move || {
            let guard = AbortUnless(&stop);
            serve(&socket, &current, &counters, limiter, &stop, number);
            drop(guard);
        })
}

struct AbortUnless<'a>(&'a AtomicBool);

impl Drop for AbortUnless<'_> {
    fn drop(&mut self) {
        if !self.0.load(Ordering::Relaxed) {
            tracing::error!("a UDP worker has ended: ending the process");
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::net::sockopt::{ip_mtu_discover, ipv6_mtu_discover};

    use super::*;

    #[test]
    fn what_icmp_says_of_the_mtu_is_not_believed() {
        let v4 = bind("127.0.0.1:0".parse().unwrap(), false).unwrap();
        assert_eq!(ip_mtu_discover(&v4), Ok(Ipv4PathMtuDiscovery::OMIT));
        let others = UdpSocket::bind("127.0.0.1:0").unwrap();
        let others = adopt(others).unwrap();
        assert_eq!(ip_mtu_discover(&others), Ok(Ipv4PathMtuDiscovery::OMIT));
        let v6 = bind("[2001:db8::53]:0".parse().unwrap(), false).unwrap();
        assert_eq!(ipv6_mtu_discover(&v6), Ok(Ipv6PathMtuDiscovery::OMIT));
    }
}
