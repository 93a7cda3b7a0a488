//! The local engine: dynos as processes of this machine.

use fs_err::os::unix::fs::OpenOptionsExt as _;
use std::collections::HashMap;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use slugline_model::dyno::{DynoId, DynoSpec, ExecRequest};
use slugline_model::ledger::{Receipt, Tally};
use slugline_model::network::NetworkOptions;
use slugline_model::port::{Adopted, Engine, EngineError, EventSink, Session};
use slugline_model::sandbox::{self, Step};
use slugline_model::usage::Usage;

use crate::control::Request;
use crate::dial::{self, Dials};
use crate::follow::Follower;
use crate::network::{Networks, Order};
use crate::op_error::{OpError, Operation};
use crate::shape::Shape;
use crate::spares::Spares;
use crate::view::Names;
use crate::walk::Tree;
use crate::writers::name_writers;
use crate::{discard, host, layers, limits, scan, supervisor, usage};

/// Runs dynos below one directory, each in a directory of its own.
pub struct LocalEngine {
    root: PathBuf,
    program: PathBuf,
    follower: Arc<Follower>,
    /// Supervisors that this server started, so that they leave no zombie.
    children: Mutex<HashMap<DynoId, Child>>,
    dials: Dials,
    spares: Spares,
}

impl std::fmt::Debug for LocalEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalEngine").field("root", &self.root).finish_non_exhaustive()
    }
}

impl LocalEngine {
    /// Opens the directory of dynos, making it if needed. `program` is the slugline binary, whose
    /// `supervise DIRECTORY` runs [`crate::supervise`].
    pub fn open(root: &Path, program: &Path, sink: EventSink) -> Result<Self, EngineError> {
        fs_err::create_dir_all(root).op(|| format!("make {}", root.display()))?;
        let kept = layers::place(root);
        fs_err::create_dir_all(&kept).op(|| format!("make {}", kept.display()))?;
        let dynos = root.to_path_buf();
        // It may be a lot, and nobody waits for it.
        std::thread::spawn(move || layers::finish_discarding(&dynos));
        Ok(Self {
            root: root.to_path_buf(),
            program: program.to_path_buf(),
            follower: Follower::start(sink)?,
            children: Mutex::default(),
            dials: Dials::default(),
            spares: Spares::new(root, program, Networks::new(root, NetworkOptions::default())),
        })
    }

    /// What a dyno reported before this position is saved where it belongs: a server that is started
    /// after this one was killed is told from there on.
    pub fn keep(&self, id: DynoId, position: u64) {
        self.follower.keep(id, position);
    }

    /// With what the operator decided of dynos' networks, before the first dyno is started.
    #[must_use]
    pub fn with_network(mut self, options: NetworkOptions) -> Self {
        let networks = Networks::new(&self.root, options);
        self.spares = Spares::new(&self.root, &self.program, networks);
        self
    }

    fn directory(&self, id: DynoId) -> PathBuf {
        self.root.join(id.to_string())
    }

