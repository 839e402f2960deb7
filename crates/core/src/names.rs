//! Names of shared heaps and the folder they live in (H4): what is checked before a file is trusted to be a heap.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorCode, Result};
use crate::heap::HeapEntry;
use crate::layout::{IDENTITY_WORDS, Identity};
use crate::segment::check_identity;
use crate::sync::kill_point;
use crate::sys;
use crate::told::{corrupt_with, told_with};

/// Files that are being made begin so; no name does.
const DRAFT: &str = ".new-";

/// Whether this is a name: `[a-z0-9][a-z0-9._-]{0,63}`.
fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = name.as_bytes();
    (1..=64).contains(&bytes.len()) && plain(bytes[0]) && bytes.iter().all(|b| plain(*b) || b"._-".contains(b))
}

pub(crate) fn check_name(name: &str) -> Result<()> {
    if is_name(name) {
        return Ok(());
    }
    Err(told_with!(
        ErrorCode::InvalidName,
        "{:?} is no name: use 1 to 64 of a-z, 0-9, dot, underscore and hyphen, beginning with a letter or digit",
        name
    ))
}

pub(crate) fn folder() -> PathBuf {
    match std::env::var_os("WEAVEHEAP_DIR") {
        Some(folder) if !folder.is_empty() => PathBuf::from(folder),
        _ => sys::default_folder(),
    }
}

/// The folder of names, checked to be a real folder of this user's alone; made if asked to.
pub(crate) fn own_folder(make: bool) -> Result<PathBuf> {
    let folder = folder();
    let found = match fs::symlink_metadata(&folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && make => {
            make_folder(&folder)?;
            fs::symlink_metadata(&folder)
        }
        found => found,
    };
    let metadata = found.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Error::told(ErrorCode::NotFound, format_args!("there is no heap: {} does not exist", folder.display()))
        }
        _ => sys::error(&folder.display().to_string(), &error),
    })?;
    if !metadata.is_dir() {
        let kind = if metadata.is_symlink() { "a link" } else { "no folder" };
        return Err(denied(&folder, &format!("is {kind}; it must be a folder of your own")));
    }
    check_owner(&folder, &metadata, "700")?;
    Ok(folder)
}

fn denied(path: &Path, what: &str) -> Error {
    Error::told(ErrorCode::Denied, format_args!("{} {what}", path.display()))
}

#[cfg(unix)]
fn make_folder(folder: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(sys::error(&format!("making the folder {}", folder.display()), &error))
        }
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn make_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| sys::error(&format!("making the folder {}", folder.display()), &error))
}

/// Checks that a folder or file is this user's and nobody else's to touch.
#[cfg(unix)]
fn check_owner(path: &Path, metadata: &fs::Metadata, mode: &str) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    if metadata.uid() != sys::user() {
        return Err(denied(
            path,
            &format!("belongs to user {}, not to you: set WEAVEHEAP_DIR to a folder of your own", metadata.uid()),
        ));
    }
    if metadata.mode() & 0o077 != 0 {
        let now = metadata.mode() & 0o777;
        return Err(denied(path, &format!("has mode {now:o}, open to other users: make it {mode} (chmod {mode})")));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_owner(_path: &Path, _metadata: &fs::Metadata, _mode: &str) -> Result<()> {
    Ok(())
}

/// A path that does not depend on the working folder.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf> {
    if path.as_os_str().is_empty() {
        return Err(Error::with_message(ErrorCode::InvalidArgument, "the path is empty"));
    }
    std::path::absolute(path).map_err(|error| sys::error(&path.display().to_string(), &error))
}

/// A file that is becoming a heap: gone when dropped, unless it was published. It has no name where the system makes such
/// files, so that nothing is left of it when its maker dies; elsewhere one that no heap has.
pub(crate) struct Draft {
    file: File,
    path: Option<PathBuf>,
}

