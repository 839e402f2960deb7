//! `include/weaveheap.h`: cbindgen over the C ABI's sources, the manual at its head, the error codes of
//! `spec/errors.toml`, and a banner before the functions of each noun.

use std::fmt::Write;

use anyhow::{Context, Result, bail};

use crate::ctx::Ctx;
use crate::generate::errors::{ErrorEntry, entries};

/// The nouns in the order in which the header has them: file, prefixes of its functions, title.
const NOUNS: &[(&str, &[&str], &str)] = &[
    ("abi", &["weaveheap_abi_"], "Versions"),
    ("error", &["weaveheap_error_"], "Errors"),
    ("release", &["weaveheap_free_"], "Releasing strings and byte blocks"),
    ("handle", &["weaveheap_handle_"], "Handles"),
    ("heap", &["weaveheap_heap_"], "Heaps"),
    ("region", &["weaveheap_region_"], "Regions"),
    ("buffer", &["weaveheap_buffer_"], "Buffers"),
    ("string", &["weaveheap_string_"], "Strings"),
    ("borrow", &["weaveheap_borrow_"], "Borrows"),
    ("directory", &["weaveheap_directory_"], "The directory: from names to handles"),
    (
        "inspect",
        &[
            "weaveheap_heap_stats_json",
            "weaveheap_heap_holders_json",
            "weaveheap_heap_counters",
            "weaveheap_region_counters",
            "weaveheap_inspector_",
        ],
        "Statistics, holders, and heaps of other processes",
    ),
    ("log", &["weaveheap_log_"], "Log callbacks"),
];

/// What every function's comment says.
const RULES: &[&str] = &["Success:", "Failure:", "Threads:", "Null:"];

/// The header's text.
pub fn text(ctx: &Ctx) -> Result<String> {
    let crate_folder = ctx.path("crates/capi");
    let folder = ctx.target().join("capi").join("header");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut source = String::new();
    for (file, ..) in NOUNS {
        let path = crate_folder.join("src").join(file).with_extension("rs");
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        // cbindgen would make a typedef of the alias.
        source.push_str(&code.replace("ErrorOut<'_>", "Option<&mut MaybeUninit<CError>>"));
    }
    // Inner comments and attributes may only stand at the head of a file.
    source =
        source.lines().filter(|line| !line.starts_with("//!")).fold(String::new(), |text, line| text + line + "\n");
    let path = folder.join("all.rs");
    std::fs::write(&path, source).with_context(|| format!("cannot write {}", path.display()))?;
    let config = cbindgen::Config::from_file(crate_folder.join("cbindgen.toml"))
        .map_err(anyhow::Error::msg)
        .context("crates/capi/cbindgen.toml")?;
    let bindings = cbindgen::Builder::new()
        .with_config(config)
        .with_header(manual(ctx)?)
        .with_include_guard("WEAVEHEAP_H")
        .with_after_include(preamble(ctx)?)
        .with_src(&path)
        .generate()
        .context("cbindgen")?;
    let mut bytes = Vec::new();
    bindings.write(&mut bytes);
    let text = String::from_utf8(bytes).context("cbindgen's output")?;
    verify(&text)?;
    banners(&short_comments(&text))
}

fn manual(ctx: &Ctx) -> Result<String> {
    let path = ctx.path("crates/capi/manual.txt");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut out = String::from("/*\n");
    for line in text.lines() {
        let line = format!(" * {line}");
        writeln!(out, "{}", line.trim_end())?;
    }
    out.push_str(" */");
    Ok(out)
}

fn preamble(ctx: &Ctx) -> Result<String> {
    let mut out = String::from(
        "\n#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\n\n\
         /** What a call comes to. The numbers are never changed and never used for something else. */\nenum {\n  \
         /** Success. */\n  WEAVEHEAP_OK = 0,\n",
    );
    for ErrorEntry { number, name, meaning, remedy } in &entries(ctx)? {
        writeln!(
            out,
            "  /**\n   * {meaning}\n   * {remedy}\n   */\n  WEAVEHEAP_ERROR_{} = {number},",
            screaming(name)
        )?;
    }
    out.truncate(out.trim_end_matches([',', '\n']).len());
    out.push_str(
        "\n};\n\n\
         /** Options with every field at its default: `weaveheap_heap_options options = WEAVEHEAP_HEAP_OPTIONS_INIT;` */\n\
         #define WEAVEHEAP_HEAP_OPTIONS_INIT { sizeof(weaveheap_heap_options), 0, 0, 0, 0, NULL }\n",
    );
    Ok(out)
}

/// `StaleHandle` as `STALE_HANDLE`, `InvalidUtf8` as `INVALID_UTF8`.
fn screaming(name: &str) -> String {
    let mut out = String::new();
    for (index, letter) in name.char_indices() {
        if letter.is_ascii_uppercase() && index > 0 {
            out.push('_');
        }
        out.push(letter.to_ascii_uppercase());
    }
    out
}