    fn children(&self) -> MutexGuard<'_, HashMap<DynoId, Child>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pid of a dyno's supervisor, which may have been spawned this very moment; none once it
    /// is gone. Whoever holds the lock is the supervisor, so the pid is not somebody else's.
    fn wait_for_supervisor(&self, id: DynoId, directory: &Path) -> Option<Pid> {
        for _ in 0..400 {
            if !directory.exists() {
                return None;
            }
            if supervisor::is_alive(directory) {
                if let Some(pid) = supervisor::pid(directory) {
                    return Some(pid);
                }
            } else if !self.is_running_child(id) {
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }

    fn is_running_child(&self, id: DynoId) -> bool {
        self.children().get_mut(&id).is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    fn begin(&self, id: DynoId, request: &Request) -> Result<Session, EngineError> {
        let directory = self.directory(id);
        let may_come = || supervisor::is_alive(&directory) || self.is_running_child(id);
        Ok(dial::begin(&directory, request, may_come)?)
    }

    fn launch(&self, spec: &DynoSpec, directory: &Path) -> Result<(), OpError> {
        let spare = if Shape::suits_spare(spec) { self.spares.take() } else { None };
        let spare = match spare {
            Some(spare) => spare,
            None => self.spares.prepare(Shape::of(spec))?,
        };
        let spec = DynoSpec { host_uid: spare.shape.host_uid, ..spec.clone() };
        let (child, word) = self.spares.name(spare, spec.id, directory)?;
        self.children().insert(spec.id, child);
        write_spec(&spec, directory)?;
        self.follower.follow(&spec, directory)?;
        rustix::io::write(&word, b"go").op(|| "tell the supervisor to go on".to_owned())?;
        // One that was killed before its spool was watched is noticed by nobody else.
        if !self.is_running_child(spec.id) {
            self.follower.catch_up(spec.id);
        }
        Ok(())
    }
}

impl Engine for LocalEngine {
    fn start(&self, spec: &DynoSpec) -> Result<(), EngineError> {
        let directory = self.directory(spec.id);
        self.launch(spec, &directory).map_err(|error| {
            let _ = self.forget(spec.id);
            error.into()
        })
    }

    fn stop(&self, id: DynoId) -> Result<(), EngineError> {
        let directory = self.directory(id);
        let Some(pid) = self.wait_for_supervisor(id, &directory) else { return Ok(()) };
        match kill_process(pid, Signal::TERM) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(errno) => Err(errno).op(|| format!("stop supervisor {pid:?}")).map_err(Into::into),
        }
    }

    fn forget(&self, id: DynoId) -> Result<(), EngineError> {
        self.follower.forget(id);
        self.dials.forget(id);
        if let Some(mut child) = self.children().remove(&id) {
            let _ = child.wait();
        }
        let directory = self.directory(id);
        if directory.exists() {
            // Kept until the directory is gone: a supervisor that was about to begin finds it so.
            let _lock = wait_for_lock(&directory);
            limits::remove(&directory);
            discard::remove_tree(&directory)?;
        }
        self.spares.forget(id);
        Ok(())
    }

    fn adopt(&self) -> Result<Vec<Adopted>, EngineError> {
        let mut adopted = Vec::new();
        let entries = fs_err::read_dir(&self.root).op(|| "list dynos".to_owned())?;
        for entry in entries.flatten() {
            let directory = entry.path();
            if let Ok(spec) = supervisor::read_spec(&directory) {
                let state = self.follower.follow(&spec, &directory)?;
                adopted.push(Adopted { spec, state });
            } else {
                // Its server died before it was started; its supervisor leaves by itself.
                let _lock = wait_for_lock(&directory);
                limits::remove(&directory);
                let _ = discard::remove_tree(&directory);
            }
        }
        self.spares.adopt(adopted.iter().map(|dyno| &dyno.spec))?;
        Ok(adopted)
    }

    fn remove_tree(&self, tree: &Path) -> Result<(), EngineError> {
        discard::remove_tree(tree).map_err(Into::into)
    }

    fn catch_up(&self, id: DynoId) {
        self.follower.catch_up(id);
    }

    fn dial(&self, id: DynoId) -> Result<OwnedFd, EngineError> {
        Ok(self.dials.socket(id, &self.directory(id))?)
    }

    fn attach(&self, id: DynoId) -> Result<Session, EngineError> {
        self.begin(id, &Request::Attach)
    }

    fn exec(&self, id: DynoId, request: &ExecRequest) -> Result<Session, EngineError> {
        self.begin(id, &Request::Exec(request.clone()))
    }

    fn usage(&self, id: DynoId) -> Option<Usage> {
        usage::usage(&self.directory(id))
    }

    fn plan(&self, id: DynoId) -> Result<Vec<Step>, EngineError> {
        let directory = self.directory(id);
        let spec = supervisor::read_spec(&directory)?;
        let facts = host::host_facts(spec.network, &Order::read(&directory));
        Ok(sandbox::plan(&spec, &facts))
    }

    fn ledger(&self, id: DynoId) -> Result<Receipt, EngineError> {
        let directory = self.directory(id);
        let spec = supervisor::read_spec(&directory)?;
        let slug = spec.slug.map(Names::open).transpose()?;
        let tree = slug.as_ref().map(Names::tree);
        let layer = directory.join(supervisor::DISK).join("layer");
        let scratch = &spec.layer.scratch;
        let mut ledger = scan::receipt(&layer, tree.as_deref(), scratch, Tree::Live);
        name_writers(&directory, &mut ledger.largest);
        Ok(ledger)
    }

    fn export(
        &self,
        id: DynoId,
        paths: &[String],
        out: &mut dyn Write,
    ) -> Result<Tally, EngineError> {
        let live = self.directory(id).join(supervisor::DISK).join("layer");
        let kept = layers::place(&self.root).join(id.to_string());
        let (layer, tree) = if kept.exists() { (kept, Tree::Left) } else { (live, Tree::Live) };
        Ok(layers::export(&layer, tree, paths, out)?)
    }

    fn kept_layers(&self) -> Result<Vec<DynoId>, EngineError> {
        Ok(layers::list(&self.root)?)
    }

    fn discard_layer(&self, id: DynoId) -> Result<(), EngineError> {
        Ok(layers::discard(&self.root, id)?)
    }
}

/// The spec comes last: a directory without one was never given to a supervisor.
fn write_spec(spec: &DynoSpec, directory: &Path) -> Result<(), OpError> {
    let path = directory.join(supervisor::SPEC);
    let mut options = fs_err::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(&path);
    let written = file.and_then(|file| serde_json::to_writer(file, spec).map_err(Into::into));
    written.op(|| format!("write {}", path.display()))
}

/// A supervisor that has reported its last event still removes the layer; one that never had a dyno
/// removes its whole directory, and the lock with it.
fn wait_for_lock(directory: &Path) -> Option<fs_err::File> {
    for attempt in 0..600 {
        if attempt > 0 {
            std::thread::sleep(Duration::from_millis(50));
        }
        let lock = supervisor::lock(directory).ok();
        if lock.is_some() || !directory.join(supervisor::LOCK).exists() {
            return lock;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_a_supervisor_that_took_its_directory_with_it() {
        let directory = tempfile::tempdir().unwrap();
        let dyno = directory.path().join("dyno");
        std::fs::create_dir(&dyno).unwrap();
        std::fs::write(dyno.join(supervisor::LOCK), "").unwrap();
        let held = supervisor::lock(&dyno).unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        let waiting = dyno.clone();
        std::thread::spawn(move || tell.send(wait_for_lock(&waiting).is_some()));
        std::thread::sleep(Duration::from_millis(100));
        std::fs::remove_dir_all(&dyno).unwrap();
        drop(held);
        assert_eq!(told.recv_timeout(Duration::from_secs(15)), Ok(false));
    }
}
