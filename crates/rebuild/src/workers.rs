//! Sharing work out to threads: each takes the next item when it is done with one.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Does `work` for every item, in order of taking; `State` is what a thread keeps between items. The results come in no
/// particular order.
///
/// # Errors
/// That of the first thread, in the order they were started, that failed; the others stop at their next item.
pub fn share_out<Item: Sync, State: Default, Outcome: Send, Failure: Send>(
    items: &[Item],
    threads: NonZero<usize>,
    work: impl Fn(&Item, &mut State) -> Result<Outcome, Failure> + Sync,
) -> Result<Vec<Outcome>, Failure> {
    let next = AtomicUsize::new(0);
    let worker = || -> Result<Vec<Outcome>, Failure> {
        let (mut state, mut done) = (State::default(), Vec::new());
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            // After a failure no thread finds another item.
            let failed = |_: &Failure| next.store(items.len(), Ordering::Relaxed);
            done.push(work(item, &mut state).inspect_err(failed)?);
        }
        Ok(done)
    };
    thread::scope(|scope| {
        let threads = threads.get().min(items.len());
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        let mut done = Vec::with_capacity(items.len());
        for worker in workers {
            let outcome = worker.join();
            done.extend(outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(done)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: NonZero<usize> = NonZero::new(3).unwrap();

    #[test]
    fn every_item_is_worked_on_once() {
        let items: Vec<usize> = (0..1_000).collect();
        let mut done = share_out(&items, THREE, |&item, _: &mut ()| Ok::<_, ()>(item)).unwrap();
        done.sort_unstable();
        assert_eq!(done, items);
    }

    #[test]
    fn a_failure_ends_the_work() {
        let fail = |&item: &usize, _: &mut ()| {
            if item == 5 {
                return Err(format!("item {item}"));
            }
            Ok(item)
        };
        let items: Vec<usize> = (0..1_000).collect();
        let error = share_out(&items, THREE, fail).unwrap_err();
        assert_eq!(error, "item 5");
    }
}
