//! Telling secondaries that a zone has changed (RFC 1996): each of them until it replies, a few times at growing distances.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use crate::clock;
use crate::control::handle::Handle;
use crate::snapshot::{Peer, Snapshot};
use crate::transfer::{Question, notify};
use crate::wire::rcode;
use crate::wire::tsig::Key;
use crate::zone::Name;
use crate::zone::version::{Journal, Version};

/// How often each is told without a reply.
const TIMES: u32 = 6;
/// Time for a reply, and until the second time; then twice as long each time.
const FIRST: Duration = Duration::from_secs(3);
/// So many replies of one secondary are waited for at once.
const AT_ONCE: usize = 32;

/// Who is being told.
#[derive(Default)]
pub(super) struct Telling {
    /// A newer version takes the place of an older one.
    tasks: HashMap<(Name, SocketAddr), AbortHandle>,
    /// Who has many zones of ours is not told of all at once.
    turns: HashMap<SocketAddr, Arc<Semaphore>>,
}

impl Telling {
    /// Tells all that the zone's configuration names.
    pub(super) fn tell(&mut self, handle: &Handle, snapshot: &Snapshot, journal: &Arc<Journal>) {
        self.tasks.retain(|_, task| !task.is_finished());
        self.turns.retain(|_, turns| Arc::strong_count(turns) > 1);
        let apex = &journal.version.apex;
        let own = snapshot
            .zone_named(apex)
            .and_then(|n| snapshot.secondaries.get(n));
        for peer in own.iter().flat_map(|own| &own.notify) {
            let at = peer.at;
            let key = peer
                .key
                .and_then(|key| snapshot.keys.list.get(key))
                .cloned();
            let version = Arc::clone(&journal.version);
            let from = source_for(handle.listen(), peer);
            let turns = self.turns.entry(at);
            let turns = Arc::clone(turns.or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE))));
            let task = tokio::spawn(until_heard(version, (at, from), key, turns));
            if let Some(before) = self.tasks.insert((apex.clone(), at), task.abort_handle()) {
                before.abort();
            }
        }
    }
}

/// The address that a message to another server is best sent from: one that it knows us by.
pub(super) fn source_for(listen: &[SocketAddr], peer: &Peer) -> IpAddr {
    if let Some(source) = peer.source {
        return source;
    }
    let to = peer.at.ip();
    let fits = |a: &&IpAddr| {
        a.is_ipv4() == to.is_ipv4() && !a.is_unspecified() && a.is_loopback() == to.is_loopback()
    };
    let own: Vec<IpAddr> = listen.iter().map(SocketAddr::ip).collect();
    let any: IpAddr = match to {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    own.iter().find(fits).copied().unwrap_or(any)
}

async fn until_heard(
    version: Arc<Version>,
    (to, from): (SocketAddr, IpAddr),
    key: Option<Arc<Key>>,
    turns: Arc<Semaphore>,
) {
    let (apex, serial) = (&version.apex, version.serial());
    let mut wait = FIRST;
    for _ in 0..TIMES {
        let ask = |id| notify(&version, id, key.as_deref(), clock::wall());
        let turn = turns.acquire().await;
        let told = timeout(FIRST, exchange(to, from, ask)).await;
        drop(turn);
        match told {
            Ok(Ok(Ok(rcode::NOERROR))) => {
                tracing::debug!("zone {apex}: {to} knows of serial {serial}");
                return;
            }
            Ok(Ok(Ok(code))) => {
                let code = rcode::mnemonic(code);
                tracing::warn!("zone {apex}: {to} answers {code} to the notice of serial {serial}");
                return;
            }
            Ok(Ok(Err(why))) => {
                tracing::warn!("zone {apex}: the reply of {to} to a notice is not taken: {why}");
                return;
            }
            // Nobody is there, perhaps not yet.
            Ok(Err(_)) => sleep(wait).await,
            Err(_) => sleep(wait - FIRST).await,
        }
        wait *= 2;
    }
    tracing::warn!(
        "zone {apex}: {to} does not reply to the notice of serial {serial}, told {TIMES} times"
    );
}

/// Sends a question and waits for its reply, for ever.
pub(super) async fn exchange<'k>(
    to: SocketAddr,
    from: IpAddr,
    ask: impl FnOnce(u16) -> Question<'k>,
) -> io::Result<Result<u16, &'static str>> {
    let socket = UdpSocket::bind((from, 0)).await?;
    socket.connect(to).await?;
    // Another each time, and nobody guesses it.
    let id = RandomState::new().hash_one(to);
    let mut question = ask((id & 0xffff) as u16);
    socket.send(&question.packet).await?;
    let mut reply = vec![0; 4096];
    loop {
        let len = socket.recv(&mut reply).await?;
        if let Some(code) = question.reply(&reply[..len], clock::wall()) {
            return Ok(code);
        }
    }
}
