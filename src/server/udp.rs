//! UDP: threads of their own, each with its own socket on the same address, so that the kernel spreads the load.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrIn6, SockaddrStorage,
    recvmsg, sendmsg, setsockopt, sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};

use crate::answer::{Outcome, Request, Transport, answer};
use crate::metrics::Questions;
use crate::snapshot::Current;

/// How long a worker may not notice that it is told to stop.
const NOTICE: Duration = Duration::from_millis(200);

/// A socket on `address` that shares its port with others of ours. With a wildcard address it tells for each datagram
/// which address was asked.
///
/// # Errors
/// As the system says.
pub fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_port(true)?;
    // Room for a burst while the thread is not scheduled; what the system grants is enough.
    let _ = socket.set_recv_buffer_size(4 << 20);
    let _ = socket.set_send_buffer_size(4 << 20);
    socket.set_read_timeout(Some(NOTICE))?;
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => {
            setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        }
        IpAddr::V6(ip) if ip.is_unspecified() => {
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        }
        _ => {}
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Answers what comes to `socket` until `stop`.
fn serve(
    socket: &UdpSocket,
    current: &Current,
    counters: &Questions,
    stop: &AtomicBool,
    seed: u64,
) {
    let mut worker = Worker {
        socket,
        current,
        counters,
        draw: seed,
        reply: [0; 4096],
    };
    let mut packet = [0; 4096];
    while !stop.load(Ordering::Relaxed) {
        match worker.receive(&mut packet) {
            Ok((len, from, local)) => worker.handle(&packet[..len], from, local),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // An ICMP error of an earlier reply says nothing of the next datagram; what lasts must not spin.
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// Which of our addresses was asked, where the socket listens on all of them.
#[derive(Clone, Copy)]
enum Local {
    Fixed,
    V4(nix::libc::in_pktinfo),
    V6(nix::libc::in6_pktinfo),
}

struct Worker<'a> {
    socket: &'a UdpSocket,
    current: &'a Current,
    counters: &'a Questions,
    draw: u64,
    reply: [u8; 4096],
}

impl Worker<'_> {
    fn receive(&self, packet: &mut [u8]) -> io::Result<(usize, SocketAddr, Local)> {
        let mut space = nix::cmsg_space!(nix::libc::in6_pktinfo);
        let mut parts = [IoSliceMut::new(packet)];
        let got = recvmsg::<SockaddrStorage>(
            self.socket.as_raw_fd(),
            &mut parts,
            Some(&mut space),
            MsgFlags::empty(),
        )?;
        let mut local = Local::Fixed;
        for message in got.cmsgs()? {
            match message {
                ControlMessageOwned::Ipv4PacketInfo(info) => local = Local::V4(info),
                ControlMessageOwned::Ipv6PacketInfo(info) => local = Local::V6(info),
                _ => {}
            }
        }
        let from = got
            .address
            .as_ref()
            .and_then(address)
            .ok_or(io::ErrorKind::InvalidData)?;
        Ok((got.bytes, from, local))
    }

    fn handle(&mut self, packet: &[u8], from: SocketAddr, local: Local) {
        self.counters.received.count();
        // A generator of Knuth's is random enough to draw nodes by weight.
        self.draw = self
            .draw
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(0x1405_7b7e_f767_814f);
        let request = Request {
            packet,
            source: from.ip(),
            transport: Transport::Udp,
            draw: self.draw,
        };
        let snapshot = self.current.load();
        let answered = catch_unwind(AssertUnwindSafe(|| {
            answer(&snapshot, &snapshot.table.load(), request, &mut self.reply)
        }));
        let Ok(outcome) = answered else {
            self.counters.panics.count();
            return;
        };
        count(self.counters, outcome);
        if outcome.len > 0 && self.send(outcome.len, from, local).is_err() {
            self.counters.send_errors.count();
        }
    }

    fn send(&self, len: usize, to: SocketAddr, local: Local) -> nix::Result<usize> {
        let parts = [IoSlice::new(&self.reply[..len])];
        let messages = match &local {
            Local::Fixed => &[][..],
            Local::V4(info) => &[ControlMessage::Ipv4PacketInfo(info)],
            Local::V6(info) => &[ControlMessage::Ipv6PacketInfo(info)],
        };
        let fd = self.socket.as_raw_fd();
        match to {
            SocketAddr::V4(to) => sendmsg(
                fd,
                &parts,
                messages,
                MsgFlags::empty(),
                Some(&SockaddrIn::from(to)),
            ),
            SocketAddr::V6(to) => sendmsg(
                fd,
                &parts,
                messages,
                MsgFlags::empty(),
                Some(&SockaddrIn6::from(to)),
            ),
        }
    }
}

/// Counts what became of a question.
pub(super) fn count(counters: &Questions, outcome: Outcome) {
    if outcome.len == 0 {
        counters.silent.count();
        return;
    }
    counters.replied(outcome.rcode);
    if outcome.truncated {
        counters.truncated.count();
    }
    if outcome.none_left {
        counters.none_left.count();
    }
}

fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    storage
        .as_sockaddr_in()
        .map(|a| SocketAddr::V4((*a).into()))
        .or_else(|| {
            storage
                .as_sockaddr_in6()
                .map(|a| SocketAddr::V6((*a).into()))
        })
}

/// Starts a thread that answers on a socket. Should it end before `stop`, the process ends: a server with a core less
/// that says nothing of it is worse.
///
/// # Errors
/// If the system gives no thread.
pub fn spawn(
    socket: UdpSocket,
    current: Arc<Current>,
    counters: Arc<Questions>,
    stop: Arc<AtomicBool>,
    number: usize,
) -> io::Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new()
        .name(format!("udp-{number}"))
        .spawn(move || {
            let guard = AbortUnless(&stop);
            serve(&socket, &current, &counters, &stop, number as u64);
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
