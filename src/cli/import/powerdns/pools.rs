//! The LUA records of a name as one pool: those for A and for AAAA together.

use std::collections::HashMap;
use std::net::IpAddr;

use super::declared::Branch;
use super::pick::{Member, Pick, Value, Which, pick};
use super::settings;
use crate::cli::import::Work;
use crate::cli::import::system::{Arm, Choice, Draw, Pool, Reached};
use crate::diagnostic::Span;

/// What one LUA record declares, each part with what it picks.
#[derive(Clone, Debug)]
pub(super) struct Declared {
    pub(super) parts: Vec<(Vec<String>, Pick)>,
    pub(super) span: Span,
}

impl Declared {
    /// Of the branches of a record; or why it is no declaration.
    pub(super) fn of(branches: Vec<Branch>, span: Span) -> Result<Self, String> {
        let parts = branches.into_iter().map(|b| Ok((b.from, pick(&b.value)?)));
        Ok(Self {
            parts: parts.collect::<Result<_, String>>()?,
            span,
        })
    }

    /// Values that are simply given, whoever asks and whatever happens.
    pub(super) fn fixed(&self) -> Option<Vec<Value>> {
        match &self.parts[..] {
            [
                (
                    from,
                    Pick {
                        sets,
                        which: Which::All,
                        checked: None,
                        ..
                    },
                ),
            ] if from.is_empty() => Some(sets.iter().flatten().map(|m| m.value.clone()).collect()),
            _ => None,
        }
    }

    fn same_clients(&self, other: &Self) -> bool {
        let from = |d: &Self| {
            d.parts
                .iter()
                .map(|(from, _)| from.clone())
                .collect::<Vec<_>>()
        };
        from(self) == from(other)
    }
}

/// Addresses of one machine: those of the same place in the lists for A and for AAAA, or one alone.
#[derive(Clone, Debug, PartialEq)]
struct Machine {
    reached: Reached,
    weight: Option<u32>,
}

/// What is known of a name while its pool is made.
pub(super) struct Named<'n> {
    /// As a word: `www`.
    pub(super) label: String,
    /// For people: `www.example.org.`
    pub(super) owner: String,
    /// What plain records call addresses.
    pub(super) called: &'n HashMap<IpAddr, String>,
    /// Addresses of plain records that stand beside the LUA records, which a pool does not allow.
    pub(super) beside: Vec<IpAddr>,
}

/// Makes the pool; its name.
pub(super) fn pool(named: &Named<'_>, records: &[Declared], work: &mut Work) -> Option<String> {
    let (first, others) = records.split_first()?;
    let other = others.iter().find(|other| other.same_clients(first));
    for lost in others.iter().filter(|o| !o.same_clients(first)) {
        work.report.lost(
            lost.span,
            format!(
                "{}: its conditions are others than those of the record before it",
                named.owner
            ),
            "write the rules of the pool by hand",
        );
    }
    let (arms, paired) = arms(named, first, other, work);
    let settings = settings::read(named, records, work);
    let mut notes = vec![format!("The LUA records of {} at PowerDNS.", named.owner)];
    if paired {
        notes.push(
            "Addresses at the same place of the lists for A and AAAA are taken for one node."
                .to_owned(),
        );
    }
    notes.extend(settings.notes);
    let probes = settings
        .probe
        .into_iter()
        .map(|checked: super::probe::Checked| {
            work.system
                .probe(std::slice::from_ref(&checked.name), checked.lines(), false)
        });
    let probes: Vec<String> = probes.collect();
    let pool = Pool {
        name: String::new(),
        notes,
        probes,
        answer: match settings.which {
            Which::All => None,
            Which::Random(count) => Some(count),
            _ => Some(1),
        },
        draw: match settings.which {
            Which::Hashed => Draw::Sticky,
            _ => Draw::Random,
        },
        nearest: settings.which == Which::Nearest,
        arms,
        unknown: Vec::new(),
        none: settings.none.to_owned(),
        led: Vec::new(),
    };
    Some(work.system.pool(std::slice::from_ref(&named.label), pool))
}

/// Who gets which nodes, and whether addresses of either family were put together.
fn arms(
    named: &Named<'_>,
    first: &Declared,
    other: Option<&Declared>,
    work: &mut Work,
) -> (Vec<Arm>, bool) {
    let mut arms = Vec::new();
    let (mut paired, mut count) = (false, 0);
    for (number, (from, pick)) in first.parts.iter().enumerate() {
        let more = other
            .and_then(|other| other.parts.get(number))
            .map(|(_, pick)| pick);
        let (sets, pairs) = machines(pick, more);
        paired |= pairs;
        let uses = (1..).zip(sets).map(|(set, machines): (u32, Vec<Machine>)| {
            choice(
                named,
                &label(number, set),
                &mut count,
                machines,
                first.span,
                work,
            )
        });
        let uses: Vec<Choice> = uses.collect();
        arms.push(Arm {
            from: from.clone(),
            uses: distinct(uses),
        });
    }
    if let Some(last) = arms.last_mut()
        && !named.beside.is_empty()
    {
        let machines: Vec<Machine> = named
            .beside
            .iter()
            .map(|ip| alone(&Value::Ip(*ip), None))
            .collect();
        last.uses.push(choice(
            named, "beside", &mut count, machines, first.span, work,
        ));
    }
    (arms, paired)
}

