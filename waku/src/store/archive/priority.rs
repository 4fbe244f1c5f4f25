//! Work that gives way to relaying.

use std::panic::resume_unwind;
use std::thread;

use tokio::task::{JoinError, spawn_blocking};

/// The thread's nice value. Where everything is busy, it gets a third of what a thread of the relay gets.
#[cfg(target_os = "linux")]
const NICE: i32 = 5;

/// Runs `work` on a thread of its own that gives way to every other of the node. On systems that have priorities for
/// processes only it is a thread like the others.
pub(super) async fn giving_way<T: Send + 'static>(
    work: impl Fn() -> T + Send + Sync + 'static,
) -> Result<T, JoinError> {
    // A thread that has given way cannot take it back without privileges, so it is none of the runtime's. The
    // runtime's waits for it, and so knows that something is under way.
    spawn_blocking(move || {
        thread::scope(|scope| {
            let builder = thread::Builder::new().name("archive".to_owned());
            let thread = builder.spawn_scoped(scope, || {
                give_way();
                work()
            });
            // Where there is no thread left, one of the runtime's does it.
            thread
                .map_or_else(|_| work(), |thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
        })
    })
    .await
}

/// Lowers the priority of the calling thread; that it stays as it is does no harm.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "the archive's priority stays");
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::getpriority_process;

    use super::*;

    #[tokio::test]
    async fn work_gives_way_and_its_caller_does_not() {
        let before = getpriority_process(None).unwrap();
        let during = giving_way(|| getpriority_process(None).unwrap()).await.unwrap();
        assert_eq!(during, before.max(NICE));
        assert_eq!(spawn_blocking(|| getpriority_process(None).unwrap()).await.unwrap(), before);
    }

    #[tokio::test]
    async fn a_panic_in_the_work_is_told() {
        assert!(giving_way(|| panic!("a driver panics")).await.unwrap_err().is_panic());
    }
}
