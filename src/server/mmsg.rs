//! Datagrams in batches: `recvmmsg(2)` and `sendmmsg(2)`. The one file with unsafe code, as the safe wrappers of the nix crate
//! send one local address for a whole batch, and a server on all addresses must reply from the one that was asked.
#![allow(
    unsafe_code,
    reason = "the system's batch calls take arrays of pointers into buffers"
)]

use std::io;
use std::mem::{self, size_of};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::ptr;

use nix::libc;

/// Datagrams in a batch.
pub(super) const WIDTH: usize = 64;
/// Octets of a buffer: what we take and send at most, and a cache line, or the beginnings of all buffers would fall into one set of the cache.
const BUFFER: usize = 4096 + 64;

/// Room for one control message that says which of our addresses was asked.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; 64]);

/// Buffers for a batch, and what the system needs to fill and send them. Everything is boxed, so pointers into it hold for its life.
pub(super) struct Batch {
    packets: Box<[[u8; BUFFER]]>,
    replies: Box<[[u8; BUFFER]]>,
    peers: Box<[libc::sockaddr_in6]>,
    controls: Box<[Control]>,
    parts_in: Box<[libc::iovec]>,
    parts_out: Box<[libc::iovec]>,
    heads_in: Box<[libc::mmsghdr]>,
    heads_out: Box<[libc::mmsghdr]>,
    /// Datagrams that came.
    received: usize,
    /// Replies that wait to be sent.
    waiting: usize,
    /// Octets of a control that the system may fill: none where every datagram was sent to the same address.
    control_len: usize,
}

/// A datagram that came, and the room for its reply.
pub(super) struct Datagram<'b> {
    pub(super) packet: &'b [u8],
    pub(super) source: IpAddr,
    pub(super) reply: &'b mut [u8],
}

impl Batch {
    /// Empty buffers. With `locals` for a socket that tells for each datagram which of our addresses was asked.
    pub(super) fn new(locals: bool) -> Self {
        // SAFETY: all of these are plain data for which zeros are a value: numbers and null pointers.
        let (peer, head): (libc::sockaddr_in6, libc::mmsghdr) = unsafe { mem::zeroed() };
        let part = libc::iovec {
            iov_base: ptr::null_mut(),
            iov_len: 0,
        };
        let mut batch = Self {
            packets: vec![[0; BUFFER]; WIDTH].into(),
            replies: vec![[0; BUFFER]; WIDTH].into(),
            peers: vec![peer; WIDTH].into(),
            controls: vec![Control([0; 64]); WIDTH].into(),
            parts_in: vec![part; WIDTH].into(),
            parts_out: vec![part; WIDTH].into(),
            heads_in: vec![head; WIDTH].into(),
            heads_out: vec![head; WIDTH].into(),
            received: 0,
            waiting: 0,
            control_len: if locals { size_of::<Control>() } else { 0 },
        };
        for i in 0..WIDTH {
            batch.parts_in[i].iov_base = batch.packets[i].as_mut_ptr().cast();
            batch.parts_in[i].iov_len = BUFFER;
            batch.heads_in[i].msg_hdr.msg_iov = &raw mut batch.parts_in[i];
            batch.heads_in[i].msg_hdr.msg_iovlen = 1;
            batch.heads_in[i].msg_hdr.msg_name = (&raw mut batch.peers[i]).cast();
            batch.heads_in[i].msg_hdr.msg_control = (&raw mut batch.controls[i]).cast();
            batch.reset(i);
        }
        batch
    }

    /// What the system shortened when it filled the entry.
    fn reset(&mut self, i: usize) {
        let head = &mut self.heads_in[i].msg_hdr;
        head.msg_namelen = length(size_of::<libc::sockaddr_in6>());
        head.msg_controllen = self.control_len;
        head.msg_flags = 0;
    }

