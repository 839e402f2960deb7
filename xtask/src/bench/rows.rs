//! The target table: each row with its peer, its target, and the program that measures it.

/// What measures a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `weaveheap-bench`, alone.
    Rust,
    /// `weaveheap-bench-handoff`.
    Handoff,
    /// `weaveheap-bench`, with the C library and a loop in C.
    C,
    /// `weaveheap-bench`, with the core in two libraries, one of them without counters.
    Counters,
    /// `benches/python/rows.py`.
    Python,
    /// `benches/node/rows.mjs`.
    Node,
    /// `benches/node/wasm.mjs`.
    Wasm,
    /// `cargo xtask demo`.
    Demo,
}

impl Program {
    /// All, in the order in which they run.
    pub const ALL: [Program; 8] = [
        Program::Rust,
        Program::Handoff,
        Program::C,
        Program::Counters,
        Program::Python,
        Program::Node,
        Program::Wasm,
        Program::Demo,
    ];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Program::Rust => "rust",
            Program::Handoff => "handoff",
            Program::C => "c",
            Program::Counters => "counters",
            Program::Python => "python",
            Program::Node => "node",
            Program::Wasm => "wasm",
            Program::Demo => "demo",
        }
    }
}

/// One row.
pub struct Row {
    /// Its name on the command line and in the report.
    pub name: &'static str,
    /// What is measured.
    pub what: &'static str,
    /// What it is measured against.
    pub peer: &'static str,
    /// The ratio of ours to the peer's that is wanted at most.
    pub target: f64,
    /// What measures it.
    pub by: Program,
}

const fn row(name: &'static str, by: Program, target: f64, what: &'static str, peer: &'static str) -> Row {
    Row { name, what, peer, target, by }
}

/// All rows.
pub const ROWS: &[Row] = &[
    row(
        "borrow_shared",
        Program::Rust,
        1.5,
        "shared borrow and end, 1,000 hot buffers",
        "compare-and-swap pair over 1,000 lines",
    ),
    row(
        "borrow_shared_2t",
        Program::Rust,
        1.2,
        "the same, two threads, distinct buffers of one region",
        "ours, one thread",
    ),
    row("borrow_shared_2t_peer", Program::Rust, 0.8, "the same, two threads", "sharded-slab, two threads"),
    row(
        "borrow_unique",
        Program::Rust,
        1.5,
        "unique borrow and end, 1,000 hot buffers",
        "compare-and-swap and store over 1,000 lines",
    ),
    row("stale", Program::Rust, 2.5, "borrow of a freed buffer, refused", "slotmap, `get` of a removed key"),
    row("alloc_free_64", Program::Rust, 2.8, "64 B allocated and freed", "mimalloc"),
    row("alloc_free_4k_batch", Program::Rust, 0.6, "4 KiB, 1,000 allocated, then freed", "mimalloc"),
    row("alloc_free_1m_batch", Program::Rust, 0.2, "1 MiB, 100 allocated, then freed", "mimalloc"),
    row(
        "alloc_borrow_free",
        Program::Rust,
        1.0,
        "64 B allocated, borrowed, ended, freed",
        "SlotMap<Box<[u8]>>, insert, get, remove",
    ),
    row("fill_reset", Program::Rust, 1.75, "10,000 x 64 B into a region, reset", "bumpalo"),
    row("alloc_2t", Program::Rust, 1.3, "64 B into one region, two threads, each", "ours, one thread"),
    row("close_1m", Program::Rust, 0.5, "close of a region of 1,000,000 buffers", "mimalloc, `mi_heap_destroy`"),
    row("close_growth", Program::Rust, 5.0, "close of 1,000,000 buffers", "ours, 10,000 buffers"),
    row("borrow_growth", Program::Rust, 2.0, "shared borrow, 10,000,000 live buffers in order", "ours, 1,000 buffers"),
    row("attach_growth", Program::Rust, 1.5, "attaching a heap of 10 GiB, populated", "ours, 10 MiB"),
    row("capi_borrow", Program::C, 1.5, "shared borrow and end from C, with a checked token", "ours, guards in Rust"),
    row("recover", Program::Rust, 1.0, "10,000 borrows of a killed process: a fresh one opens the heap", "100 ms"),
    row("counters", Program::Counters, 1.05, "64 B allocated and freed, with counters", "ours, built without"),
    row("py_memoryview", Program::Python, 1.3, "Python: `memoryview(buffer)`, released", "`memoryview(bytearray)`"),
    row("py_frombuffer", Program::Python, 1.5, "Python: `np.frombuffer(buffer)`", "`np.frombuffer(bytes)`"),
    row("node_view", Program::Node, 1.2, "Node: borrow, view, read a byte, end: 64 MiB", "ours, 4 KiB"),
    row("node_copy", Program::Node, 0.05, "Node: the same, 1 MiB", "`Buffer.from` of 1 MiB"),
    row(
        "wasm_borrow",
        Program::Wasm,
        10.0,
        "WebAssembly: 64 B borrowed, viewed, a byte read, ended",
        "`new Uint8Array` of 64 B",
    ),
    row("wasm_borrow_vec", Program::Wasm, 2.0, "WebAssembly: the same", "wasm-bindgen, `Vec<u8>` of 64 B in and out"),
    row("wasm_alloc", Program::Wasm, 5.0, "WebAssembly: 64 B allocated and freed", "`new Uint8Array` of 64 B"),
    row("wasm_alloc_vec", Program::Wasm, 1.0, "WebAssembly: the same", "wasm-bindgen, `Vec<u8>` of 64 B in and out"),
    row("wasm_in_out", Program::Wasm, 1.2, "WebAssembly: 1 MiB into the heap and out", "`slice` of 1 MiB, twice"),
    row("wasm_in_out_vec", Program::Wasm, 1.2, "WebAssembly: the same", "wasm-bindgen, `Vec<u8>` of 1 MiB in and out"),
    row(
        "handoff_iceoryx2",
        Program::Handoff,
        0.5,
        "handle of 1 MiB from process to process and back, spinning",
        "iceoryx2, 1 MiB",
    ),
    row("handoff_growth", Program::Handoff, 1.1, "the same with 1 GiB", "ours, 64 B"),
    row(
        "handoff_pickle",
        Program::Python,
        0.001,
        "Python to Python, 64 MiB, one way: published, and looked up by who sleeps until then",
        "pickle through `multiprocessing.Pipe`",
    ),
    row("demo_json", Program::Demo, 0.02, "the demo's table to Node", "the same rows as JSON"),
];

#[cfg(test)]
mod tests {
    use super::ROWS;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ROWS.len());
    }
}
