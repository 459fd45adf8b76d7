//! unbound between clients and us: it sends their networks along and keeps answers for as wide a scope as we say.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use crate::program::{Folder, Lines, Server, eventually, other, skip};
use crate::question::Question;
use crate::world::{FRA, NYC, TYO, World, server_on};

/// Delegations have no port: name servers are asked on 53.
const PARENT: &str = "127.100.1.52:53";
const CHILD: &str = "127.100.1.53:53";
/// Where unbound listens, on a free port.
const RESOLVER: &str = "127.100.1.1";

const PARENT_ZONE: &str = "\
$TTL 3600
@       SOA  ns1 hostmaster 1 7200 1800 1209600 300
@       NS   ns1
ns1     A    127.100.1.52
www     A    192.0.2.80
get     NS   ns.get
ns.get  A    127.100.1.53
";

struct Unbound {
    child: Child,
    address: SocketAddr,
}

impl Unbound {
    fn start(program: &Path, folder: &Folder) -> Self {
        let free = UdpSocket::bind((RESOLVER, 0)).unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        folder.write("unbound.conf", &config(address, folder));
        let mut child = Command::new(program)
            .args(["-d", "-p", "-c"])
            .arg(folder.path("unbound.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Lines::of(child.stderr.take().unwrap());
        eventually("unbound starts", || {
            assert!(child.try_wait().unwrap().is_none(), "{}", log.text());
            log.text().contains("start of service").then_some(())
        });
        Self { child, address }
    }
}

impl Drop for Unbound {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn config(address: SocketAddr, folder: &Folder) -> String {
    let child = CHILD.trim_end_matches(":53");
    let parent = PARENT.trim_end_matches(":53");
    format!(
        "server:
  interface: {RESOLVER}@{}
  directory: \"{}\"
  chroot: \"\"
  username: \"\"
  pidfile: \"\"
  use-syslog: no
  verbosity: 1
  num-threads: 1
  do-ip6: no
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  module-config: \"subnetcache iterator\"
  send-client-subnet: {child}
  max-client-subnet-ipv4: 24
stub-zone:
  name: \"example.org.\"
  stub-addr: {parent}
remote-control:
  control-enable: no
",
        address.port(),
        folder.path("").display()
    )
}

#[test]
fn unbound_gives_each_network_its_own_mirror_and_keeps_it_for_our_scope() {
    let Some(program) = other("unbound") else {
        return;
    };
    if UdpSocket::bind(CHILD).is_err() {
        return skip("port 53 of 127.100.1.53 cannot be had");
    }
    let world = World::of(100, 3);
    let zone = "\
$TTL 300
@       SOA  ns hostmaster 1 7200 1800 1209600 300
@       NS   ns
ns      A    127.100.1.53
@ 300/30 POOL site
fixed   A    192.0.2.1
";
    // No probes, so that answers are worth keeping.
    let config = format!("{}\n[pool.site]\n{}", server_on(CHILD), world.node_tables());
    let folder = Folder::with(&config);
    folder.write("zones/get.example.org.zone", zone);
    let ours = Server::start_in(&Arc::new(folder));
    let folder = Folder::with(&server_on(PARENT));
    folder.write("zones/example.org.zone", PARENT_ZONE);
    let parent = Server::start_in(&Arc::new(folder));
    let unbound = Unbound::start(&program, &parent.folder);
    let ask = |name: &str, net: &str| {
        Question::a(name)
            .from(net)
            .recursive()
            .by_udp(unbound.address)
    };
    let received = || {
        ours.json(&["status"])["counters"]["received"]
            .as_u64()
            .unwrap()
    };

    assert_eq!(
        ask("www.example.org", FRA).one(),
        "192.0.2.80",
        "the parent answers"
    );
    for (net, mirror) in [(FRA, 0), (NYC, 1), (TYO, 2)] {
        let reply = ask("get.example.org", net);
        assert_eq!(reply.one(), world.ip(mirror), "{net}");
        let ours = ours.ask(&Question::a("get.example.org").from(net));
        assert_eq!(reply.scope(), ours.scope(), "{net}: our scope is handed on");
    }
    let before = received();
    for (net, mirror) in [(FRA, 0), (NYC, 1), (TYO, 2)] {
        assert_eq!(ask("get.example.org", net).one(), world.ip(mirror), "{net}");
    }
    assert_eq!(received(), before, "all from its cache");

    // A network that we know nothing of: one answer serves all of the wide scope around it, and no more than that.
    let scope = ours
        .ask(&Question::a("get.example.org").from("101.2.3.0/24"))
        .scope();
    assert!(scope < Some(24), "{scope:?}");
    let first = ask("get.example.org", "101.2.3.0/24").one();
    let before = received();
    assert_eq!(
        ask("get.example.org", "101.2.9.0/24").one(),
        first,
        "in the same scope"
    );
    assert_eq!(received(), before, "from its cache");
    ask("get.example.org", "130.0.0.0/24");
    assert!(
        received() > before,
        "outside of the scope we are asked again"
    );

    // What is the same for all has scope 0 and is asked for once.
    assert_eq!(ask("fixed.get.example.org", FRA).one(), "192.0.2.1");
    let before = received();
    assert_eq!(ask("fixed.get.example.org", NYC).one(), "192.0.2.1");
    assert_eq!(received(), before, "scope 0 is for everybody");
}
