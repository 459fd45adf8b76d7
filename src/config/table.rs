//! Tables and values under the hand of a reader: unknown keys, wrong kinds and bounds are told where they stand.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::document::File;
use super::unit;
use crate::diagnostic::{Diagnostic, Diagnostics, Span};

/// The keys that a table may have.
pub(super) struct Keys {
    /// What this version understands.
    pub(super) known: &'static [&'static str],
    /// What is planned: told apart from slips.
    pub(super) later: &'static [&'static str],
}

/// A table whose keys were compared with those it may have.
#[derive(Clone, Copy)]
pub(super) struct Table<'a> {
    pub(super) file: &'a File<'a>,
    /// Its name or header: where something missing is reported.
    pub(super) span: Span,
    entries: &'a DeTable<'a>,
    keys: &'static Keys,
}

/// A value and the key it stands at.
#[derive(Clone, Copy)]
pub(super) struct Value<'a> {
    pub(super) file: &'a File<'a>,
    pub(super) key: &'a str,
    /// Whether it is an item of the list that stands at the key.
    item: bool,
    value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Table<'a> {
    /// Reports keys that the table may not have.
    pub(super) fn new(
        file: &'a File<'a>,
        span: Span,
        entries: &'a DeTable<'a>,
        keys: &'static Keys,
        found: &mut Diagnostics,
    ) -> Self {
        for (key, at) in in_order(file, entries) {
            if keys.known.contains(&key) {
                continue;
            }
            if keys.later.contains(&key) {
                found.error(at, not_yet(key));
                continue;
            }
            let known = keys.known.iter().chain(keys.later).copied();
            found
                .error(at, format!("unknown key \"{key}\""))
                .suggest(key, known);
        }
        Self {
            file,
            span,
            entries,
            keys,
        }
    }

    /// The whole of a file.
    pub(super) fn of_file(
        file: &'a File<'a>,
        keys: &'static Keys,
        found: &mut Diagnostics,
    ) -> Self {
        Self::new(file, Span::new(file.number, 0, 0), &file.root, keys, found)
    }

    /// The value of one of the table's known keys.
    pub(super) fn get(&self, key: &'static str) -> Option<Value<'a>> {
        debug_assert!(self.keys.known.contains(&key), "{key} is not declared");
        let value = self.entries.get(key)?;
        Some(Value {
            file: self.file,
            key,
            item: false,
            value,
        })
    }

    /// Where a key stands.
    pub(super) fn key_span(&self, key: &str) -> Option<Span> {
        let (key, _) = self.entries.get_key_value(key)?;
        Some(span_of(self.file, key))
    }

    /// Reports that something is missing, unless it may have been lost to a syntax error.
    pub(super) fn missing<'d>(
        &self,
        message: String,
        found: &'d mut Diagnostics,
    ) -> Option<&'d mut Diagnostic> {
        (!self.file.broken()).then(|| found.error(self.span, message))
    }
}

impl<'a> Value<'a> {
    /// Where it stands.
    pub(super) fn span(&self) -> Span {
        span_of(self.file, self.value)
    }

