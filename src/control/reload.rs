//! The files anew, in the place of what was read before: one generation in, whole, or none.
//!
//! ```text
//!   who asks: `nearmost reload`, SIGHUP, files that changed
//!     read all files ----- errors: they are told, and kept for `status`; what runs goes on
//!     a setting that needs a restart ----- the same
//!     names of new nodes resolved, the generation built aside, compared with the current one
//!     a dry run ends here
//!     put in its place (`replace`)
//! ```
//! Whoever builds a generation holds the [`Basis`], so none comes in between.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::build::{Generation, aside, rebuild};
use super::handle::Handle;
use super::history::Entry;
use super::hosts;
use super::load::{Loaded, Parts, load_after};
use super::moves::Moves;
use super::names::{self, ZoneChange, zone_changes};
use super::reach::Reach;
use super::transfers::{fill, owners};
use super::watch::Files;
use crate::config::{Difference, ZoneSource, differences};
use crate::health::Board;
use crate::policy::Node;
use crate::server::tls::Identity;
use crate::snapshot::Snapshot;

/// What the current generation was built of.
#[derive(Debug)]
pub(super) struct Basis {
    /// Its parts; without records where no other generation will be built of them.
    pub(super) parts: Arc<Parts>,
    /// What it was read from, or what an attempt to read it again met.
    pub(super) files: Files,
}

/// How the last attempt to read the files again has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastReload {
    /// When, seconds since 1970.
    pub at: u64,
    /// Who asked for it.
    pub who: String,
    /// What was wrong; none: nothing.
    pub error: Option<String>,
}

/// What a reload changed, or would change.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reloaded {
    /// The generation that answers now.
    pub generation: u64,
    /// Nothing was changed: it was only asked what would be.
    pub dry_run: bool,
    /// Seconds that it took to read the files and to build the generation.
    pub took: f64,
    /// Warnings of the files, as `check` shows them, and of zones that changed without their serial.
    pub warnings: Vec<String>,
    /// What differs in the configuration.
    pub tables: Vec<Difference>,
    /// The zones that differ.
    pub zones: Vec<ZoneChange>,
    /// The GeoIP databases, if they are others.
    pub databases: Vec<String>,
    /// Whether the admin API shows another certificate.
    pub certificate: bool,
    /// Whether those who ask encrypted are shown another certificate.
    pub tls_certificate: bool,
    /// Whose clients are sent elsewhere, as things stand.
    pub moves: Vec<Moves>,
}

/// Why a reload changed nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotReloaded {
    /// The files are wrong, in the words of `check`.
    Files(String),
    /// These settings hold from the next start on: what each is, and what the files say.
    NeedsRestart(Vec<String>),
    /// The generation cannot be built or put in place.
    Failed(String),
}

impl fmt::Display for NotReloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files(why) | Self::Failed(why) => f.write_str(why.trim_end()),
            Self::NeedsRestart(settings) => {
                f.write_str("these settings need a restart, so nothing was changed:")?;
                settings.iter().try_for_each(|s| write!(f, "\n  {s}"))
            }
        }
    }
}

impl std::error::Error for NotReloaded {}

/// Keys that are settled at the start: sockets, threads, folders and logs.
const SETTLED: &[(&str, &[&str])] = &[
    ("admin", &["mode", "group", "listen"]),
    ("tls", &["dot", "doh", "doq", "doh3"]),
    (
        "server",
        &[
            "listen",
            "workers",
            "state",
            "control",
            "log",
            "log_level",
            "user",
            "group",
            "landlock",
        ],
    ),
    ("querylog", &["to", "sample"]),
    (
        "limits",
        &[
            "tcp_connections",
            "tcp_per_client",
            "tcp_per_network",
            "tcp_idle",
            "tcp_total",
        ],
    ),
];

impl Handle {
    /// Reads all files again and puts what they say in the place of what runs; with `dry_run` it only tells what that would change. For
    /// a thread that may wait: it takes as long as a start, without the first round of probes.
    ///
    /// # Errors
    /// [`NotReloaded`], and nothing has changed. The last one that was no dry run is kept for [`Self::last_reload`].
    pub fn reload(&self, dry_run: bool, who: &str) -> Result<Reloaded, NotReloaded> {
        let (handle, asker) = (self.clone(), who.to_owned());
        // It gives way to those who answer.
        let work = aside(move || handle.read_again(dry_run, &asker));
        let failed = |why: &str| NotReloaded::Failed(why.to_owned());
        let done = match work {
            Ok(thread) => thread
                .join()
                .unwrap_or_else(|_| Err(failed("it has panicked"))),
            Err(error) => Err(failed(&error.to_string())),
        };
        if !dry_run {
            self.keep_result(&done, who);
        }
        done
    }

