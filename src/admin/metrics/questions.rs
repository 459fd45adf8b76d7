//! What was asked and answered: the sums of what all workers have counted.

use std::fmt;

use super::page::Page;
use super::process::queue_drops;
use crate::answer::Transport;
use crate::control::Handle;
use crate::metrics::{CODES, Questions};
use crate::server::kinds;
use crate::snapshot::{Given, OfPool, Snapshot, TransferCounts};
use crate::wire::rcode;

const STREAMS: [Transport; Transport::STREAMS.len()] = Transport::STREAMS;

/// The number of a result.
type OfResult = fn(&OfPool) -> u64;

/// The number of a way that transfers end.
type OfTransfers = fn(&TransferCounts) -> u64;

/// The sums for one transport.
struct Sums<'a> {
    transport: &'static str,
    workers: &'a [&'a Questions],
    given: &'a [Given],
}

impl Sums<'_> {
    fn of(&self, number: impl Fn(&Questions) -> u64) -> u64 {
        self.workers.iter().map(|worker| number(worker)).sum()
    }
}

pub(super) fn write(page: &mut Page<'_>, handle: &Handle) -> fmt::Result {
    let snapshot = handle.current().get();
    let counters: Vec<&Questions> = handle.counters().iter().map(AsRef::as_ref).collect();
    // The last are those of all but UDP, one each.
    let (udp, streams) = counters.split_at(counters.len().saturating_sub(STREAMS.len()));
    let split = udp.len().min(snapshot.given.len());
    let (udp_given, given) = snapshot.given.split_at(split);
    let udp = Sums {
        transport: Transport::Udp.word(),
        workers: udp,
        given: udp_given,
    };
    let given = given.chunks(1).chain(std::iter::repeat(&[][..]));
    let streams = STREAMS.iter().zip(streams.chunks(1)).zip(given);
    let streams = streams.map(|((transport, workers), given)| Sums {
        transport: transport.word(),
        workers,
        given,
    });
    let transports: Vec<Sums<'_>> = std::iter::once(udp).chain(streams).collect();
    messages(page, &transports, queue_drops(handle.listen()))?;
    zones_and_pools(page, &transports, &snapshot)?;
    transfers(page, &snapshot)?;
    let signing = snapshot
        .signed
        .as_ref()
        .and_then(|signed| signed.signing.as_ref());
    let counts = signing.map_or([0, 0], |signing| [signing.total(), signing.refused()]);
    page.counters(
        "nearmost_answer_signatures",
        "Signatures for answers that were made, and that the budget did not allow.",
        ["made", "refused"]
            .into_iter()
            .zip(counts)
            .map(|(result, count)| ([("result", result)], count)),
    )?;
    let Some(log) = &snapshot.log else {
        return Ok(());
    };
    page.counters(
        "nearmost_querylog_lines",
        "Lines of the query log that were written.",
        [([], log.written.get())],
    )?;
    page.counters(
        "nearmost_querylog_dropped",
        "Lines of the query log that were dropped: they came too fast, or could not be written.",
        [([], log.dropped.get())],
    )
}

fn messages(page: &mut Page<'_>, transports: &[Sums<'_>], queue_drops: Option<u64>) -> fmt::Result {
    page.counters(
        "nearmost_received_messages",
        "Messages received.",
        transports.iter().map(|sums| {
            let count = sums.of(|worker| worker.received.get());
            ([("transport", sums.transport)], count)
        }),
    )?;
    let words: Vec<&str> = kinds::words().collect();
    page.counters(
        "nearmost_questions",
        "Questions by the type asked for.",
        transports.iter().flat_map(|sums| {
            words.iter().enumerate().map(|(kind, word)| {
                let count = sums.of(|worker| worker.kinds()[kind]);
                ([("transport", sums.transport), ("type", *word)], count)
            })
        }),
    )?;
    let codes: Vec<String> = (0u16..).take(CODES).map(rcode::mnemonic).collect();
    page.counters(
        "nearmost_replies",
        "Replies by response code; codes that were never given are left out.",
        transports.iter().flat_map(|sums| {
            let coded = codes.iter().enumerate();
            let rows = coded.map(|(code, word)| {
                let count = sums.of(|worker| worker.codes()[code]);
                (
                    [("transport", sums.transport), ("rcode", word.as_str())],
                    count,
                )
            });
            rows.filter(|(_, count)| *count > 0)
        }),
    )?;
    cut(page, transports, queue_drops)?;
    let all = |number: fn(&Questions) -> u64| -> u64 {
        transports.iter().map(|sums| sums.of(number)).sum()
    };
    page.counters(
        "nearmost_tcp_connections",
        "Connections accepted.",
        [([], all(|worker| worker.connections.get()))],
    )?;
    page.counters(
        "nearmost_tcp_evicted_connections",
        "Connections closed before their time to make room for others.",
        [([], all(|worker| worker.evicted.get()))],
    )
}