    /// Reports an error at the value.
    pub(super) fn error<'d>(
        &self,
        message: impl Into<String>,
        found: &'d mut Diagnostics,
    ) -> &'d mut Diagnostic {
        found.error(self.span(), message)
    }

    fn wrong(&self, wanted: &str, found: &mut Diagnostics) {
        let kind = match self.value.get_ref() {
            DeValue::Integer(_) => "an integer",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
            DeValue::String(_) => "a string",
            DeValue::Float(_) => "a number with a point",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
        };
        let item = if self.item { "each item of " } else { "" };
        self.error(
            format!("{item}\"{}\" must be {wanted}, not {kind}", self.key),
            found,
        );
    }

    /// A string, if it is one.
    pub(super) fn as_text(&self) -> Option<&'a str> {
        self.value.get_ref().as_str()
    }

    /// Whether it is a list.
    pub(super) fn is_list(&self) -> bool {
        self.value.get_ref().is_array()
    }

    /// Whether it is a table.
    pub(super) fn is_table(&self) -> bool {
        self.value.get_ref().is_table()
    }

    /// A number, whole or not, if it is one.
    pub(super) fn as_number(&self) -> Option<f64> {
        match self.value.get_ref() {
            DeValue::Integer(_) => self.as_integer().and_then(|i| i.to_string().parse().ok()),
            DeValue::Float(f) => f.as_str().parse().ok(),
            _ => None,
        }
    }

    /// A whole number, if it is one that fits.
    pub(super) fn as_integer(&self) -> Option<i64> {
        let integer = self.value.get_ref().as_integer()?;
        i64::from_str_radix(integer.as_str(), integer.radix()).ok()
    }

    /// A string.
    pub(super) fn text(&self, found: &mut Diagnostics) -> Option<&'a str> {
        let text = self.as_text();
        if text.is_none() {
            self.wrong("a string", found);
        }
        text
    }

    /// `true` or `false`.
    pub(super) fn truth(&self, found: &mut Diagnostics) -> Option<bool> {
        let truth = self.value.get_ref().as_bool();
        if truth.is_none() {
            self.wrong("true or false", found);
        }
        truth
    }

    /// A whole number within bounds, both included.
    pub(super) fn whole<T: Copy + Display + TryFrom<i64> + PartialOrd>(
        &self,
        bounds: RangeInclusive<T>,
        found: &mut Diagnostics,
    ) -> Option<T> {
        if !self.value.get_ref().is_integer() {
            self.wrong("a whole number", found);
            return None;
        }
        let number = self
            .as_integer()
            .and_then(|i| T::try_from(i).ok())
            .filter(|n| bounds.contains(n));
        if number.is_none() {
            self.out_of(&bounds, found);
        }
        number
    }

    fn out_of<T: Display>(&self, bounds: &RangeInclusive<T>, found: &mut Diagnostics) {
        self.error(
            format!(
                "\"{}\" must be from {} to {}",
                self.key,
                bounds.start(),
                bounds.end()
            ),
            found,
        );
    }

    /// The items of a list.
    pub(super) fn items(&self, found: &mut Diagnostics) -> Option<Vec<Self>> {
        if let DeValue::Array(items) = self.value.get_ref() {
            return Some(
                items
                    .iter()
                    .map(|value| Self {
                        value,
                        item: true,
                        ..*self
                    })
                    .collect(),
            );
        }
        match self.as_text() {
            Some(text) => {
                self.error(format!("\"{}\" must be a list", self.key), found)
                    .note(format!("write [\"{text}\"]"));
            }
            None => self.wrong("a list", found),
        }
        None
    }

    /// The strings of a list, each with its place. Items that are no strings are reported and left out.
    pub(super) fn texts(&self, found: &mut Diagnostics) -> Option<Vec<(&'a str, Span)>> {
        let items = self.items(found)?;
        Some(
            items
                .iter()
                .filter_map(|i| Some((i.text(found)?, i.span())))
                .collect(),
        )
    }

    /// A table.
    pub(super) fn table(
        &self,
        span: Span,
        keys: &'static Keys,
        found: &mut Diagnostics,
    ) -> Option<Table<'a>> {
        match self.value.get_ref() {
            DeValue::Table(entries) => Some(Table::new(self.file, span, entries, keys, found)),
            _ => {
                self.wrong("a table", found);
                None
            }
        }
    }

    /// The entries of a table with free keys, in the order of the file: values and the places of their keys.
    pub(super) fn entries(&self, found: &mut Diagnostics) -> Option<Vec<(Self, Span)>> {
        let DeValue::Table(entries) = self.value.get_ref() else {
            self.wrong("a table", found);
            return None;
        };
        let keys = in_order(self.file, entries);
        let value = |key: &'a str| {
            entries.get(key).map(|value| Self {
                file: self.file,
                key,
                item: false,
                value,
            })
        };
        Some(
            keys.into_iter()
                .filter_map(|(key, span)| Some((value(key)?, span)))
                .collect(),
        )
    }

    /// A duration within bounds.
    pub(super) fn duration(
        &self,
        bounds: RangeInclusive<Duration>,
        found: &mut Diagnostics,
    ) -> Option<Duration> {
        let duration = self.with_unit(
            "s",
            "\"10s\", \"500ms\" or \"1h30m\"",
            unit::duration,
            found,
        )?;
        if !bounds.contains(&duration) {
            let [least, most] = [bounds.start(), bounds.end()].map(|d| unit::duration_text(*d));
            self.out_of(&(least..=most), found);
            return None;
        }
        Some(duration)
    }

    /// A number of octets within bounds.
    pub(super) fn octets(
        &self,
        bounds: RangeInclusive<u64>,
        found: &mut Diagnostics,
    ) -> Option<u64> {
        let octets = self.with_unit("B", "\"1232B\" or \"4KiB\"", unit::octets, found)?;
        if !bounds.contains(&octets) {
            let [least, most] = [bounds.start(), bounds.end()].map(|n| unit::octets_text(*n));
            self.out_of(&(least..=most), found);
            return None;
        }
        Some(octets)
    }

    /// A string of a number and its unit, such as `like`; `usual` is what a bare number probably means.
    fn with_unit<T>(
        &self,
        usual: &str,
        like: &str,
        read: fn(&str) -> Option<T>,
        found: &mut Diagnostics,
    ) -> Option<T> {
        let bare = self
            .as_integer()
            .or_else(|| self.as_text()?.trim().parse().ok());
        if let Some(number) = bare {
            self.error(format!("\"{}\" needs a unit", self.key), found)
                .note(format!("did you mean \"{number}{usual}\"?"));
            return None;
        }
        let parsed = read(self.text(found)?);
        if parsed.is_none() {
            self.error(format!("\"{}\" must be like {like}", self.key), found);
        }
        parsed
    }

    /// A path; a relative one starts from the file's folder.
    pub(super) fn path(&self, found: &mut Diagnostics) -> Option<PathBuf> {
        let text = self.text(found)?;
        if text.is_empty() || text.contains('\0') {
            self.error(format!("\"{}\" must be a path", self.key), found);
            return None;
        }
        Some(self.file.folder.join(text))
    }
}

/// For keys, kinds and words that belong to what is planned.
pub(super) fn not_yet(word: &str) -> String {
    format!("\"{word}\" is not yet supported by this version")
}

fn span_of<T>(file: &File<'_>, spanned: &Spanned<T>) -> Span {
    let range = spanned.span();
    Span::new(file.number, range.start, range.end)
}

/// The keys of a table as the file has them; the table itself is sorted by name.
fn in_order<'a>(file: &File<'_>, entries: &'a DeTable<'a>) -> Vec<(&'a str, Span)> {
    let mut keys: Vec<_> = entries
        .keys()
        .map(|k| (k.get_ref().as_ref(), span_of(file, k)))
        .collect();
    keys.sort_by_key(|(_, span)| span.start);
    keys
}
