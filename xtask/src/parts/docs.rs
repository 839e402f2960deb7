//! The part `docs`: what the pages say is there. Links lead to files and headings, excerpts are what the files hold,
//! and the commands that are named exist.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::ctx::{Counts, Ctx};

/// Checks every page; each page is one test.
pub fn test(ctx: &Ctx) -> Result<()> {
    let pages = pages(ctx)?;
    ensure!(pages.iter().any(|page| page == Path::new("docs/tutorial.md")), "docs/tutorial.md is missing");
    let mut faults = Vec::new();
    for page in &pages {
        let found = faults_of(ctx, page)?;
        let failed = u64::from(!found.is_empty());
        ctx.count(Counts { passed: 1 - failed, failed, skipped: 0 });
        faults.extend(found);
    }
    if faults.is_empty() {
        eprintln!("  {} pages: links, excerpts, commands", pages.len());
        return Ok(());
    }
    bail!("{}", faults.join("\n"))
}

/// The Markdown files of the checkout, from its root.
fn pages(ctx: &Ctx) -> Result<Vec<PathBuf>> {
    let mut command = Command::new("git");
    command.current_dir(ctx.root()).args(["ls-files", "--cached", "--others", "--exclude-standard", "-z", "*.md"]);
    let output = command.output().context("cannot run git")?;
    ensure!(output.status.success(), "git ls-files failed: {}", String::from_utf8_lossy(&output.stderr));
    let names = output.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let paths = names.map(|name| PathBuf::from(String::from_utf8_lossy(name).into_owned()));
    Ok(paths.filter(|path| ctx.path(path).is_file()).collect())
}

fn faults_of(ctx: &Ctx, page: &Path) -> Result<Vec<String>> {
    let read = |path: &Path| std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()));
    let text = read(&ctx.path(page))?;
    let mut faults = Vec::new();
    for link in links(&text) {
        if link.contains("://") || link.starts_with("mailto:") {
            continue;
        }
        let (file, anchor) = link.split_once('#').map_or((link.as_str(), None), |(file, anchor)| (file, Some(anchor)));
        let folder = page.parent().unwrap_or(Path::new(""));
        let target = if file.is_empty() { ctx.path(page) } else { ctx.path(folder).join(file) };
        if !target.exists() {
            faults.push(format!("{}: the link {link} leads to no file", page.display()));
        } else if let Some(anchor) = anchor.filter(|_| target.extension().is_some_and(|end| end == "md")) {
            if !headings(&read(&target)?).contains(anchor) {
                faults.push(format!("{}: the link {link} leads to no heading", page.display()));
            }
        }
    }
    for excerpt in excerpts(&text) {
        let held = read(&ctx.path(&excerpt.file)).unwrap_or_default();
        if !contains_lines(&held, &excerpt.lines) {
            let first = excerpt.lines.first().cloned().unwrap_or_default();
            faults.push(format!(
                "{}: {} does not hold the excerpt that begins with {first:?}",
                page.display(),
                excerpt.file
            ));
        }
    }
    let known = crate::command_names();
    for named in text.split("cargo xtask ").skip(1) {
        let word: String = named.chars().take_while(|c| c.is_ascii_lowercase()).collect();
        if !word.is_empty() && !known.contains(&word) {
            faults.push(format!("{}: there is no command `cargo xtask {word}`", page.display()));
        }
    }
    Ok(faults)
}

/// The lines of a page outside fenced code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        if fence {
            inside = !inside;
        }
        !inside && !fence
    })
}

/// The targets of the links and images.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in prose(text) {
        // What stands in backticks is code, not a link.
        let outside: String = line.split('`').step_by(2).collect::<Vec<_>>().join("x");
        for rest in outside.split("](").skip(1) {
            if let Some((target, _)) = rest.split_once(')') {
                found.push(target.split_whitespace().next().unwrap_or("").to_owned());
            }
        }
    }
    found
}

/// The anchors of a page's headings.
fn headings(text: &str) -> BTreeSet<String> {
    let titles = prose(text).filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let anchor = |title: &str| -> String {
        let kept = title.to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    titles.map(anchor).collect()
}

/// Fenced code that says which file it is taken from.
struct Excerpt {
    file: String,
    lines: Vec<String>,
}

/// The blocks that open with `` ```LANGUAGE file=PATH ``.
fn excerpts(text: &str) -> Vec<Excerpt> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.trim_start().strip_prefix("```") else { continue };
        let body: Vec<String> =
            lines.by_ref().take_while(|line| !line.trim_start().starts_with("```")).map(str::to_owned).collect();
        if let Some(file) = info.split_whitespace().find_map(|word| word.strip_prefix("file=")) {
            found.push(Excerpt { file: file.to_owned(), lines: body });
        }
    }
    found
}

/// True if the lines stand together in the text, whatever they are indented by as a whole.
fn contains_lines(text: &str, wanted: &[String]) -> bool {
    let held: Vec<&str> = text.lines().collect();
    !wanted.is_empty() && held.windows(wanted.len()).any(|window| dedent(window) == dedent(wanted))
}

fn dedent<T: AsRef<str>>(lines: &[T]) -> Vec<String> {
    let depth = |line: &str| line.len() - line.trim_start().len();
    let filled = lines.iter().map(AsRef::as_ref).filter(|line| !line.trim().is_empty());
    let common = filled.map(depth).min().unwrap_or(0);
    lines.iter().map(|line| line.as_ref().get(common..).unwrap_or("").trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_in_prose_alone() {
        let text =
            "See [a](x.md) and ![b](images/y.png \"title\").\n```\n[no](z.md)\n```\nNot `[c](w.md)`, but [d](#part).";
        assert_eq!(links(text), ["x.md", "images/y.png", "#part"]);
    }

    #[test]
    fn headings_have_the_anchors_that_links_use() {
        let text = "# The demo, step by step\n```\n# no heading\n```\n## `borrow_unique` & co";
        assert_eq!(
            headings(text),
            BTreeSet::from(["the-demo-step-by-step".to_owned(), "borrow_unique--co".to_owned()])
        );
    }

    #[test]
    fn an_excerpt_must_stand_in_its_file() {
        let page = "```python file=a.py\nx = 1\nif x:\n    y()\n```\n```sh\nls\n```";
        let found = excerpts(page);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].file, "a.py");
        assert!(contains_lines("def f():\n    x = 1\n    if x:\n        y()\n", &found[0].lines));
        assert!(!contains_lines("def f():\n    x = 1\n    if x:\n        z()\n", &found[0].lines));
        assert!(!contains_lines("x", &[]));
    }
}
