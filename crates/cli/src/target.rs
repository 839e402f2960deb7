//! The heaps that a command is about: by name, by file, by process, or all of the folder. They are only looked at
//! here; `check` alone attaches.

use std::path::PathBuf;

use anyhow::{Result, anyhow};
use weaveheap_core::{ErrorCode, Heap, Inspector, Snapshot};

use crate::fail;
use crate::human::printable;

/// Which heaps are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// All shared heaps of the folder.
    Folder,
    /// A shared heap by its name.
    Name(String),
    /// A shared heap by its file.
    Path(PathBuf),
    /// The private heaps of a process that were made with `inspect` (H10).
    Process(u32),
}

/// A heap and what to call it.
pub struct Subject {
    pub title: String,
    pub inspector: Inspector,
}

/// Heaps that could be opened, and why others could not.
#[derive(Default)]
pub struct Opened {
    pub subjects: Vec<Subject>,
    pub failures: Vec<anyhow::Error>,
}

/// A heap as it was seen.
pub struct Seen {
    pub title: String,
    pub snapshot: Snapshot,
}

impl Target {
    /// What one heap of this target is called.
    pub fn title(&self) -> String {
        match self {
            Target::Folder => printable(&Heap::folder().display().to_string()),
            Target::Name(name) => name.clone(),
            Target::Path(path) => printable(&path.display().to_string()),
            Target::Process(process) => format!("process {process}"),
        }
    }

    /// Opens the heaps to look at them. A heap asked for by name must be there; of the folder's, those that are no
    /// heaps are reported beside the others.
    pub fn open(&self) -> Result<Opened> {
        let mut opened = Opened::default();
        let title = self.title();
        let named = |error| fail::of_heap(&title, error);
        match self {
            Target::Folder => {
                for entry in Heap::list().map_err(named)? {
                    match Inspector::open_path(&entry.path) {
                        Ok(inspector) => opened.subjects.push(Subject { title: entry.name, inspector }),
                        // It was removed after the folder had been read.
                        Err(error) if error.code() == ErrorCode::NotFound => {}
                        Err(error) => opened.failures.push(fail::of_heap(&entry.name, error)),
                    }
                }
            }
            Target::Name(name) => {
                let inspector = Inspector::open(name).map_err(named)?;
                opened.subjects.push(Subject { title, inspector });
            }
            Target::Path(path) => {
                let inspector = Inspector::open_path(path).map_err(named)?;
                opened.subjects.push(Subject { title, inspector });
            }
            Target::Process(process) => {
                let inspectors = Inspector::of_process(*process).map_err(named)?;
                if inspectors.is_empty() {
                    return Err(anyhow!(
                        "process {process} has no private heap that can be seen: make it with `inspect`, or run the \
                         program with WEAVEHEAP_INSPECT=1"
                    ));
                }
                let several = inspectors.len() > 1;
                for (i, inspector) in inspectors.into_iter().enumerate() {
                    let title = if several { format!("{title}, heap {}", i + 1) } else { title.clone() };
                    opened.subjects.push(Subject { title, inspector });
                }
            }
        }
        Ok(opened)
    }

    /// True if what is shown may be several heaps, so that JSON is an array.
    pub fn may_be_several(&self) -> bool {
        matches!(self, Target::Folder | Target::Process(_))
    }
}

impl Opened {
    /// Takes something from every heap. Where there is one heap only, its failure is the command's.
    pub fn each<T>(
        self,
        target: &Target,
        mut take: impl FnMut(&Subject) -> weaveheap_core::Result<T>,
    ) -> Result<(Vec<T>, Vec<anyhow::Error>)> {
        let mut taken = Vec::with_capacity(self.subjects.len());
        let mut failures = self.failures;
        for subject in &self.subjects {
            match take(subject) {
                Ok(value) => taken.push(value),
                Err(error) => failures.push(fail::of_heap(&subject.title, error)),
            }
        }
        if !target.may_be_several()
            && let Some(failure) = failures.pop()
        {
            return Err(failure);
        }
        Ok((taken, failures))
    }
}

/// What to say when the folder has no heaps.
pub fn nothing_here() -> String {
    format!("No heaps in {}.", printable(&Heap::folder().display().to_string()))
}
