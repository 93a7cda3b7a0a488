//! Pushes under way: what git's hook may ask of the server, by a name that only it knows.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::asking::Who;
use crate::db::app::App;
use crate::turns::{Place, Turns};

/// All pushes under way.
#[derive(Debug, Default)]
pub(crate) struct Pushes {
    under_way: Mutex<HashMap<Uuid, Arc<Push>>>,
    /// One push that is built at a time per app.
    pub(crate) turns: Turns,
}

/// A push.
#[derive(Debug)]
pub(crate) struct Push {
    pub(crate) app: App,
    pub(crate) who: Arc<Who>,
    /// Its turn, from when it was asked for until git has ended.
    place: Mutex<Option<Arc<Place>>>,
    /// The build that it led to.
    build: Mutex<Option<Uuid>>,
    /// What it changes: a request that only asks whether it would be let in has nothing.
    changes: Mutex<Option<Changes>>,
}

/// What a push is to change.
#[derive(Debug, Clone)]
pub(crate) struct Changes {
    /// Its number in the audit trail.
    pub(crate) number: i64,
    /// What each ref is to be; none where it is to go.
    pub(crate) refs: BTreeMap<String, Option<String>>,
}

impl Pushes {
    fn under_way(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Push>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a push; gives its name.
    pub(crate) fn begin(&self, app: App, who: Arc<Who>) -> Uuid {
        let (name, push) = (
            Uuid::new_v4(),
            Push {
                app,
                who,
                place: Mutex::default(),
                build: Mutex::default(),
                changes: Mutex::default(),
            },
        );
        self.under_way().insert(name, Arc::new(push));
        name
    }

    /// The push of a name.
    pub(crate) fn find(&self, name: Uuid) -> Option<Arc<Push>> {
        self.under_way().get(&name).cloned()
    }

    /// Ends a push, and its turn.
    pub(crate) fn end(&self, name: Uuid) {
        self.under_way().remove(&name);
    }

    /// The place of a push among those of its app, taken when it is first asked for.
    pub(crate) fn place(&self, push: &Push) -> Arc<Place> {
        let mut place = push.place.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = place.get_or_insert_with(|| Arc::new(self.turns.enter(&push.app.name, None)));
        Arc::clone(taken)
    }
}

impl Push {
    fn built(&self) -> MutexGuard<'_, Option<Uuid>> {
        self.build.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what it is to change.
    pub(crate) fn is_to_change(&self, number: i64, refs: BTreeMap<String, Option<String>>) {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        *changes = Some(Changes { number, refs });
    }

    /// What it is to change.
    pub(crate) fn changes(&self) -> Option<Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The build that it led to.
    pub(crate) fn build(&self) -> Option<Uuid> {
        *self.built()
    }

    /// Notes the build that it led to.
    pub(crate) fn led_to(&self, build: Uuid) {
        *self.built() = Some(build);
    }
}
