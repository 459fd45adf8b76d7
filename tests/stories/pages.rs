//! Manual pages and completions: there is something for each verb, and other people's programs can read it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::program::{Folder, Ran, other};

/// The verbs that `--help` lists.
fn verbs(folder: &Folder) -> Vec<String> {
    let help = folder.run(&["--help"]).out;
    let (_, list) = help.split_once("Commands:\n").unwrap();
    let list = list.split("\n\n").next().unwrap();
    let verb = |line: &str| line.split_whitespace().next().unwrap().to_owned();
    let verbs: Vec<String> = list.lines().map(verb).filter(|v| v != "help").collect();
    assert!(verbs.len() > 13, "{verbs:?}");
    verbs
}

#[test]
fn every_verb_has_a_page_that_can_be_read() {
    let folder = Folder::new();
    let ran = folder.run(&["man", "pages"]);
    assert_eq!((ran.code, &*ran.err), (0, ""), "{ran:?}");
    let page = |name: &str| folder.path(&format!("pages/{name}.1"));
    let mut pages: Vec<PathBuf> = vec![page("nearmost")];
    for verb in verbs(&folder) {
        pages.push(page(&format!("nearmost-{verb}")));
        let text = fs::read_to_string(pages.last().unwrap()).unwrap();
        assert!(text.contains(".SH SYNOPSIS"), "{verb}: {text}");
    }
    let printed = folder.run(&["man"]).out;
    assert!(printed.contains(".TH nearmost 1"), "{printed}");
    assert!(printed.contains("Exit codes"), "{printed}");
    if let Some(mandoc) = other("mandoc") {
        for page in &pages {
            let ran = Ran::of(
                Command::new(&mandoc)
                    .args(["-T", "lint", "-W", "error"])
                    .arg(page),
            );
            assert_eq!(ran.code, 0, "{}: {ran:?}", page.display());
            let ran = Ran::of(Command::new(&mandoc).args(["-T", "html"]).arg(page));
            assert!(ran.out.contains("SYNOPSIS"), "{ran:?}");
        }
    }
}

#[test]
fn every_shell_is_told_of_every_verb() {
    let folder = Folder::new();
    let verbs = verbs(&folder);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = folder.run(&["completions", shell]);
        assert_eq!((ran.code, &*ran.err), (0, ""), "{shell}");
        for verb in &verbs {
            assert!(ran.out.contains(verb.as_str()), "{shell}: {verb}");
        }
    }
    assert_eq!(folder.run(&["completions", "csh"]).code, 2);
    let bash = folder.run(&["completions", "bash"]).out;
    folder.write("nearmost.bash", &bash);
    let Some(program) = other("bash") else { return };
    // What bash does at the second Tab after `nearmost ex`.
    let script = ". ./nearmost.bash; COMP_WORDS=(nearmost ex); COMP_CWORD=1; _nearmost nearmost ex nearmost; echo \"${COMPREPLY[@]}\"";
    let ran = Ran::of(
        Command::new(program)
            .args(["-c", script])
            .current_dir(folder.path("")),
    );
    assert_eq!(ran.out.trim(), "explain", "{ran:?}");
}