/// What was cut short, or not sent at all.
fn cut(page: &mut Page<'_>, transports: &[Sums<'_>], queue_drops: Option<u64>) -> fmt::Result {
    page.counters(
        "nearmost_truncated_replies",
        "Replies cut short, so that the client asks again over TCP.",
        transports.iter().map(|sums| {
            let count = sums.of(|worker| worker.truncated.get());
            ([("transport", sums.transport)], count)
        }),
    )?;
    let dropped = transports.iter().flat_map(|sums| {
        let of = |reason, number: fn(&Questions) -> u64| {
            (
                [("transport", sums.transport), ("reason", reason)],
                sums.of(number),
            )
        };
        [
            of("no_question", |worker| worker.silent.get()),
            of("rate_limited", |worker| worker.limited.get()),
            of("not_sent", |worker| worker.send_errors.get()),
            of("panic", |worker| worker.panics.get()),
        ]
    });
    page.counters(
        "nearmost_dropped_messages",
        "Messages without a reply, by reason: no question, a network over the rate, a reply that the system did not take, a panic, a full receive queue.",
        dropped.chain(queue_drops.map(|count| {
            ([("transport", "udp"), ("reason", "queue_full")], count)
        })),
    )?;
    page.counters(
        "nearmost_slipped_replies",
        "Replies over the rate of their network that said to come by TCP instead.",
        transports.iter().map(|sums| {
            let count = sums.of(|worker| worker.slipped.get());
            ([("transport", sums.transport)], count)
        }),
    )
}

fn transfers(page: &mut Page<'_>, snapshot: &Snapshot) -> fmt::Result {
    let served = snapshot.zones.list().iter().zip(&snapshot.secondaries);
    let served = served.enumerate().filter(|(_, (_, own))| own.is_served);
    let served: Vec<_> = served
        .map(|(number, (zone, own))| (number, zone.apex().to_string(), own))
        .collect();
    let results: [(&str, OfTransfers); 5] = [
        ("axfr", |counts| counts.whole.get()),
        ("ixfr", |counts| counts.differences.get()),
        ("current", |counts| counts.current.get()),
        ("broken", |counts| counts.broken.get()),
        ("refused", |counts| counts.refused.get()),
    ];
    page.counters(
        "nearmost_transfers",
        "Transfers of zones that have secondaries, by how they ended.",
        served.iter().flat_map(|(_, zone, own)| {
            results.iter().map(move |(word, count)| {
                let labels = [("zone", zone.as_str()), ("result", *word)];
                (labels, count(&own.counts))
            })
        }),
    )?;
    page.gauges(
        "nearmost_zone_serial",
        "The serial that secondaries are given.",
        served.iter().filter_map(|(number, zone, _)| {
            let serial = snapshot.serial(*number)?;
            Some(([("zone", zone.as_str())], f64::from(serial)))
        }),
    )
}

fn zones_and_pools(
    page: &mut Page<'_>,
    transports: &[Sums<'_>],
    snapshot: &Snapshot,
) -> fmt::Result {
    let zones: Vec<String> = snapshot
        .zones
        .list()
        .iter()
        .map(|zone| zone.apex().to_string())
        .collect();
    page.counters(
        "nearmost_zone_questions",
        "Questions by the zone that their name is in; what was never asked is left out.",
        transports.iter().flat_map(|sums| {
            // A catalog may bring thousands of zones.
            let rows = zones.iter().enumerate().map(|(number, zone)| {
                let own = sums
                    .given
                    .iter()
                    .filter_map(|given| given.zones.get(number));
                let count = own.map(|counter| counter.get()).sum();
                (
                    [("transport", sums.transport), ("zone", zone.as_str())],
                    count,
                )
            });
            rows.filter(|(_, count)| *count > 0)
        }),
    )?;
    let results: [(&str, OfResult); 4] = [
        ("in_service", |pool| pool.in_service.get()),
        ("fail_open", |pool| pool.fail_open.get()),
        ("none_left", |pool| pool.none_left.get()),
        ("no_addresses", |pool| pool.no_addresses.get()),
    ];
    let given = &snapshot.given;
    page.counters(
        "nearmost_pool_answers",
        "Answers by the pool that was asked first, and whether a node of it was in service.",
        snapshot
            .pools
            .iter()
            .enumerate()
            .flat_map(|(number, pool)| {
                results.iter().map(move |(word, number_of)| {
                    let own = given.iter().filter_map(|given| given.pools.get(number));
                    let count = own.map(|counters| number_of(counters)).sum();
                    ([("pool", pool.name.as_str()), ("result", *word)], count)
                })
            }),
    )?;
    let addresses: Vec<(&str, String)> = snapshot
        .addresses
        .iter()
        .map(|(node, ip)| {
            let node = snapshot.nodes[*node as usize].name.as_str();
            (node, ip.to_string())
        })
        .collect();
    page.counters(
        "nearmost_address_answers",
        "Answers that gave an address.",
        addresses.iter().enumerate().map(|(number, (node, ip))| {
            let own = given.iter().filter_map(|given| given.of.get(number));
            let count = own.map(|of| of.count.get()).sum();
            ([("node", *node), ("address", ip.as_str())], count)
        }),
    )
}
