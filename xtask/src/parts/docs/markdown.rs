//! As much of Markdown as the checks need: fenced blocks, headings with their anchors, links, and words of the text.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

/// A fenced block of code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The line of its fence, from 1.
    pub line: usize,
    /// The words after the fence.
    pub info: Vec<String>,
    /// What is in it.
    pub code: String,
}

/// One document.
#[derive(Debug, Default)]
pub struct Page {
    /// Its blocks, in order.
    pub blocks: Vec<Block>,
    /// What its headings are called in links.
    pub anchors: BTreeSet<String>,
    /// Targets of links and pictures, with their lines.
    pub links: Vec<(usize, String)>,
    /// Every line with its number, and whether it is in a block.
    lines: Vec<(usize, bool, String)>,
}

impl Page {
    /// Reads a document.
    pub fn new(text: &str) -> Result<Page> {
        let mut page = Page::default();
        let mut open: Option<(usize, Block)> = None;
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            let bare = line.trim_start();
            let ticks = bare.chars().take_while(|c| *c == '`').count();
            match open.take() {
                Some((fence, block)) if ticks >= fence && bare.trim_end().len() == ticks => page.blocks.push(block),
                Some((fence, mut block)) => {
                    block.code.push_str(line);
                    block.code.push('\n');
                    page.lines.push((number, true, line.to_owned()));
                    open = Some((fence, block));
                }
                None if ticks >= 3 => {
                    let info = bare[ticks..].split_whitespace().map(str::to_owned).collect();
                    open = Some((ticks, Block { line: number, info, code: String::new() }));
                }
                None => page.text_line(number, line),
            }
        }
        match open {
            Some((_, block)) => bail!("the block that begins in line {} does not end", block.line),
            None => Ok(page),
        }
    }

    fn text_line(&mut self, number: usize, line: &str) {
        let level = line.chars().take_while(|c| *c == '#').count();
        if (1..=6).contains(&level) && line[level..].starts_with(' ') {
            let slug = slug(&line[level..]);
            let mut name = slug.clone();
            let mut copy = 0;
            while !self.anchors.insert(name) {
                copy += 1;
                name = format!("{slug}-{copy}");
            }
        }
        let plain = without_code(line);
        for start in ["](", "src=\"", "href=\""] {
            let end = if start == "](" { ')' } else { '"' };
            let mut rest = plain.as_str();
            while let Some(at) = rest.find(start) {
                rest = &rest[at + start.len()..];
                let Some(stop) = rest.find(end) else { break };
                let target = rest[..stop].split_whitespace().next().unwrap_or_default();
                self.links.push((number, target.trim_matches(['<', '>']).to_owned()));
            }
        }
        if let Some((_, target)) = plain.strip_prefix('[').and_then(|rest| rest.split_once("]: ")) {
            self.links.push((number, target.trim().to_owned()));
        }
        self.lines.push((number, false, line.to_owned()));
    }

    /// Words of the text that have the form of a rule's name: a letter and a number. Code does not count.
    pub fn rules(&self) -> impl Iterator<Item = (usize, String)> + '_ {
        self.lines.iter().filter(|(_, in_block, _)| !in_block).flat_map(|(number, _, line)| {
            let plain = without_code(line);
            let words: Vec<(usize, String)> = plain
                .split(|c: char| !c.is_alphanumeric() && !"_-+.".contains(c))
                .map(|word| word.trim_end_matches('.'))
                .filter(|word| is_rule(word))
                .map(|word| (*number, word.to_owned()))
                .collect();
            words
        })
    }

    /// Commands of `cargo xtask` that are named: the line, the command, and the plain words after it.
    pub fn xtask_commands(&self) -> Vec<(usize, String, Vec<String>)> {
        let mut found = Vec::new();
        for (number, _, line) in &self.lines {
            let mut rest = line.as_str();
            while let Some(at) = rest.find("cargo xtask ") {
                rest = &rest[at + "cargo xtask ".len()..];
                let end = rest.find('`').unwrap_or(rest.len());
                let mut words = rest[..end].split_whitespace();
                let lower = |word: &str| word.bytes().all(|b| b.is_ascii_lowercase());
                let first = words.next().unwrap_or_default();
                let command: String = first.chars().take_while(|c| c.is_ascii_lowercase()).collect();
                if !command.is_empty() {
                    let words = words.take_while(|word| lower(word)).map(str::to_owned).collect();
                    found.push((*number, command, words));
                }
            }
        }
        found
    }

    /// Whether a row has these words, in a table whose head begins with `head`.
    pub fn table_says(&self, head: &str, words: &str) -> bool {
        let mut in_table = false;
        self.lines.iter().any(|(_, in_block, line)| {
            let first = line.strip_prefix('|').and_then(|rest| rest.split('|').next()).map(str::trim);
            in_table = !in_block && first.is_some_and(|first| in_table || first == head);
            in_table && line.contains(words)
        })
    }

    /// The words in code that stand alone in the first column of a table whose head says `key`.
    pub fn first_column_keys(&self) -> BTreeSet<String> {
        let mut keys = BTreeSet::new();
        let mut in_table = false;
        for (_, in_block, line) in &self.lines {
            let first = line.strip_prefix('|').and_then(|rest| rest.split('|').next()).map(str::trim);
            match first {
                Some("key") if !in_block => in_table = true,
                Some(cell) if in_table => {
                    if let Some(key) = cell.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) {
                        keys.insert(key.to_owned());
                    }
                }
                _ => in_table = false,
            }
        }
        keys
    }
}

