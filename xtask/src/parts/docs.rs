//! The part `docs`: what the documentation says is there, is. Links, anchors and pictures of every Markdown file, excerpts
//! of other files, the rules and commands that are named, the files that ARCHITECTURE.md should name, the keys of the
//! statistics, and the examples of README and docs, which are run against the built packages.

mod examples;
mod excerpts;
mod markdown;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::ctx::{Counts, Ctx};
use crate::parts::{self, python};
use markdown::Page;

/// Rules of the design that are not in force yet. Documents may name them, and ROADMAP.md must.
const LATER: [&str; 3] = ["K3", "B5", "V6"];
/// Where the core is.
const CORE: &str = "crates/core/src";
/// Words that look like rules and are none: a version of C.
const NO_RULES: [&str; 1] = ["C11"];

/// Checks every document, then runs the examples.
pub fn test(ctx: &Ctx) -> Result<()> {
    let pages = pages(ctx)?;
    let mut wrong = Vec::new();
    for check in [links, quotes, rules, commands, files] {
        let (checked, faults) = check(ctx, &pages)?;
        if checked == 0 {
            wrong.push("a check of the documents found nothing to look at".to_owned());
        }
        ctx.count(Counts { passed: checked.saturating_sub(faults.len() as u64), ..Counts::default() });
        wrong.extend(faults);
    }
    for fault in &wrong {
        eprintln!("  {fault}");
    }
    ctx.count(Counts { failed: wrong.len() as u64, ..Counts::default() });
    let venv = python::environment(ctx, "3.11")?;
    keys(ctx, &pages, &venv.python)?;
    examples::run(ctx, &pages, &venv.python)?;
    if wrong.is_empty() { Ok(()) } else { bail!("the documents are wrong in {} places", wrong.len()) }
}

