//! What the demo looks like: headings, lines and tables, in colours when the output is a terminal.

use std::time::Duration;

use console::{Term, measure_text_width, style};
use indicatif::{ProgressBar, ProgressStyle};

/// A step's heading.
pub fn heading(number: usize, text: &str) {
    println!("\n{} {}", style(format!(" {number} ")).black().on_cyan().bold(), style(text).bold());
}

/// A line of a step: what, and the figure.
pub fn line(what: &str, figure: impl std::fmt::Display) {
    println!("  {what:<44} {}", style(figure).green());
}

/// A remark.
pub fn remark(text: &str) {
    println!("  {}", style(text).dim());
}

/// A table: the first column to the left, the others to the right.
pub fn table(headers: &[&str], rows: &[Vec<String>]) {
    let mut widths: Vec<usize> = headers.iter().map(|header| measure_text_width(header)).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(measure_text_width(cell));
        }
    }
    let aligned = |cells: Vec<String>| {
        let padded = cells.iter().zip(&widths).enumerate().map(|(index, (cell, width))| {
            let gap = " ".repeat(width.saturating_sub(measure_text_width(cell)));
            if index == 0 { format!("{cell}{gap}") } else { format!("{gap}{cell}") }
        });
        padded.collect::<Vec<_>>().join("   ").trim_end().to_owned()
    };
    println!("  {}", style(aligned(headers.iter().map(|header| header.to_string()).collect())).cyan().bold());
    for row in rows {
        println!("  {}", aligned(row.clone()));
    }
}

/// Text of another program, indented.
pub fn quote(text: &str) {
    for line in text.lines() {
        println!("{}", format!("  {line}").trim_end());
    }
}

/// A message of the library, on as many lines as it needs.
pub fn warning(text: &str) {
    let limit = usize::from(width()).saturating_sub(6);
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && measure_text_width(&line) + 1 + measure_text_width(word) > limit {
            println!("    {}", style(&line).yellow());
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    println!("    {}", style(&line).yellow());
}

/// A check that was made: what holds.
pub fn holds(text: &str) {
    println!("  {} {text}", style("✓").green().bold());
}

/// A check that failed.
pub fn fails(text: &str) {
    println!("  {} {text}", style("✗").red().bold());
}

/// The columns of the terminal, or 110 where there is none, within reason.
pub fn width() -> u16 {
    Term::stdout().size_checked().map_or(110, |(_, columns)| columns.clamp(60, 140))
}

/// True if colours are wanted.
pub fn colours() -> bool {
    console::colors_enabled()
}

/// A bar that counts bytes; drawn only on a terminal.
pub fn progress(total: u64, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(total);
    if let Ok(look) = ProgressStyle::with_template("  {msg} {bar:40.cyan/dim} {bytes}/{total_bytes} {bytes_per_sec}") {
        bar.set_style(look);
    }
    bar.with_message(what)
}

/// Bytes for people.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{:.2} {name}", bytes as f64 / *unit as f64),
        None => format!("{bytes} B"),
    }
}

/// Milliseconds for people.
pub fn millis(ms: f64) -> String {
    crate::ctx::human_time(Duration::from_secs_f64(ms.max(0.0) / 1e3))
}

/// A whole number with its thousands apart.
pub fn count(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::{bytes, count, millis};

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(bytes(512), "512 B");
        assert_eq!(bytes(3 << 29), "1.50 GiB");
        assert_eq!(count(28_014_789), "28 014 789");
        assert_eq!(count(-1_000), "-1 000");
        assert_eq!(count(999), "999");
        assert_eq!(millis(0.5), "0.5 ms");
    }
}