/// A pool of plain addresses, one of which is drawn.
pub(super) fn plain(
    named: &Named<'_>,
    addresses: &[IpAddr],
    span: Span,
    work: &mut Work,
) -> String {
    let machines = addresses
        .iter()
        .chain(&named.beside)
        .map(|ip| alone(&Value::Ip(*ip), None))
        .collect();
    let uses = vec![choice(named, "all", &mut 0, machines, span, work)];
    let pool = Pool {
        name: String::new(),
        notes: vec![
            format!(
                "The addresses of a program of Lua at {}, which did not carry over: the zone's file has its text.",
                named.owner
            ),
            "Until you say otherwise here, one of them is drawn for each question.".to_owned(),
        ],
        probes: Vec::new(),
        answer: Some(1),
        draw: Draw::Random,
        nearest: false,
        arms: vec![Arm {
            from: Vec::new(),
            uses,
        }],
        unknown: Vec::new(),
        none: "nearest".to_owned(),
        led: Vec::new(),
    };
    work.system.pool(std::slice::from_ref(&named.label), pool)
}

fn alone(value: &Value, weight: Option<u32>) -> Machine {
    Machine {
        reached: match value {
            Value::Ip(ip) => Reached::Addresses(vec![*ip]),
            Value::Name(name) => Reached::Name(name.trim_end_matches('.').to_owned()),
        },
        weight,
    }
}

/// The machines of each set, and whether any has an address of either family.
fn machines(pick: &Pick, more: Option<&Pick>) -> (Vec<Vec<Machine>>, bool) {
    let Some(more) = more else {
        let sets = pick
            .sets
            .iter()
            .map(|set| set.iter().map(|m| alone(&m.value, m.weight)).collect());
        return (sets.collect(), false);
    };
    let lengths = |pick: &Pick| pick.sets.iter().map(Vec::len).collect::<Vec<_>>();
    let pairs = lengths(pick) == lengths(more);
    let most = pick.sets.len().max(more.sets.len());
    let set = |number: usize| {
        let empty: &[Member] = &[];
        let of = |pick: &'_ Pick| {
            pick.sets
                .get(number)
                .cloned()
                .unwrap_or_else(|| empty.to_vec())
        };
        let (four, six) = (of(pick), of(more));
        if !pairs {
            return four
                .iter()
                .chain(&six)
                .map(|m| alone(&m.value, m.weight))
                .collect();
        }
        let mut out = Vec::new();
        for (a, b) in four.iter().zip(&six) {
            match (&a.value, &b.value) {
                (Value::Ip(x), Value::Ip(y))
                    if a.weight == b.weight && x.is_ipv4() != y.is_ipv4() =>
                {
                    out.push(Machine {
                        reached: Reached::Addresses(vec![*x, *y]),
                        weight: a.weight,
                    });
                }
                _ => out.extend([alone(&a.value, a.weight), alone(&b.value, b.weight)]),
            }
        }
        out
    };
    ((0..most).map(set).collect(), pairs)
}

/// What a choice is called: by its part of the record, and its set there.
fn label(part: usize, set: u32) -> String {
    match part {
        0 => format!("set{set}"),
        n => format!("{}-set{set}", n + 1),
    }
}

/// Nodes of one choice; `count` numbers those of the whole pool.
fn choice(
    named: &Named<'_>,
    label: &str,
    count: &mut u32,
    machines: Vec<Machine>,
    span: Span,
    work: &mut Work,
) -> Choice {
    let mut nodes = Vec::new();
    for machine in machines {
        *count += 1;
        let mut names = Vec::new();
        match &machine.reached {
            Reached::Addresses(ips) => {
                names.extend(ips.iter().find_map(|ip| named.called.get(ip)).cloned());
            }
            Reached::Name(host) => names.push(host.clone()),
        }
        names.push(format!("{}-{count}", named.label));
        let node = work
            .system
            .node(&names, machine.reached, machine.weight, span);
        if !nodes.contains(&node) {
            nodes.push(node);
        }
    }
    Choice {
        label: label.to_owned(),
        nodes,
    }
}

/// Each choice once.
fn distinct(choices: Vec<Choice>) -> Vec<Choice> {
    let mut out: Vec<Choice> = Vec::new();
    for choice in choices {
        if !choice.nodes.is_empty() && !out.iter().any(|c| c.nodes == choice.nodes) {
            out.push(choice);
        }
    }
    out
}
