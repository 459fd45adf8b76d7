//! Log lines on standard error: for people, as JSON, or for the journal.

use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, layer};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use super::colour;
use crate::config::{LogFormat, LogLevels};

/// From now on what is logged is written, so, and no more than this of it.
pub(super) fn log(format: Option<LogFormat>, levels: &LogLevels) {
    let layer = layer().with_writer(io::stderr);
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
