//! The same work for many things, on two threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};

/// Two: packing and checking out are bound by the kernel's work on directories, which more
/// threads do not speed up, and dynos want the other cores.
const THREADS: usize = 2;

/// Items that a thread takes at once, since waking the caller costs more than some items do.
const BATCH: usize = 64;

/// Does `work` for each item and gives its results to `done`, on the caller's thread, with the
/// item's index. Each thread has a state of its own. Stops at the first error.
pub(crate) fn each<T, S, R, E>(
    items: &[T],
    start: impl Fn() -> Result<S, E> + Sync,
    work: impl Fn(&mut S, &T) -> Result<R, E> + Sync,
    mut done: impl FnMut(usize, R),
) -> Result<(), E>
where
    T: Sync,
    R: Send,
    E: Send,
{
    let batches: Vec<&[T]> = items.chunks(BATCH).collect();
    let next = AtomicUsize::new(0);
    let (sender, results) = sync_channel(batches.len());
    let run = |sender: SyncSender<Result<(usize, Vec<R>), E>>| {
        let outcome = start().and_then(|mut state| {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(batch) = batches.get(index) else { return Ok(()) };
                let results = batch.iter().map(|item| work(&mut state, item));
                let results = results.collect::<Result<Vec<R>, E>>()?;
                // The other end is gone once an error is known; then no result matters.
                if sender.send(Ok((index, results))).is_err() {
                    return Ok(());
                }
            }
        });
        if let Err(error) = outcome {
            let _ = sender.send(Err(error));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..THREADS.min(batches.len()) {
            let sender = sender.clone();
            scope.spawn(|| run(sender));
        }
        drop(sender);
        // Owned here, so that an error ends the threads before they are waited for.
        let results = results;
        for batch in &results {
            let (index, batch) = batch?;
            (index * BATCH..).zip(batch).for_each(|(index, result)| done(index, result));
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_done_once() {
        let items: Vec<usize> = (0..5_000).collect();
        let mut seen = vec![0; items.len()];
        let work = |(): &mut (), item: &usize| Ok::<_, ()>(item * 2);
        each(
            &items,
            || Ok(()),
            work,
            |index, twice| {
                assert_eq!(twice, index * 2);
                seen[index] += 1;
            },
        )
        .unwrap();
        assert!(seen.iter().all(|count| *count == 1));
    }

    #[test]
    fn the_first_error_ends_it() {
        let items: Vec<usize> = (0..50_000).collect();
        let work = |(): &mut (), item: &usize| if *item == 10 { Err("ten") } else { Ok(()) };
        assert_eq!(each(&items, || Ok(()), work, |_, ()| {}), Err("ten"));
    }
}
