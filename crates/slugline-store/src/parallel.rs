//! The same work for many things, on two threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;

/// Two: packing and checking out are bound by the kernel's work on directories, which more
/// threads do not speed up, and dynos want the other cores.
const THREADS: usize = 2;

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
    let next = AtomicUsize::new(0);
    let (sender, results) = sync_channel(1024);
    let run = |sender: std::sync::mpsc::SyncSender<Result<(usize, R), E>>| {
        let outcome = start().and_then(|mut state| {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(item) = items.get(index) else { return Ok(()) };
                let result = work(&mut state, item)?;
                // The other end is gone once an error is known; then no result matters.
                if sender.send(Ok((index, result))).is_err() {
                    return Ok(());
                }
            }
        });
        if let Err(error) = outcome {
            let _ = sender.send(Err(error));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..THREADS.min(items.len()) {
            let sender = sender.clone();
            scope.spawn(|| run(sender));
        }
        drop(sender);
        let results = results;
        for result in &results {
            let (index, result) = result?;
            done(index, result);
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
