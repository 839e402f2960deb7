//! What the standard library and `getrandom` give wherever there is an operating system.

use std::io;
use std::time::Duration;

pub(crate) use std::sync::Mutex;
pub(crate) use std::time::Instant;

/// Whether there is one thread only, so that nothing changes while it waits.
pub(crate) const ALONE: bool = false;

/// Whether a process may be a copy of another, with what that one had.
pub(crate) const FORKS: bool = true;

/// Whether free memory can go back to the system.
pub(crate) const GIVES_BACK: bool = true;

/// What the system says of an error.
pub(crate) fn reason(error: &io::Error) -> String {
    error.to_string()
}

/// Random bytes.
pub(crate) fn random(bytes: &mut [u8]) -> io::Result<()> {
    getrandom::fill(bytes).map_err(io::Error::other)
}

/// Does nothing for so long.
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// How long a wait may go on, without end if it has no deadline; zero once it is over. An error where it must not begin.
pub(crate) fn time_left(deadline: Option<Instant>) -> crate::error::Result<Duration> {
    Ok(deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now())))
}
