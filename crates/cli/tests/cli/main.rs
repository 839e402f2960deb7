//! The command line as its users meet it: the built program, run on real heaps that this process makes, judged by what it
//! writes and by its status. Heaps that another process sees need Linux.
#![cfg(target_os = "linux")]

mod bad_input;
mod common;
mod doctor;
mod generated;
mod heaps;
mod output;
mod watch;
