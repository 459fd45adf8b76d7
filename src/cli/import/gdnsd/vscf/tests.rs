use std::fs;

use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};

use super::*;

/// What a text says, in a form of its own; the messages where it is wrong.
fn said(text: &str) -> Result<String, Vec<String>> {
    let (value, found) = parsed(text.as_bytes());
    match found.list.is_empty() {
        true => Ok(shown(&value)),
        false => Err(found.list.into_iter().map(|d| d.message).collect()),
    }
}

fn parsed(text: &[u8]) -> (Value, Diagnostics) {
    let (mut sources, mut found) = (Sources::default(), Diagnostics::default());
    let mut files = Files {
        sources: &mut sources,
        found: &mut found,
        root: "/nonexistent".into(),
        read: 0,
        depth: 0,
    };
    let value = files.file(Path::new("/nonexistent/config"), text);
    // Every place can be shown.
    let _ = found.render(&sources, false);
    (value, found)
}

fn shown(value: &Value) -> String {
    match &value.data {
        Data::Text(text) => format!("{text:?}"),
        Data::List(items) => {
            let items: Vec<String> = items.iter().map(shown).collect();
            format!("[{}]", items.join(","))
        }
        Data::Table(entries) => {
            let entries = entries
                .iter()
                .map(|(k, v)| format!("{}:{}", k.text, shown(v)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
        }
    }
}

/// The manual says of these three that they mean the same.
#[test]
fn three_ways_to_write_one_thing() {
    let same = "{options:{listen:[\"192.0.2.1\",\"192.0.2.2\"],http_listen:\"127.0.0.1\"}}";
    for text in [
        "options = {\n listen = [ 192.0.2.1, 192.0.2.2 ],\n http_listen = 127.0.0.1,\n}\n",
        "\"options\" => {\n listen => [ 192.0.2.1 192.0.2.2 ]\n http_listen => \"127.0.0.1\"\n}",
        "options={listen=[192.0.2.1 192.0.2.2]http_listen=127.0.0.1}",
    ] {
        assert_eq!(said(text).as_deref(), Ok(same), "{text}");
    }
}

#[test]
fn quotes_and_escapes_are_those_of_zone_files() {
    for (text, means) in [
        ("ex\\097mpl\\e", "example"),
        ("\"ex\\097mpl\\e\"", "example"),
        ("internal\\\"doublequote", "internal\"doublequote"),
        ("white\\ space", "white space"),
        (
            "braces\\{every\\[where\\]oh\\}my",
            "braces{every[where]oh}my",
        ),
        ("\\092\\=\\=\\=", "\\==="),
        ("\"\"", ""),
        ("%multifo!res/dc-01", "%multifo!res/dc-01"),
    ] {
        assert_eq!(
            said(&format!("k = {text} ; c\n# d")),
            Ok(format!("{{k:{means:?}}}")),
            "{text}"
        );
    }
}

#[test]
fn all_errors_are_told_at_once() {
    let found = said("a = {\n b c\n d = \\9\n e = 1\n e = 2\n}\nf = $x\ng = [ 1").unwrap_err();
    assert_eq!(
        found,
        [
            "expected = or => after a key",
            "after a backslash stands a character, or the three digits of an octet",
            "\"e\" stands here twice",
            "expected $include{FILE}: no word begins with a dollar sign",
            "this bracket is never closed",
        ]
    );
}

#[test]
fn depth_is_bounded() {
    assert!(said(&format!("a = {}1{}", "[".repeat(60), "]".repeat(60))).is_ok());
    assert!(said(&format!("a = {}", "[".repeat(1_000_000))).is_err());
    assert!(said(&"a = { ".repeat(1_000_000)).is_err());
}

#[test]
fn files_are_included_as_values_and_as_entries_and_never_from_outside() {
    let folder = std::env::temp_dir().join(format!("nearmost-vscf-{}", std::process::id()));
    fs::create_dir_all(folder.join("in")).unwrap();
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    write("foo", "[ 127.0.0.1, 127.0.0.2 ]");
    write(
        "in/more",
        "geoip => { a => $include{ \"../foo\" } }\nweighted => {}",
    );
    write("loop", "x => $include{loop}");
    let read = |text: &str| {
        write("config", text);
        let (mut sources, mut found) = (Sources::default(), Diagnostics::default());
        let value = read_file(&folder.join("config"), &folder, &mut sources, &mut found).unwrap();
        (shown(&value), found.list)
    };
    let (value, found) = read("p => { z => {}, $include{in/more}, s => $include{foo} }");
    assert_eq!(found, []);
    let list = "[\"127.0.0.1\",\"127.0.0.2\"]";
    assert_eq!(
        value,
        format!("{{p:{{z:{{}},geoip:{{a:{list}}},weighted:{{}},s:{list}}}}}")
    );
    for (text, words) in [
        ("a => $include{/etc/hostname}", "outside"),
        ("a => $include{../../../../../../etc/hostname}", "outside"),
        ("a => $include{missing}", "no such file"),
        ("a => $include{loop}", "without end"),
        ("$include{foo}", "a list"),
        ("a => $include{in}", "regular file"),
    ] {
        let (_, found) = read(text);
        assert!(
            found.iter().any(|d| d.message.contains(words)),
            "{text}: {found:?}"
        );
    }
    fs::remove_dir_all(&folder).unwrap();
}

proptest! {
    /// Whatever it is given, it ends, and shows every place that it tells of.
    #[test]
    fn no_octets_break_it(text in prop::collection::vec(any::<u8>(), 0..300)) {
        parsed(&text);
    }

    #[test]
    fn no_words_break_it(words in prop::collection::vec(prop_oneof![
        Just("{"), Just("}"), Just("["), Just("]"), Just("=>"), Just("="), Just(","), Just("a"), Just("\""),
        Just("\\"), Just("$include{"), Just("#"), Just("\n"), Just(" ")], 0..200)) {
        parsed(words.concat().as_bytes());
    }

    /// What is written with all that needs it escaped is read as it was meant.
    #[test]
    fn any_text_can_be_written(text in "[ -~é]{0,40}".prop_filter("a key", |t| !t.is_empty())) {
        let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
        assert_eq!(said(&format!("k = \"{quoted}\"")), Ok(format!("{{k:{text:?}}}")));
    }
}