/// Every Markdown file of the checkout, by its path from the root.
fn pages(ctx: &Ctx) -> Result<BTreeMap<String, Page>> {
    let mut command = Command::new("git");
    command.current_dir(ctx.root()).args([
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "-z",
        "--",
        "*.md",
    ]);
    let output = command.output().context("cannot run git")?;
    if !output.status.success() {
        bail!("git ls-files failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let mut pages = BTreeMap::new();
    for name in output.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let name = String::from_utf8_lossy(name).into_owned();
        // One that is deleted in the work tree is still listed.
        if !ctx.path(&name).is_file() {
            continue;
        }
        let text = std::fs::read_to_string(ctx.path(&name)).with_context(|| format!("cannot read {name}"))?;
        let page = Page::new(&text).with_context(|| name.clone())?;
        pages.insert(name, page);
    }
    Ok(pages)
}

type Checked = (u64, Vec<String>);

/// Every relative link leads to a file or folder that is there, and every anchor to a heading.
fn links(ctx: &Ctx, pages: &BTreeMap<String, Page>) -> Result<Checked> {
    let (mut checked, mut faults) = (0, Vec::new());
    for (name, page) in pages {
        for (line, target) in &page.links {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            checked += 1;
            let (path, anchor) = target.split_once('#').map_or((target.as_str(), None), |(path, a)| (path, Some(a)));
            let to = match path {
                "" => Some(name.clone()),
                path => resolve(name, path),
            };
            let Some(to) = to.filter(|to| ctx.path(to).exists()) else {
                faults.push(format!("{name}:{line}: {target} leads to nothing"));
                continue;
            };
            if let (Some(anchor), Some(page)) = (anchor, pages.get(&to))
                && !page.anchors.contains(anchor)
            {
                faults.push(format!("{name}:{line}: {to} has no heading #{anchor}"));
            }
        }
    }
    Ok((checked, faults))
}

/// A link's path from the root; `None` if it leaves the checkout.
fn resolve(from: &str, path: &str) -> Option<String> {
    let joined = Path::new(from).parent().unwrap_or(Path::new("")).join(path);
    let mut resolved = PathBuf::new();
    for component in joined.components() {
        match component {
            Component::Normal(part) => resolved.push(part),
            Component::ParentDir if !resolved.pop() => return None,
            Component::RootDir | Component::Prefix(_) => return None,
            Component::ParentDir | Component::CurDir => {}
        }
    }
    Some(resolved.to_string_lossy().into_owned())
}

/// Every block that names a file holds lines of it.
fn quotes(ctx: &Ctx, pages: &BTreeMap<String, Page>) -> Result<Checked> {
    let (mut checked, mut faults) = (0, Vec::new());
    for (name, page) in pages {
        for block in &page.blocks {
            let Some(file) = excerpts::file_of(block) else { continue };
            checked += 1;
            if !std::fs::read_to_string(ctx.path(file)).is_ok_and(|text| excerpts::holds(&text, &block.code)) {
                faults.push(format!("{name}:{}: {file} does not hold these lines", block.line));
            }
        }
    }
    Ok((checked, faults))
}

/// Every rule that is named is in force, or is one of those that come later.
fn rules(ctx: &Ctx, pages: &BTreeMap<String, Page>) -> Result<Checked> {
    let path = ctx.path("conformance/rules.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let table: toml::Table = toml::from_str(&text).context("conformance/rules.toml")?;
    let (mut checked, mut faults) = (0, Vec::new());
    for rule in LATER {
        if table.contains_key(rule) {
            faults.push(format!("{rule} is in force now: it is no rule that comes later"));
        }
        if !pages.get("ROADMAP.md").is_some_and(|page| page.rules().any(|(_, named)| named == rule)) {
            faults.push(format!("ROADMAP.md does not say when {rule} comes"));
        }
    }
    for (name, page) in pages {
        for (line, rule) in page.rules().filter(|(_, rule)| !NO_RULES.contains(&rule.as_str())) {
            checked += 1;
            if !table.contains_key(&rule) && !LATER.contains(&rule.as_str()) {
                faults.push(format!("{name}:{line}: there is no rule {rule} in conformance/rules.toml"));
            }
        }
    }
    Ok((checked, faults))
}

/// Every `cargo xtask` command that is named exists, and so do the parts of `cargo xtask test`.
fn commands(_ctx: &Ctx, pages: &BTreeMap<String, Page>) -> Result<Checked> {
    let known = crate::command_names();
    let parts: BTreeSet<&str> = parts::ALL.iter().map(|part| part.name).collect();
    let (mut checked, mut faults) = (0, Vec::new());
    for (name, page) in pages {
        for (line, command, words) in page.xtask_commands() {
            checked += 1;
            if !known.contains(&command) {
                faults.push(format!("{name}:{line}: there is no `cargo xtask {command}`"));
            }
            for word in words.iter().filter(|word| command == "test" && !parts.contains(word.as_str())) {
                faults.push(format!("{name}:{line}: `cargo xtask test` has no part {word}"));
            }
        }
    }
    Ok((checked, faults))
}

/// ARCHITECTURE.md says what each crate is, and what each file of the core owns.
fn files(ctx: &Ctx, pages: &BTreeMap<String, Page>) -> Result<Checked> {
    let page = pages.get("ARCHITECTURE.md").context("ARCHITECTURE.md is missing")?;
    let (mut checked, mut faults) = (0, Vec::new());
    for (folder, head) in [("crates", "folder"), (CORE, "file")] {
        for entry in std::fs::read_dir(ctx.path(folder)).with_context(|| format!("cannot read {folder}"))? {
            let entry = entry.with_context(|| format!("cannot read {folder}"))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let called = match (folder, entry.path().is_dir()) {
                (CORE, true) => format!("`{name}/`"),
                (CORE, false) => format!("`{name}`"),
                _ => format!("`{folder}/{name}`"),
            };
            checked += 1;
            if name != "lib.rs" && !page.table_says(head, &called) {
                faults.push(format!("ARCHITECTURE.md: what is {called} of {folder}? Its table does not say"));
            }
        }
    }
    Ok((checked, faults))
}

/// A heap with something of everything; every key of its statistics, one a line.
const LIST_KEYS: &str = "
import os, weaveheap
name = f'keys-{os.getpid()}'
heap = weaveheap.Heap.create(name)
weaveheap.Heap.remove(name)
region = heap.region(name='r')
buffer = region.string('text')
heap.publish('text', buffer.handle)
view = buffer.borrow_shared()
keys = set()
def walk(value):
    if isinstance(value, dict):
        keys.update(value)
        for inner in value.values():
            walk(inner)
    elif isinstance(value, list):
        assert value, 'a list without an example'
        for inner in value:
            walk(inner)
walk(heap.stats())
print('\\n'.join(sorted(keys)))
view.release()
region.close()
heap.detach()
";

/// docs/counters.md describes the keys of the statistics: all of them, and no others.
fn keys(ctx: &Ctx, pages: &BTreeMap<String, Page>, python: &Path) -> Result<()> {
    let page = pages.get("docs/counters.md").context("docs/counters.md is missing")?;
    let described = page.first_column_keys();
    let mut command = Command::new(python);
    let printed = ctx.output("list the keys of the statistics", command.args(["-c", LIST_KEYS]))?;
    let real: BTreeSet<String> = printed.split_whitespace().map(str::to_owned).collect();
    let missing: Vec<&String> = real.difference(&described).collect();
    let invented: Vec<&String> = described.difference(&real).collect();
    if !missing.is_empty() || !invented.is_empty() {
        bail!("docs/counters.md: not described: {missing:?}; described, but not there: {invented:?}");
    }
    ctx.count(Counts { passed: real.len() as u64, ..Counts::default() });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_resolved_from_their_page() {
        assert_eq!(resolve("docs/rust.md", "../SECURITY.md").as_deref(), Some("SECURITY.md"));
        assert_eq!(resolve("docs/rust.md", "images/a.svg").as_deref(), Some("docs/images/a.svg"));
        assert_eq!(resolve("README.md", "./docs/").as_deref(), Some("docs"));
        assert_eq!(resolve("README.md", "../elsewhere"), None);
        assert_eq!(resolve("README.md", "/etc/passwd"), None);
    }
}
