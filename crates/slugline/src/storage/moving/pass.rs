//! One look at both buckets, and what follows for each key.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, stream};
use http::StatusCode;
use slugline_model::carry::{Act, Carried, Phase, Seen, cannot_be_asked_for, decide, same_by_tag};

use super::journal::Journal;
use super::object::{Only, carry, compare};
use crate::storage::progress::bar;
use crate::storage::wire::{self, Wire};

/// Objects on their way at once.
const AT_ONCE: usize = 8;

/// What a pass came to.
#[derive(Debug, Default)]
pub(super) struct Passed {
    pub(super) carried: u64,
    pub(super) bytes: u64,
    pub(super) removed: u64,
    /// Objects that both have, in all.
    pub(super) same: u64,
    /// Why not, each with its key.
    pub(super) failed: Vec<String>,
}

impl Passed {
    /// Whether both buckets were the same before it.
    pub(super) fn found_nothing(&self) -> bool {
        self.carried == 0 && self.removed == 0 && self.failed.is_empty()
    }
}

/// What became of a key.
enum Done {
    Same(Carried),
    Carried(Carried),
    Gone,
    /// Somebody else was faster: the next pass decides anew.
    Overtaken,
}

/// Looks at everything once.
pub(super) async fn pass(
    buckets: (&Wire, &Wire),
    journal: &mut Journal,
    phase: Phase,
) -> Result<Passed, super::MoveError> {
    let (source, target) = buckets;
    // The target is looked at first: what the app writes meanwhile is newer than what was seen.
    let there = target.list().await.map_err(|error| super::MoveError::of(target, "list", error))?;
    let here = source.list().await.map_err(|error| super::MoveError::of(source, "list", error))?;
    let mut passed = Passed::default();
    let todo = plan(&here, &there, journal, phase, &mut passed)?;
    let total = todo.iter().map(|(key, _)| here.get(key).map_or(0, |seen| seen.size)).sum();
    let progress = bar(total, "verified");
    let work = todo.into_iter().map(|(key, act)| {
        let only = match phase {
            Phase::Before => Only::Always,
            Phase::After => Only::IfAsSeen(there.get(&key).cloned()),
        };
        async move {
            let done = one(buckets, &key, act, &only).await;
            (key, done)
        }
    });
    let mut work = stream::iter(work).buffer_unordered(AT_ONCE);
    while let Some((key, done)) = work.next().await {
        let size = here.get(&key).map_or(0, |seen| seen.size);
        progress.inc(size);
        match done {
            Ok(Done::Same(carried)) => {
                passed.same += 1;
                journal.note(&key, Some(carried))?;
            }
            Ok(Done::Carried(carried)) => {
                passed.carried += 1;
                passed.bytes += carried.source.size;
                journal.note(&key, Some(carried))?;
            }
            Ok(Done::Gone) => {
                passed.removed += 1;
                journal.note(&key, None)?;
            }
            Ok(Done::Overtaken) => {}
            Err(error) => passed.failed.push(format!("{key}: {error}")),
        }
    }
    progress.finish_and_clear();
    Ok(passed)
}

/// What is to be done. What only has to be noted is noted.
fn plan(
    here: &BTreeMap<String, Seen>,
    there: &BTreeMap<String, Seen>,
    journal: &mut Journal,
    phase: Phase,
    passed: &mut Passed,
) -> Result<Vec<(String, Act)>, super::MoveError> {
    let keys: BTreeSet<String> =
        here.keys().chain(there.keys()).chain(journal.keys()).cloned().collect();
    let mut todo = Vec::new();
    for key in keys {
        let (from, to) = (here.get(&key), there.get(&key));
        match decide(phase, from, to, journal.known(&key)) {
            Act::Nothing => passed.same += u64::from(from.is_some()),
            Act::Compare
                if let (Some(from), Some(to)) = (from, to)
                    && same_by_tag(from, to) =>
            {
                passed.same += 1;
                let carried = Carried { source: from.clone(), target: to.clone() };
                journal.note(&key, Some(carried))?;
            }
            _ if cannot_be_asked_for(&key) => {
                passed.failed.push(format!("{key}: clients take `.` and `..` out of addresses"));
            }
            act => todo.push((key, act)),
        }
    }
    Ok(todo)
}

async fn one(buckets: (&Wire, &Wire), key: &str, act: Act, only: &Only) -> wire::Result<Done> {
    let (_, target) = buckets;
    let done = match act {
        Act::Nothing => return Ok(Done::Overtaken),
        Act::Remove => target.delete(key).await.map(|()| Done::Gone),
        Act::Compare => match compare(buckets, key).await {
            Ok(Some(carried)) => return Ok(Done::Same(carried)),
            Ok(None) => carry(buckets, key, only).await.map(Done::Carried),
            Err(error) => Err(error),
        },
        Act::Carry => carry(buckets, key, only).await.map(Done::Carried),
    };
    match done {
        // Removed, or written by the app, since it was listed.
        Err(error)
            if error.is(StatusCode::NOT_FOUND) || error.is(StatusCode::PRECONDITION_FAILED) =>
        {
            Ok(Done::Overtaken)
        }
        done => done,
    }
}
