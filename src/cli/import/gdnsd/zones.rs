//! gdnsd's `zones`: master files, of which DYNA and DYNC records become pools and all else stays as it stands.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::options::Options;
use super::resources::{Answered, Resources};
use crate::cli::import::zone::{self, Change, Line, Piece};
use crate::diagnostic::Span;
use crate::zone::Name;
use crate::zone::file::Word;

/// Reads all zones.
pub(super) fn read(folder: &Path, options: &Options, resources: &mut Resources<'_>) {
    let zones = folder.join("zones");
    let mut files: Vec<PathBuf> = match fs::read_dir(&zones) {
        Ok(entries) => entries.filter_map(|e| Some(e.ok()?.path())).collect(),
        Err(error) => {
            let message = format!("{}: {error}", zones.display());
            resources.work.found.error(None, message);
            return;
        }
    };
    files.sort();
    for path in files {
        let name = path.file_name().unwrap_or_default();
        // gdnsd passes over hidden files, and folders are there to be included from.
        if name.as_bytes().starts_with(b".") || path.is_dir() {
            continue;
        }
        // A slash cannot stand in a file's name, but in the names of zones of RFC 2317.
        let text = name.to_string_lossy().replace('@', "/");
        match Name::absolute(&text) {
            Ok(name) => zone_of(&path, &name, &text, options, resources),
            Err(error) => {
                let message = format!("{}: this is no zone's name: {error}", path.display());
                resources.work.found.error(None, message);
            }
        }
    }
}

/// `@Z` is the zone's name, `@F` what the origin was where the file begins; both may end a name.
fn special(text: &[u8], zone: &Name, origin: &Name) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?;
    let (rest, name) = match (text.strip_suffix("@Z"), text.strip_suffix("@F")) {
        (Some(rest), _) => (rest, zone),
        (_, Some(rest)) => (rest, origin),
        _ => return None,
    };
    (rest.is_empty() || rest.ends_with('.')).then(|| format!("{rest}{name}"))
}

fn zone_of(path: &Path, name: &Name, text: &str, options: &Options, resources: &mut Resources<'_>) {
    let work = &mut *resources.work;
    let pieces = zone::gather(path, name, special, &mut work.sources, &mut work.found);
    if pieces.is_empty() {
        return;
    }
    let mut done: BTreeMap<usize, PathBuf> = BTreeMap::new();
    // What is included is written first, as the path that it gets stands in what includes it.
    for number in (0..pieces.len()).rev() {
        let text_of = resources.work.sources.text(pieces[number].file).to_vec();
        let new = piece(
            &text_of,
            &pieces[number],
            number == 0,
            options,
            &done,
            resources,
        );
        let path = match number {
            0 => Path::new("zones").join(format!("{}.zone", text.trim_end_matches('.'))),
            _ => Path::new("zones").join(&pieces[number].path),
        };
        done.insert(number, resources.work.system.file(&path, new));
    }
    resources.work.system.zones += 1;
}

fn piece(
    text: &[u8],
    piece: &Piece,
    top: bool,
    options: &Options,
    done: &BTreeMap<usize, PathBuf>,
    resources: &mut Resources<'_>,
) -> Vec<u8> {
    let mut ttl: Option<u32> = None;
    let mut bare = false;
    let mut found = std::mem::take(&mut resources.work.found);
    let out = zone::walk(text, piece, special, &mut found, |line| {
        match line.kind.as_str() {
            "$TTL" => ttl = line.data.first().and_then(|w| seconds(w.text)),
            "$INCLUDE" => return include(line, &piece.includes, done),
            kind if kind.starts_with("$ADDR_LIMIT_") => {
                let what = format!("{kind}: all records of a set are answered");
                resources.work.report.lost(
                    line.entry.span,
                    what,
                    "make the name a pool with `answer`",
                );
                return Change::Gone(String::new());
            }
            "DYNA" | "DYNC" | "DYNCNAME" => {
                let default = ttl.unwrap_or(options.ttl);
                return dynamic(line, default, resources);
            }
            "TXT" | "SPF" => {
                let split: Vec<(Span, String)> = line
                    .data
                    .iter()
                    .filter_map(|w| Some((w.span, split(w)?)))
                    .collect();
                if !split.is_empty() {
                    return Change::Words(split);
                }
            }
            _ => {}
        }
        bare |= ttl.is_none() && line.ttl.is_none() && !line.kind.starts_with('$');
        Change::Keep
    });
    resources.work.found = found;
    if top && bare {
        let mut with =
            format!("$TTL {}   ; zones_default_ttl of gdnsd\n", options.ttl).into_bytes();
        with.extend(out);
        return with;
    }
    out
}

/// The path of the new file in the place of the old one's. nearmost looks from the zone's own folder, gdnsd from that of the file.
fn include(
    line: &Line<'_, '_>,
    includes: &HashMap<Span, usize>,
    done: &BTreeMap<usize, PathBuf>,
) -> Change {
    let Some(file) = line.data.first() else {
        return Change::Keep;
    };
    let path = includes.get(&file.span).and_then(|number| done.get(number));
    let path = path.and_then(|path| path.strip_prefix("zones").ok());
    path.map_or(Change::Keep, |path| {
        Change::Words(vec![(file.span, path.display().to_string())])
    })
}

