//! What the demo needs: the release builds, a Python environment with pyarrow, the Node packages, the real table, and
//! room in the shared-memory folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::screen;
use crate::ctx::Ctx;
use crate::parts;

/// The programs and files of the demo.
pub struct Programs {
    /// The Rust process.
    pub producer: PathBuf,
    /// The command line.
    pub weaveheap: PathBuf,
    /// The environment's Python, with the package installed.
    pub python: PathBuf,
    /// Node.
    pub node: PathBuf,
    /// The folder of the Python and Node scripts.
    pub folder: PathBuf,
    /// The real table.
    pub parquet: PathBuf,
}

/// Sets everything up; what is there already is not made again.
pub fn ready(ctx: &Ctx) -> Result<Programs> {
    let folder = ctx.path("samples/demo");
    let release = ctx.release_build("weaveheap-demo-producer")?;
    ctx.release_build("weaveheap-cli")?;
    let program = |name: &str| release.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));

    let venv = parts::python::environment(ctx, &ctx.any_python()?)?;
    parts::node::setup(ctx)?;
    ctx.npm_ci(&folder)?;
    let parquet = folder.join("node_modules/vega-datasets/data/flights-3m.parquet");
    if !parquet.is_file() {
        bail!("{} is missing: remove samples/demo/node_modules and run this again", parquet.display());
    }
    Ok(Programs {
        producer: program("weaveheap-demo-producer"),
        weaveheap: program("weaveheap"),
        python: venv.python,
        node: ctx.node()?,
        folder,
        parquet,
    })
}

/// An error if the table does not fit into the folder of shared heaps.
pub fn check_room(programs: &Programs, size: u64) -> Result<()> {
    let output = Command::new(&programs.producer).arg("folder").output().context("cannot run the producer")?;
    let folder = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    // Whole batches, the heap's tables, and the producer's last chunk.
    let needed = size + (16 << 20);
    match room(&folder) {
        Some(room) if room < needed => bail!("{}", too_small(&folder, room, needed)),
        _ => Ok(()),
    }
}

fn too_small(folder: &Path, room: u64, needed: u64) -> String {
    let smaller =
        if room > 48 << 20 { format!("run it with --size {}M, or ", (room - (32 << 20)) >> 20) } else { String::new() };
    format!(
        "the shared-memory folder {} has room for {}, and the demo needs {}: {smaller}give it more room (in a container: \
         --shm-size={}m; on a host: mount -o remount,size=...), or name another folder in WEAVEHEAP_DIR",
        folder.display(),
        screen::bytes(room),
        screen::bytes(needed),
        (needed >> 20) + 64,
    )
}

/// Free bytes of the file system that a folder is on, or will be.
#[cfg(unix)]
fn room(folder: &Path) -> Option<u64> {
    use std::os::unix::ffi::OsStrExt;
    let there = folder.ancestors().find(|ancestor| ancestor.is_dir())?;
    let path = std::ffi::CString::new(there.as_os_str().as_bytes()).ok()?;
    let mut stat = std::mem::MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: `path` is a C string that lives until after the call, and `stat` is a place for the answer; all its
    // bytes are initialised, and any bytes make a valid `statvfs`.
    let stat = unsafe {
        if libc::statvfs(path.as_ptr(), stat.as_mut_ptr()) != 0 {
            return None;
        }
        stat.assume_init()
    };
    #[allow(clippy::unnecessary_cast, reason = "the fields have other types on other systems")]
    Some(stat.f_bavail as u64 * stat.f_frsize as u64)
}

#[cfg(not(unix))]
fn room(_folder: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::too_small;

    #[test]
    fn too_little_room_names_what_would_fit_and_what_to_set() {
        let text = too_small(Path::new("/dev/shm/x"), 64 << 20, (1 << 30) + (16 << 20));
        for part in ["/dev/shm/x", "64.00 MiB", "1.02 GiB", "--size 32M", "--shm-size=1104m", "WEAVEHEAP_DIR"] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(!too_small(Path::new("/x"), 1 << 20, 1 << 30).contains("--size "));
    }
}
