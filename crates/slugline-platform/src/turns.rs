//! Whose turn it is to build an app: one at a time, in the order in which they came.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use slugline_model::name::AppName;
use tokio::sync::watch;
use uuid::Uuid;

/// All queues. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Turns(Arc<Queues>);

#[derive(Debug)]
struct Queues {
    waiting: Mutex<HashMap<AppName, VecDeque<Waiting>>>,
    /// Counts the changes.
    changed: watch::Sender<u64>,
}

#[derive(Debug)]
struct Waiting {
    ticket: Uuid,
    /// None for whoever clears up.
    build: Option<Uuid>,
}

/// A place in an app's queue, which is left when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    turns: Turns,
    app: AppName,
    ticket: Uuid,
}

impl Default for Turns {
    fn default() -> Self {
        let changed = watch::channel(0).0;
        Self(Arc::new(Queues { waiting: Mutex::default(), changed }))
    }
}

impl Turns {
    /// Takes the last place in an app's queue: with a build, or to clear up. It is taken at once, so
    /// that nobody who comes later overtakes.
    pub(crate) fn enter(&self, app: &AppName, build: Option<Uuid>) -> Place {
        let ticket = Uuid::new_v4();
        let waiting = Waiting { ticket, build };
        self.waiting().entry(app.clone()).or_default().push_back(waiting);
        Place { turns: self.clone(), app: app.clone(), ticket }
    }

    /// Whether a build of an app runs or waits.
    pub(crate) fn is_building(&self, app: &AppName) -> bool {
        let queues = self.waiting();
        queues.get(app).is_some_and(|queue| queue.iter().any(|waiting| waiting.build.is_some()))
    }

    /// Waits until nobody builds and nobody clears up.
    pub(crate) async fn all_over(&self) {
        let mut changed = self.0.changed.subscribe();
        // The sender lives as long as this.
        while !self.waiting().is_empty() && changed.changed().await.is_ok() {}
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<AppName, VecDeque<Waiting>>> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Whether it is the first one.
    pub(crate) fn is_first(&self) -> bool {
        self.first().is_some_and(|(ticket, _)| ticket == self.ticket)
    }

    /// The build whose turn it is, if that is another one's.
    pub(crate) fn build_ahead(&self) -> Option<Uuid> {
        self.first().filter(|(ticket, _)| *ticket != self.ticket)?.1
    }

    /// The build is over; what follows is clearing up.
    pub(crate) fn is_over(&self) {
        let mut queues = self.turns.waiting();
        let own = |waiting: &&mut Waiting| waiting.ticket == self.ticket;
        if let Some(own) = queues.get_mut(&self.app).and_then(|queue| queue.iter_mut().find(own)) {
            own.build = None;
        }
    }

    /// Waits for its turn, which lasts as long as the place is kept.
    pub(crate) async fn turn(&self) {
        let mut changed = self.turns.0.changed.subscribe();
        while !self.is_first() && changed.changed().await.is_ok() {}
    }

    fn first(&self) -> Option<(Uuid, Option<Uuid>)> {
        let queues = self.turns.waiting();
        queues.get(&self.app)?.front().map(|first| (first.ticket, first.build))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut queues = self.turns.waiting();
        if let Some(queue) = queues.get_mut(&self.app) {
            queue.retain(|waiting| waiting.ticket != self.ticket);
            if queue.is_empty() {
                queues.remove(&self.app);
            }
        }
        drop(queues);
        self.turns.0.changed.send_modify(|count| *count += 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn turns_come_in_the_order_in_which_places_were_taken() {
        let (turns, app) = (Turns::default(), "owl".parse().unwrap());
        let builds = [1, 2, 3].map(Uuid::from_u128);
        let [first, second, third] = builds.map(|build| turns.enter(&app, Some(build)));
        first.turn().await;
        assert!(!second.is_first() && !third.is_first());
        assert_eq!((first.build_ahead(), third.build_ahead()), (None, Some(builds[0])));
        first.is_over();
        assert_eq!(third.build_ahead(), None, "who only clears up is no build");
        let order = Arc::new(Mutex::new(vec![]));
        // The later one asks first.
        let waits = [(3, third), (2, second)].map(|(number, place)| {
            let order = Arc::clone(&order);
            tokio::spawn(async move {
                place.turn().await;
                order.lock().unwrap().push(number);
            })
        });
        tokio::task::yield_now().await;
        drop(first);
        for wait in waits {
            wait.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), [2, 3]);
        turns.all_over().await;
    }

    #[tokio::test]
    async fn who_gives_up_its_place_holds_up_nobody() {
        let (turns, app) = (Turns::default(), "owl".parse().unwrap());
        let (first, second, third) =
            (turns.enter(&app, None), turns.enter(&app, None), turns.enter(&app, None));
        drop(second);
        drop(first);
        third.turn().await;
        let other = turns.enter(&"hen".parse().unwrap(), None);
        assert!(other.is_first(), "every app has a queue of its own");
    }
}
