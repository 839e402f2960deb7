//! The `weaveheap` program: see, check and remove heaps while programs use them.
//!
//! Three layers: `syntax` says what can be typed, `meaning` what it asks for, and one file for each command does it.
//! What commands show is built as lines of text in `screen` and `table`, apart from where it goes.

mod check;
mod doctor;
mod fail;
mod generate;
mod human;
mod list;
mod meaning;
mod remove;
mod screen;
mod stats;
mod syntax;
mod table;
mod target;
mod viz;
mod watch;
mod who;

#[cfg(test)]
mod sample;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use crate::meaning::Job;
use crate::screen::Screen;

fn main() -> ExitCode {
    let cli = syntax::Cli::parse();
    let outcome = match meaning::understand(cli) {
        Ok((job, screen)) => execute(job, screen),
        Err(usage) => Err(usage.into()),
    };
    match outcome {
        Ok(status) => ExitCode::from(status),
        Err(error) => match fail::status(&error) {
            Some(status) => {
                eprintln!("{}", fail::line(&error));
                ExitCode::from(status)
            }
            None => ExitCode::SUCCESS,
        },
    }
}

/// Does what was asked for, and gives the status.
fn execute(job: Job, screen: Screen) -> Result<u8> {
    match job {
        Job::Doctor { needs, json } => doctor::run(&needs, json, &screen),
        Job::List { process, json } => list::run(process, json, &screen),
        Job::Stats { target, pace, json } => stats::run(&target, pace, json, screen),
        Job::Viz { target, pace, all, json } => viz::run(&target, pace, all, json, screen),
        Job::Who { target, handle, json } => who::run(&target, handle, json, &screen),
        Job::Check { target, read_only, json } => check::run(&target, read_only, json),
        Job::Remove { target } => remove::run(&target),
        Job::Completions { shell } => generate::completions(shell),
        Job::Man { folder } => generate::man(&folder),
    }
}
