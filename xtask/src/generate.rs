//! The files that are generated: `cargo xtask gen` writes them, `cargo xtask check` compares them.

pub mod errors;

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::ctx::Ctx;
use crate::parts;

/// One generated file: what it must hold.
pub struct Generated {
    /// Where, from the root.
    pub path: PathBuf,
    /// What.
    pub text: String,
}

impl Generated {
    /// A generated file.
    pub fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Generated {
        Generated { path: path.into(), text: text.into() }
    }
}

/// Every generated file as it should be.
pub fn all(ctx: &Ctx) -> Result<Vec<Generated>> {
    let mut files = errors::generate(ctx)?;
    files.extend(parts::capi::generate(ctx).context("generating the C header and ABI files")?);
    files.extend(parts::python::generate(ctx).context("generating for Python")?);
    files.extend(parts::node::generate(ctx).context("generating for Node")?);
    files.extend(parts::wasm_js::generate(ctx).context("generating for WebAssembly")?);
    files.extend(parts::component::generate(ctx).context("generating for the component")?);
    Ok(files)
}

/// Writes those that differ. Returns their paths.
pub fn write(ctx: &Ctx) -> Result<Vec<PathBuf>> {
    let mut written = Vec::new();
    for file in all(ctx)? {
        let path = ctx.path(&file.path);
        if std::fs::read_to_string(&path).is_ok_and(|now| now == file.text) {
            continue;
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        std::fs::write(&path, &file.text).with_context(|| format!("cannot write {}", path.display()))?;
        written.push(file.path);
    }
    Ok(written)
}

/// The paths of those that differ from what they should be.
pub fn differing(ctx: &Ctx) -> Result<Vec<PathBuf>> {
    let differs = |file: &Generated| !std::fs::read_to_string(ctx.path(&file.path)).is_ok_and(|now| now == file.text);
    Ok(all(ctx)?.into_iter().filter(differs).map(|file| file.path).collect())
}
