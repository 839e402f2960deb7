//! The library as built for users and for tests, the C compilers, and `install`: the folders that pkg-config and CMake find.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::ctx::{Ctx, Tool};

/// A built library.
pub struct Library {
    /// `libweaveheap.so` or `.dylib`.
    pub shared: PathBuf,
    /// `libweaveheap.a`.
    pub archive: PathBuf,
}

/// The library's file name as the compiler of Rust has it.
const SHARED: &str = if cfg!(target_os = "macos") { "libweaveheap.dylib" } else { "libweaveheap.so" };
/// What a program records of it.
pub const SONAME: &str = if cfg!(target_os = "macos") { "libweaveheap.0.dylib" } else { "libweaveheap.so.0" };
/// What the archive needs of the system.
const SYSTEM_LIBS: &[&str] =
    if cfg!(target_os = "macos") { &["-lpthread", "-lm"] } else { &["-lpthread", "-lm", "-ldl", "-lrt", "-lgcc_s"] };

/// What a program includes, and what that includes.
const HEADERS: [&str; 5] =
    ["weaveheap.h", "weaveheap.hpp", "weaveheap/error_code.hpp", "weaveheap/error.hpp", "weaveheap/view.hpp"];

impl Library {
    fn in_folder(folder: &Path) -> Result<Library> {
        let library = Library { shared: folder.join(SHARED), archive: folder.join("libweaveheap.a") };
        for path in [&library.shared, &library.archive] {
            if !path.exists() {
                bail!("{} was not built", path.display());
            }
        }
        Ok(library)
    }

    /// What users get.
    pub fn release(ctx: &Ctx) -> Result<Library> {
        Library::in_folder(&ctx.release_build("weaveheap-capi")?)
    }

    /// The same with debug assertions and what only tests may call, in a folder of its own.
    pub fn for_tests(ctx: &Ctx) -> Result<Library> {
        let target = ctx.target().join("capi").join("cargo");
        let mut command = ctx.cargo();
        command.env("CARGO_TARGET_DIR", &target);
        command.args(["build", "--locked", "--package", "weaveheap-capi", "--features", "test-symbols"]);
        ctx.run("build weaveheap-capi (for tests)", &mut command)?;
        Library::in_folder(&target.join("debug"))
    }
}

/// The C or C++ compiler of the system, with every warning an error.
pub fn compiler(ctx: &Ctx, cxx: bool) -> Result<Command> {
    let tool = if cxx {
        Tool {
            programs: &["g++", "c++", "clang++"],
            packages: &["g++"],
            tests: "the C++ tests",
            remedy: "Install a C++ compiler.",
        }
    } else {
        Tool {
            programs: &["gcc", "cc", "clang"],
            packages: &["gcc"],
            tests: "the C tests",
            remedy: "Install a C compiler.",
        }
    };
    let path = ctx.tool(&tool)?.with_context(|| format!("{}: {}", tool.tests, tool.remedy))?;
    let mut command = Command::new(path);
    command.args(["-Wall", "-Wextra", "-Werror", "-g", "-D_GNU_SOURCE"]);
    Ok(command)
}

/// Lays a library out under a prefix: `lib`, `include`, `lib/pkgconfig`, `lib/cmake/weaveheap`.
pub fn install(ctx: &Ctx, library: &Library, prefix: &Path) -> Result<()> {
    let lib = prefix.join("lib");
    let version = env!("CARGO_PKG_VERSION");
    let real = if cfg!(target_os = "macos") { SONAME.to_owned() } else { format!("libweaveheap.so.{version}") };
    for folder in [lib.join("pkgconfig"), lib.join("cmake/weaveheap"), prefix.join("include/weaveheap")] {
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    copy(&library.shared, &lib.join(&real))?;
    if real != SONAME {
        link(&real, &lib.join(SONAME))?;
    }
    link(SONAME, &lib.join(SHARED))?;
    copy(&library.archive, &lib.join("libweaveheap.a"))?;
    for header in HEADERS {
        copy(&ctx.path("include").join(header), &prefix.join("include").join(header))?;
    }
    let templates = ctx.path("crates/capi/install");
    for (template, folder) in [
        ("weaveheap.pc", "pkgconfig"),
        ("weaveheapConfig.cmake", "cmake/weaveheap"),
        ("weaveheapConfigVersion.cmake", "cmake/weaveheap"),
    ] {
        let path = templates.join(format!("{template}.in"));
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let gap = if template.ends_with(".cmake") { ";" } else { " " };
        let filled = text
            .replace("@VERSION@", version)
            .replace("@SHARED@", &real)
            .replace("@SONAME@", SONAME)
            .replace("@SYSTEM_LIBS@", &SYSTEM_LIBS.join(gap));
        let to = lib.join(folder).join(template);
        std::fs::write(&to, filled).with_context(|| format!("cannot write {}", to.display()))?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    // Removed, not overwritten: a process may have the old library mapped.
    if to.exists() {
        std::fs::remove_file(to).with_context(|| format!("cannot remove {}", to.display()))?;
    }
    std::fs::copy(from, to).map(|_| ()).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}

fn link(to: &str, path: &Path) -> Result<()> {
    // A link of an earlier installation; anything else in the folder is not ours.
    if path.is_symlink() {
        std::fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink(to, path).with_context(|| format!("cannot make {}", path.display()))?;
    #[cfg(not(unix))]
    bail!("the C library cannot be installed on this system: no link {} to {to}", path.display());
    #[cfg(unix)]
    Ok(())
}