    /// Waits for a datagram and takes it and all that came meanwhile; how many these are.
    ///
    /// # Errors
    /// As the system says; [`io::ErrorKind::WouldBlock`] after the socket's timeout.
    pub(super) fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        for i in 0..self.received {
            self.reset(i);
        }
        self.received = 0;
        self.waiting = 0;
        // SAFETY: each of the WIDTH heads points to one part, a peer and a control of ours, with their true lengths; they live
        // as long as `self`, which is borrowed for the call.
        let got = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.heads_in.as_mut_ptr(),
                length(WIDTH),
                libc::MSG_WAITFORONE,
                ptr::null_mut(),
            )
        };
        self.received = usize::try_from(got).map_err(|_| io::Error::last_os_error())?;
        Ok(self.received)
    }

    /// The octets of one of those that came.
    #[inline]
    pub(super) fn packet(&self, i: usize) -> &[u8] {
        let len = (self.heads_in[i].msg_len as usize).min(BUFFER);
        &self.packets[i][..len]
    }

    /// One of those that came; none where there is nobody to reply to.
    #[inline]
    pub(super) fn datagram(&mut self, i: usize) -> Option<Datagram<'_>> {
        let source = source(&self.peers[i])?;
        let len = (self.heads_in[i].msg_len as usize).min(BUFFER);
        Some(Datagram {
            packet: &self.packets[i][..len],
            source,
            reply: &mut self.replies[i],
        })
    }

    /// Puts the first `len` octets of a datagram's reply among those to be sent.
    #[inline]
    pub(super) fn reply(&mut self, i: usize, len: usize) {
        self.parts_out[i].iov_base = self.replies[i].as_mut_ptr().cast();
        self.parts_out[i].iov_len = len.min(BUFFER);
        let came = &self.heads_in[i].msg_hdr;
        let head = &mut self.heads_out[self.waiting].msg_hdr;
        head.msg_name = came.msg_name;
        head.msg_namelen = came.msg_namelen;
        head.msg_iov = &raw mut self.parts_out[i];
        head.msg_iovlen = 1;
        // What says which address was asked says from which to reply; the way there is the routing table's to know.
        forget_interface(&mut self.controls[i], came.msg_controllen);
        head.msg_controllen = came.msg_controllen;
        head.msg_control = if came.msg_controllen == 0 {
            ptr::null_mut()
        } else {
            came.msg_control
        };
        self.waiting += 1;
    }

    /// Sends the replies; how many the system did not take.
    pub(super) fn send(&mut self, socket: &UdpSocket) -> u64 {
        let (mut sent, mut failed) = (0, 0);
        while sent < self.waiting {
            let rest = &mut self.heads_out[sent..self.waiting];
            // SAFETY: each of these heads was filled by `reply`: it points to one part with a reply of ours, to a peer and a
            // control that the system filled, with their true lengths.
            let got = unsafe {
                libc::sendmmsg(socket.as_raw_fd(), rest.as_mut_ptr(), length(rest.len()), 0)
            };
            match usize::try_from(got) {
                Ok(more @ 1..) => sent += more,
                _ if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
                // The first of the rest cannot be sent; that says nothing of the others.
                _ => (sent, failed) = (sent + 1, failed + 1),
            }
        }
        self.waiting = 0;
        failed
    }
}

/// The control of a datagram without the interface where it came in, which would be the one where the reply goes out: that need not lead to its sender. Only
/// addresses that mean nothing without it keep it.
fn forget_interface(control: &mut Control, len: usize) {
    if len < size_of::<libc::cmsghdr>() {
        return;
    }
    // SAFETY: the system wrote so many octets here, and they are aligned for this: a header, which says what lies behind it. It is plain numbers.
    let head = unsafe { &*control.0.as_ptr().cast::<libc::cmsghdr>() };
    // SAFETY: a plain calculation.
    let data = unsafe { libc::CMSG_LEN(0) } as usize;
    // The index stands first with IPv4, and behind the address with IPv6.
    let at = match (head.cmsg_level, head.cmsg_type) {
        (libc::IPPROTO_IP, libc::IP_PKTINFO) => data,
        (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => match control.0[data..] {
            [0xfe, 0x80..=0xbf, ..] => return,
            _ => data + size_of::<libc::in6_addr>(),
        },
        _ => return,
    };
    control.0[at..at + size_of::<libc::c_int>()].fill(0);
}

/// Services that answer whatever comes (echo, daytime, chargen, time), and no port at all: two servers could talk for ever, and no resolver asks from there.
const NOBODY: [u16; 5] = [0, 7, 13, 19, 37];

fn source(peer: &libc::sockaddr_in6) -> Option<IpAddr> {
    // It stands at the same place in both families.
    if NOBODY.contains(&u16::from_be(peer.sin6_port)) {
        return None;
    }
    match i32::from(peer.sin6_family) {
        libc::AF_INET6 => Some(Ipv6Addr::from(peer.sin6_addr.s6_addr).into()),
        libc::AF_INET => {
            // SAFETY: the family says that the system wrote a `sockaddr_in` here, which is shorter and not more aligned.
            let peer = unsafe { &*ptr::from_ref(peer).cast::<libc::sockaddr_in>() };
            Some(Ipv4Addr::from(peer.sin_addr.s_addr.to_ne_bytes()).into())
        }
        _ => None,
    }
}

/// Lengths here are small constants.
fn length<T: TryFrom<usize> + Default>(len: usize) -> T {
    T::try_from(len).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_that_answer_everything_are_nobody() {
        let of = |port: u16| {
            source(&libc::sockaddr_in6 {
                sin6_family: u16::try_from(libc::AF_INET6).unwrap(),
                sin6_port: port.to_be(),
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr { s6_addr: [1; 16] },
                sin6_scope_id: 0,
            })
        };
        for port in [0, 7, 13, 19, 37] {
            assert_eq!(of(port), None, "{port}");
        }
        for port in [1, 53, 1024, u16::MAX] {
            assert_eq!(of(port), Some(Ipv6Addr::from([1; 16]).into()), "{port}");
        }
    }
}
