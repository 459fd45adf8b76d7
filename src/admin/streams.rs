//! How many pages are told what changes at one time: in all, and of one token.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Half of the connections that there may be.
const IN_ALL: usize = 32;
/// Of one token: nobody who may only look takes those of all others.
const OF_ONE: usize = IN_ALL / 4;

/// The open ones, by the name of their token; those of the control socket have none.
#[derive(Clone, Debug, Default)]
pub(super) struct Streams(Arc<Mutex<HashMap<Option<String>, usize>>>);

/// The place of one that is open. It is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    whose: Option<String>,
    streams: Streams,
}

impl Streams {
    /// A place for one more; none: there are enough.
    pub(super) fn place(&self, whose: Option<&str>) -> Option<Place> {
        let whose = whose.map(str::to_owned);
        let mut open = self.lock();
        let own = open.get(&whose).copied().unwrap_or_default();
        if open.values().sum::<usize>() >= IN_ALL || (whose.is_some() && own >= OF_ONE) {
            return None;
        }
        open.insert(whose.clone(), own + 1);
        Some(Place {
            whose,
            streams: self.clone(),
        })
    }

    /// Whether there are any.
    pub(super) fn any(&self) -> bool {
        !self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Option<String>, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.lock();
        match open.get_mut(&self.whose) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(open.remove(&self.whose)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_token_has_all() {
        let streams = Streams::default();
        let mut places = Vec::new();
        while let Some(place) = streams.place(Some("mira")) {
            places.push(place);
        }
        assert_eq!(places.len(), OF_ONE);
        places.extend(streams.place(Some("ola")));
        while let Some(place) = streams.place(None) {
            places.push(place);
        }
        assert_eq!(places.len(), IN_ALL);
        places.remove(0);
        places.extend(streams.place(Some("mira")));
        assert_eq!(places.len(), IN_ALL);
        places.clear();
        assert!(!streams.any());
    }
}
