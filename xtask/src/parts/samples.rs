//! The part `samples`: each language has the two samples that every newcomer looks for, and no file lies there that
//! nothing runs. The parts of the languages run them: `conformance` those in Rust, `capi`, `python` and `node` theirs. The
//! sample page is built and tested here (`web.rs`).

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};

use crate::ctx::{Counts, Ctx};

/// Where the samples of each language are, and how their files end.
const LANGUAGES: [(&str, &str); 5] = [
    ("samples/rust/src/bin", "rs"),
    ("samples/c", "c"),
    ("samples/cpp", "cc"),
    ("samples/python", "py"),
    ("samples/node", "mjs"),
];

/// Looks at each language's folder.
pub fn test(ctx: &Ctx) -> Result<()> {
    for (folder, end) in LANGUAGES {
        let entries = std::fs::read_dir(ctx.path(folder)).with_context(|| format!("cannot read {folder}"))?;
        let paths: Vec<_> = entries.collect::<Result<Vec<_>, _>>()?.into_iter().map(|entry| entry.path()).collect();
        let sources = paths.iter().filter(|path| path.extension().is_some_and(|found| found == end));
        let names: BTreeSet<String> = sources.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
        let wanted = BTreeSet::from(["buffer".to_owned(), "string".to_owned()]);
        ensure!(names == wanted, "{folder} has the samples {names:?}, and should have {wanted:?}");
        ctx.count(Counts { passed: 1, ..Counts::default() });
    }
    super::web::test(ctx)
}