/// A comment that lacks a rule would leave a caller guessing.
fn verify(header: &str) -> Result<()> {
    let mut functions = 0;
    for (comment, name) in documented_functions(header) {
        functions += 1;
        if let Some(rule) = RULES.iter().find(|rule| !comment.contains(&format!("* {rule}"))) {
            bail!("the comment of {name} lacks a line that begins with `{rule}`");
        }
    }
    if functions == 0 {
        bail!("the header has no function");
    }
    if let Some(name) = header.split(|c: char| !c.is_alphanumeric() && c != '_').find(|word| is_rust_name(word)) {
        bail!("{name} stands in the header: give it a name in crates/capi/cbindgen.toml");
    }
    Ok(())
}

fn is_rust_name(word: &str) -> bool {
    let mut letters = word.chars();
    word == "ErrorOut"
        || word == "MaybeUninit"
        || (letters.next() == Some('C')
            && letters.next().is_some_and(|c| c.is_ascii_uppercase())
            && letters.next().is_some_and(|c| c.is_ascii_lowercase()))
}

/// Each prototype's name with the comment above it.
pub fn documented_functions(header: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut comment = String::new();
    let mut inside = false;
    for line in header.lines() {
        if line.starts_with("/**") {
            comment.clear();
            inside = true;
        }
        if inside {
            comment.push_str(line);
            comment.push('\n');
            inside = !line.contains("*/");
            continue;
        }
        if let Some(name) = prototype(line) {
            found.push((std::mem::take(&mut comment), name.to_owned()));
        }
    }
    found
}

/// The function that a line declares, if it does.
fn prototype(line: &str) -> Option<&str> {
    if line.starts_with([' ', '#', '/', '*']) || line.starts_with("typedef") {
        return None;
    }
    let start = line.find("weaveheap_")?;
    let open = line.find('(')?;
    let name = line[..open].rsplit([' ', '*']).next()?;
    (start < open && name.starts_with("weaveheap_")).then_some(name)
}

fn noun_of(function: &str) -> Option<&'static str> {
    // The longest prefix wins: statistics of a heap stand with the inspectors.
    NOUNS
        .iter()
        .flat_map(|(_, prefixes, title)| prefixes.iter().map(move |prefix| (*prefix, *title)))
        .filter(|(prefix, _)| function.starts_with(prefix))
        .max_by_key(|(prefix, _)| prefix.len())
        .map(|(_, title)| title)
}

/// Puts comments of one line on one line.
fn short_comments(header: &str) -> String {
    let lines: Vec<&str> = header.lines().collect();
    let mut out = String::new();
    let mut index = 0;
    while index < lines.len() {
        let line = lines[index];
        let indent = &line[..line.len() - line.trim_start().len()];
        let text = lines.get(index + 1).and_then(|next| next.trim_start().strip_prefix("* "));
        let ends = lines.get(index + 2).is_some_and(|last| last.trim() == "*/");
        match text {
            Some(text) if line.trim() == "/**" && ends && indent.len() + text.len() < 110 => {
                out.push_str(&format!("{indent}/** {text} */\n"));
                index += 3;
            }
            _ => {
                out.push_str(line);
                out.push('\n');
                index += 1;
            }
        }
    }
    out
}

/// Puts a banner before the first function of each noun.
fn banners(header: &str) -> Result<String> {
    let mut out = String::new();
    let mut comment = String::new();
    let mut inside = false;
    let mut current = "";
    for line in header.lines() {
        if line.starts_with("/**") {
            inside = true;
        }
        if inside {
            comment.push_str(line);
            comment.push('\n');
            inside = !line.contains("*/");
            continue;
        }
        if let Some(name) = prototype(line) {
            let title = noun_of(name).with_context(|| format!("{name} belongs to no noun of the header"))?;
            if title != current {
                writeln!(out, "/* ---- {title} {} */\n", "-".repeat(100 - title.len()))?;
                current = title;
            }
        }
        out.push_str(&comment);
        comment.clear();
        writeln!(out, "{line}")?;
    }
    out.push_str(&comment);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_constants() {
        assert_eq!(screaming("StaleHandle"), "STALE_HANDLE");
        assert_eq!(screaming("Io"), "IO");
        assert_eq!(screaming("InvalidUtf8"), "INVALID_UTF8");
    }

    #[test]
    fn a_comment_without_a_rule_is_refused() {
        let good = "/**\n * Does it.\n *\n * Success: 0.\n * Failure: no.\n * Threads: any.\n * Null: no.\n */\nint32_t weaveheap_heap_do(int a);\n";
        assert!(verify(good).is_ok());
        assert!(verify(&good.replace(" * Threads: any.\n", "")).is_err());
        assert!(verify("").is_err());
    }
}
