//! A `nearmost.toml`: what is wrong with it is told with its place, and what is taken is shown as a file that means the same.

use std::path::Path;

use nearmost::config::{self, Config};
use nearmost::diagnostic::{Diagnostics, Severity, Sources};

use super::meaning::meaning;
use super::places::placed;

const AT: &str = "/nearmost-fuzz/nearmost.toml";

/// Runs one input.
pub fn run(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else {
        return;
    };
    // Secrets may be in files of their own: devices are none.
    if text.contains("/dev") || text.contains("/proc") || text.contains("/sys") {
        return;
    }
    let (config, found, sources) = read(text);
    // That something is nowhere stands nowhere; it is no error.
    placed(&found, &sources, |one| one.severity == Severity::Warning);
    for span in found.list.iter().filter_map(|one| one.span) {
        assert!(sources.place(span).starts_with(AT));
    }
    if found.errors() == 0 {
        again(&config);
    }
}

fn read(text: &str) -> (Config, Diagnostics, Sources) {
    let (mut sources, mut found) = (Sources::default(), Diagnostics::default());
    let config = config::read_text(Path::new(AT), text, &mut sources, &mut found);
    (config, found, sources)
}

/// Shown, read and shown again is the same.
fn again(config: &Config) {
    // Secrets are not shown.
    if !config.keys.is_empty() || !config.cookies.secrets.is_empty() {
        return;
    }
    let shown = config::show(config);
    let (second, found, sources) = read(&shown);
    assert_eq!(
        found.errors(),
        0,
        "{}\n{shown}",
        found.render(&sources, false)
    );
    assert_eq!(config::show(&second), shown);
    assert_eq!(meaning(second), meaning(config.clone()), "{shown}");
}
