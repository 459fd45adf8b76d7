//! What went wrong with a request, in words.

use std::error::Error as StdError;
use std::io;

use super::super::words::{self, Phase};
use super::tls;

/// What went wrong, found in the chain of causes.
pub(super) fn failure(error: &reqwest::Error, phase: Phase) -> String {
    let causes = || Causes(Some(error));
    if let Some(error) = causes().find_map(|cause| cause.downcast_ref()) {
        return tls::words(error);
    }
    // The innermost says most; the others wrap it.
    let kernel = causes()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .last();
    let http = causes().find_map(|cause| cause.downcast_ref::<hyper::Error>());
    match (http, kernel) {
        (Some(http), _) if http.is_parse_too_large() => "answer has too large a header".into(),
        (Some(http), None) if http.is_parse() => "answer is not HTTP".into(),
        (Some(http), None) if http.is_incomplete_message() || http.is_closed() => {
            format!("connection closed {phase}")
        }
        (_, Some(kernel)) => words::io(kernel, phase),
        _ => {
            let last = causes()
                .last()
                .map_or_else(String::new, ToString::to_string);
            format!("{last} {phase}")
        }
    }
}

/// An error and its causes. An `io::Error` names as its cause only the cause of what it wraps; here that is not skipped.
struct Causes<'a>(Option<&'a (dyn StdError + 'static)>);

impl<'a> Iterator for Causes<'a> {
    type Item = &'a (dyn StdError + 'static);

    fn next(&mut self) -> Option<Self::Item> {
        let error = self.0?;
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        self.0 = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
        Some(error)
    }
}
