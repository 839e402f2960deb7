//! The project's own commands: `cargo xtask demo | test | bench | fuzz | check | setup | gen | install |
//! component | web | picture`.

mod bench;
mod check;
mod ctx;
mod demo;
mod generate;
mod parts;
mod picture;
mod test;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};

use ctx::Ctx;

/// The project's own commands. Each sets up what it needs.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    /// Show what the commands that are run print, as it comes.
    #[arg(long, short, global = true)]
    verbose: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Hand one real table from Rust to Python to Node through a shared heap, and prove that nothing was copied.
    Demo {
        /// The size of the table, like 64M or 1G.
        #[arg(long, default_value = "1G", value_parser = demo::parse_size)]
        size: u64,
    },
    /// Run every test, or those of some parts.
    Test {
        /// In full, as far as a part has more than the short run shows.
        #[arg(long)]
        long: bool,
        /// The parts; all of them if none is named.
        #[arg(value_name = "PART", value_parser = test::part_names())]
        parts: Vec<String>,
    },
    /// Measure every row of the target table beside its peer, or some rows.
    Bench {
        /// The rows; all of them if none is named. `memory` and `instructions` are measured alone.
        #[arg(value_name = "ROW", value_parser = bench::names())]
        rows: Vec<String>,
        /// Fewer rounds, for a first look.
        #[arg(long)]
        quick: bool,
        /// Measure how costs grow, and draw the curves of `docs/growth.md`.
        #[arg(long)]
        growth: bool,
        /// Write the table into `benches/README.md`, or with `instructions` pin the counts.
        #[arg(long)]
        write: bool,
    },
    /// Run one fuzz target; what it finds is written where its last lines say.
    Fuzz {
        /// The target.
        #[arg(value_name = "TARGET", value_parser = parts::fuzz::names())]
        target: String,
        /// How long, building not counted.
        #[arg(long, default_value_t = 3600)]
        seconds: u64,
        /// Add what reaches new code to the committed corpus, and make that as small as it can be.
        #[arg(long)]
        write: bool,
    },
    /// Check what needs no test: generated files, format, lints, paths of this machine, other systems.
    Check,
    /// Install and build what the demo and the packages need, so that the other commands start at once.
    Setup,
    /// Write the files that are generated.
    Gen,
    /// Build the C library and lay it out under a folder, as pkg-config and CMake look for it.
    Install {
        /// The folder; what it holds of an earlier installation is replaced.
        prefix: std::path::PathBuf,
    },
    /// Build the component of WebAssembly.
    Component {
        /// The file to write.
        file: std::path::PathBuf,
    },
    /// Build the sample page of `samples/web`, and serve it until Ctrl-C.
    Web {
        /// Where, on this machine alone; 0 takes any that is free.
        #[arg(long, default_value_t = 8080)]
        port: u16,
    },
    /// Draw the demo's output for the README.
    Picture {
        /// The size of the table, like 64M or 1G.
        #[arg(long, default_value = "1G", value_parser = demo::parse_size)]
        size: u64,
    },
}

/// The names of the commands.
fn command_names() -> Vec<String> {
    Cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect()
}

fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<std::process::ExitCode> {
    let ctx = Ctx::new(cli.verbose)?;
    match cli.command {
        Command::Test { long, parts } => {
            ctx.set_long(long);
            return test::run(&ctx, &parts);
        }
        Command::Bench { rows, quick, growth, write } => {
            bench::run(&ctx, &bench::Options { rows, quick, growth, write })?;
        }
        Command::Fuzz { target, seconds, write } => parts::fuzz::run(&ctx, &target, seconds, write)?,
        Command::Demo { size } => demo::run(&ctx, demo::Options { size })?,
        Command::Picture { size } => picture::draw(&ctx, size)?,
        Command::Install { prefix } => parts::capi::install(&ctx, &prefix)?,
        Command::Component { file } => parts::component::write(&ctx, &file)?,
        Command::Web { port } => parts::web::serve(&ctx, port)?,
        Command::Check => check::run(&ctx)?,
        Command::Setup => {
            demo::ready(&ctx)?;
            println!("Ready. `cargo xtask demo` shows what WeaveHeap does, `cargo xtask test` runs every test.");
        }
        Command::Gen => {
            for path in generate::write(&ctx)? {
                println!("wrote {}", path.display());
            }
        }
    }
    Ok(std::process::ExitCode::SUCCESS)
}
