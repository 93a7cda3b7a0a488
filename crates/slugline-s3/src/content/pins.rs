//! Content that is being read: it is not removed meanwhile, whatever becomes of its object.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

use crate::content::{ContentId, Places};
use crate::error::Result;

/// Counts who reads what.
#[derive(Debug, Clone)]
pub(crate) struct Pins {
    places: Places,
    held: Arc<Mutex<HashMap<ContentId, Held>>>,
    /// Where those go whose last reader has left.
    reaper: mpsc::UnboundedSender<Vec<ContentId>>,
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
    pub(crate) fn new(places: Places, reaper: mpsc::UnboundedSender<Vec<ContentId>>) -> Self {
        Self { places, held: Arc::default(), reaper }
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

    /// Removes files that the index does not know any more, and says which: those that are being
    /// read follow after their last reader. Waits while a backup is made, which may name them still.
    pub(crate) fn remove(&self, ids: &[ContentId]) -> Result<Vec<ContentId>> {
        let _alone = self.places.lock()?;
        let mut removed = Vec::new();
        for id in ids {
            if let Some(held) = self.lock().get_mut(id) {
                held.doomed = true;
                continue;
            }
            self.places.remove(*id);
            removed.push(*id);
        }
        Ok(removed)
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
        if !gone.is_empty() {
            // Without a reaper they go at the next start.
            let _ = self.pins.reaper.send(gone);
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
        let (reaper, mut gone) = mpsc::unbounded_channel();
        let pins = Pins::new(places.clone(), reaper);
        let id = ContentId::draw().unwrap();
        std::fs::write(places.settled(id), "x").unwrap();
        let (first, second) = (pins.hold(vec![id]), pins.hold(vec![id]));
        assert!(pins.remove(&[id]).unwrap().is_empty());
        drop(first);
        assert!(gone.try_recv().is_err() && places.settled(id).exists());
        drop(second);
        assert_eq!(pins.remove(&gone.try_recv().unwrap()).unwrap(), [id]);
        assert!(!places.settled(id).exists());
    }
}
