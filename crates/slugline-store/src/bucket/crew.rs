//! Requests beside each other, a bounded number at a time, for a caller that blocks.

use std::future::Future;

use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// How many requests are under way at once. With what each may hold it bounds the memory.
pub(crate) const WIDTH: usize = 4;

/// Does all jobs and gives their results to `done` on the caller's thread, in the order in which
/// they come. A job is taken from the iterator only when there is room for it. After the first
/// error no more are taken, and what is under way is still waited for: it need not be done again.
pub(crate) fn each<J, F, T, E>(
    runtime: &Runtime,
    jobs: J,
    mut done: impl FnMut(T) -> Result<(), E>,
) -> Result<(), E>
where
    J: IntoIterator<Item = Result<F, E>>,
    F: Future<Output = Result<T, E>> + Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    let mut jobs = jobs.into_iter();
    let mut crew = JoinSet::new();
    let mut outcome = Ok(());
    loop {
        while outcome.is_ok() && crew.len() < WIDTH {
            match jobs.next() {
                Some(Ok(job)) => drop(crew.spawn_on(job, runtime.handle())),
                Some(Err(error)) => outcome = Err(error),
                None => break,
            }
        }
        let result = match runtime.block_on(crew.join_next()) {
            None => return outcome,
            Some(Ok(result)) => result.and_then(&mut done),
            Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
        };
        outcome = outcome.and(result);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn all_jobs_are_done_and_never_more_at_once_than_may_be() {
        let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let jobs = (0..100).map(|number| {
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            Ok::<_, ()>(async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                now.fetch_sub(1, Ordering::SeqCst);
                Ok(number)
            })
        });
        let mut sum = 0;
        each(&runtime, jobs, |number: i32| {
            sum += number;
            Ok(())
        })
        .unwrap();
        assert_eq!(sum, (0..100).sum::<i32>());
        assert!((1..=WIDTH).contains(&most.load(Ordering::SeqCst)));
    }

    #[test]
    fn the_first_error_ends_it() {
        let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
        let jobs = (0..1_000)
            .map(|number| Ok(async move { if number == 10 { Err("ten") } else { Ok(()) } }));
        assert_eq!(each(&runtime, jobs, |()| Ok(())), Err("ten"));
    }
}
