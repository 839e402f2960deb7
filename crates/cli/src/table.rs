//! Tables with aligned columns that fit a width without losing anything: what does not fit beside the rest moves under
//! its row.

use unicode_width::UnicodeWidthStr;

use crate::screen::{Line, Page, Role, Screen, Span, shorten};

/// How one column looks.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    head: &'static str,
    right: bool,
    /// Columns with the highest rank move under the row first; those of rank 0 stay.
    rank: u8,
    /// A zero is not worth a word under the row.
    quiet: bool,
}

/// A column of text.
pub const fn text(head: &'static str, rank: u8) -> Column {
    Column { head, right: false, rank, quiet: false }
}

/// A column of numbers.
pub const fn number(head: &'static str, rank: u8) -> Column {
    Column { head, right: true, rank, quiet: false }
}

impl Column {
    /// A number that is left out under the row when it is zero.
    pub const fn quiet(mut self) -> Column {
        self.quiet = true;
        self
    }

    fn is_said(&self, cell: &Span) -> bool {
        !(cell.text.is_empty() || self.quiet && (cell.text == "0" || cell.text == "0 B"))
    }
}

/// Rows under columns.
#[derive(Debug)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Span>>,
}

const GAP: usize = 2;

impl Table {
    pub fn new(columns: &[Column]) -> Table {
        Table { columns: columns.to_vec(), rows: Vec::new() }
    }

    pub fn row<const N: usize>(&mut self, cells: [Span; N]) {
        self.push(cells.into());
    }

    /// A row for columns that are counted only when the program runs.
    pub fn push(&mut self, cells: Vec<Span>) {
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows.push(cells);
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Adds the table to a page, fitted to the screen.
    pub fn draw(&self, page: &mut Page, indent: usize, screen: &Screen) {
        let used: Vec<usize> =
            (0..self.columns.len()).filter(|c| self.rows.iter().any(|row| !row[*c].text.is_empty())).collect();
        let room = screen.width.map_or(usize::MAX, |width| width.saturating_sub(indent));
        let (shown, widths) = self.fit(used.clone(), room);
        let folded: Vec<usize> = used.into_iter().filter(|c| !shown.contains(c)).collect();

        let heads: Vec<Span> = shown.iter().map(|c| Span::new(Role::Dim, self.columns[*c].head)).collect();
        page.push(self.line(&shown, &widths, indent, &heads.iter().collect::<Vec<_>>(), screen));
        for row in &self.rows {
            let cells: Vec<&Span> = shown.iter().map(|c| &row[*c]).collect();
            page.push(self.line(&shown, &widths, indent, &cells, screen));
            let parts: Vec<Span> = folded
                .iter()
                .filter(|c| self.columns[**c].is_said(&row[**c]))
                .map(|c| Span::new(Role::Dim, format!("{} {}", self.columns[*c].head.to_lowercase(), row[*c].text)))
                .collect();
            page.wrap(indent + 2, indent + 2, ", ", &parts, screen);
        }
    }

    fn line(&self, shown: &[usize], widths: &[usize], indent: usize, cells: &[&Span], screen: &Screen) -> Line {
        let mut line = Line::new(Role::Plain, " ".repeat(indent));
        for (i, (cell, width)) in cells.iter().zip(widths).enumerate() {
            if i > 0 {
                line.push(" ".repeat(GAP));
            }
            let text = shorten(&cell.text, *width, screen);
            let blank = " ".repeat(width - text.width());
            if self.columns[shown[i]].right {
                line.push(blank);
                line.push(Span::new(cell.role, text));
            } else {
                line.push(Span::new(cell.role, text));
                line.push(blank);
            }
        }
        line
    }

    /// Which columns stay in the row, and how wide each is.
    fn fit(&self, mut shown: Vec<usize>, room: usize) -> (Vec<usize>, Vec<usize>) {
        loop {
            let mut widths: Vec<usize> = shown.iter().map(|c| self.natural(*c)).collect();
            let mut over = total(&widths).saturating_sub(room);
            let foldable = shown.iter().copied().filter(|c| self.columns[*c].rank > 0);
            // One long text would push all the others down: it goes first itself.
            let folded = foldable.max_by_key(|c| (self.natural(*c) > room / 3, self.columns[*c].rank));
            match folded {
                Some(c) if over > 0 => shown.retain(|other| *other != c),
                _ => {
                    // Nothing can move any more: the widest text gives way, down to what can still be told apart.
                    while over > 0 {
                        let Some(widest) = widths.iter_mut().max().filter(|width| **width > 8) else { break };
                        *widest -= 1;
                        over -= 1;
                    }
                    return (shown, widths);
                }
            }
        }
    }

    fn natural(&self, column: usize) -> usize {
        let cells = self.rows.iter().map(|row| row[column].width()).max().unwrap_or(0);
        cells.max(self.columns[column].head.width())
    }
}

fn total(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new(&[text("BUFFER", 0), text("LABEL", 2), number("PROCESS", 0), number("THREAD", 3)]);
        table.row(["b17:2043".into(), "analysis of flights".into(), "42".into(), "4711".into()]);
        table.row(["b1:3".into(), "".into(), "123456".into(), "1".into()]);
        table
    }

    fn draw(table: &Table, width: Option<usize>) -> String {
        let mut page = Page::default();
        table.draw(&mut page, 0, &Screen::plain(width));
        page.text(&Screen::plain(width))
    }

    #[test]
    fn columns_are_aligned() {
        let wanted = "BUFFER    LABEL                PROCESS  THREAD\n\
                      b17:2043  analysis of flights       42    4711\n\
                      b1:3                            123456       1\n";
        assert_eq!(draw(&sample(), None), wanted);
    }

    #[test]
    fn a_long_text_moves_before_the_numbers_beside_it() {
        let wanted = "BUFFER    PROCESS  THREAD\n\
                      b17:2043       42    4711\n  label analysis of flights\n\
                      b1:3       123456       1\n";
        assert_eq!(draw(&sample(), Some(35)), wanted);
    }

    #[test]
    fn what_must_stay_is_cut_when_there_is_no_room_at_all() {
        let mut table = Table::new(&[text("HEAP", 0), number("LIVE", 0)]);
        table.row(["a-heap-with-a-long-name".into(), "1.00 GiB".into()]);
        assert_eq!(draw(&table, Some(24)), "HEAP                LIVE\na-heap-with-a…  1.00 GiB\n");
    }

    #[test]
    fn a_quiet_zero_is_not_said_under_the_row() {
        let mut table = Table::new(&[text("COUNTER", 0), number("RUST", 1).quiet(), number("GO", 2).quiet()]);
        table.row(["allocations".into(), "12".into(), "0".into()]);
        assert_eq!(draw(&table, Some(12)), "COUNTER\nallocations\n  rust 12\n");
        assert_eq!(draw(&table, None), "COUNTER      RUST  GO\nallocations    12   0\n");
    }

    #[test]
    fn what_does_not_fit_moves_under_its_row() {
        let wanted = "BUFFER    PROCESS\n\
                      b17:2043       42\n  label analysis of\n  flights\n  thread 4711\n\
                      b1:3       123456\n  thread 1\n";
        let text = draw(&sample(), Some(20));
        assert_eq!(text, wanted);
        assert!(text.lines().all(|line| line.width() <= 20), "{text}");
    }

    #[test]
    fn columns_without_any_text_are_left_out() {
        let mut table = Table::new(&[text("NAME", 0), text("LABEL", 0)]);
        table.row(["a".into(), "".into()]);
        assert_eq!(draw(&table, None), "NAME\na\n");
    }
}
