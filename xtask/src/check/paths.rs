//! What goes to others says nothing of the machine that made it: no file of the project and no built binary holds the
//! path of the checkout, of the target folder or of the user's home, and no file names a package registry's host.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::ctx::{Ctx, home};

/// The hosts, in two pieces, so that this file holds none.
const HOSTS: [(&str, &str); 8] = [
    ("registry.npmjs", "org"),
    ("registry.yarnpkg", "com"),
    ("pypi", "org/simple"),
    ("files.pythonhosted", "org"),
    ("index.crates", "io"),
    ("static.crates", "io"),
    ("deb.debian", "org"),
    ("proxy.golang", "org"),
];

/// The packages whose binaries are looked at here, and what each leaves in the release folder. The parts `python` and
/// `node` look at what they pack.
const BINARIES: [(&str, &[&str]); 2] = [
    ("weaveheap-capi", &["libweaveheap.so", "libweaveheap.a", "libweaveheap.dylib", "weaveheap.dll"]),
    ("weaveheap-cli", &["weaveheap", "weaveheap.exe"]),
];

/// Looks through the tracked files and the release builds.
pub fn check(ctx: &Ctx) -> Result<()> {
    let places: Vec<PathBuf> =
        [Some(ctx.root().to_owned()), Some(ctx.target().to_owned()), home()].into_iter().flatten().collect();
    let paths: Vec<Vec<u8>> = needles(&places);
    let mut texts = paths.clone();
    texts.extend(HOSTS.iter().map(|(name, end)| format!("{name}.{end}").into_bytes()));

    let mut found = Vec::new();
    for file in tracked(ctx)? {
        // A file that is deleted in the work tree is still tracked.
        let Ok(content) = std::fs::read(ctx.path(&file)) else { continue };
        found.extend(matches(&content, &texts).map(|text| format!("{file} holds {text}")));
    }
    for (package, files) in BINARIES {
        let folder = ctx.release_build(package)?;
        let built: Vec<PathBuf> = files.iter().map(|file| folder.join(file)).filter(|path| path.is_file()).collect();
        if built.is_empty() {
            bail!("the release build of {package} left none of {}", files.join(", "));
        }
        for path in built {
            let content = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            found.extend(matches(&content, &paths).map(|text| format!("{name} holds {text}")));
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    found.truncate(20);
    bail!("paths of this machine or hosts of registries: {}", found.join("; "))
}

/// The paths as they would stand in a file, followed by a separator. The root folder itself is no path of a machine.
fn needles(places: &[PathBuf]) -> Vec<Vec<u8>> {
    let long = places.iter().filter(|place| place.components().count() > 1);
    long.map(|place| format!("{}{}", place.display(), std::path::MAIN_SEPARATOR).into_bytes()).collect()
}

fn matches<'a>(content: &'a [u8], needles: &'a [Vec<u8>]) -> impl Iterator<Item = String> + 'a {
    needles.iter().filter(|needle| holds(content, needle)).map(|needle| String::from_utf8_lossy(needle).into_owned())
}

/// True if the text stands in the content as a path or host of its own, not as the end of a longer word.
fn holds(content: &[u8], needle: &[u8]) -> bool {
    let Some((first, rest)) = needle.split_first() else { return false };
    let mut from = 0;
    while let Some(at) = content[from..].iter().position(|byte| byte == first) {
        let start = from + at;
        let before = start.checked_sub(1).and_then(|index| content.get(index));
        if content[start + 1..].starts_with(rest) && !before.is_some_and(|byte| byte.is_ascii_alphanumeric()) {
            return true;
        }
        from = start + 1;
    }
    false
}

fn tracked(ctx: &Ctx) -> Result<Vec<String>> {
    let mut command = Command::new("git");
    command.current_dir(ctx.root()).args(["ls-files", "-z"]);
    let output = command.output().context("cannot run git")?;
    if !output.status.success() {
        bail!("git ls-files failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let names = output.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(names.map(|name| String::from_utf8_lossy(name).into_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_where_it_stands_as_one() {
        let needles = needles(&[PathBuf::from("/home/me"), PathBuf::from("/")]);
        assert_eq!(needles, [b"/home/me/".to_vec()]);
        let found = |content: &[u8]| matches(content, &needles).count();
        assert_eq!(found(b"at \0/home/me/x.rs\0"), 1);
        assert_eq!(found(b"/home/me/"), 1);
        assert_eq!(found(b"/home/mean/x.rs and elsewhere/home/me/x"), 0);
        assert_eq!(found(b"/home/m"), 0);
    }

    #[test]
    fn the_root_of_a_checkout_is_looked_for() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned();
        assert_eq!(needles(&[root]).len(), 1);
    }
}
