//! Supervisors: started for a dyno, or beforehand for one that is yet to be asked for.
//!
//! Making namespaces, a network and control groups takes several times as long as what is left to
//! do once they are there. So, as soon as there is a dyno, a few supervisors wait that have all of
//! it done. They leave, with all that they have made, when the server does or the last dyno is gone.

use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::pipe::{PipeFlags, pipe_with};
use slugline_model::dyno::{DynoId, DynoSpec};

use crate::network::{Given, Networks};
use crate::op_error::{OpError, Operation};
use crate::shape::Shape;
use crate::{discard, limits, spool, supervisor};

/// How many are kept.
const READY: usize = 2;

/// How long after one was taken the next is made: the dyno goes first.
const PAUSE: Duration = Duration::from_millis(50);

/// How long one may take to be made, for those who wait.
const PATIENCE: Duration = Duration::from_secs(20);

/// A supervisor that waits to be told of its dyno.
pub(crate) struct Spare {
    pub(crate) shape: Shape,
    directory: PathBuf,
    child: Child,
    /// What it found around this machine when it was made.
    surroundings: Surroundings,
    /// Takes a word once the spec is there; without one, the supervisor leaves when it is closed.
    word: OwnedFd,
}

/// What networks find around this machine, and which files a stack takes from it.
type Surroundings = (String, Vec<Option<(u64, u64)>>);

impl Spare {
    fn dismiss(self) {
        let Self { mut child, word, directory, .. } = self;
        drop(word);
        let _ = child.wait();
        clear(&directory);
    }
}

/// Removes what a supervisor left that was killed before it had a dyno.
fn clear(directory: &Path) {
    limits::remove(directory);
    let _ = discard::remove_tree(directory);
}

/// The supervisors that are ready, and how others are made.
pub(crate) struct Spares(Arc<Shared>);

struct Shared {
    root: PathBuf,
    program: PathBuf,
    networks: Networks,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Dynos that are not forgotten.
    dynos: HashSet<DynoId>,
    ready: Vec<Spare>,
    /// Whether the thread that makes them runs.
    working: bool,
    closed: bool,
    /// Whether one is being made this moment.
    making: bool,
}

impl Spares {
    /// For dynos below one directory. `program` is run as `supervise DIRECTORY`.
    pub(crate) fn new(root: &Path, program: &Path, networks: Networks) -> Self {
        let (state, changed) = (Mutex::default(), Condvar::new());
        let (root, program) = (root.to_path_buf(), program.to_path_buf());
        Self(Arc::new(Shared { root, program, networks, state, changed }))
    }

    /// One that is ready, if there is one. From now on some are kept, while there are dynos.
    pub(crate) fn take(&self) -> Option<Spare> {
        let mut state = self.0.lock();
        if !state.working {
            let shared = Arc::clone(&self.0);
            let thread = std::thread::Builder::new().name("spare-dynos".to_owned());
            state.working = thread.spawn(move || shared.work()).is_ok();
        }
        let surroundings = self.0.surroundings();
        while let Some(mut spare) = state.ready.pop() {
            let is_running = matches!(spare.child.try_wait(), Ok(None));
            if is_running && spare.surroundings == surroundings {
                return Some(spare);
            }
            if is_running {
                // The machine has another resolver by now, another address, or another file in the
                // place of one that the spare holds.
                self.0.dismiss(vec![spare]);
                continue;
            }
            // Somebody has ended it.
            self.0.networks.forget(spare.shape.id);
            clear(&spare.directory);
        }
        None
    }

    /// Starts a supervisor.
    pub(crate) fn prepare(&self, shape: Shape) -> Result<Spare, OpError> {
        self.0.prepare(shape)
    }

    /// Gives a supervisor's directory the name of its dyno.
    pub(crate) fn name(
        &self,
        spare: Spare,
        id: DynoId,
        directory: &Path,
    ) -> Result<(Child, OwnedFd), OpError> {
        let mut state = self.0.lock();
        state.dynos.insert(id);
        let Spare { shape, directory: before, child, word, .. } = spare;
        if shape.id != id {
            self.0.networks.hand_over(shape.id, id);
            let renamed = fs_err::rename(&before, directory);
            renamed.op(|| format!("name a supervisor's directory for {id}"))?;
        }
        self.0.changed.notify_all();
        Ok((child, word))
    }

