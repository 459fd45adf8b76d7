//! gdnsd: `config` in its own language, and zones of which DYNA and DYNC records are answered by plugins.

mod coordinates;
mod leaf;
mod map;
mod meta;
mod options;
mod plan;
mod resources;
mod service;
mod vscf;
mod weighted;
mod zones;

use std::path::Path;

use self::resources::Resources;
use self::vscf::{Data, Value};
use super::Work;
use crate::diagnostic::Span;

/// Reads gdnsd's folder.
pub(super) fn import(folder: &Path, work: &mut Work) {
    let path = folder.join("config");
    let config = if path.exists() || !folder.is_dir() {
        vscf::read_file(&path, folder, &mut work.sources, &mut work.found)
    } else {
        // gdnsd runs without one: all is then as it is by default.
        let file = work.sources.add(path.display().to_string(), Vec::new());
        Some(Value {
            span: Span::new(file, 0, 0),
            data: Data::Table(Vec::new()),
        })
    };
    let Some(config) = config else {
        return;
    };
    for (key, _) in config.entries() {
        if !["options", "service_types", "plugins"].contains(&key.text.as_str()) {
            let what = format!("\"{}\" is no table of gdnsd's configuration", key.text);
            work.report.lost(key.span, what, "leave it");
        }
    }
    let options = options::read(config.get("options"), work);
    let mut resources = Resources::new(&config, folder, work);
    zones::read(folder, &options, &mut resources);
}
