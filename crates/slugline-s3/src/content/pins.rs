//! Content that is being read: it is not removed meanwhile, whatever becomes of its object.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::content::{ContentId, Places};

/// Counts who reads what.
#[derive(Debug, Clone)]
pub(crate) struct Pins {
    places: Places,
    held: Arc<Mutex<HashMap<ContentId, Held>>>,
}

#[derive(Debug, Default)]
struct Held {
    readers: usize,
    /// Whether the last reader is to remove the file.
    doomed: bool,
}

/// Some content that stays for as long as this does.
#[derive(Debug)]
pub(crate) struct Pin {
    pins: Pins,
    contents: Vec<ContentId>,
}

impl Pins {
    pub(crate) fn new(places: Places) -> Self {
        Self { places, held: Arc::default() }
    }

    /// Holds content. Whether it was still there is to be asked after this.
    pub(crate) fn hold(&self, contents: Vec<ContentId>) -> Pin {
        let mut held = self.lock();
        for id in &contents {
            held.entry(*id).or_default().readers += 1;
        }
        drop(held);
        Pin { pins: self.clone(), contents }
    }

    /// Removes a file that the index does not know any more, at once or after its last reader.
    pub(crate) fn remove(&self, id: ContentId) {
        if let Some(held) = self.lock().get_mut(&id) {
            held.doomed = true;
            return;
        }
        self.places.remove(id);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ContentId, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut gone = Vec::new();
        let mut held = self.pins.lock();
        for id in &self.contents {
            let Some(entry) = held.get_mut(id) else { continue };
            entry.readers -= 1;
            if entry.readers == 0 && held.remove(id).is_some_and(|entry| entry.doomed) {
                gone.push(*id);
            }
        }
        drop(held);
        for id in gone {
            self.pins.places.remove(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_read_goes_after_its_last_reader() {
        let directory = tempfile::tempdir().unwrap();
        let places = Places::open(directory.path()).unwrap();
        let pins = Pins::new(places.clone());
        let id = ContentId::draw().unwrap();
        std::fs::write(places.settled(id), "x").unwrap();
        let (first, second) = (pins.hold(vec![id]), pins.hold(vec![id]));
        pins.remove(id);
        drop(first);
        assert!(places.settled(id).exists());
        drop(second);
        assert!(!places.settled(id).exists());
    }
}