    fn keep_result(&self, done: &Result<Reloaded, NotReloaded>, who: &str) {
        let error = done.as_ref().err().map(ToString::to_string);
        let (to, why) = match &done {
            Ok(done) => {
                let words = done.words();
                tracing::info!("{who}: reloaded, generation {}: {words}", done.generation);
                ("reloaded", words)
            }
            Err(error) => {
                let error = error.to_string();
                tracing::error!("{who}: not reloaded, what runs goes on:\n{error}");
                let first = error.lines().next().unwrap_or_default().to_owned();
                ("not reloaded", first)
            }
        };
        self.remember(Entry {
            at: self.now().as_secs(),
            node: "*".into(),
            address: None,
            from: "files".into(),
            to: to.into(),
            why,
            who: Some(who.to_owned()),
        });
        self.set_last_reload(LastReload {
            at: self.now().as_secs(),
            who: who.into(),
            error,
        });
    }

    fn read_again(&self, dry_run: bool, who: &str) -> Result<Reloaded, NotReloaded> {
        let started = self.now();
        let mut basis = self.basis();
        if let Err(out) = self.in_reach(&Reach::beside(self.config())) {
            if !dry_run {
                basis.files = basis.files.again();
            }
            return Err(out);
        }
        let Loaded {
            sources,
            found,
            parts,
            files,
            reach,
        } = load_after(self.config(), &[], Some(&basis.parts.atlas));
        if !dry_run {
            basis.files = files;
        }
        reach.map_or(Ok(()), |reach| self.in_reach(&reach))?;
        let Some(mut parts) = parts else {
            return Err(NotReloaded::Files(found.render(&sources, false)));
        };
        let warnings = found.render_each(&sources);
        drop(sources);
        let now = self.now();
        let known = self.with_theirs(|known| known.clone());
        let theirs = fill(&mut parts, &known, &owners(&basis.parts), now);
        let tables = differences(&basis.parts.config, &parts.config);
        let settled = settled(&tables);
        if !settled.is_empty() {
            return Err(NotReloaded::NeedsRestart(settled));
        }
        parts.audience = self.with_audience(|audience| audience.clone());
        let named = self.resolve_again(&mut parts);
        let last = self.current().get();
        let failed = |errors: Vec<String>| NotReloaded::Files(errors.join("\n"));
        let mut generation = rebuild(&parts, &last, self.now()).map_err(failed)?;
        let mut done = self.compared(&basis, &parts, &last, &mut generation);
        done.tables = tables;
        done.took = self.now().saturating_sub(started).as_secs_f64();
        done.warnings.splice(0..0, warnings);
        if dry_run {
            done.dry_run = true;
            return Ok(done);
        }
        for warning in &done.warnings {
            tracing::warn!("{who}: {warning}");
        }
        self.replace(generation).map_err(NotReloaded::Failed)?;
        done.generation += 1;
        parts.let_go(named.is_empty());
        self.take_hosts(named);
        self.take_theirs(theirs, &basis.parts.config, &parts.config);
        self.set_access(&parts);
        self.note_keys(&parts.keys);
        basis.parts = Arc::new(parts);
        Ok(done)
    }

    /// An error where files are named that Landlock keeps from us.
    fn in_reach(&self, wanted: &Reach) -> Result<(), NotReloaded> {
        let Some(reach) = self.rights().landlock.reach() else {
            return Ok(());
        };
        let lacking = reach.lacks(wanted).into_iter().map(|folder| {
            let folder = folder.display();
            format!("{folder} is out of reach: Landlock holds since the start, with what was configured then")
        });
        let lacking: Vec<String> = lacking.collect();
        match lacking.is_empty() {
            true => Ok(()),
            false => Err(NotReloaded::NeedsRestart(lacking)),
        }
    }

