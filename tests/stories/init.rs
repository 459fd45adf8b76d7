//! `init`: what it writes works, and nothing of anybody's is overwritten.

use std::fs;

use crate::program::{Folder, ours};

#[test]
fn what_init_writes_is_good() {
    for arguments in [
        &["init", "new"][..],
        &["init", "new", "--zone", "Mirror.Example.NET."],
        &[
            "init",
            "new",
            "--zone",
            "dl.example.com",
            "--ns",
            "a.ns.example,b.ns.example",
        ],
        &[
            "init",
            "new",
            "--zone",
            "dl.example.com",
            "--ns",
            "ns.dl.example.com",
            "--ns",
            "b.ns.example",
        ],
        &["init", "new", "--zone", "example"],
    ] {
        let folder = Folder::new();
        let ran = folder.run(arguments);
        assert_eq!((ran.code, &*ran.err), (0, ""), "{ran:?}");
        assert!(ran.out.contains("new/README.md"), "{ran:?}");
        let check = folder.run(&["-c", "new/nearmost.toml", "check"]);
        assert_eq!(
            (check.code, &*check.err),
            (0, ""),
            "{arguments:?}: {check:?}"
        );
        for words in [
            "1 zone ",
            "1 pool",
            "3 nodes",
            "1 probe",
            "0 errors, 0 warnings",
        ] {
            assert!(check.out.contains(words), "{words}: {check:?}");
        }
    }
}

#[test]
fn the_records_for_the_parent_are_exact() {
    let folder = Folder::new();
    let readme = |arguments: &[&str]| {
        let _ = fs::remove_dir_all(folder.path("new"));
        let ran = folder.run(&[&["init", "new"], arguments].concat());
        assert_eq!(ran.code, 0, "{ran:?}");
        let text = fs::read_to_string(folder.path("new/README.md")).unwrap();
        let records = text.split("```\n").nth(1).unwrap().to_owned();
        (text, records)
    };
    let (text, records) = readme(&["--zone", "get.example.net"]);
    assert_eq!(
        records,
        "get.example.net. NS ns1.example.net.\nget.example.net. NS ns2.example.net.\n\
         ns1.example.net. A 192.0.2.53\nns1.example.net. AAAA 2001:db8::53\n\
         ns2.example.net. A 192.0.2.54\nns2.example.net. AAAA 2001:db8::54\n"
    );
    assert!(
        text.contains("whoever keeps the zone `example.net`."),
        "{text}"
    );
    let (text, records) = readme(&[
        "--zone",
        "dl.example.com",
        "--ns",
        "ns.dl.example.com,b.ns.example",
    ]);
    assert_eq!(
        records,
        "dl.example.com. NS ns.dl.example.com.\ndl.example.com. NS b.ns.example.\n\
         ns.dl.example.com. A 192.0.2.53\nns.dl.example.com. AAAA 2001:db8::53\n"
    );
    assert!(text.contains("are the glue"), "{text}");
    // What the parent says of it and what it says itself are the same.
    let zone = fs::read_to_string(folder.path("new/zones/dl.example.com.zone")).unwrap();
    let glue = "ns.dl.example.com. A 192.0.2.53\nns.dl.example.com. AAAA 2001:db8::53\n";
    assert!(zone.contains(glue), "{zone}");
    let (text, records) = readme(&["--zone", "dl.example.com", "--ns", "b.ns.example"]);
    assert_eq!(records, "dl.example.com. NS b.ns.example.\n");
    assert!(text.contains("No glue is needed"), "{text}");
    for left in ["@NAME@", "@PARENT@", "@RECORDS@", "@GLUE@"] {
        assert!(!text.contains(left), "{text}");
    }
}

#[test]
fn init_overwrites_nothing() {
    let folder = Folder::new();
    folder.write("nodes/lon.toml", "mine");
    let ran = folder.run(&["init"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("nodes/lon.toml already"), "{ran:?}");
    assert_eq!(
        fs::read_to_string(folder.path("nodes/lon.toml")).unwrap(),
        "mine"
    );
    assert!(
        !folder.path("nearmost.toml").exists(),
        "it stopped before the first file"
    );
    // A link to nowhere is somebody's too.
    let other = Folder::new();
    std::os::unix::fs::symlink("/nowhere", other.path("README.md")).unwrap();
    assert_eq!(other.run(&["init"]).code, 1);
}

#[test]
fn names_that_cannot_be_are_refused() {
    let folder = Folder::new();
    for (arguments, words) in [
        (&["--zone", "a..b"][..], "\"a..b\" is no name"),
        (&["--zone", "."], "\".\" is no name"),
        (&["--zone", "*.example.org"], "is no name"),
        (&["--zone", "a\"b.example"], "is no name"),
        (
            &["--ns", "ns.example,NS.example."],
            "ns.example is given twice",
        ),
        (
            &["--ns", "get.example.org"],
            "cannot be its own name server",
        ),
    ] {
        let ran = folder.run(&[&["init", "new"], arguments].concat());
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.err.contains(words), "{words}: {ran:?}");
        assert!(!folder.path("new").exists());
    }
    let example = ours("examples/quickstart/nearmost.toml");
    let ran = folder.run(&["-c", example.to_str().unwrap(), "init", "new"]);
    assert_eq!(ran.code, 2, "{ran:?}");
}
