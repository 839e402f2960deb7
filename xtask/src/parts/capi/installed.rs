//! The installed library as users meet it: pkg-config, CMake, the samples, and what its binaries say about themselves.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::build::{Library, SONAME, compiler};
use super::suite::files;
use crate::ctx::{Counts, Ctx, Tool, home};

fn passed(ctx: &Ctx, what: &str) {
    eprintln!("  {what}");
    ctx.count(Counts { passed: 1, ..Counts::default() });
}

/// The samples in C and C++, and the smallest programs, built with what pkg-config says.
pub fn by_pkg_config(ctx: &Ctx, prefix: &Path) -> Result<()> {
    let tool = Tool {
        programs: &["pkg-config", "pkgconf"],
        packages: &["pkg-config"],
        tests: "the C and C++ samples by pkg-config",
        remedy: "Install pkg-config.",
    };
    let Some(pkg_config) = ctx.tool(&tool)? else { return Ok(()) };
    let mut command = Command::new(pkg_config);
    command.args(["--cflags", "--libs", concat!("weaveheap = ", env!("CARGO_PKG_VERSION"))]);
    command.env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"));
    let flags = ctx.output("pkg-config weaveheap", &mut command)?;
    let folder = ctx.target().join("capi").join("samples");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut sources = files(&ctx.path("samples/c"), "c", &[])?;
    sources.push(ctx.path("crates/capi/tests/install/main.c"));
    sources.extend(files(&ctx.path("samples/cpp"), "cc", &[])?);
    sources.push(ctx.path("crates/capi/tests/install/header.cc"));
    for source in sources {
        let name = source.file_name().context("a source without a name")?.to_string_lossy().into_owned();
        let binary = folder.join(&name).with_extension(if name.ends_with(".cc") { "cc.out" } else { "c.out" });
        let cxx = name.ends_with(".cc");
        let mut compile = compiler(ctx, cxx)?;
        compile
            .args([if cxx { "-std=c++17" } else { "-std=c11" }, "-Wpedantic"])
            .arg(&source)
            .args(flags.split_whitespace())
            .arg("-o")
            .arg(&binary);
        ctx.run(&format!("compile {name} by pkg-config"), &mut compile)?;
        let variable = if cfg!(target_os = "macos") { "DYLD_LIBRARY_PATH" } else { "LD_LIBRARY_PATH" };
        let output = ctx.output(&name, Command::new(&binary).env(variable, prefix.join("lib")))?;
        let expected = expected_output(&source)?;
        if let Some(line) = expected.iter().find(|line| !output.contains(line.as_str())) {
            bail!("{name}: expected a line with {line:?}, it printed:\n{output}");
        }
        passed(ctx, &format!("{name} prints what it should"));
    }
    Ok(())
}

/// What a sample prints, in part: `buffer.out` beside `buffer.c`, a line each. The smallest programs print nothing.
fn expected_output(source: &Path) -> Result<Vec<String>> {
    let path = source.with_extension("out");
    if source.ends_with("install/main.c") || source.ends_with("install/header.cc") {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// A project that finds the library with `find_package`, in C and C++, shared and static.
pub fn by_cmake(ctx: &Ctx, prefix: &Path) -> Result<()> {
    let tool = Tool {
        programs: &["cmake"],
        packages: &["cmake", "make"],
        tests: "the CMake package",
        remedy: "Install CMake 3.16 or later.",
    };
    let Some(cmake) = ctx.tool(&tool)? else { return Ok(()) };
    let build = ctx.target().join("capi").join("cmake");
    if build.exists() {
        std::fs::remove_dir_all(&build).with_context(|| format!("cannot remove {}", build.display()))?;
    }
    let mut configure = Command::new(&cmake);
    configure.arg("-S").arg(ctx.path("crates/capi/tests/install")).arg("-B").arg(&build);
    configure.arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display()));
    ctx.run("cmake find_package(weaveheap)", &mut configure)?;
    ctx.run("cmake --build", Command::new(&cmake).arg("--build").arg(&build))?;
    for name in ["shared_c", "static_c", "shared_cxx", "shared_hpp", "static_hpp"] {
        // Cargo's own path would go before the one that CMake linked.
        ctx.run(name, Command::new(build.join(name)).env_remove("LD_LIBRARY_PATH"))?;
        passed(ctx, &format!("{name} by find_package runs"));
    }
    Ok(())
}

/// SONAME and `nodelete` are set, and no path of this machine is in the binaries.
pub fn binaries(ctx: &Ctx, library: &Library) -> Result<()> {
    if cfg!(target_os = "linux") {
        let dynamic = ctx.output("readelf -d", Command::new("readelf").arg("-dW").arg(&library.shared))?;
        for words in [format!("[{SONAME}]"), "NODELETE".to_owned()] {
            if !dynamic.contains(&words) {
                bail!("{} lacks {words} in its dynamic section", library.shared.display());
            }
        }
        passed(ctx, "SONAME and nodelete are set");
    }
    let mut paths = vec![ctx.root().to_owned(), ctx.target().to_owned()];
    paths.extend(home().filter(|home| home.components().count() > 1));
    for file in [&library.shared, &library.archive] {
        let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        for path in &paths {
            let path = path.to_string_lossy();
            // With what follows a path in a longer one, or "/root" would be found in "/rootless".
            let needle = format!("{path}/").into_bytes();
            if let Some(at) = find(&bytes, &needle) {
                let end = (at + 120).min(bytes.len());
                bail!("{} names this machine's {path}: {}", file.display(), String::from_utf8_lossy(&bytes[at..end]));
            }
        }
    }
    passed(ctx, "no path of this machine is in the binaries");
    Ok(())
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    while let Some(step) = bytes[from..].iter().position(|byte| *byte == first) {
        from += step;
        if bytes[from..].starts_with(needle) {
            return Some(from);
        }
        from += 1;
    }
    None
}
