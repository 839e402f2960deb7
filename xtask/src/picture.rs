//! `cargo xtask picture`: runs the demo and draws what a terminal would show as an SVG for the README. Text is placed
//! run by run on a grid, so that it looks the same in any monospaced font.

use std::fmt::Write;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::ctx::Ctx;

/// Where the picture goes.
const PLACE: &str = "docs/images/demo.svg";

/// One character's width, one line's height, and the space around, in pixels.
const CELL: f64 = 8.4;
const LINE: f64 = 19.0;
const MARGIN: f64 = 22.0;
const FOREGROUND: &str = "#d6deeb";

/// Runs the demo at this size and draws its output.
pub fn draw(ctx: &Ctx, size: u64) -> Result<()> {
    // Before, so that the picture shows the demo and not the time that a compiler takes.
    crate::demo::ready(ctx)?;
    let mut demo = Command::new(std::env::current_exe().context("cannot find this program")?);
    demo.current_dir(ctx.root())
        .args(["demo", "--size", &size.to_string()])
        .env("CLICOLOR_FORCE", "1")
        .env_remove("NO_COLOR");
    let output = demo.stderr(std::process::Stdio::inherit()).output().context("cannot run the demo")?;
    if !output.status.success() {
        bail!("the demo failed: there is nothing to draw");
    }
    let shown = String::from_utf8_lossy(&output.stdout).replace(&ctx.target().display().to_string(), "target");
    let text = format!("\u{1b}[2m$\u{1b}[0m \u{1b}[1mcargo xtask demo\u{1b}[0m\n{}", shown.trim_end());
    let path = ctx.path(PLACE);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&path, svg(&text)).with_context(|| format!("cannot write {}", path.display()))?;
    println!("wrote {PLACE}");
    Ok(())
}

/// How a run of text looks.
#[derive(Clone, Copy, Default, PartialEq)]
struct Look {
    colour: Option<u8>,
    ground: Option<u8>,
    bold: bool,
    dim: bool,
}

impl Look {
    /// What a `CSI ... m` sequence makes of it.
    fn after(mut self, codes: &str) -> Look {
        for code in codes.split(';').map(|code| code.parse::<u8>().unwrap_or(0)) {
            match code {
                0 => self = Look::default(),
                1 => self.bold = true,
                2 => self.dim = true,
                22 => (self.bold, self.dim) = (false, false),
                30..=37 => self.colour = Some(code - 30),
                90..=97 => self.colour = Some(code - 90),
                39 => self.colour = None,
                40..=47 => self.ground = Some(code - 40),
                49 => self.ground = None,
                _ => {}
            }
        }
        self
    }
}

fn colour(index: u8) -> &'static str {
    const COLOURS: [&str; 8] = ["#10141c", "#ef6b73", "#7fd88f", "#e6c06a", "#6cb6ff", "#c792ea", "#5fd3e0", "#e8eef7"];
    COLOURS.get(usize::from(index)).copied().unwrap_or(FOREGROUND)
}

/// The runs of a line: column, text, look.
fn runs(line: &str, look: &mut Look) -> Vec<(usize, String, Look)> {
    let mut found: Vec<(usize, String, Look)> = Vec::new();
    let mut column = 0;
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        if let Some(sequence) = rest.strip_prefix("\u{1b}[") {
            let end = sequence.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(sequence.len());
            if sequence[end..].starts_with('m') {
                *look = look.after(&sequence[..end]);
            }
            rest = sequence.get(end + 1..).unwrap_or("");
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match found.last_mut() {
            Some((_, text, last)) if last == look => text.push(c),
            _ => found.push((column, c.to_string(), *look)),
        }
        column += 1;
    }
    found
}

fn svg(text: &str) -> String {
    let mut body = String::new();
    let mut look = Look::default();
    let mut columns = 0;
    let mut lines = 0;
    for (row, line) in text.lines().enumerate() {
        lines = row + 1;
        for (column, text, look) in runs(line, &mut look) {
            let length = text.chars().count();
            columns = columns.max(column + length);
            let (x, y) = (MARGIN + column as f64 * CELL, MARGIN + row as f64 * LINE + LINE * 0.75);
            if let Some(ground) = look.ground {
                let (top, width) = (MARGIN + row as f64 * LINE, length as f64 * CELL);
                let fill = colour(ground);
                let _ = writeln!(
                    body,
                    r#"<rect x="{x:.1}" y="{top:.1}" width="{width:.1}" height="{LINE}" rx="3" fill="{fill}"/>"#
                );
            }
            if text.trim().is_empty() {
                continue;
            }
            let fill = look.colour.map_or(FOREGROUND, colour);
            let bold = if look.bold { r#" font-weight="700""# } else { "" };
            let dim = if look.dim { r#" opacity="0.6""# } else { "" };
            let width = length as f64 * CELL;
            let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let _ = writeln!(
                body,
                r#"<text x="{x:.1}" y="{y:.1}" textLength="{width:.1}" fill="{fill}"{bold}{dim} xml:space="preserve">{escaped}</text>"#
            );
        }
    }
    let (width, height) = (2.0 * MARGIN + columns as f64 * CELL, 2.0 * MARGIN + lines as f64 * LINE);
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0} {height:.0}" width="{width:.0}" height="{height:.0}" role="img" aria-label="The output of cargo xtask demo" font-family="ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace" font-size="14">
<rect width="100%" height="100%" rx="10" fill="#10141c"/>
{body}</svg>
"##
    )
}

#[cfg(test)]
mod tests {
    use super::{Look, runs, svg};

    #[test]
    fn runs_keep_their_columns_and_colours() {
        let found = runs("ab\u{1b}[1;32mcd\u{1b}[0me", &mut Look::default());
        let green = Look { colour: Some(2), bold: true, ..Look::default() };
        let expected = [(0, "ab", Look::default()), (2, "cd", green), (4, "e", Look::default())];
        assert_eq!(found.len(), expected.len());
        for ((column, text, look), (at, wanted, style)) in found.iter().zip(expected) {
            assert!(*column == at && text == wanted && *look == style, "{column} {text}");
        }
    }

    #[test]
    fn text_is_escaped() {
        assert!(svg("a < b & c").contains("a &lt; b &amp; c"));
    }
}
