//! How far a spool was read for good: what the next server need not be told again.
//!
//! An event that became a line of the log counts once that line is saved, so that a killed server
//! loses none. The next one is told from the last such event on, and leaves out what is saved.

use std::collections::VecDeque;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fs_err::File;
use rustix::fs::{FallocateFlags, fallocate};
use slugline_model::dyno::DynoState;

/// The name of the file that says how far a spool was read.
const NAME: &str = "offset";

/// What was read is freed in steps of this size (bytes).
const FREE_EVERY: u64 = 1 << 20;

/// How far one spool was read for good.
pub(crate) struct Kept {
    file: PathBuf,
    spool: Arc<File>,
    /// Where the next server begins.
    pub(crate) offset: u64,
    freed: u64,
    /// What the events before `offset` made of the dyno.
    pub(crate) state: DynoState,
    /// What later ones make of it, and where they begin.
    ahead: VecDeque<(u64, DynoState)>,
}

impl Kept {
    /// Takes up what an earlier server left.
    pub(crate) fn open(dyno_directory: &Path, spool: Arc<File>) -> Self {
        let file = dyno_directory.join(NAME);
        let remembered = std::fs::read_to_string(&file).unwrap_or_default();
        let (offset, state) = recall(&remembered).unwrap_or((0, DynoState::Starting));
        Self { file, spool, offset, freed: 0, state, ahead: VecDeque::new() }
    }

    /// Notes that an event changes the dyno's state.
    pub(crate) fn note(&mut self, begins_at: u64, state: DynoState) {
        self.ahead.push_back((begins_at, state));
    }

    /// Keeps the offset for the next server, and gives the disk space back.
    pub(crate) fn keep(&mut self, offset: u64) {
        if offset <= self.offset {
            return;
        }
        self.offset = offset;
        while let Some((_, state)) = self.ahead.pop_front_if(|(begins_at, _)| *begins_at < offset) {
            self.state = state;
        }
        // Of one width and written over, so that a killed server leaves the old text or the new.
        let text = format!("{offset:020} {:8}\n", self.state.as_str());
        let mut options = std::fs::OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).open(&self.file);
        let _ = file.and_then(|file| file.write_all_at(text.as_bytes(), 0));
        if offset - self.freed >= FREE_EVERY {
            let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            let _ = fallocate(self.spool.file(), hole, 0, offset);
            self.freed = offset;
        }
    }
}

/// Reads what [`Kept::keep`] wrote.
fn recall(text: &str) -> Option<(u64, DynoState)> {
    let (offset, state) = text.trim().split_once(' ')?;
    let states = [DynoState::Up, DynoState::Stopping, DynoState::Down];
    let state = states.into_iter().find(|known| known.as_str() == state.trim());
    Some((offset.parse().ok()?, state.unwrap_or(DynoState::Starting)))
}
