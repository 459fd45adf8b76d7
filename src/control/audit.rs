//! Who made the server act, from where, and what came of it: a line in the log. What was done has events of its own, a refusal is one.

use super::handle::Handle;
use super::history::Entry;

/// An action that somebody asked for.
#[derive(Clone, Debug)]
pub struct Audit {
    /// Who.
    pub who: String,
    /// From where: an address, or the user at the other end of the control socket.
    pub from: String,
    /// What was to be done: the last part of the page's path.
    pub action: String,
    /// The request's body, on one line.
    pub body: String,
}

/// Octets of why something was refused.
const TOLD: usize = 300;

/// So many octets of what somebody has sent, or all of it.
#[must_use]
pub fn cut(mut text: String, octets: usize) -> String {
    if text.len() > octets {
        let end = (0..=octets).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or_default());
        text.push('…');
    }
    text
}

impl Handle {
    /// Writes down how an action has ended: why it was refused, or that it was done.
    pub fn audit(&self, audit: &Audit, refused: Option<&str>) {
        let Audit {
            who,
            from,
            action,
            body,
        } = audit;
        let first = refused.map(|why| why.lines().next().unwrap_or_default());
        // It may repeat what was sent.
        let first = first.map(|why| cut(why.replace(char::is_control, ""), TOLD));
        let result = first
            .as_ref()
            .map_or_else(|| "done".to_owned(), |why| format!("refused: {why}"));
        tracing::info!("admin: {who} ({from}): {action} {body}: {result}");
        let Some(why) = first else { return };
        self.remember(Entry {
            at: self.now().as_secs(),
            node: "*".into(),
            address: None,
            from: action.clone(),
            to: "refused".into(),
            why: format!("{why}: {body}, from {from}"),
            who: Some(who.clone()),
        });
    }
}
