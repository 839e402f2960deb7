//! Syntax: what can be typed. The one definition that parsing, help, completions and man pages come from. It gives
//! words their places and no meaning: that is `meaning.rs`.

use std::path::PathBuf;
use std::sync::OnceLock;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};

/// See, check and remove heaps while programs use them.
///
/// A heap is named in one of three ways: by its name (HEAP), by its file (--path), or, for a private heap that was
/// made with `inspect` or under WEAVEHEAP_INSPECT=1, by the id of its process (--pid). `stats`, `viz`, `who` and `list`
/// only read: nobody is stopped, and nothing in the heap changes.
#[derive(Debug, Parser)]
#[command(
    name = "weaveheap",
    version = version_line(),
    arg_required_else_help = true,
    after_help = "Status: 0 when all went well, 1 when an operation failed, 2 when the command was not understood.\n\
                  Environment: WEAVEHEAP_DIR is the folder of shared heaps, NO_COLOR turns colours off."
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,

    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t = ColorWhen::Auto, value_name = "WHEN")]
    pub color: ColorWhen,

    /// Fit the output to this many columns instead of the terminal's
    #[arg(long, global = true, value_name = "COLUMNS", value_parser = clap::value_parser!(u16).range(20..))]
    pub width: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    /// When the output is a terminal and NO_COLOR is not set
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Look at this machine: tools, shared memory, limits, heaps left behind
    ///
    /// Every finding comes with what to do about it. The status is 1 if something that is needed is missing: the
    /// shared-memory folder, its room, address space, and whatever --need names.
    Doctor {
        /// Treat these tools as needed, not as optional
        #[arg(long, value_enum, value_delimiter = ',', value_name = "TOOL")]
        need: Vec<Need>,
        /// Write JSON
        #[arg(long)]
        json: bool,
    },
    /// List the shared heaps in the folder, or the private ones of a process
    List {
        /// List the private heaps of this process instead
        #[arg(long, value_name = "PID")]
        pid: Option<u32>,
        /// Write JSON
        #[arg(long)]
        json: bool,
    },
    /// Show counters, regions, attachments and holders; of all heaps if none is named
    Stats {
        #[command(flatten)]
        heap: HeapArgs,
        #[command(flatten)]
        watch: WatchArgs,
        /// Write JSON: one object for a heap, an array for several; with --watch one line each time
        #[arg(long)]
        json: bool,
    },
    /// Draw the memory: regions, buffers, borrow states and holders; of all heaps if none is named
    Viz {
        #[command(flatten)]
        heap: HeapArgs,
        #[command(flatten)]
        watch: WatchArgs,
        /// Show every region and every buffer, not only the most telling ones
        #[arg(long)]
        all: bool,
        /// Write JSON: as `stats`, with the buffers in their regions
        #[arg(long)]
        json: bool,
    },
    /// Show who holds borrows of a buffer, or of any buffer of a region
    #[command(allow_missing_positional = true)]
    Who {
        #[command(flatten)]
        heap: OneHeapArgs,
        /// The buffer or region, in text form: b17:2043 or r3:77
        #[arg(value_name = "HANDLE", required = true)]
        handle: String,
        /// Write JSON: an array of holders
        #[arg(long)]
        json: bool,
    },
    /// Attach to a heap, recover what dead processes held, and verify everything in it
    ///
    /// Private heaps (--pid) cannot be attached to: they are verified from outside, as a shared one is with --read-only.
    Check {
        #[command(flatten)]
        heap: OneHeapArgs,
        /// Verify from outside: attach to nothing, recover nothing, change nothing
        #[arg(long)]
        read_only: bool,
        /// Write JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove a heap's file; processes that are attached keep their memory
    Remove {
        #[command(flatten)]
        heap: OneHeapArgs,
    },
    /// Write a completion script for a shell to standard output
    Completions {
        #[arg(value_enum, value_name = "SHELL")]
        shell: Shell,
    },
    /// Write the man pages into a folder
    Man {
        /// An existing folder
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}

/// One heap, or all of the folder.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("target").multiple(false))]
pub struct HeapArgs {
    /// The name of a shared heap
    #[arg(value_name = "HEAP", group = "target")]
    pub name: Option<String>,
    /// The file of a shared heap
    #[arg(long, value_name = "FILE", group = "target")]
    pub path: Option<PathBuf>,
    /// The process of private heaps made with `inspect`
    #[arg(long, value_name = "PID", group = "target")]
    pub pid: Option<u32>,
}

/// Exactly one way to a heap.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("target").multiple(false).required(true))]
pub struct OneHeapArgs {
    /// The name of a shared heap
    #[arg(value_name = "HEAP", group = "target")]
    pub name: Option<String>,
    /// The file of a shared heap
    #[arg(long, value_name = "FILE", group = "target")]
    pub path: Option<PathBuf>,
    /// The process of private heaps made with `inspect`
    #[arg(long, value_name = "PID", group = "target")]
    pub pid: Option<u32>,
}

#[derive(Args, Debug)]
pub struct WatchArgs {
    /// Show it again every so many seconds (1 if none are given), until Ctrl-C
    #[arg(long, short, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1")]
    pub watch: Option<String>,
}

/// What `doctor --need` can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub enum Need {
    Rust,
    C,
    Node,
    Python,
    Go,
    Java,
    Swift,
    Zig,
    Wasm,
    Android,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// `--version`: the program's version and the layout of the heaps that it reads (F5).
pub fn version_line() -> &'static str {
    static LINE: OnceLock<String> = OnceLock::new();
    LINE.get_or_init(|| format!("{} (segment layout {})", env!("CARGO_PKG_VERSION"), weaveheap_core::LAYOUT_VERSION))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn who_takes_the_heap_before_the_handle_or_by_option() {
        let parse = |words: &[&str]| Cli::try_parse_from([&["weaveheap", "who"], words].concat());
        let Command::Who { heap, handle, .. } = parse(&["flights", "b1:3"]).unwrap().command else { panic!() };
        assert_eq!((heap.name.as_deref(), handle.as_str()), (Some("flights"), "b1:3"));
        let Command::Who { heap, handle, .. } = parse(&["--pid", "7", "b1:3"]).unwrap().command else { panic!() };
        assert_eq!((heap.name, heap.pid, handle.as_str()), (None, Some(7), "b1:3"));
        assert!(parse(&["b1:3"]).is_err(), "a handle without a heap");
        assert!(parse(&["flights", "--pid", "7", "b1:3"]).is_err(), "two heaps");
    }
}
