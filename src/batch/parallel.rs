//! Items computed several at the same time.

use std::sync::{Mutex, PoisonError};
use std::thread;

/// Calls `compute` with each item and its place on `threads` threads, beginning them in order.
///
/// # Errors
///
/// The error of the earliest item that failed; no item is begun after an error.
pub fn parallel_for_each<T: Send, E: Send>(
    items: impl Iterator<Item = T> + Send,
    threads: usize,
    compute: impl Fn(usize, T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let queue = Mutex::new((items.enumerate(), None::<(usize, E)>));
    let lock = || queue.lock().unwrap_or_else(PoisonError::into_inner);
    let work = || {
        loop {
            let mut next = lock();
            if next.1.is_some() {
                return;
            }
            let Some((i, item)) = next.0.next() else { return };
            drop(next);
            if let Err(error) = compute(i, item) {
                let first = &mut lock().1;
                if first.as_ref().is_none_or(|(place, _)| i < *place) {
                    *first = Some((i, error));
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    let first = queue.into_inner().unwrap_or_else(PoisonError::into_inner).1;
    first.map_or(Ok(()), |(_, error)| Err(error))
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn every_item_is_computed_once_with_its_place() {
        let seen = Mutex::new(vec![0; 1000]);
        let done: Result<(), ()> = parallel_for_each(0..1000, 3, |place, item| {
            assert_eq!(place, item);
            seen.lock().unwrap()[place] += 1;
            Ok(())
        });
        assert_eq!(done, Ok(()));
        assert_eq!(*seen.lock().unwrap(), [1; 1000]);
    }

    #[test]
    fn two_items_are_computed_at_a_time() {
        let both = Barrier::new(2);
        let done: Result<(), ()> = parallel_for_each(0..2, 2, |_, _| {
            both.wait();
            Ok(())
        });
        assert_eq!(done, Ok(()));
    }

    #[test]
    fn the_earliest_error_is_given_and_no_item_is_begun_after_it() {
        let both = Barrier::new(2);
        let done = parallel_for_each(0.., 2, |place, _: u32| match place {
            0..10 => Ok(()),
            10 | 11 => {
                both.wait();
                Err(place)
            }
            _ => panic!("{place} was begun"),
        });
        assert_eq!(done, Err(10));
    }
}