/// A DYNA or DYNC record.
fn dynamic(line: &Line<'_, '_>, default: u32, resources: &mut Resources<'_>) -> Change {
    let Some(target) = line.data.first() else {
        resources.work.report.lost(
            line.entry.span,
            format!("{} without a plugin", line.kind),
            "leave it out",
        );
        return Change::Gone(String::new());
    };
    let text = String::from_utf8_lossy(target.text).into_owned();
    // gdnsd's least is half of the most, where none is written.
    let ttl = line
        .ttl
        .map_or_else(|| Some((default, None)), |w| ttls(w.text));
    let (max, min) = ttl.unwrap_or((default, None));
    let min = min.unwrap_or(max / 2);
    match resources.answered(&text, target.span) {
        Some(Answered::Pool(pool)) => {
            resources.work.report.records += 1;
            resources.work.system.lead(&pool, line.owner.as_ref());
            let mut words = vec![
                (line.kind_word.span, "POOL".to_owned()),
                (target.span, pool),
            ];
            match line.ttl {
                Some(word) => words.push((word.span, format!("{max}/{min}"))),
                None => words[0].1 = format!("{max}/{min} POOL"),
            }
            Change::Words(words)
        }
        Some(Answered::Alias(name)) => {
            Change::Gone(format!("{} {max} CNAME {name}\n", line.written))
        }
        Some(Answered::Fixed(addresses)) => {
            let record = |ip: &std::net::IpAddr| {
                let kind = if ip.is_ipv4() { "A" } else { "AAAA" };
                format!("{} {max} {kind} {ip}\n", line.written)
            };
            Change::Gone(addresses.iter().map(record).collect())
        }
        None => Change::Gone(String::new()),
    }
}

/// `MAX` or `MAX/MIN`
fn ttls(text: &[u8]) -> Option<(u32, Option<u32>)> {
    let mut parts = text.splitn(2, |&b| b == b'/');
    let max = seconds(parts.next()?)?;
    match parts.next() {
        Some(min) => Some((max, Some(seconds(min)?))),
        None => Some((max, None)),
    }
}

/// `300`, `5M`, `1H30M`
fn seconds(text: &[u8]) -> Option<u32> {
    let (mut all, mut number) = (0u32, None);
    for octet in text {
        let scale = match octet.to_ascii_lowercase() {
            digit @ b'0'..=b'9' => {
                let digit = u32::from(digit - b'0');
                number = Some(number.unwrap_or(0u32).checked_mul(10)?.checked_add(digit)?);
                continue;
            }
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return None,
        };
        all = all.checked_add(number.take()?.checked_mul(scale)?)?;
    }
    all.checked_add(number.unwrap_or(0))
        .filter(|_| !text.is_empty())
}

/// The most octets of one string of a TXT record.
const STRING: usize = 255;

/// A longer string in parts, as gdnsd does by itself.
fn split(word: &Word<'_>) -> Option<String> {
    let mut parts: Vec<String> = vec![String::new()];
    let (mut at, mut octets) = (0, 0);
    while let Some(&octet) = word.text.get(at) {
        let length = match (octet, word.text.get(at + 1)) {
            (b'\\', Some(b'0'..=b'9')) => 4,
            (b'\\', _) => 2,
            _ => 1,
        };
        let piece = word.text.get(at..(at + length).min(word.text.len()))?;
        if octets == STRING {
            parts.push(String::new());
            octets = 0;
        }
        // Octets that are no text are written as numbers, which every reader of zones takes.
        let last = parts.last_mut()?;
        for &b in piece {
            match b.is_ascii() {
                true => last.push(char::from(b)),
                false => last.push_str(&format!("\\{b:03}")),
            }
        }
        octets += 1;
        at += length;
    }
    (parts.len() > 1).then(|| {
        parts
            .iter()
            .map(|p| format!("\"{p}\""))
            .collect::<Vec<_>>()
            .join(" ")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_zone_and_of_the_file_are_written_out() {
        let zone = Name::absolute("example.org").unwrap();
        let origin = Name::absolute("foo.example.org").unwrap();
        let of = |text: &str| special(text.as_bytes(), &zone, &origin);
        assert_eq!(of("@Z").as_deref(), Some("example.org."));
        assert_eq!(of("baz.@F").as_deref(), Some("baz.foo.example.org."));
        assert_eq!(of("quux.@Z").as_deref(), Some("quux.example.org."));
        assert_eq!(of("quux@Z"), None);
        assert_eq!(of("@"), None);
    }

    #[test]
    fn ttls_are_numbers_or_have_units() {
        assert_eq!(ttls(b"300/45"), Some((300, Some(45))));
        assert_eq!(ttls(b"1H30m"), Some((5400, None)));
        assert_eq!(ttls(b"12x"), None);
        assert_eq!(ttls(b"99999999999"), None);
    }

    #[test]
    fn long_strings_are_cut_where_a_string_may_end() {
        let word = |text: &'static str| Word {
            text: text.as_bytes(),
            span: Span::new(0, 0, 1),
            quoted: true,
        };
        assert_eq!(split(&word("short")), None);
        let long: &'static str =
            Box::leak(format!("{}\\\"\\255x", "a".repeat(254)).into_boxed_str());
        let cut = split(&word(long)).unwrap();
        assert_eq!(cut, format!("\"{}\\\"\" \"\\255x\"", "a".repeat(254)));
    }
}
