//! What would become of clients if nodes were down or drained, or if there were others: reckoned on compiled maps, and nothing is changed.

use serde::{Deserialize, Serialize};

use super::build::rebuild;
use super::forecast::assumed;
use super::handle::Handle;
use super::load::load_after;
use super::moves::{Moves, moves};
use super::orders::chosen;
use super::reload::NotReloaded;
use crate::config::Extra;
use crate::health::{Board, Forced};
use crate::policy::Node;

/// What is supposed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct If {
    /// These nodes are out of service: names, with `*` and `?`.
    pub down: Vec<String>,
    /// These nodes are in service, whatever is thought of them.
    pub up: Vec<String>,
    /// There are these nodes and pools, in the place of those of the same names.
    pub files: Vec<Extra>,
}

/// What would become of clients.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outlook {
    /// Of each pool that is touched.
    pub moves: Vec<Moves>,
    /// What is worth to be known beside: warnings of the files.
    pub warnings: Vec<String>,
    /// Seconds that it took.
    pub took: f64,
}

impl Handle {
    /// Reckons it. For a thread that may wait.
    ///
    /// # Errors
    /// No such node, or files that are wrong.
    pub fn what_if(&self, supposed: &If) -> Result<Outlook, NotReloaded> {
        let last = self.current().get();
        let audience = self.with_audience(|audience| audience.clone());
        let now = self.now();
        let took = || self.now().saturating_sub(now).as_secs_f64();
        if supposed.files.is_empty() {
            let mut board = self.board().clone();
            suppose(&mut board, supposed, &last.nodes).map_err(NotReloaded::Failed)?;
            let (before, after) = (last.table.load(), last.judge(board.table(now)));
            let moves = moves((&last, &before), (&last, &after), &audience);
            return Ok(Outlook {
                moves,
                warnings: Vec::new(),
                took: took(),
            });
        }
        let atlas = self.basis().parts.atlas.clone();
        let loaded = load_after(self.config(), &supposed.files, Some(&atlas));
        let Some(mut parts) = loaded.parts else {
            let told = loaded.found.render(&loaded.sources, false);
            return Err(NotReloaded::Files(told));
        };
        parts.audience = audience;
        let _ = self.with_hosts(|hosts| hosts.next(&mut parts.config));
        let mut next =
            rebuild(&parts, &last, now).map_err(|errors| NotReloaded::Files(errors.join("\n")))?;
        let moves = self.forecast(&last, &mut next, &parts.audience, |board, nodes| {
            suppose(board, supposed, nodes)
        });
        Ok(Outlook {
            moves: moves.map_err(NotReloaded::Failed)?,
            warnings: loaded.found.render_each(&loaded.sources),
            took: took(),
        })
    }
}

fn suppose(board: &mut Board, supposed: &If, nodes: &[Node]) -> Result<(), String> {
    let names: Vec<&str> = nodes.iter().map(|n| n.name.as_str()).collect();
    for (patterns, forced) in [(&supposed.down, Forced::Down), (&supposed.up, Forced::Up)] {
        for node in chosen(&names, patterns)? {
            board.order(&node, Some(assumed(forced)));
        }
    }
    Ok(())
}
