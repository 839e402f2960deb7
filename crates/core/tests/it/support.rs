//! What the integration tests share: heaps and places of their own.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use weaveheap_core::{ErrorCode, Heap, HeapOptions};

/// The root of the checkout.
#[cfg_attr(target_family = "wasm", allow(dead_code, reason = "there are no files"))]
pub fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).expect("the crate is two folders deep").to_owned()
}

/// 24 characters that no other test has.
pub fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let now = std::time::UNIX_EPOCH.elapsed().expect("a clock after 1970").as_nanos() as u64;
    let count = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("t{:07x}{:04x}{:012x}", std::process::id() & 0xfff_ffff, count & 0xffff, now & 0xffff_ffff_ffff)
}

/// A folder that is removed with all that is in it.
pub struct TempDir(PathBuf);

impl TempDir {
    pub fn new() -> TempDir {
        let path = std::env::temp_dir().join(format!("weaveheap-it-{}", unique()));
        std::fs::create_dir(&path).expect("a folder of our own");
        TempDir(path)
    }

    #[cfg_attr(target_family = "wasm", allow(dead_code, reason = "there are no files"))]
    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Whether this system has shared heaps.
pub const SHARED: bool = cfg!(target_os = "linux");

/// A private heap and, where there are such, a shared one with the folder of its file.
pub fn heaps() -> Vec<(Heap, Option<TempDir>)> {
    let mut heaps = vec![(Heap::private().expect("a heap"), None)];
    if SHARED {
        let shared = SharedHeap::new();
        heaps.push((shared.heap, Some(shared.folder)));
    }
    heaps
}

/// A shared heap in a file that goes with it.
pub struct SharedHeap {
    pub heap: Heap,
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "only shared heaps are opened again"))]
    pub path: PathBuf,
    folder: TempDir,
}

impl SharedHeap {
    pub fn new() -> SharedHeap {
        SharedHeap::with(Heap::options().limit(1 << 30))
    }

    pub fn with(options: HeapOptions) -> SharedHeap {
        let folder = TempDir::new();
        let path = folder.join("heap");
        // SAFETY: the tests share the heap with processes of their own, which follow the protocol.
        let heap = unsafe { options.create_path(&path) }.expect("a shared heap");
        SharedHeap { heap, path, folder }
    }
}

/// Another attachment to a heap in a file.
#[cfg(target_os = "linux")]
pub fn open(path: &Path) -> Heap {
    // SAFETY: as for `SharedHeap::with`.
    unsafe { Heap::options().open_path(path) }.expect("the heap opens")
}

/// The code of an error that must have come.
pub fn code<T>(result: weaveheap_core::Result<T>) -> ErrorCode {
    match result {
        Ok(_) => panic!("an error is expected, and it succeeded"),
        Err(error) => error.code(),
    }
}

/// Waits until this is so.
#[cfg(target_os = "linux")]
pub fn wait_for(what: &str, mut so: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !so() {
        assert!(start.elapsed() < std::time::Duration::from_secs(30), "never: {what}");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}
