//! Other people's validating resolvers before a server: they ask it alone, and trust the DS that they are given.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::program::{Folder, Lines, eventually, other};

/// A validating resolver; ended when dropped.
pub struct Validator {
    pub name: &'static str,
    pub address: SocketAddr,
    child: Child,
    _folder: Folder,
}

impl Drop for Validator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Validator {
    /// All three that ask `server`, on port 53, for `zone`, and trust this DS: `TAG ALGORITHM TYPE DIGEST`. None if one is not installed.
    pub fn all(server: &str, zone: &str, ds: &str) -> Option<Vec<Self>> {
        let programs = ["unbound", "named", "kresd"].map(other);
        let [Some(unbound), Some(named), Some(kresd)] = programs else {
            return None;
        };
        Some(vec![
            Self::unbound(&unbound, server, zone, ds),
            Self::bind(&named, server, zone, ds),
            Self::knot(&kresd, server, zone, ds),
        ])
    }

    fn start(
        name: &'static str,
        address: SocketAddr,
        mut command: Command,
        folder: Folder,
        ready: &str,
    ) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Lines::of(child.stderr.take().unwrap());
        if !ready.is_empty() {
            eventually(&format!("{name} starts"), || {
                assert!(
                    child.try_wait().unwrap().is_none(),
                    "{name}: {}",
                    log.text()
                );
                log.text().contains(ready).then_some(())
            });
        }
        let started = Self {
            name,
            address,
            child,
            _folder: folder,
        };
        // Some listen a moment after they have said so.
        eventually(&format!("{name} listens"), || {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket
                .set_read_timeout(Some(std::time::Duration::from_millis(100)))
                .unwrap();
            socket.connect(address).unwrap();
            // A status request: whatever it answers, it listens.
            socket
                .send(&[0, 1, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0])
                .unwrap();
            socket.recv(&mut [0; 512]).is_ok().then_some(())
        });
        started
    }

    fn unbound(program: &Path, server: &str, zone: &str, ds: &str) -> Self {
        let (folder, address) = (Folder::new(), free("127.100.2.1"));
        let text = format!(
            "server:
  interface: {}@{}
  directory: \"{}\"
  chroot: \"\"
  username: \"\"
  pidfile: \"\"
  use-syslog: no
  verbosity: 1
  do-ip6: no
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  module-config: \"validator iterator\"
  trust-anchor: \"{zone} DS {ds}\"
stub-zone:
  name: \"{zone}\"
  stub-addr: {server}
remote-control:
  control-enable: no
",
            address.ip(),
            address.port(),
            folder.path("").display()
        );
        folder.write("unbound.conf", &text);
        let mut command = Command::new(program);
        command
            .args(["-d", "-p", "-c"])
            .arg(folder.path("unbound.conf"));
        Self::start("unbound", address, command, folder, "start of service")
    }

    fn bind(program: &Path, server: &str, zone: &str, ds: &str) -> Self {
        // It listens on addresses that interfaces have.
        let (folder, address) = (Folder::new(), free("127.0.0.1"));
        let fields: Vec<&str> = ds.split(' ').collect();
        let [tag, algorithm, kind, digest] = fields[..] else {
            panic!("{ds}");
        };
        // Nothing above the zone is asked: the root is its own, and knows nothing.
        folder.write("root.zone", "$TTL 3600\n. SOA a.invalid. b.invalid. 1 3600 600 86400 300\n. NS a.invalid.\na.invalid. A 127.100.2.254\n");
        let text = format!(
            "options {{ directory \"{}\"; listen-on port {} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; recursion yes; allow-query {{ any; }};
  dnssec-validation yes; pid-file none; session-keyfile none; empty-zones-enable no; }};
controls {{ }};
trust-anchors {{ {zone} static-ds {tag} {algorithm} {kind} \"{digest}\"; }};
zone \".\" {{ type primary; file \"root.zone\"; }};
zone \"{zone}\" {{ type static-stub; server-addresses {{ {server}; }}; }};
",
            folder.path("").display(),
            address.port()
        );
        folder.write("named.conf", &text);
        let mut command = Command::new(program);
        command
            .args(["-g", "-n", "1", "-c"])
            .arg(folder.path("named.conf"));
        Self::start("BIND", address, command, folder, "running")
    }

    fn knot(program: &Path, server: &str, zone: &str, ds: &str) -> Self {
        let (folder, address) = (Folder::new(), free("127.100.2.3"));
        // Nothing but the zone is asked for.
        let text = format!(
            "for _, m in ipairs({{'priming', 'detect_time_skew', 'detect_time_jump', 'ta_update', 'ta_signal_query'}}) do modules.unload(m) end
net.listen('{}', {})
trust_anchors.remove('.')
trust_anchors.add('{zone} DS {ds}')
policy.add(policy.suffix(policy.FORWARD('{server}'), {{todname('{zone}')}}))
policy.add(policy.all(policy.DENY))
cache.open(10*MB, 'lmdb://{}')
",
            address.ip(),
            address.port(),
            folder.path("cache").display()
        );
        folder.write("kresd.conf", &text);
        let mut command = Command::new(program);
        command
            .args(["-n", "-c"])
            .arg(folder.path("kresd.conf"))
            .arg(folder.path(""));
        Self::start("Knot Resolver", address, command, folder, "")
    }
}

fn free(ip: &str) -> SocketAddr {
    UdpSocket::bind((ip, 0)).unwrap().local_addr().unwrap()
}
