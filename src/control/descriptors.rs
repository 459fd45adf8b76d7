//! How many files and sockets the process may have open, and with that how many connections.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// For all that is neither a connection of a client nor a socket that clients ask: probes, files, the admin API.
const RESERVE: u64 = 512;

/// How many of so many connections fit beside so many sockets. The limit of open files is raised for them where that is ours to do, no further than is needed, as what we start has it too;
/// where that is not enough it is warned of, and probes have their part all the same: what they cannot open would look like nodes that fail.
pub(super) fn room_for(connections: usize, sockets: usize) -> usize {
    let [needed, own] = [connections, sockets].map(|n| u64::try_from(n).unwrap_or(u64::MAX));
    let own = own.saturating_add(RESERVE);
    let needed = needed.saturating_add(own);
    let limit = getrlimit(Resource::Nofile);
    let enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= needed);
    if enough(limit.current) {
        return connections;
    }
    let current = Some(limit.maximum.map_or(needed, |most| most.min(needed)));
    let raised = setrlimit(Resource::Nofile, Rlimit { current, ..limit });
    let now = match raised {
        Ok(()) => current,
        Err(_) => limit.current,
    };
    let Some(now) = now.filter(|_| !enough(now)) else {
        return connections;
    };
    let fit = now.saturating_sub(own).max(now / 2).max(1);
    let fit = usize::try_from(fit).map_or(connections, |fit| fit.min(connections));
    tracing::warn!(
        "{fit} connections at most, not {connections}: this process may have {now} files open, and probes need some. \
         Raise the limit (LimitNOFILE= of the unit, ulimit -n), or lower tcp_connections of [limits]"
    );
    fit
}
