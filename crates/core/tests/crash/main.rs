//! What the core keeps to when processes die, at every kill point and at random instants (C1, C2). Built with
//! `--cfg weaveheap_kill_points`, which `cargo xtask test crash` sets; in other builds there is nothing here.
//! `WEAVEHEAP_LONG=1` makes every run a full one.
#![cfg(all(weaveheap_kill_points, target_os = "linux"))]

mod actor;
mod books;
mod create;
mod identity;
mod model;
mod points;
mod random;
mod scenarios;
mod second;
mod stage;

/// Whether the full run was asked for.
fn is_long() -> bool {
    std::env::var("WEAVEHEAP_LONG").is_ok_and(|value| value == "1")
}
