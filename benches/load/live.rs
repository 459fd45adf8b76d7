//! Servers as processes of their own.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::setup::Size;

/// The program of this build.
pub const THIS: &str = env!("CARGO_BIN_EXE_nearmost");
/// What is given to this program when it is to be the echo server, before the address.
pub const ECHO: &str = "--echo";
/// A server that has not answered by then never will.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server; it is ended when this is dropped.
pub struct Live {
    child: Child,
    pub address: SocketAddr,
    /// From its start to the first reply that was right.
    pub start: Duration,
}

impl Live {
    /// The real server of a build, with what `size` says, in a folder. It is ready when the reply to `packet` is `right`.
    pub fn ours(
        program: &Path,
        size: &Size,
        folder: &Path,
        packet: &[u8],
        right: impl Fn(&[u8]) -> bool,
    ) -> Self {
        let (address, file) = (free(), folder.join("nearmost.toml"));
        let server = format!("[server]\nlisten = [\"{address}\"]\nworkers = 1\n");
        std::fs::write(&file, server + &size.write(folder)).expect("the configuration is written");
        let mut command = Command::new(program);
        command.args(["serve", "-c"]).arg(file);
        Self::start(command, address, packet, right)
    }

    /// This program as the echo server.
    pub fn echo() -> Self {
        let address = free();
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.arg(ECHO).arg(address.to_string());
        Self::start(command, address, &[0; 12], |_| true)
    }

    #[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
    fn start(
        mut command: Command,
        address: SocketAddr,
        packet: &[u8],
        right: impl Fn(&[u8]) -> bool,
    ) -> Self {
        let start = Instant::now();
        let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut live = Self {
            child: child.expect("the server starts"),
            address,
            start: Duration::ZERO,
        };
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
        socket.connect(address).expect("a server on loopback");
        let wait = Some(Duration::from_millis(2));
        socket.set_read_timeout(wait).expect("a socket");
        let mut reply = [0; 4096];
        while start.elapsed() < PATIENCE {
            // Refused while nothing listens there.
            let _ = socket.send(packet);
            match socket.recv(&mut reply) {
                Ok(len) if right(&reply[..len]) => {
                    live.start = start.elapsed();
                    return live;
                }
                Ok(_) => {}
                Err(_) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
        panic!("no right reply within {PATIENCE:?}")
    }

    pub fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody uses.
fn free() -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    socket.local_addr().expect("an address")
}