impl Draft {
    pub(crate) fn new(folder: &Path, tag: u64) -> Result<Draft> {
        kill_point();
        match sys::nameless_file(folder) {
            Ok(Some(file)) => {
                kill_point();
                Ok(Draft { file, path: None })
            }
            Ok(None) => Draft::named(folder, tag),
            Err(error) => Err(not_made(folder, &error)),
        }
    }

    fn named(folder: &Path, tag: u64) -> Result<Draft> {
        let path = folder.join(format!("{DRAFT}{}-{tag:016x}", sys::pid()));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(|error| not_made(folder, &error))?;
        kill_point();
        Ok(Draft { file, path: Some(path) })
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Gives the file its own name; `AlreadyExists` if that is taken.
    pub(crate) fn publish(self, path: &Path) -> Result<()> {
        kill_point();
        let linked = match &self.path {
            Some(draft) => fs::hard_link(draft, path),
            None => sys::link(&self.file, path),
        };
        kill_point();
        linked.map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => Error::told(
                ErrorCode::AlreadyExists,
                format_args!("{} exists: open it, remove it, or choose another name", path.display()),
            ),
            _ => sys::error(&format!("making {}", path.display()), &error),
        })
    }
}

fn not_made(folder: &Path, error: &std::io::Error) -> Error {
    sys::error(&format!("making a file in {}", folder.display()), error)
}

impl Drop for Draft {
    fn drop(&mut self) {
        let Some(path) = &self.path else { return };
        kill_point();
        if let Err(error) = fs::remove_file(path) {
            tracing::warn!(path = %path.display(), %error, "the draft of a heap could not be removed");
        }
    }
}

/// Opens a file and checks that it is a plain one.
pub(crate) fn open_file(path: &Path, write: bool) -> Result<File> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::told(
            ErrorCode::NotFound,
            format_args!("there is no heap {}: `weaveheap list` shows those there are", path.display()),
        ),
        _ => sys::error(&format!("opening {}", path.display()), &error),
    };
    // Looked at before it is opened: opening a pipe would wait for its other end.
    check_plain(path, &fs::metadata(path).map_err(failed)?)?;
    let file = OpenOptions::new().read(true).write(write).open(path).map_err(failed)?;
    check_plain(path, &file.metadata().map_err(failed)?)?;
    Ok(file)
}

fn check_plain(path: &Path, metadata: &fs::Metadata) -> Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    Err(Error::told(ErrorCode::Incompatible, format_args!("{} is no heap: it is not a plain file", path.display())))
}

/// Opens a heap's file in the folder of names: not through a link, and only if it is this user's.
pub(crate) fn open_own(path: &Path, write: bool) -> Result<File> {
    if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink()) {
        return Err(denied(path, "is a link; heaps are opened by name only if they are files of the folder itself"));
    }
    let file = open_file(path, write)?;
    let metadata = file.metadata().map_err(|error| sys::error(&path.display().to_string(), &error))?;
    check_owner(path, &metadata, "600")?;
    Ok(file)
}

/// The identity of a heap's file, checked against its size. Reads; maps nothing.
pub(crate) fn read_identity(file: &File, path: &Path) -> Result<Identity> {
    let mut bytes = Vec::with_capacity(IDENTITY_WORDS * 8);
    let mut reader = file;
    std::io::Seek::rewind(&mut reader).map_err(|error| sys::error(&path.display().to_string(), &error))?;
    reader
        .take(IDENTITY_WORDS as u64 * 8)
        .read_to_end(&mut bytes)
        .map_err(|error| sys::error(&format!("reading {}", path.display()), &error))?;
    if bytes.len() < IDENTITY_WORDS * 8 {
        return Err(Error::told(
            ErrorCode::Incompatible,
            format_args!("{} is no heap: it is too short", path.display()),
        ));
    }
    let word = |i: usize| u64::from_ne_bytes(std::array::from_fn(|j| bytes[i * 8 + j]));
    let identity = check_identity(&std::array::from_fn(word))?;
    let length = file.metadata().map_err(|error| sys::error(&path.display().to_string(), &error))?.len();
    if length != identity.size {
        return Err(corrupt_with!(
            "{} has {} bytes, its header says {}",
            &path.display().to_string(),
            length,
            identity.size
        ));
    }
    Ok(identity)
}

