//! Slugs that were stored and that no release holds yet: no sweep may take them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use slugline_model::slug::SlugId;

/// All pins. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pins(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Those whose slug is not known yet.
    open: usize,
    held: HashMap<SlugId, usize>,
}

/// Keeps one slug, from before it is stored, until it is dropped.
#[derive(Debug)]
pub(crate) struct Pin {
    pins: Pins,
    slug: Option<SlugId>,
}

impl Pins {
    /// A pin for a slug that is about to be stored.
    pub(crate) fn open(&self) -> Pin {
        self.state().open += 1;
        Pin { pins: self.clone(), slug: None }
    }

    /// The slugs that are kept; none while there may be one of which this is not known.
    pub(crate) fn held(&self) -> Option<Vec<SlugId>> {
        let state = self.state();
        (state.open == 0).then(|| state.held.keys().cloned().collect())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pin {
    /// Says which slug it is.
    pub(crate) fn hold(&mut self, slug: SlugId) {
        if self.slug.is_none() {
            let mut state = self.pins.state();
            state.open -= 1;
            *state.held.entry(slug.clone()).or_default() += 1;
            self.slug = Some(slug);
        }
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut state = self.pins.state();
        let Some(slug) = &self.slug else {
            state.open -= 1;
            return;
        };
        if let Some(count) = state.held.get_mut(slug) {
            *count -= 1;
            if *count == 0 {
                state.held.remove(slug);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_kept_while_anybody_holds_it() {
        let (pins, slug) = (Pins::default(), "ab".repeat(32).parse::<SlugId>().unwrap());
        let (mut one, mut other, unknown) = (pins.open(), pins.open(), pins.open());
        one.hold(slug.clone());
        other.hold(slug.clone());
        assert_eq!(pins.held(), None, "one is not known yet");
        drop(unknown);
        drop(one);
        assert_eq!(pins.held(), Some(vec![slug]));
        drop(other);
        assert_eq!(pins.held(), Some(vec![]));
    }
}
