//! What the output goes to, and text that fits it: roles instead of colours, lines made of spans, pages of lines.

use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::syntax::ColorWhen;

/// The terminal, or what stands in for it.
#[derive(Clone, Debug)]
pub struct Screen {
    /// Columns; `None` if lines may be of any length (a file, a pipe).
    pub width: Option<usize>,
    /// Rows of the terminal; `None` if it is none.
    pub height: Option<usize>,
    /// True if escape sequences for colours are wanted.
    pub color: bool,
    /// True if characters outside ASCII will be understood.
    pub unicode: bool,
    /// What was asked for by `--width`.
    pub forced: Option<usize>,
}

impl Screen {
    /// The screen behind standard output.
    pub fn of_stdout(color: ColorWhen, width: Option<u16>) -> Screen {
        let stdout = io::stdout();
        let color = match color {
            ColorWhen::Always => true,
            ColorWhen::Never => false,
            ColorWhen::Auto => !matches!(anstream::AutoStream::choice(&stdout), anstream::ColorChoice::Never),
        };
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().filter_map(std::env::var_os).find(|v| !v.is_empty());
        let unicode = speaks_utf8(locale.as_ref().and_then(|v| v.to_str()));
        let mut screen = Screen { width: None, height: None, color, unicode, forced: width.map(usize::from) };
        screen.measure();
        screen
    }

    /// A screen of this width without colours, for tests.
    #[cfg(test)]
    pub fn plain(width: Option<usize>) -> Screen {
        Screen { width, height: None, color: false, unicode: true, forced: None }
    }

    /// Reads the terminal's size again: it may have been changed.
    pub fn measure(&mut self) {
        let size = if io::stdout().is_terminal() { terminal_size::terminal_size() } else { None };
        self.width = self.forced.or(size.map(|(width, _)| usize::from(width.0)));
        self.height = size.map(|(_, height)| usize::from(height.0));
    }

    /// True if standard output is a terminal, so that a page can be drawn over the last one.
    pub fn is_terminal(&self) -> bool {
        self.height.is_some()
    }

    /// One of two characters, by what the terminal understands.
    pub fn glyph(&self, unicode: char, ascii: char) -> char {
        if self.unicode { unicode } else { ascii }
    }
}

fn speaks_utf8(locale: Option<&str>) -> bool {
    match locale {
        Some(locale) => {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        }
        // macOS and Windows terminals are UTF-8 with no locale set; elsewhere none means the C locale.
        None => cfg!(any(target_os = "macos", windows)),
    }
}

/// What a piece of text is; the colour follows from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    #[default]
    Plain,
    Title,
    Heading,
    Dim,
    Good,
    Warn,
    Bad,
    Idle,
    Frozen,
    Shared,
    Unique,
    Poisoned,
}

impl Role {
    fn style(self) -> Style {
        let color = |c: AnsiColor| Style::new().fg_color(Some(c.into()));
        match self {
            Role::Plain => Style::new(),
            Role::Title => Style::new().bold(),
            Role::Heading => Style::new().bold().underline(),
            Role::Dim => Style::new().dimmed(),
            Role::Good | Role::Shared => color(AnsiColor::Green),
            Role::Warn | Role::Unique => color(AnsiColor::Yellow),
            Role::Bad | Role::Poisoned => color(AnsiColor::Red).bold(),
            Role::Idle => color(AnsiColor::Blue),
            Role::Frozen => color(AnsiColor::Cyan),
        }
    }
}

/// Some text in one role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Span {
    pub role: Role,
    pub text: String,
}

impl Span {
    pub fn new(role: Role, text: impl Into<String>) -> Span {
        Span { role, text: text.into() }
    }

    pub fn plain(text: impl Into<String>) -> Span {
        Span::new(Role::Plain, text)
    }

    /// Columns that it takes.
    pub fn width(&self) -> usize {
        self.text.width()
    }
}

impl<T: Into<String>> From<T> for Span {
    fn from(text: T) -> Span {
        Span::plain(text)
    }
}

