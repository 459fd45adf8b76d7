//! `explain` has to agree with the wire.

use std::net::IpAddr;

use nearmost::answer::{Asker, Explanation, PoolPart};
use nearmost::wire::Query;
use nearmost::zone::rtype;

use crate::dns::{Ecs, Question, Reply};
use crate::stage::Stage;

/// Compares what `explain` says for the question's client with the reply that the question got.
pub(crate) fn check(stage: &Stage, question: &Question, reply: &Reply) -> Result<(), String> {
    if !matches!(question.qtype, rtype::A | rtype::AAAA | rtype::ANY) {
        return Ok(());
    }
    let packet = question.packet();
    let query = Query::parse(&packet).map_err(|e| format!("{e:?}"))?;
    let asker = Asker::of(&query, question.from, &stage.snapshot);
    let client = match query.edns.and_then(|e| e.ecs).and_then(|e| e.client()) {
        Some(client) if asker.by_ecs => client,
        _ => question.from,
    };
    let explained = stage.explain(&question.name, question.qtype, client, question.from);
    let Some(part) = &explained.pool else {
        return Ok(());
    };
    let said = |what: &str, explained: String, wire: String| {
        if explained == wire {
            Ok(())
        } else {
            Err(format!(
                "explain's {what}: {explained}; on the wire: {wire}"
            ))
        }
    };
    said(
        "client",
        explained.looked_up.to_string(),
        asker.client.addr().to_string(),
    )?;
    said(
        "rcode",
        explained.rcode.to_string(),
        u16::from(reply.message.metadata.response_code).to_string(),
    )?;
    if let Some(scope) = reply.scope.filter(|_| asker.by_ecs) {
        said("scope", part.scope.to_string(), scope.to_string())?;
    }
    nodes(stage, &explained, part)?;
    if reply.message.metadata.truncation {
        return Ok(());
    }
    let wire = reply.addresses();
    let again = again(question, client, &explained)?;
    said("addresses", format!("{again:?}"), format!("{wire:?}"))?;
    if let Some(named) = part.nodes.iter().find(|n| n.given && n.alias.is_some()) {
        // What follows on the wire is the alias's.
        let alone = part.nodes.iter().filter(|n| n.given).count() == 1;
        let aliases = reply.aliases();
        let same = |(to, ttl): &(String, u32)| named.alias.as_ref() == Some(to) && *ttl == part.ttl;
        if alone && aliases.iter().any(same) {
            return Ok(());
        }
        return Err(format!("explain gives {named:?}; on the wire: {aliases:?}"));
    }
    // Behind an alias there is another pool's answer.
    let alias = part.none_left.is_some() && part.instead.is_none();
    let own = wire
        .first()
        .filter(|_| !alias || part.nodes.iter().any(|n| n.given));
    if let Some((_, ttl)) = own {
        said("TTL", part.ttl.to_string(), ttl.to_string())?;
    }
    given(part, &wire)
}

/// The addresses of the reply that an explanation holds.
fn again(
    question: &Question,
    client: IpAddr,
    explained: &Explanation,
) -> Result<Vec<(IpAddr, u32)>, String> {
    let bits = if client.is_ipv4() { 32 } else { 128 };
    let mut asked = question.clone();
    asked.ecs = Some(Ecs::of(client, bits));
    let mut reply = explained.reply.clone();
    reply[..2].copy_from_slice(&[0x12, 0x34]);
    Ok(Reply::read(&asked, &reply)?.addresses())
}

/// How the reasons begin of nodes that the client may not be sent to.
const NEVER: [&str; 4] = ["limited to ", "not for ", "not named by ", "only for "];

/// Every node of the pool that has addresses of the family, once, with one reason.
fn nodes(stage: &Stage, explained: &Explanation, part: &PoolPart) -> Result<(), String> {
    let pool = stage
        .parts
        .config
        .pools
        .iter()
        .find(|p| p.name == part.pool)
        .ok_or("no such pool")?;
    let v4 = match explained.qtype {
        rtype::A => true,
        rtype::AAAA => false,
        // ANY takes the family that there is.
        _ => part
            .nodes
            .iter()
            .any(|n| n.addresses.iter().any(IpAddr::is_ipv4)),
    };
    let nodes = pool.nodes.iter().map(|&n| &stage.snapshot.nodes[n]);
    let mut all: Vec<&str> = nodes.map(|n| &*n.name).collect();
    let asked = part.nodes.iter().filter(|l| {
        let never = NEVER.iter().any(|never| l.reason.starts_with(never));
        l.addresses.iter().any(|a| a.is_ipv4() == v4) && !never
    });
    let asked = asked.count();
    let mut listed: Vec<&str> = part.nodes.iter().map(|n| &*n.node).collect();
    all.sort_unstable();
    listed.sort_unstable();
    // A node with addresses for some clients has a line for each set of them.
    listed.dedup();
    if all != listed {
        return Err(format!("explain lists {listed:?} of {all:?}"));
    }
    for (rank, line) in (1..).zip(&part.nodes) {
        // Those that are never given come last, without a rank.
        let ranked = (rank <= asked).then_some(rank);
        let measured = line.km.is_some_and(f64::is_finite) == ranked.is_some();
        if line.rank != ranked || line.reason.trim().is_empty() || !measured {
            return Err(format!(
                "explain says of the node at place {rank}: {line:?}"
            ));
        }
    }
    Ok(())
}

/// Exactly the nodes on the wire are marked as given.
fn given(part: &PoolPart, wire: &[(IpAddr, u32)]) -> Result<(), String> {
    for line in &part.nodes {
        let on_wire = line
            .addresses
            .iter()
            .any(|a| wire.iter().any(|(w, _)| w == a));
        if line.given != on_wire {
            return Err(format!(
                "explain says of {}: given {}, \"{}\"; on the wire: {on_wire}",
                line.node, line.given, line.reason
            ));
        }
    }
    Ok(())
}
