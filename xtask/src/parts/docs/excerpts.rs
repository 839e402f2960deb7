//! Excerpts: blocks whose fence names a file (`python file=samples/demo/reader.py`) hold lines of that file, so that a
//! page cannot tell of code that has changed.

use super::markdown::Block;

/// The file that a block says it is taken from.
pub fn file_of(block: &Block) -> Option<&str> {
    block.info.iter().find_map(|word| word.strip_prefix("file="))
}

/// True if the code's lines stand together in the text, whatever they are indented by as a whole.
pub fn holds(text: &str, code: &str) -> bool {
    let (held, wanted): (Vec<&str>, Vec<&str>) = (text.lines().collect(), code.lines().collect());
    !wanted.is_empty() && held.windows(wanted.len()).any(|window| dedent(window) == dedent(&wanted))
}

fn dedent(lines: &[&str]) -> Vec<String> {
    let depth = |line: &&str| line.len() - line.trim_start().len();
    let common = lines.iter().filter(|line| !line.trim().is_empty()).map(depth).min().unwrap_or(0);
    lines.iter().map(|line| line.get(common..).unwrap_or("").trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::markdown::Page;
    use super::*;

    #[test]
    fn an_excerpt_must_stand_in_its_file() {
        let page = Page::new("```python file=a.py\nx = 1\nif x:\n    y()\n```\n```sh\nls\n```").unwrap();
        assert_eq!(page.blocks.iter().map(file_of).collect::<Vec<_>>(), [Some("a.py"), None]);
        let code = &page.blocks[0].code;
        assert!(holds("def f():\n    x = 1\n    if x:\n        y()\n", code));
        assert!(!holds("def f():\n    x = 1\n    if x:\n        z()\n", code));
        assert!(!holds("x", ""));
    }
}