/// One line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line(pub Vec<Span>);

impl Line {
    pub fn new(role: Role, text: impl Into<String>) -> Line {
        Line(vec![Span::new(role, text)])
    }

    pub fn push(&mut self, span: impl Into<Span>) {
        self.0.push(span.into());
    }

    /// Fills up with blanks to this column.
    pub fn pad_to(&mut self, column: usize) {
        let width = self.width();
        if width < column {
            self.push(" ".repeat(column - width));
        }
    }

    pub fn width(&self) -> usize {
        self.0.iter().map(Span::width).sum()
    }

    fn write(&self, text: &mut String, screen: &Screen) {
        let width = screen.width.unwrap_or(usize::MAX);
        let mut room = width;
        let clipped = self.trimmed_width() > width;
        if clipped {
            room = room.saturating_sub(1);
        }
        let last = self.0.iter().rposition(|span| !span.text.trim_end().is_empty());
        for (i, span) in self.0.iter().enumerate() {
            let Some(last) = last.filter(|last| i <= *last) else { break };
            let whole = if i == last { span.text.trim_end() } else { &span.text };
            let piece = cut(whole, room);
            room -= piece.width();
            let style = span.role.style();
            if screen.color && style != Style::new() && !piece.is_empty() {
                text.push_str(&format!("{style}{piece}{style:#}"));
            } else {
                text.push_str(piece);
            }
            if piece.len() < whole.len() {
                break;
            }
        }
        if clipped && width > 0 {
            text.push(screen.glyph('…', '>'));
        }
    }

    fn trimmed_width(&self) -> usize {
        let text: String = self.0.iter().map(|span| span.text.as_str()).collect();
        text.trim_end().width()
    }
}

/// The longest beginning of a text that fits into so many columns.
fn cut(text: &str, width: usize) -> &str {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += c.width().unwrap_or(0);
        if used > width {
            return &text[..at];
        }
    }
    text
}

/// The beginning of a text that is too long, up to a blank if there is one.
fn break_at_blank<'a>(piece: &'a str, whole: &str) -> &'a str {
    let rest = &whole[piece.len()..];
    if rest.starts_with(' ') || piece.ends_with(' ') {
        return piece.trim_end();
    }
    match piece.rfind(' ') {
        Some(blank) if blank > 0 => &piece[..blank],
        _ => piece,
    }
}

/// The text cut to so many columns, the last one an ellipsis if something is missing.
pub fn shorten(text: &str, width: usize, screen: &Screen) -> String {
    if text.width() <= width {
        return text.to_string();
    }
    let mut short = cut(text, width.saturating_sub(1)).to_string();
    short.push(screen.glyph('…', '>'));
    short
}

/// Lines, from top to bottom.
#[derive(Clone, Debug, Default)]
pub struct Page(pub Vec<Line>);

impl Page {
    pub fn push(&mut self, line: Line) {
        self.0.push(line);
    }

    /// An empty line, but not at the top and not after another one.
    pub fn gap(&mut self) {
        if self.0.last().is_some_and(|line| !line.0.is_empty()) {
            self.0.push(Line::default());
        }
    }

    /// Parts of a sentence on as few lines as they fit on, later lines indented further. A part that is wider than a line
    /// is broken, so that nothing is lost.
    pub fn wrap(&mut self, indent: usize, hang: usize, gap: &str, parts: &[Span], screen: &Screen) {
        let width = screen.width.unwrap_or(usize::MAX);
        let room = width.saturating_sub(hang).max(1);
        let mut line = Line::new(Role::Plain, " ".repeat(indent));
        let mut empty = true;
        for part in parts.iter().filter(|part| !part.text.is_empty()) {
            let mut rest = part.text.as_str();
            while !rest.is_empty() {
                let piece = match cut(rest, room) {
                    // A character wider than the line goes there all the same.
                    "" => rest,
                    // What fits is not touched: blanks at its end may be there to align the next part.
                    whole if whole.len() == rest.len() => whole,
                    piece => break_at_blank(piece, rest),
                };
                rest = rest[piece.len()..].trim_start();
                let span = Span::new(part.role, piece);
                if !empty && line.width() + gap.width() + span.width() > width {
                    self.push(std::mem::replace(&mut line, Line::new(Role::Plain, " ".repeat(hang))));
                    empty = true;
                }
                if !empty {
                    line.push(gap);
                }
                line.push(span);
                empty = false;
            }
        }
        if !empty {
            self.push(line);
        }
    }