/// A letter of the design's chapters and one or two digits.
fn is_rule(word: &str) -> bool {
    let mut chars = word.chars();
    let letter = chars.next().is_some_and(|c| "HRKBCNVF".contains(c));
    let digits = chars.as_str();
    letter && (1..=2).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
}

/// A heading's anchor: lower case, without punctuation, hyphens for spaces.
fn slug(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// The line with spaces where code stands.
fn without_code(line: &str) -> String {
    let mut plain = String::new();
    let mut rest = line;
    while let Some(start) = rest.find('`') {
        let ticks = rest[start..].chars().take_while(|c| *c == '`').count();
        let after = &rest[start + ticks..];
        let Some(end) = after.find(&"`".repeat(ticks)) else { break };
        plain.push_str(&rest[..start]);
        plain.push(' ');
        rest = &after[end + ticks..];
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_their_words_and_code() {
        let page = Page::new("a\n```python run\nprint(1)\n```\n\n```text output\n1\n```\n").unwrap();
        let words: Vec<String> = page.blocks.iter().map(|block| block.info.join(" ")).collect();
        assert_eq!(words, ["python run", "text output"]);
        assert_eq!((page.blocks[0].line, page.blocks[0].code.as_str()), (2, "print(1)\n"));
        assert!(Page::new("```c\nint x;\n").is_err(), "a block without an end");
    }

    #[test]
    fn longer_fences_hold_shorter_ones() {
        let page = Page::new("````\n```c run\n```\n````\n").unwrap();
        assert_eq!(page.blocks.len(), 1);
        assert_eq!(page.blocks[0].code, "```c run\n```\n");
    }

    #[test]
    fn tables_say_what_their_rows_have() {
        let page =
            Page::new("`a`\n\n| file | what |\n|---|---|\n| `b` | with `c` |\n\n| key |\n|---|\n| `d` |\n").unwrap();
        let said: Vec<&str> =
            ["`a`", "`b`", "`c`", "`d`"].into_iter().filter(|word| page.table_says("file", word)).collect();
        assert_eq!(said, ["`b`", "`c`"]);
    }

    #[test]
    fn headings_become_anchors() {
        let page = Page::new("# Memory: `limit`, and more\n## Same\n## Same\n```\n# no heading\n```\n").unwrap();
        assert_eq!(page.anchors.iter().collect::<Vec<_>>(), ["memory-limit-and-more", "same", "same-1"]);
    }

    #[test]
    fn links_are_found_outside_code() {
        let text = "[a](b.md#c) `[x](y)` ![p](q.svg \"title\")\n<img src=\"r.png\">\n[ref]: s.md\n```\n[n](o)\n```\n";
        let targets: Vec<String> = Page::new(text).unwrap().links.into_iter().map(|(_, target)| target).collect();
        assert_eq!(targets, ["b.md#c", "q.svg", "r.png", "s.md"]);
    }

    #[test]
    fn rules_are_words_of_their_own() {
        let page = Page::new("Kept (H3, B12): R4. Not `V1`, C++17, B123, XH3 or H.\n```\nK1\n```\n").unwrap();
        let named: Vec<String> = page.rules().map(|(_, rule)| rule).collect();
        assert_eq!(named, ["H3", "B12", "R4"]);
    }

    #[test]
    fn commands_are_found_everywhere() {
        let page = Page::new("`cargo xtask test node docs` and\n```\ncargo xtask check  # all\n```\n").unwrap();
        let found = page.xtask_commands();
        assert_eq!(found[0], (1, "test".to_owned(), vec!["node".to_owned(), "docs".to_owned()]));
        assert_eq!(found[1], (3, "check".to_owned(), vec![]));
    }

    #[test]
    fn keys_are_those_of_tables_of_keys() {
        let page =
            Page::new("| key | x |\n|---|---|\n| `a` | `b` |\n\n| other | y |\n|---|---|\n| `c` | d |\n").unwrap();
        assert_eq!(page.first_column_keys().into_iter().collect::<Vec<_>>(), ["a"]);
    }
}