    /// Dynos that an earlier server started.
    pub(crate) fn adopt<'a>(
        &self,
        specs: impl Iterator<Item = &'a DynoSpec> + Clone,
    ) -> Result<(), OpError> {
        self.0.lock().dynos.extend(specs.clone().map(|spec| spec.id));
        self.0.networks.adopt(specs)
    }

    /// A dyno is gone; with the last one go those that are ready.
    pub(crate) fn forget(&self, id: DynoId) {
        let mut state = self.0.lock();
        state.dynos.remove(&id);
        let ready = if state.dynos.is_empty() { std::mem::take(&mut state.ready) } else { vec![] };
        let is_last = state.dynos.is_empty();
        drop(state);
        self.0.dismiss(ready);
        if is_last {
            self.0.settle();
        }
        self.0.networks.forget(id);
    }
}

impl Drop for Spares {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.closed = true;
        let ready = std::mem::take(&mut state.ready);
        drop(state);
        self.0.changed.notify_all();
        self.0.dismiss(ready);
        self.0.settle();
    }
}

impl State {
    fn is_wanted(&self) -> bool {
        !self.closed && !self.dynos.is_empty() && self.ready.len() < READY
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn dismiss(&self, ready: Vec<Spare>) {
        for spare in ready {
            let id = spare.shape.id;
            spare.dismiss();
            self.networks.forget(id);
        }
    }

    /// Makes one whenever there are too few, until the server ends or one cannot be made: then each
    /// dyno gets one of its own, and with it the reason.
    fn work(&self) {
        while self.wait_until_wanted() {
            std::thread::sleep(PAUSE);
            if self.begin() && !self.make() {
                break;
            }
        }
        self.lock().working = false;
    }

    /// Whether one is still wanted, which is then being made.
    fn begin(&self) -> bool {
        let mut state = self.lock();
        state.making = state.is_wanted();
        state.making
    }

    /// Makes one; false if it cannot be made. Whoever waits for that finds it ready or gone.
    fn make(&self) -> bool {
        let made = self.prepare(Shape::spare());
        let is_made = made.is_ok();
        let mut state = self.lock();
        if let Ok(spare) = made {
            if state.is_wanted() {
                state.ready.push(spare);
            } else {
                drop(state);
                self.dismiss(vec![spare]);
                state = self.lock();
            }
        }
        state.making = false;
        drop(state);
        self.changed.notify_all();
        is_made
    }

    /// Waits until none is being made.
    fn settle(&self) {
        let made = self.changed.wait_timeout_while(self.lock(), PATIENCE, |state| state.making);
        drop(made);
    }

    fn wait_until_wanted(&self) -> bool {
        let idle = |state: &mut State| {
            !state.closed && (state.dynos.is_empty() || state.ready.len() >= READY)
        };
        let waited = self.changed.wait_while(self.lock(), idle);
        !waited.unwrap_or_else(PoisonError::into_inner).closed
    }

    fn surroundings(&self) -> Surroundings {
        (self.networks.surroundings(), crate::host::etc_files())
    }

    fn prepare(&self, shape: Shape) -> Result<Spare, OpError> {
        let directory = self.root.join(shape.id.to_string());
        let surroundings = self.surroundings();
        let prepared = self.fill(&shape, &directory).and_then(|(word, network)| {
            let (far, near) = word;
            Ok((self.spawn(&directory, far, network)?, near))
        });
        match prepared {
            Ok((child, word)) => Ok(Spare { shape, directory, child, surroundings, word }),
            Err(error) => {
                self.networks.forget(shape.id);
                let _ = discard::remove_tree(&directory);
                Err(error)
            }
        }
    }

    fn fill(
        &self,
        shape: &Shape,
        directory: &Path,
    ) -> Result<((OwnedFd, OwnedFd), Option<OwnedFd>), OpError> {
        fs_err::create_dir_all(directory).op(|| format!("make {}", directory.display()))?;
        let Given { order, namespace } = self.networks.give(shape.id, shape.network)?;
        order.write(directory)?;
        shape.write(directory)?;
        let mut options = fs_err::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        for name in [spool::NAME, supervisor::LOCK] {
            let path = directory.join(name);
            options.open(&path).op(|| format!("make {}", path.display()))?;
        }
        let word = pipe_with(PipeFlags::CLOEXEC).op(|| "make a pipe".to_owned())?;
        Ok((word, namespace))
    }

    /// A process group of its own keeps the terminal's Ctrl-C from it. Spawned, never forked: a
    /// fork of a large server takes as long as the server is large.
    fn spawn(
        &self,
        directory: &Path,
        word: OwnedFd,
        network: Option<OwnedFd>,
    ) -> Result<Child, OpError> {
        Command::new(&self.program)
            .arg("supervise")
            .arg(directory)
            .env_clear()
            // It is there before its directory can get another name.
            .current_dir(directory)
            .stdin(network.map_or_else(Stdio::null, Stdio::from))
            .stdout(word)
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .op(|| format!("run {}", self.program.display()))
    }
}
