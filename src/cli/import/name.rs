//! Names of nodes, pools, probes and tags, made of what the peer calls them.

/// As long as a name may be.
const LONGEST: usize = 128;

/// A name of `A-Z`, `a-z`, `0-9`, `.`, `_` and `-` that is also a good name of a file.
pub(super) fn plain(text: &str) -> String {
    let fine = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let name: String = text
        .chars()
        .map(|c| if fine(c) { c } else { '-' })
        .take(LONGEST - 8)
        .collect();
    // A file whose name begins with a dot is hidden, and would not be read.
    match name.trim_matches(['.', '-']) {
        "" => "x".to_owned(),
        name => name.to_owned(),
    }
}

/// The first of `wanted` that is not taken, else the last of them with a number.
pub(super) fn free(wanted: &[String], taken: impl Fn(&str) -> bool) -> String {
    let wanted: Vec<String> = wanted.iter().map(|name| plain(name)).collect();
    if let Some(name) = wanted.iter().find(|name| !taken(name)) {
        return name.clone();
    }
    let base = wanted.last().cloned().unwrap_or_else(|| "x".to_owned());
    (2u32..)
        .map(|number| format!("{base}-{number}"))
        .find(|name| !taken(name))
        .unwrap_or(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_files_and_are_told_apart() {
        assert_eq!(plain("lb 01/ü"), "lb-01");
        assert_eq!(plain(".hidden"), "hidden");
        assert_eq!(plain("///"), "x");
        let taken = |name: &str| ["a", "b", "b-2"].contains(&name);
        assert_eq!(free(&["a".into(), "c".into()], taken), "c");
        assert_eq!(free(&["a".into(), "b".into()], taken), "b-3");
        assert!(plain(&"x".repeat(500)).len() < LONGEST);
    }
}
