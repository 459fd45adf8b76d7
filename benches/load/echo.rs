//! The floor: a server that turns questions round without reading them.

use std::io::{IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use nearmost::server::udp;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg};

use crate::generator::BATCH;

/// Sends back what comes with QR set, until the process is ended.
pub fn serve(address: SocketAddr) -> ! {
    let socket = udp::bind(address, false).expect("a socket");
    let fd = socket.as_raw_fd();
    let mut buffers = [[0; 2048]; BATCH];
    let mut lengths = [0; BATCH];
    let mut peers: [Option<SockaddrIn>; BATCH] = [None; BATCH];
    let mut came = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    let mut goes = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    loop {
        let mut count = 0;
        let mut parts = buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
        let Ok(messages) = recvmmsg(
            fd,
            &mut came,
            parts.iter_mut(),
            MsgFlags::MSG_WAITFORONE,
            None,
        ) else {
            continue;
        };
        for message in messages {
            (lengths[count], peers[count]) = (message.bytes, message.address);
            count += 1;
        }
        for buffer in &mut buffers[..count] {
            buffer[2] |= 0x80;
        }
        let parts =
            std::array::from_fn::<_, BATCH, _>(|i| [IoSlice::new(&buffers[i][..lengths[i]])]);
        let mut sent = 0;
        while sent < count {
            let to = &peers[sent..count];
            match sendmmsg(
                fd,
                &mut goes,
                &parts[sent..count],
                to,
                [],
                MsgFlags::empty(),
            ) {
                Ok(messages) => sent += messages.count().max(1),
                Err(_) => sent += 1,
            }
        }
    }
}
