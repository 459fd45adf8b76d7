//! Log lines on standard error: for people, as JSON, or for the journal.

use std::fmt;
use std::io::{self, Stderr};
use std::os::unix::fs::MetadataExt;
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use tracing::{Event, Level, Subscriber};
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::writer::EitherWriter;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, layer};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use super::colour;
use crate::config::{LogFormat, LogLevels};

/// Lines that wait for who reads them; what is more is lost.
const WAITING: usize = 10_000;
/// So long lines that wait at the end are written.
const ENDING: Duration = Duration::from_secs(2);
/// Time between two looks whether any was.
const EVERY: Duration = Duration::from_secs(10);

/// Where lines wait; none: they are written by whoever logs them.
static ASIDE: OnceLock<NonBlocking> = OnceLock::new();

/// From now on what is logged is written, so, and no more than this of it.
pub(super) fn log(format: Option<LogFormat>, levels: &LogLevels) {
    let layer = layer().with_writer(writer);
    let registry = tracing_subscriber::registry().with(targets(levels));
    let usual = || match to_journal() {
        true => LogFormat::Journal,
        false => LogFormat::Text,
    };
    let _ = match format.unwrap_or_else(usual) {
        LogFormat::Text => {
            let layer = layer.with_target(false).with_ansi(colour(&io::stderr()));
            registry.with(layer).try_init()
        }
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).try_init(),
        LogFormat::Journal => {
            let layer = layer.with_ansi(false).event_format(Journal);
            registry.with(layer).try_init()
        }
    };
}

fn writer() -> EitherWriter<NonBlocking, Stderr> {
    match ASIDE.get() {
        Some(aside) => EitherWriter::A(aside.clone()),
        None => EitherWriter::B(io::stderr()),
    }
}

/// Lines are written by a thread of its own from now on, until this is dropped: a terminal that is stopped, or a journal that hangs, must
/// not stop who judges health or carries out orders. Not before the process has given up its rights, as threads keep theirs.
pub(super) fn log_aside() -> Aside {
    let builder = NonBlockingBuilder::default();
    let builder = builder.lossy(true).buffered_lines_limit(WAITING);
    let (aside, guard) = builder.thread_name("log").finish(io::stderr());
    let _ = ASIDE.set(aside);
    Aside(Some(guard))
}

/// Held as long as lines are written aside; then those that wait are, within a time.
pub(super) struct Aside(Option<WorkerGuard>);

impl Drop for Aside {
    fn drop(&mut self) {
        let guard = self.0.take();
        let (done, is_done) = mpsc::channel::<()>();
        // It waits for who reads, perhaps for ever.
        let ending = std::thread::Builder::new().spawn(move || drop((guard, done)));
        if ending.is_ok() {
            let _ = is_done.recv_timeout(ENDING);
        }
    }
}

/// Tells of lines that were lost, for ever.
pub(super) async fn keep_telling_lost() {
    let mut told = 0;
    loop {
        tokio::time::sleep(EVERY).await;
        let Some(aside) = ASIDE.get() else { return };
        let lost = aside.error_counter().dropped_lines();
        if lost > told {
            told = lost;
            // Where this is lost too it is told the next time.
            tracing::warn!(
                "{lost} lines of the log were lost since the start: nobody has read them in time"
            );
        }
    }
}

/// Other crates say nothing: they warn, line by line, of what strangers and nodes send. What matters of it we say.
fn targets(levels: &LogLevels) -> Targets {
    let ours = Targets::new().with_target("nearmost", levels.usual);
    let modules = levels.modules.iter();
    ours.with_targets(modules.map(|(module, level)| (format!("nearmost::{module}"), *level)))
}

/// Whether standard error is the journal's (systemd.exec(5)): the variable alone is inherited by those whose output goes elsewhere.
fn to_journal() -> bool {
    let stream = std::env::var("JOURNAL_STREAM").unwrap_or_default();
    let ours = std::fs::metadata("/proc/self/fd/2");
    ours.is_ok_and(|ours| stream == format!("{}:{}", ours.dev(), ours.ino()))
}

/// Each line after its level.
struct Journal;

impl<S, N> FormatEvent<S, N> for Journal
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut text = String::new();
        context.format_fields(Writer::new(&mut text), event)?;
        let level = level(*event.metadata().level());
        text.lines()
            .try_for_each(|line| writeln!(out, "<{level}>{line}"))
    }
}

/// The levels of syslog(3).
fn level(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}