    /// The names of nodes, with all that is known of those that were there before; new ones are resolved.
    fn resolve_again(&self, parts: &mut Parts) -> hosts::Hosts {
        let mut named = self.with_hosts(|hosts| hosts.next(&mut parts.config));
        hosts::first(&mut named, &mut parts.config, self.probing(), || self.now());
        named
    }

    fn compared(
        &self,
        basis: &Basis,
        parts: &Parts,
        last: &Snapshot,
        next: &mut Generation,
    ) -> Reloaded {
        let zones = zone_changes(last, &next.snapshot);
        let in_file = |zone: &&ZoneChange| {
            let of = parts.config.zones.iter();
            let mut of = of.filter(|z| matches!(z.source, ZoneSource::File(_)));
            of.any(|z| z.name.to_string() == zone.zone)
        };
        // Keys have no part in the file's serial.
        let by_keys = |z: &&ZoneChange| {
            z.keys_only && parts.keys.keys().any(|zone| zone.to_string() == z.zone)
        };
        let hidden = zones.iter().filter(|z| z.is_hidden()).filter(in_file);
        // Of pools and signatures the serial that others see goes up by itself.
        let served = next.snapshot.secondaries.iter();
        let served = next.snapshot.zones.list().iter().zip(served);
        let moving = served.filter(|(_, own)| own.moves);
        let moving: Vec<String> = moving.map(|(zone, _)| zone.apex().to_string()).collect();
        let hidden = hidden.filter(|z| !by_keys(z) && !moving.contains(&z.zone));
        let hidden = hidden.map(|z| {
            let serial = z.to_serial.unwrap_or_default();
            format!("warning: {}", names::hidden(&z.zone, serial))
        });
        let nothing = |_: &mut Board, _: &[Node]| Ok(());
        let moves = self.forecast(last, next, &parts.audience, nothing);
        let mut moves = moves.unwrap_or_default();
        moves.retain(|m| m.moved > 1e-6);
        let other = basis.parts.atlas.databases != parts.atlas.databases;
        let databases = parts.atlas.databases.iter().filter(|_| other);
        let is_another =
            |before: &Option<Identity>, now: &Option<Identity>| now.is_some() && before != now;
        let before = &basis.parts;
        Reloaded {
            generation: last.generation,
            dry_run: false,
            took: 0.0,
            warnings: hidden.collect(),
            tables: Vec::new(),
            zones,
            databases: databases.map(ToString::to_string).collect(),
            certificate: is_another(&before.identity, &parts.identity),
            tls_certificate: is_another(&before.shown, &parts.shown),
            moves,
        }
    }
}

impl Basis {
    /// Of the first generation.
    pub(super) fn new(parts: Parts) -> Self {
        Self {
            files: parts.files.clone(),
            parts: Arc::new(parts),
        }
    }
}

impl Reloaded {
    /// In a line.
    #[must_use]
    pub fn words(&self) -> String {
        let count = |n: usize, word: &str| match n {
            0 => None,
            1 => Some(format!("1 {word}")),
            n => Some(format!("{n} {word}s")),
        };
        let names: usize = self
            .zones
            .iter()
            .map(|z| z.added + z.removed + z.changed)
            .sum();
        let most = self.moves.iter().max_by(|a, b| a.moved.total_cmp(&b.moved));
        let moved =
            most.map(|m| format!("{:.1} % of the clients of {} move", m.moved * 100.0, m.pool));
        let parts = [
            count(self.tables.len(), "table").map(|t| t + " of the configuration"),
            count(names, "name"),
            (!self.databases.is_empty()).then(|| "GeoIP databases".to_owned()),
            self.certificate
                .then(|| "the admin API's certificate".to_owned()),
            self.tls_certificate
                .then(|| "the certificate of encrypted questions".to_owned()),
            moved,
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        match parts.is_empty() {
            true => "nothing differs".into(),
            false => parts.join(", "),
        }
    }
}

/// The settings that need a restart, in words.
fn settled(tables: &[Difference]) -> Vec<String> {
    let mut out = Vec::new();
    for (name, keys) in SETTLED {
        let table = tables.iter().filter(|t| t.table == *name);
        for key in table
            .flat_map(|t| &t.keys)
            .filter(|k| keys.contains(&&*k.key))
        {
            let [from, to] = [&key.from, &key.to].map(|v| v.as_deref().unwrap_or("not set"));
            out.push(format!("[{name}] {} is {from}, and would be {to}", key.key));
        }
    }
    out
}
