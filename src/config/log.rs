//! `log` and `log_level`: how the log is written, and how much of it.

use std::fmt;

use tracing::level_filters::LevelFilter;

use super::table::Value;
use crate::diagnostic::Diagnostics;

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people: time, level and words.
    Text,
    /// One JSON object a line.
    Json,
    /// Words after the level as sd-daemon(3) has it, `<4>`, for a journal that has the time itself.
    Journal,
}

/// The words for them.
const FORMATS: [(&str, LogFormat); 3] = [
    ("text", LogFormat::Text),
    ("json", LogFormat::Json),
    ("journal", LogFormat::Journal),
];

/// What is left out of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLevels {
    /// Of all modules that are not named.
    pub usual: LevelFilter,
    /// Of modules of this program.
    pub modules: Vec<(&'static str, LevelFilter)>,
}

/// The modules that say anything.
const MODULES: [&str; 5] = ["admin", "cli", "control", "probe", "server"];

const LEVELS: [(&str, LevelFilter); 6] = [
    ("off", LevelFilter::OFF),
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
];

impl LogFormat {
    /// The format of this word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        let found = FORMATS.iter().find(|(known, _)| *known == word);
        found.map(|(_, format)| *format)
    }

    /// The words for formats.
    pub fn words() -> impl Iterator<Item = &'static str> {
        FORMATS.iter().map(|(word, _)| *word)
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = FORMATS.iter().find(|(_, format)| format == self);
        f.write_str(word.map_or("", |(word, _)| word))
    }
}

impl Default for LogLevels {
    fn default() -> Self {
        Self {
            usual: LevelFilter::INFO,
            modules: Vec::new(),
        }
    }
}

impl fmt::Display for LogLevels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.usual)?;
        let mut modules = self.modules.iter();
        modules.try_for_each(|(module, level)| write!(f, ",{module}={level}"))
    }
}

/// Reads `log`.
pub(super) fn format(value: &Value<'_>, found: &mut Diagnostics) -> Option<LogFormat> {
    let text = value.text(found)?;
    let format = LogFormat::of(text);
    if format.is_none() {
        let words: Vec<&str> = LogFormat::words().collect();
        value
            .error(format!("\"{text}\" is no format of a log"), found)
            .suggest(text, words.iter().copied())
            .note(format!("there are {}", words.join(", ")));
    }
    format
}

/// Reads `log_level`: levels between commas, each perhaps of one module, `info,probe=debug`.
pub(super) fn levels(value: &Value<'_>, found: &mut Diagnostics) -> Option<LogLevels> {
    let mut out = LogLevels::default();
    let mut usual = false;
    for part in value.text(found)?.split(',').map(str::trim) {
        let (module, level) = match part.split_once('=') {
            Some((module, level)) => (Some(module.trim()), level.trim()),
            None => (None, part),
        };
        let Some((_, level)) = LEVELS.iter().find(|(word, _)| *word == level) else {
            let words = LEVELS.map(|(word, _)| word);
            value
                .error(format!("\"{level}\" is no level"), found)
                .suggest(level, words)
                .note(format!("there are {}", words.join(", ")));
            continue;
        };
        let Some(module) = module else {
            if usual {
                value.error("a level without a module is given twice", found);
            }
            (usual, out.usual) = (true, *level);
            continue;
        };
        let Some(module) = MODULES.iter().find(|known| **known == module) else {
            value
                .error(format!("no module \"{module}\" has a log"), found)
                .suggest(module, MODULES)
                .note(format!("there are {}", MODULES.join(", ")));
            continue;
        };
        if out.modules.iter().any(|(known, _)| known == module) {
            value.error(format!("the level of \"{module}\" is given twice"), found);
        }
        out.modules.push((module, *level));
    }
    Some(out)
}
