//! What open dashboards are told: everything once, and then once a second what has changed.
//!
//! Every message is JSON with `now`, the server's clock, and `asked`, the questions so far; and where there is something to say `server`,
//! `nodes` (rows that changed), `gone` (names of those that are no more) and `events` (of the history, oldest first).

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use http_body_util::channel::{Channel, Sender};
use serde::Serialize;
use tokio::sync::{broadcast, watch};

use super::regions;
use super::rows::rows;
use super::streams::{Place, Streams};
use super::view::{FrozenLine, PoolLine, warnings};
use crate::control::{Access, Entry, Handle};
use crate::snapshot::Snapshot;
use crate::zone::Name;

/// Messages that a page may be behind; beyond that it is dropped, and asks anew.
const BEHIND: usize = 16;
/// How often somebody looks at what has changed.
const EVERY: Duration = Duration::from_secs(1);
/// A page that takes no message for so long is gone.
const PATIENCE: Duration = Duration::from_secs(30);
/// Events that a page begins with.
const NEWEST: usize = 200;
/// Names that a page proposes to ask for.
const NAMES: usize = 20;
/// Names of a zone that are looked at for them.
const LOOKED_AT: usize = 10_000;

/// The one who looks, for all pages.
#[derive(Clone)]
pub(super) struct Feed(Arc<Shared>);

struct Shared {
    handle: Handle,
    streams: Streams,
    told: Mutex<Told>,
}

/// What pages know.
struct Told {
    news: broadcast::Sender<Bytes>,
    server: String,
    /// JSON of rows, by the names of nodes.
    rows: BTreeMap<String, String>,
    /// How many events there were; none: nobody has looked yet.
    events: Option<u64>,
    /// The last 24 hours were put together in this minute, of these.
    history: (u64, Vec<Entry>),
    names: (u64, Vec<String>),
}

/// The server as a page shows it.
#[derive(Serialize)]
struct Server<'a> {
    version: &'static str,
    generation: u64,
    started: u64,
    config: String,
    listen: &'a [std::net::SocketAddr],
    databases: &'a [String],
    /// Names that lead to pools.
    names: &'a [String],
    pools: Vec<PoolLine>,
    frozen: Vec<FrozenLine>,
    warnings: Vec<String>,
    /// Changes when regions do.
    view: String,
}

impl Feed {
    pub(super) fn new(handle: Handle) -> Self {
        let told = Told {
            news: broadcast::Sender::new(BEHIND),
            server: String::new(),
            rows: BTreeMap::new(),
            events: None,
            history: (0, Vec::new()),
            names: (0, Vec::new()),
        };
        Self(Arc::new(Shared {
            handle,
            streams: Streams::default(),
            told: Mutex::new(told),
        }))
    }

    /// Looks once a second, for ever; at nothing while no page is open.
    pub(super) async fn look_again(self) {
        loop {
            tokio::time::sleep(EVERY).await;
            if self.0.streams.any() {
                let feed = self.clone();
                let _ = tokio::task::spawn_blocking(move || feed.told(|_, _| ())).await;
            }
        }
    }

    /// What one more page of this token is told, without end; none: there are too many.
    pub(super) async fn stream(&self, whose: Option<&str>) -> Option<Channel<Bytes, Infallible>> {
        let place = self.0.streams.place(whose)?;
        let (feed, handle) = (self.clone(), self.0.handle.clone());
        let access = handle.access_changes();
        let begin = move || {
            feed.told(|told, handle| {
                let (now, asked) = clock(handle);
                let rows: Vec<&str> = told.rows.values().map(String::as_str).collect();
                let events = json(&handle.history(&[], NEWEST));
                let all = format!(
                    r#"{{"now":{now},"asked":{asked},"server":{},"nodes":[{}],"events":{events},"all":true}}"#,
                    told.server,
                    rows.join(",")
                );
                (message(&all), told.news.subscribe())
            })
        };
        let (first, news) = tokio::task::spawn_blocking(begin).await.ok()?;
        let (sender, body) = Channel::new(1);
        tokio::spawn(async move {
            tokio::select! {
                () = forward(place, first, (news, access), sender) => {}
                // Who is told so asks the process that answers now.
                () = handle.retires() => {}
            }
        });
        Some(body)
    }

