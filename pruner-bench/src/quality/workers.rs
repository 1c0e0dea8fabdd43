//! Several threads at one list of work.

use std::panic::resume_unwind;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use super::QualityError;

/// Does all of `work`, in its order, on a thread for each of `workers`. After an error nothing more is begun.
pub(super) fn share<T: Send, W: Send>(
    work: Vec<T>,
    workers: Vec<W>,
    each: impl Fn(&W, T) -> Result<(), QualityError> + Sync,
) -> Result<(), QualityError> {
    let queue = Mutex::new(work.into_iter());
    let run = |worker: W| {
        loop {
            let Some(task) = lock(&queue).next() else { return Ok(()) };
            if let Err(error) = each(&worker, task) {
                *lock(&queue) = Vec::new().into_iter();
                return Err(error);
            }
        }
    };
    thread::scope(|scope| {
        let run = &run;
        let threads: Vec<_> = workers.into_iter().map(|worker| scope.spawn(move || run(worker))).collect();
        let ends = threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        ends.fold(Ok(()), Result::and)
    })
}

/// What a mutex guards; a thread that panicked with it is told of where it is joined.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_work_is_done_once() {
        let done = Mutex::new(Vec::new());
        let result = share((0..100).collect(), vec![1, 2, 3], |_, task| {
            lock(&done).push(task);
            Ok(())
        });
        let mut done = done.into_inner().expect("no thread panicked");
        done.sort_unstable();
        assert!(result.is_ok() && done == (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn an_error_ends_it_and_is_told() {
        let done = Mutex::new(0);
        let result = share((0..100).collect(), vec![()], |(), task| {
            *lock(&done) += 1;
            if task == 3 { Err(QualityError::NoEmbedding) } else { Ok(()) }
        });
        assert!(matches!(result, Err(QualityError::NoEmbedding)));
        assert_eq!(done.into_inner().expect("no thread panicked"), 4);
    }
}