    /// The lines as text, each clipped to the screen's width.
    pub fn lines(&self, screen: &Screen) -> Vec<String> {
        self.0
            .iter()
            .map(|line| {
                let mut text = String::new();
                line.write(&mut text, screen);
                text
            })
            .collect()
    }

    /// The whole page as text.
    pub fn text(&self, screen: &Screen) -> String {
        let mut text = String::new();
        for line in self.lines(screen) {
            text.push_str(&line);
            text.push('\n');
        }
        text
    }

    /// Writes the page to standard output.
    pub fn print(&self, screen: &Screen) -> io::Result<()> {
        print(&self.text(screen))
    }
}

/// Writes to standard output in one piece; where the system's console knows no escape sequences, they are translated.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = anstream::AutoStream::new(io::stdout().lock(), anstream::ColorChoice::Always);
    out.write_all(text.as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(parts: &[(Role, &str)]) -> Line {
        Line(parts.iter().map(|(role, text)| Span::new(*role, *text)).collect())
    }

    fn text(line: &Line, screen: &Screen) -> String {
        Page(vec![line.clone()]).lines(screen).remove(0)
    }

    #[test]
    fn long_lines_end_in_an_ellipsis_at_the_width() {
        let line = line(&[(Role::Plain, "region "), (Role::Dim, "flights 航班航班")]);
        assert_eq!(text(&line, &Screen::plain(Some(30))), "region flights 航班航班");
        assert_eq!(text(&line, &Screen::plain(Some(10))), "region fl…");
        // A wide character that does not fit by half is left out whole.
        assert_eq!(text(&line, &Screen::plain(Some(19))), "region flights 航…");
        assert_eq!(text(&line, &Screen { unicode: false, ..Screen::plain(Some(10)) }), "region fl>");
    }

    #[test]
    fn colours_are_written_only_when_wanted_and_blanks_at_the_end_never() {
        let line = line(&[(Role::Bad, "dead"), (Role::Plain, "   "), (Role::Plain, "  ")]);
        assert_eq!(text(&line, &Screen::plain(None)), "dead");
        let colored = text(&line, &Screen { color: true, ..Screen::plain(None) });
        assert_eq!(colored, "\u{1b}[1m\u{1b}[31mdead\u{1b}[0m");
    }

    #[test]
    fn parts_wrap_at_the_width() {
        let mut page = Page::default();
        let parts: Vec<Span> = ["one", "two", "", "three"].map(Span::from).into();
        page.wrap(1, 3, ", ", &parts, &Screen::plain(Some(10)));
        assert_eq!(page.text(&Screen::plain(None)), " one, two\n   three\n");
    }

    #[test]
    fn a_part_wider_than_a_line_is_broken_and_nothing_is_lost() {
        let mut page = Page::default();
        let parts = [Span::from("at"), Span::from("/dev/shm/heaps/flights"), Span::from("a b c d e f g h")];
        page.wrap(0, 2, " ", &parts, &Screen::plain(Some(12)));
        let text = page.text(&Screen::plain(None));
        assert_eq!(text, "at\n  /dev/shm/h\n  eaps/fligh\n  ts\n  a b c d e\n  f g h\n");
    }

    #[test]
    fn the_locale_says_whether_drawings_are_understood() {
        assert!(speaks_utf8(Some("de_DE.UTF-8")) && speaks_utf8(Some("C.utf8")));
        assert!(!speaks_utf8(Some("C")) && !speaks_utf8(Some("POSIX")));
    }
}