    /// Looks, tells all pages what has changed, and then does something with what they know.
    fn told<T>(&self, then: impl FnOnce(&Told, &Handle) -> T) -> T {
        let (told, handle) = (self.0.told.lock(), &self.0.handle);
        let mut told = told.unwrap_or_else(PoisonError::into_inner);
        let news = told.look(handle);
        // An error means that there is no page.
        let _ = told.news.send(message(&news));
        then(&told, handle)
    }
}

/// Passes messages on to a page until it is gone or too far behind, or others may ask: who still may asks again. What it holds counts it among those open.
async fn forward(
    _open: Place,
    first: Bytes,
    (mut news, mut access): (broadcast::Receiver<Bytes>, watch::Receiver<Access>),
    mut page: Sender<Bytes>,
) {
    let mut next = first;
    loop {
        let Ok(Ok(())) = tokio::time::timeout(PATIENCE, page.send_data(next)).await else {
            return;
        };
        next = tokio::select! {
            biased;
            _ = access.changed() => return,
            news = news.recv() => match news {
                Ok(news) => news,
                Err(_) => return,
            },
        };
    }
}

impl Told {
    /// What has changed since the last look.
    fn look(&mut self, handle: &Handle) -> String {
        let (now, asked) = clock(handle);
        let (events, new) = handle.history_after(self.events.unwrap_or(0));
        let minute = now / 60;
        if Some(events) != self.events || self.history.0 != minute {
            self.history = (minute, handle.history(&[], usize::MAX));
        }
        let first = self.events.replace(events).is_none();
        let mut news = format!(r#"{{"now":{now},"asked":{asked}"#);
        let server = self.server(handle);
        if server != self.server {
            news += &format!(r#","server":{server}"#);
            self.server = server;
        }
        let rows = rows(handle, &self.history.1);
        let rows = rows.into_iter().map(|row| (row.node.clone(), json(&row)));
        let rows: BTreeMap<String, String> = rows.collect();
        let changed = rows
            .iter()
            .filter(|(node, row)| self.rows.get(*node) != Some(row));
        let changed: Vec<&str> = changed.map(|(_, row)| row.as_str()).collect();
        let gone: Vec<&String> = self
            .rows
            .keys()
            .filter(|n| !rows.contains_key(*n))
            .collect();
        if !changed.is_empty() {
            news += &format!(r#","nodes":[{}]"#, changed.join(","));
        }
        if !gone.is_empty() {
            news += &format!(r#","gone":{}"#, json(&gone));
        }
        if !first && !new.is_empty() {
            news += &format!(r#","events":{}"#, json(&new));
        }
        self.rows = rows;
        news + "}"
    }

    fn server(&mut self, handle: &Handle) -> String {
        let board = handle.board();
        let snapshot = handle.current().get();
        let (frozen, warnings) = (FrozenLine::all(&board), warnings(handle, &board));
        drop(board);
        if self.names.0 != snapshot.generation {
            self.names = (snapshot.generation, names(&snapshot));
        }
        json(&Server {
            version: env!("CARGO_PKG_VERSION"),
            generation: snapshot.generation,
            started: handle.started().as_secs(),
            config: handle.config().display().to_string(),
            listen: handle.listen(),
            databases: &handle.databases(),
            names: &self.names.1,
            pools: snapshot
                .pools
                .iter()
                .map(|p| PoolLine::of(&snapshot, p))
                .collect(),
            frozen,
            warnings,
            view: regions::view(&snapshot, &snapshot.table.load()),
        })
    }
}

/// Some names that lead to pools.
fn names(snapshot: &Snapshot) -> Vec<String> {
    let zones = snapshot
        .zones
        .list()
        .iter()
        .filter(|z| !z.pools().is_empty());
    let names = zones.flat_map(|zone| {
        let nodes = zone.nodes().take(LOOKED_AT);
        let pools = nodes.filter(|node| zone.pool(*node).is_some());
        pools.filter_map(|node| Name::from_wire(zone.name(node)).ok())
    });
    let text = |name: Name| name.to_string().trim_end_matches('.').to_owned();
    names.map(text).take(NAMES).collect()
}

/// The server's clock, seconds since 1970, and the questions so far.
fn clock(handle: &Handle) -> (u64, u64) {
    let asked = handle.counters().iter().map(|c| c.received.get()).sum();
    (handle.now().as_secs(), asked)
}

fn json(what: &impl Serialize) -> String {
    serde_json::to_string(what).unwrap_or_else(|_| "null".into())
}

/// One message of a stream: JSON has no line of its own in it.
fn message(json: &str) -> Bytes {
    format!("data: {json}\n\n").into()
}
