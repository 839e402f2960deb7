//! The texts of the core's errors by their numbers, for JavaScript: read from `told!`, `corrupt!` and those with `_with` in the core's source
//! (`crates/core/src/told.rs`).

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::ctx::Ctx;

/// What stands before and after the text of `corrupt!`.
const DAMAGED: &str = "const DAMAGED: [&str; 2] =";

/// The file with the list.
pub fn write(ctx: &Ctx) -> Result<String> {
    let mut sources = Vec::new();
    read(&ctx.path("crates/core/src"), &mut sources)?;
    let frame = sources.iter().find_map(|source| source.split_once(DAMAGED)).context("there is no DAMAGED")?.1;
    let (before, rest) = literal(frame)?;
    let (after, _) = literal(rest)?;
    // A text that is a value itself.
    let mut texts = BTreeMap::from([(number("{}"), "{}".to_owned())]);
    for source in &sources {
        for (name, rest) in uses(source) {
            let (text, _) = literal(rest)?;
            let whole = if name.starts_with("corrupt") { format!("{before}{text}{after}") } else { text.clone() };
            if let Some(other) = texts.insert(number(&text), whole.clone()) {
                ensure!(other == whole, "two texts have one number: {other:?} and {whole:?}: change one");
            }
        }
    }
    let mut out = format!(
        "{}\n/** Texts with places for values, by number. */\nexport const MESSAGES = new Map([\n",
        super::NOTE
    );
    for (number, text) in &texts {
        out.push_str(&format!("  [0x{number:08x}, {}],\n", serde_json::to_string(text)?));
    }
    out.push_str("]);\n");
    Ok(out)
}

/// All files of a folder and those in it, by name.
fn read(folder: &Path, sources: &mut Vec<String>) -> Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    for path in paths {
        if path.is_dir() {
            read(&path, sources)?;
        } else {
            sources.push(std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?);
        }
    }
    Ok(())
}

/// The uses of the macros: which one, and what follows its parenthesis.
fn uses(source: &str) -> impl Iterator<Item = (&'static str, &str)> {
    ["told", "told_with", "corrupt", "corrupt_with"].into_iter().flat_map(move |name| {
        let call = format!("{name}!(");
        source.match_indices(&call).map(|(at, call)| (name, &source[at + call.len()..])).collect::<Vec<_>>()
    })
}

/// The first text in a source, and what follows it.
fn literal(source: &str) -> Result<(String, &str)> {
    let (_, inside) = source.split_once('"').context("a text is missing")?;
    let (mut text, mut rest) = (String::new(), inside.char_indices());
    while let Some((at, character)) = rest.next() {
        match character {
            '"' => return Ok((text, &inside[at + 1..])),
            '\\' => match rest.next() {
                Some((_, escaped @ ('"' | '\\'))) => text.push(escaped),
                Some((at, '\n')) => rest = after_break(inside, at),
                other => bail!("{other:?} is escaped in a text"),
            },
            _ => text.push(character),
        }
    }
    bail!("a text has no end")
}

/// What follows a line break and the indentation after it.
fn after_break(text: &str, at: usize) -> std::str::CharIndices<'_> {
    let skipped = text[at..].len() - text[at..].trim_start().len();
    let mut rest = text.char_indices();
    let place = at + skipped;
    while rest.offset() < place {
        rest.next();
    }
    rest
}

/// A text's number, as the core has it.
fn number(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |number, byte| (number ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::{literal, number, uses};

    #[test]
    fn texts_are_read_as_rust_reads_them() {
        let source = "x(corrupt!(\"a {} \\\"b\\\" \\\n    c\", d)) told!(\n  Code,\n  \"e\")";
        let found: Vec<_> = uses(source).map(|(name, rest)| (name, literal(rest).unwrap().0)).collect();
        assert_eq!(found, [("told", "e".to_owned()), ("corrupt", "a {} \"b\" c".to_owned())]);
        assert_eq!(number("a"), 0xe40c_292c);
    }
}
