//! The thread that writes lines to the disk, so that who logs never waits for it. What it has
//! written, it shows.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use slugline_model::dyno::DynoId;
use slugline_model::logline::Origin;

use crate::history::History;
use crate::segment::{LogsError, Saved, Segments};

/// Told of the last event of a dyno whose line is saved.
pub(crate) type OnSaved = Box<dyn Fn(Origin) + Send>;

/// Messages that may wait for the disk. Further ones are shown but not saved.
const WAITING: usize = 16_384;
/// Lines that are written at once.
const BATCH: usize = 1_024;
/// On a disk that stays full, each line would be another warning.
const SAY_AGAIN: Duration = Duration::from_secs(30);

enum Message {
    /// Written all at once, then shown.
    Lines(String, Arc<History>, Vec<Saved>),
    /// What a dyno reported before this is among the lines before it.
    Mark(Origin),
    Forget(String),
    /// From one name to another.
    Rename(String, String),
}

pub(crate) struct Writer {
    /// Taken when the writer is dropped, which ends the thread once all is written.
    messages: Option<SyncSender<Message>>,
    thread: Option<JoinHandle<()>>,
    unsaved: Arc<AtomicU64>,
    waiting: Arc<AtomicUsize>,
}

impl Writer {
    /// Writes below a directory, `most` lines to a file.
    pub(crate) fn start(
        directory: PathBuf,
        most: usize,
        on_saved: OnSaved,
    ) -> Result<Self, LogsError> {
        let (messages, received) = sync_channel(WAITING);
        let (unsaved, waiting) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicUsize::new(0)));
        let disk = Disk {
            directory,
            most,
            counts: HashMap::new(),
            said: None,
            on_saved,
            unsaved: Arc::clone(&unsaved),
            waiting: Arc::clone(&waiting),
        };
        let thread = std::thread::Builder::new().name("logs".to_owned());
        let thread = thread.spawn(move || disk.run(&received));
        let thread = Some(thread.map_err(|source| LogsError::Thread { source })?);
        Ok(Self { messages: Some(messages), thread, unsaved, waiting })
    }

    /// Saves lines soon, and shows them then. Never waits: with too many waiting already, they are
    /// only counted and shown.
    pub(crate) fn save(&self, app: &str, history: &Arc<History>, lines: Vec<Saved>) {
        let message = Message::Lines(app.to_owned(), Arc::clone(history), lines);
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let Some(messages) = &self.messages else { return };
        if let Err(TrySendError::Full(refused) | TrySendError::Disconnected(refused)) =
            messages.try_send(message)
        {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            if let Message::Lines(_, history, lines) = refused {
                count_unsaved(&self.unsaved, lines.len() as u64);
                show(&history, &lines);
            }
        }
    }

    /// Says so once all lines up to here are saved.
    pub(crate) fn mark(&self, next: Origin) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let sent = self.messages.as_ref().map(|messages| messages.try_send(Message::Mark(next)));
        if !matches!(sent, Some(Ok(()))) {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Whether whoever can wait may go on.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) < WAITING / 2
    }

    /// Removes what is saved of an app, after the lines that wait already.
    pub(crate) fn forget(&self, app: &str) {
        if let Some(messages) = &self.messages {
            // The thread is there for as long as the sender is.
            let _ = messages.send(Message::Forget(app.to_owned()));
        }
    }

    /// Keeps what is saved of an app under another name, after the lines that wait already.
    pub(crate) fn rename(&self, app: &str, name: &str) {
        if let Some(messages) = &self.messages {
            let _ = messages.send(Message::Rename(app.to_owned(), name.to_owned()));
        }
    }

    pub(crate) fn unsaved(&self) -> u64 {
        self.unsaved.load(Ordering::Relaxed)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.messages = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The thread's own.
struct Disk {
    directory: PathBuf,
    most: usize,
    /// Lines in each app's current file.
    counts: HashMap<String, usize>,
    /// When it was said last that lines could not be saved.
    said: Option<Instant>,
    on_saved: OnSaved,
    unsaved: Arc<AtomicU64>,
    waiting: Arc<AtomicUsize>,
}

impl Disk {
    fn run(mut self, messages: &Receiver<Message>) {
        while let Ok(first) = messages.recv() {
            let mut lines: HashMap<String, (Arc<History>, Vec<Saved>)> = HashMap::new();
            let mut marks: HashMap<DynoId, Origin> = HashMap::new();
            for message in std::iter::once(first).chain(messages.try_iter().take(BATCH)) {
                match message {
                    Message::Lines(app, history, more) => {
                        self.waiting.fetch_sub(1, Ordering::Relaxed);
                        lines.entry(app).or_insert((history, Vec::new())).1.extend(more);
                    }
                    Message::Mark(next) => {
                        self.waiting.fetch_sub(1, Ordering::Relaxed);
                        marks.insert(next.dyno, next);
                    }
                    Message::Forget(app) => {
                        lines.remove(&app);
                        self.forget(&app);
                    }
                    Message::Rename(app, name) => {
                        self.save(&std::mem::take(&mut lines));
                        self.rename(&app, name);
                    }
                }
            }
            self.save(&lines);
            marks.into_values().for_each(&self.on_saved);
        }
    }

    fn save(&mut self, lines: &HashMap<String, (Arc<History>, Vec<Saved>)>) {
        for (app, (history, lines)) in lines {
            self.append(app, lines);
            show(history, lines);
            self.tell(lines);
        }
    }

    /// Says how far each dyno's lines are saved. Those that a full disk refused count too: they
    /// were shown, and would be refused again.
    fn tell(&self, lines: &[Saved]) {
        let origins = lines.iter().filter_map(|(_, _, origin)| *origin);
        let last: HashMap<_, _> = origins.map(|origin| (origin.dyno, origin)).collect();
        for origin in last.into_values() {
            (self.on_saved)(origin);
        }
    }

    fn append(&mut self, app: &str, lines: &[Saved]) {
        let Some(segments) = Segments::of(&self.directory, app) else { return };
        let count = self.counts.entry(app.to_owned()).or_insert_with(|| segments.count());
        if let Err(error) = segments.append(lines, count, self.most) {
            let unsaved = count_unsaved(&self.unsaved, lines.len() as u64);
            if self.said.is_none_or(|said| said.elapsed() > SAY_AGAIN) {
                self.said = Some(Instant::now());
                say(app, &self.directory, &error, unsaved);
            }
        }
    }

    fn rename(&mut self, app: &str, name: String) {
        let count = self.counts.remove(app);
        let Some(from) = Segments::of(&self.directory, app) else { return };
        let Some(to) = Segments::of(&self.directory, &name) else { return };
        if let Err(error) = from.rename(&to) {
            tracing::warn!(%error, app, name, "an app's log could not be renamed");
        }
        self.counts.extend(count.map(|count| (name, count)));
    }

    fn forget(&mut self, app: &str) {
        self.counts.remove(app);
        if let Some(Err(error)) = Segments::of(&self.directory, app).map(|s| s.remove()) {
            tracing::warn!(%error, app, "an app's log could not be removed");
        }
    }
}

/// Lets readers have lines.
pub(crate) fn show(history: &History, lines: &[Saved]) {
    if let Some((last, ..)) = lines.last() {
        history.show(*last);
    }
}

fn count_unsaved(unsaved: &AtomicU64, more: u64) -> u64 {
    unsaved.fetch_add(more, Ordering::Relaxed) + more
}

fn say(app: &str, directory: &Path, error: &std::io::Error, unsaved: u64) {
    let directory = directory.display();
    tracing::warn!(%error, app, %directory, unsaved, "log lines could not be saved");
}
