//! Threads that compute give way to those that answer.
//!
//! Long queries keep every core busy. Were all threads alike, a short answer would wait for its turn behind them, several
//! times over. Where nothing waits, those that give way are as fast as any.

use std::cell::Cell;

/// How nice a computing thread is: it gets a ninth of what one that answers gets, when both want all of a core.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

thread_local! {
    static GIVES_WAY: Cell<bool> = const { Cell::new(false) };
}

/// Has this thread give way from now on, and those that it starts. It can't be taken back without privileges, so that
/// threads that serve requests never call it.
pub(crate) fn give_way() {
    if GIVES_WAY.replace(true) {
        return;
    }
    // Elsewhere it is the whole process that gets nicer.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(error = %error, "a computing thread doesn't give way");
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    fn nice() -> i32 {
        rustix::process::getpriority_process(None).unwrap()
    }

    #[test]
    fn only_a_thread_that_computes_gives_way_and_those_it_starts() {
        let before = nice();
        let (own, started) = std::thread::spawn(|| {
            give_way();
            (nice(), std::thread::spawn(nice).join().unwrap())
        })
        .join()
        .unwrap();
        assert_eq!((own, started), (NICE, NICE));
        assert_eq!(nice(), before, "who started it stays as it is");
    }
}
