//! Where clients would be sent by a generation that is built and has not been put in its place.

use std::time::Duration;

use super::audience::Audience;
use super::build::Generation;
use super::handle::Handle;
use super::moves::{Moves, moves};
use crate::health::{Board, Forced, Order};
use crate::policy::Node;
use crate::snapshot::Snapshot;

impl Handle {
    /// Whose clients `next` sends elsewhere than `last` does now, with what `suppose` does to its board. What is known of nodes goes on;
    /// new ones are taken to be in service: what a change does is asked, not what it does in its first second.
    ///
    /// # Errors
    /// Those of `suppose`.
    pub(super) fn forecast(
        &self,
        last: &Snapshot,
        next: &mut Generation,
        audience: &Audience,
        suppose: impl FnOnce(&mut Board, &[Node]) -> Result<(), String>,
    ) -> Result<Vec<Moves>, String> {
        let Generation { snapshot, board } = next;
        board.go_on(&self.board());
        for node in &snapshot.nodes {
            let is_new = last.nodes.iter().all(|n| n.name != node.name);
            if is_new && !board.orders().contains_key(&node.name) {
                board.order(&node.name, Some(assumed(Forced::Up)));
            }
        }
        suppose(board, &snapshot.nodes)?;
        let after = snapshot.judge(board.table(self.now()));
        let before = last.table.load();
        Ok(moves((last, &before), (snapshot, &after), audience))
    }
}

/// An order that nobody gave.
pub(super) fn assumed(forced: Forced) -> Order {
    Order {
        forced,
        why: String::new(),
        who: String::new(),
        since: Duration::ZERO,
        until: None,
        at_once: true,
    }
}
