//! What all that readers of files find has in common.

use nearmost::diagnostic::{Diagnostic, Diagnostics, Sources};

/// Each finding says something and can be shown, and its place is within the text; one without a place is `nowhere`'s to judge.
pub(super) fn placed(
    found: &Diagnostics,
    sources: &Sources,
    nowhere: impl Fn(&Diagnostic) -> bool,
) {
    for one in &found.list {
        assert!(!one.message.is_empty());
        let Some(span) = one.span else {
            assert!(nowhere(one), "no place: {}", one.message);
            continue;
        };
        let end = span.start as usize + span.len as usize;
        assert!(
            end <= sources.text(span.file).len(),
            "{}: a place behind the end",
            one.message
        );
    }
    let _ = found.render(sources, false);
}
