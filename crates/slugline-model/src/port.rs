//! The ports: what the platform asks of the engine that runs dynos and of the store of slugs.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use crate::care::{Checked, Removed};
use crate::dyno::{DynoId, DynoSpec, DynoState, ExecRequest, TimedEvent};
use crate::ledger::{Receipt, Tally};
use crate::limits::Limits;
use crate::listing::Listing;
use crate::message::Message;
use crate::name::AppName;
use crate::procfile::ProcessTypes;
use crate::retention::Object;
use crate::sandbox::Step;
use crate::slug::{SlugId, SlugSummary, SlugView};
use crate::usage::Usage;

/// Takes what dynos report. Called from the engine's own thread; must not block for long.
pub type EventSink = Box<dyn Fn(DynoId, TimedEvent) + Send + Sync>;

/// Where dynos run. All calls may block briefly on the disk and the kernel.
pub trait Engine: Send + Sync {
    /// Starts a dyno. What becomes of it is reported as events, a failed launch included.
    fn start(&self, spec: &DynoSpec) -> Result<(), EngineError>;
    /// Asks a dyno to stop: SIGTERM to all its processes, then SIGKILL. A no-op for one that is
    /// gone.
    fn stop(&self, id: DynoId) -> Result<(), EngineError>;
    /// Makes sure that a stopped dyno leaves nothing behind, once its last event was taken.
    fn forget(&self, id: DynoId) -> Result<(), EngineError>;
    /// The dynos that an earlier server started and that are not forgotten. Their events follow
    /// through the sink, from the first one that was not reported yet, once [`Engine::catch_up`]
    /// was called. The receipt of one that is not forgotten is always among them: the earlier
    /// server may have died before it was written down.
    fn adopt(&self) -> Result<Vec<Adopted>, EngineError>;
    /// Removes a tree that a dyno could write to, whatever its shape and its permissions. The dyno
    /// must be gone; nothing there is fine.
    fn remove_tree(&self, tree: &Path) -> Result<(), EngineError>;
    /// Reports the events of an adopted dyno that nobody has taken yet.
    fn catch_up(&self, id: DynoId);
    /// Makes a socket in a dyno's network; see [`crate::route::Dial`].
    fn dial(&self, id: DynoId) -> Result<OwnedFd, EngineError>;
    /// Attaches to the command of a dyno that was started for that. Once only: whoever comes second
    /// gets an error. Waits until the command runs.
    fn attach(&self, id: DynoId) -> Result<Session, EngineError>;
    /// Runs a command in a dyno beside its own, on the same layer and in the same network.
    fn exec(&self, id: DynoId, request: &ExecRequest) -> Result<Session, EngineError>;
    /// What a dyno uses now; none for one that is gone or has not begun.
    fn usage(&self, id: DynoId) -> Option<Usage>;
    /// How a dyno is launched, step by step.
    fn plan(&self, id: DynoId) -> Result<Vec<Step>, EngineError>;
    /// What a dyno that lives has written so far; it may go on meanwhile.
    fn ledger(&self, id: DynoId) -> Result<Receipt, EngineError>;
    /// Writes a tar of what a dyno wrote at or below these absolute paths, or of all that it wrote:
    /// directories, files and symbolic links, by their paths from the root on (`app/media/a.png`).
    /// Of a dyno that lives, or of a layer that is kept. Tells how many files they are.
    fn export(
        &self,
        id: DynoId,
        paths: &[String],
        out: &mut dyn Write,
    ) -> Result<Tally, EngineError>;
    /// The dynos that are gone and whose layer is kept.
    fn kept_layers(&self) -> Result<Vec<DynoId>, EngineError>;
    /// Removes a layer that is kept, whatever its size; nothing there is fine. Once it was begun,
    /// nothing of it is ever exported.
    fn discard_layer(&self, id: DynoId) -> Result<(), EngineError>;
}

/// Somebody who talks to a command in a dyno.
#[derive(Debug)]
pub struct Session {
    /// Its input and output: the near side of its terminal, where it has one, or a socket. Reading
    /// ends, for a terminal with the error EIO, when nobody has the other side any more.
    pub stream: OwnedFd,
    /// A socket that gives the command's status, as a shell counts, in decimal and with a newline,
    /// once it has ended. Closing it before hangs the command up (SIGHUP).
    pub end: OwnedFd,
}