pub(crate) fn remove(name: &str) -> Result<()> {
    check_name(name)?;
    let path = own_folder(false)?.join(name);
    unlink(&path)
}

pub(crate) fn remove_path(path: &Path) -> Result<()> {
    let path = absolute(path)?;
    let file = open_file(&path, false)?;
    // A damaged heap may be removed, a file that is none may not.
    match read_identity(&file, &path) {
        Err(error) if error.code() == ErrorCode::Incompatible => return Err(error),
        _ => {}
    }
    unlink(&path)
}

fn unlink(path: &Path) -> Result<()> {
    fs::remove_file(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::told(
            ErrorCode::NotFound,
            format_args!("there is no heap {}: `weaveheap list` shows those there are", path.display()),
        ),
        _ => sys::error(&format!("removing {}", path.display()), &error),
    })
}

pub(crate) fn list() -> Result<Vec<HeapEntry>> {
    let folder = match own_folder(false) {
        Err(error) if error.code() == ErrorCode::NotFound => return Ok(Vec::new()),
        folder => folder?,
    };
    let failed = |error: std::io::Error| sys::error(&folder.display().to_string(), &error);
    let mut entries = Vec::new();
    for entry in fs::read_dir(&folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if let Some(name) = entry.file_name().to_str().filter(|name| is_name(name))
            && entry.file_type().is_ok_and(|kind| kind.is_file())
        {
            entries.push(HeapEntry { name: name.to_string(), path: entry.path() });
        }
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_case_and_stay_in_their_folder() {
        for name in ["a", "0", "demo", "a.b_c-d", &"x".repeat(64)] {
            assert!(is_name(name), "{name:?}");
        }
        for name in ["", ".", "..", ".a", "-a", "_a", "A", "a/b", "../a", "a b", "é", "a\0", &"x".repeat(65)] {
            assert!(!is_name(name), "{name:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn drafts_become_heaps_or_go_with_and_without_names() {
        let folder = std::env::temp_dir().join(format!("weaveheap-drafts-{}", sys::pid()));
        fs::create_dir(&folder).expect("a folder of our own");
        let names = || -> Vec<_> {
            let entries = fs::read_dir(&folder).expect("the folder");
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
        };
        let named = || Draft::named(&folder, 7).expect("a draft");
        let nameless = || {
            let file = sys::nameless_file(&folder).expect("a file").expect("this file system has files without names");
            Draft { file, path: None }
        };
        for draft in [&named as &dyn Fn() -> Draft, &nameless] {
            drop(draft());
            assert_eq!(names(), [""; 0], "a draft that is dropped goes");
            let (one, other) = (draft(), draft);
            one.file().set_len(5).expect("room");
            one.publish(&folder.join("heap")).expect("the name is free");
            assert_eq!(names(), ["heap"]);
            let code = other().publish(&folder.join("heap")).expect_err("the name is taken").code();
            assert_eq!(code, ErrorCode::AlreadyExists);
            assert_eq!(names(), ["heap"]);
            let file = open_own(&folder.join("heap"), true).expect("a file of the user's alone");
            assert_eq!(file.metadata().expect("a file").len(), 5);
            fs::remove_file(folder.join("heap")).expect("it is there");
        }
        fs::remove_dir(&folder).expect("empty");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn file_systems_without_nameless_files_are_told_apart() {
        assert!(sys::nameless_file(Path::new("/proc")).expect("no error").is_none());
        let absent = sys::nameless_file(Path::new("/no/such/folder")).expect_err("no folder");
        assert_eq!(absent.kind(), std::io::ErrorKind::NotFound);
    }
}