/// A dyno that an earlier server started.
#[derive(Debug, Clone)]
pub struct Adopted {
    /// As it was started.
    pub spec: DynoSpec,
    /// What its events that the earlier server took made of it.
    pub state: DynoState,
}

/// Why the engine could not do as asked.
#[derive(Debug, thiserror::Error)]
#[error("{operation}")]
pub struct EngineError {
    /// What it tried, with the operand: `write /…/spec.json`.
    pub operation: String,
    /// What the machine said.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// Where slugs are kept. All calls block.
pub trait SlugStore: Send + Sync {
    /// Stores the tree of an app's build as a slug, or nothing. No process may have a file of the
    /// tree open. The tree stays as it is.
    fn ingest(
        &self,
        app: &AppName,
        tree: &Path,
        process_types: &ProcessTypes,
        limits: &Limits,
    ) -> Result<SlugSummary, IngestError>;
    /// The slug's tree, verified, as dynos see it.
    fn checkout(&self, id: &SlugId) -> Result<SlugView, CheckoutError>;

    // The care of the store, and reading what is in it.

    /// Removes every slug but those that are named, and what only the others needed. They, of which
    /// not all need be there, are asked for at a moment when nobody stores a slug, and may be asked
    /// for twice; none says that nothing can be removed now. Builds and dynos go on meanwhile.
    fn sweep(&self, keep: &mut Keep<'_>) -> Result<Option<Removed>, SweepError>;
    /// What a sweep that keeps these, of which not all need be there, would remove.
    fn sweep_preview(&self, keep: &[SlugId]) -> Result<Removed, SweepError>;
    /// Checks all that is in the store, and repairs it where that is asked for. Progress is told in
    /// objects: so many of so many.
    fn fsck(
        &self,
        request: &CheckRequest,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Checked, ReadError>;
    /// The objects of some slugs, each once, with their sizes (bytes).
    fn objects(&self, slugs: &[SlugId]) -> Result<HashMap<Object, u64>, ReadError>;
    /// What a slug holds.
    fn listing(&self, id: &SlugId) -> Result<Listing, ReadError>;
    /// Opens a file by its content, and checks that first.
    fn open(&self, content: Object) -> Result<Box<dyn Read + Send>, ReadError>;
    /// Writes what lies below a directory of a slug as a tar, with paths from that directory on.
    fn archive(&self, id: &SlugId, path: &[u8], out: &mut dyn Write) -> Result<(), ReadError>;
    /// Checks a slug's manifest, and each of its files.
    fn verify(&self, id: &SlugId) -> Result<(), ReadError>;
}

/// Says which slugs are kept; none where that is not known now.
pub type Keep<'a> = dyn FnMut() -> Option<Vec<SlugId>> + 'a;

/// What a check of the store is asked for.
#[derive(Debug, Clone, Default)]
pub struct CheckRequest {
    /// Slugs that must be there.
    pub expected: Vec<SlugId>,
    /// Whether what is damaged is to be repaired.
    pub repair: bool,
    /// Another store, or the data directory that it lies in.
    pub from: Option<PathBuf>,
    /// Trees that may have whole copies of files.
    pub trees: Vec<PathBuf>,
}

/// Why something of the store could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ReadError(pub String);

/// Why a tree could not become a slug.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// It is larger than a slug may be.
    #[error("the slug is too large")]
    TooLarge {
        /// Its packed size (bytes).
        packed_bytes: u64,
    },
    /// No room on the disk.
    #[error("no space is left where slugs are stored")]
    DiskFull,
    /// It is stored here, and not where slugs outlive this machine. The message lacks its state.
    #[error("the slug could not be stored where it outlives this machine")]
    NotShared(Message),
    /// Anything else that the store met.
    #[error("the slug could not be stored: {0}")]
    Store(String),
}

/// Why a slug cannot be started from.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CheckoutError(pub String);

/// Why slugs that nobody needs could not be removed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SweepError(pub String);
