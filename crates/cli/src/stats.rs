//! `weaveheap stats`: counters, regions, attachments, holders and names of heaps, read live (N1, N2). It is made of
//! snapshots alone.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use weaveheap_core::{CopyReason, Counters, Runtime, Snapshot};

use crate::human::{count, plural, printable, size};
use crate::screen::{Line, Page, Role, Screen, Span};
use crate::table::{Column, Table, number, text};
use crate::target::{self, Seen, Target};
use crate::watch::{self, Frame, Output};
use crate::who;

/// Shows the statistics of the target's heaps.
pub fn run(target: &Target, pace: Option<Duration>, json: bool, screen: Screen) -> Result<u8> {
    let mut earlier = Earlier::default();
    watch::show(pace, screen, |screen| {
        let (seen, failures) = target.open()?.each(target, |subject| {
            Ok(Seen { title: subject.title.clone(), snapshot: subject.inspector.snapshot()? })
        })?;
        let output = if json {
            let texts: Vec<String> = seen.iter().map(|seen| seen.snapshot.to_json()).collect();
            Output::Json(if target.may_be_several() { format!("[{}]", texts.join(",")) } else { texts.concat() })
        } else {
            let mut page = Page::default();
            for Seen { title, snapshot } in &seen {
                page.gap();
                draw(&mut page, title, snapshot, earlier.take(snapshot), screen);
            }
            if seen.is_empty() && failures.is_empty() {
                page.push(Line::new(Role::Plain, target::nothing_here()));
            }
            Output::Page(page)
        };
        Ok(Frame { output, failures })
    })
}

/// The counters of the last showing, so that `--watch` can say what happens in a second.
#[derive(Default)]
struct Earlier(HashMap<String, (Instant, Counters)>);

impl Earlier {
    /// What was seen of this heap before, and how many seconds ago; remembers what is seen now.
    fn take(&mut self, snapshot: &Snapshot) -> Option<(f64, Counters)> {
        let now = (Instant::now(), snapshot.counters.clone());
        let (then, counters) = self.0.insert(snapshot.heap.id.clone(), now)?;
        Some((then.elapsed().as_secs_f64(), counters))
    }
}

fn draw(page: &mut Page, title: &str, snapshot: &Snapshot, earlier: Option<(f64, Counters)>, screen: &Screen) {
    head(page, title, snapshot, screen);
    section(page, "Regions", &regions(snapshot), screen);
    section(page, "Attachments", &attachments(snapshot), screen);
    section(page, "Holders", &who::table(&snapshot.borrows, &snapshot.regions), screen);
    section(page, "Names", &names(snapshot), screen);
    section(page, "Counters", &counters(snapshot, earlier), screen);
}

/// The lines that say what a heap is; `viz` begins with them too.
pub fn head(page: &mut Page, title: &str, snapshot: &Snapshot, screen: &Screen) {
    let heap = &snapshot.heap;
    let sort = if heap.shared { "shared heap" } else { "private heap" };
    let parts = [
        Span::new(Role::Title, title),
        Span::plain(sort),
        Span::plain(plural(snapshot.regions.len() as u64, "region")),
        Span::plain(plural(snapshot.borrows.len() as u64, "borrow")),
        Span::plain(plural(snapshot.attachments.len() as u64, "attachment")),
        Span::plain(if heap.verify { "verified" } else { "" }),
    ];
    page.wrap(0, 2, "  ", &parts, screen);
    let facts = [
        Span::plain(format!("{} live", size(heap.bytes_live))),
        Span::plain(format!("{} reserved (peak {})", size(heap.reserved), size(heap.peak))),
        Span::plain(format!("limit {}", size(heap.limit))),
    ];
    page.wrap(2, 2, ", ", &facts, screen);
    let path = heap.path.as_ref().map(|path| printable(path)).unwrap_or_default();
    page.wrap(2, 2, "  ", &[Span::new(Role::Dim, path), Span::new(Role::Dim, format!("id {}", heap.id))], screen);
}

fn section(page: &mut Page, title: &str, table: &Table, screen: &Screen) {
    page.gap();
    if table.is_empty() {
        page.push(Line(vec![Span::new(Role::Heading, title), Span::new(Role::Dim, "  none")]));
    } else {
        page.push(Line::new(Role::Heading, title));
        table.draw(page, 2, screen);
    }
}

fn regions(snapshot: &Snapshot) -> Table {
    let mut table = Table::new(&[
        text("REGION", 0),
        text("NAME", 1),
        text("STATE", 2),
        number("BUFFERS", 0),
        number("LIVE", 0),
        number("RESERVED", 5),
        number("PEAK", 6),
        number("LIMIT", 4),
        number("BORROWS", 3),
        number("ALLOCS", 7),
        number("FREES", 8),
        number("CONFLICTS", 10),
        number("STALE", 11),
        number("COPIED", 9),
    ]);
    for region in &snapshot.regions {
        let counters = &region.counters;
        let state = if region.state == weaveheap_core::RegionState::Open { Role::Plain } else { Role::Warn };
        table.row([
            region.handle.to_string().into(),
            printable(&region.name).into(),
            Span::new(state, region.state.name()),
            count(region.buffers).into(),
            size(region.bytes_live).into(),
            size(region.reserved).into(),
            size(region.peak).into(),
            region.limit.map(size).unwrap_or_default().into(),
            count(region.borrows).into(),
            count(counters.allocations).into(),
            count(counters.frees).into(),
            count(counters.conflicts).into(),
            count(counters.stale).into(),
            size(counters.bytes_copied_total()).into(),
        ]);
    }
    table
}

fn attachments(snapshot: &Snapshot) -> Table {
    let mut table = Table::new(&[
        number("#", 5),
        text("LANGUAGE", 0),
        number("PROCESS", 0),
        number("THREADS", 3),
        number("BORROWS", 0),
        text("LABEL", 2),
        text("STATE", 1),
    ]);
    for attachment in &snapshot.attachments {
        let state = if attachment.alive { Span::plain("alive") } else { Span::new(Role::Bad, "dead") };
        table.row([
            attachment.index.to_string().into(),
            attachment.runtime.name().into(),
            attachment.process.to_string().into(),
            count(attachment.threads.into()).into(),
            count(attachment.borrows).into(),
            printable(&attachment.label).into(),
            state,
        ]);
    }
    table
}

fn names(snapshot: &Snapshot) -> Table {
    let mut table = Table::new(&[text("NAME", 0), text("HANDLE", 0)]);
    for name in &snapshot.names {
        table.row([printable(&name.name).into(), name.handle.to_string().into()]);
    }
    table
}

/// How a counter is read and written.
struct Row {
    title: String,
    value: fn(&Counters) -> u64,
    bytes: bool,
}

fn rows(total: &Counters) -> Vec<Row> {
    let row = |title: &str, value: fn(&Counters) -> u64| Row { title: title.into(), value, bytes: false };
    let bytes = |title: &str, value: fn(&Counters) -> u64| Row { title: title.into(), value, bytes: true };
    let mut rows = vec![
        row("allocations", |c| c.allocations),
        bytes("bytes allocated", |c| c.bytes_allocated),
        row("frees", |c| c.frees),
        bytes("bytes freed", |c| c.bytes_freed),
        row("borrows begun", |c| c.borrows_begun),
        row("borrows ended", |c| c.borrows_ended),
        row("conflicts", |c| c.conflicts),
        row("stale refused", |c| c.stale),
        row("views", |c| c.views),
        row("finalized", |c| c.finalized),
        row("copies", |c| c.copies_total()),
        bytes("bytes copied", |c| c.bytes_copied_total()),
    ];
    // The reasons, where there was one: a row for each that never happened would only be in the way.
    for reason in CopyReason::ALL {
        if total.copies.get(reason).count > 0 {
            let value: fn(&Counters) -> u64 = match reason {
                CopyReason::Ingest => |c| c.copies.ingest.bytes,
                CopyReason::Export => |c| c.copies.export.bytes,
                CopyReason::NoExternalBuffers => |c| c.copies.no_external_buffers.bytes,
                CopyReason::Serialize => |c| c.copies.serialize.bytes,
                _ => continue,
            };
            rows.push(Row { title: format!("  {}", reason.name()), value, bytes: true });
        }
    }
    if total.regions_collected > 0 {
        rows.push(row("regions collected", |c| c.regions_collected));
    }
    rows
}

/// One row a counter: the heap's, what happens in a second when it is known, and each runtime's.
fn counters(snapshot: &Snapshot, earlier: Option<(f64, Counters)>) -> Table {
    let mut columns: Vec<Column> = vec![text("COUNTER", 0), number("TOTAL", 0), number("A SECOND", 1)];
    columns.extend(snapshot.runtimes.iter().zip(2..).map(|(own, rank)| number(heading(own.runtime), rank).quiet()));
    let mut table = Table::new(&columns);
    for Row { title, value, bytes } in rows(&snapshot.counters) {
        let show = |n: u64| Span::plain(if bytes { size(n) } else { count(n) });
        let total = value(&snapshot.counters);
        let rate = earlier
            .as_ref()
            .filter(|(seconds, _)| *seconds > 0.0)
            .map(|(seconds, before)| show((total.saturating_sub(value(before)) as f64 / seconds).round() as u64));
        let mut cells = vec![title.clone().into(), show(total), rate.unwrap_or_default()];
        cells.extend(snapshot.runtimes.iter().map(|own| show(value(&own.counters))));
        table.push(cells);
    }
    table
}

fn heading(runtime: Runtime) -> &'static str {
    match runtime {
        Runtime::Rust => "RUST",
        Runtime::C => "C",
        Runtime::Cpp => "C++",
        Runtime::Python => "PYTHON",
        Runtime::Node => "NODE",
        Runtime::Wasm => "WASM",
        Runtime::Go => "GO",
        Runtime::Java => "JAVA",
        Runtime::Swift => "SWIFT",
        Runtime::Zig => "ZIG",
        Runtime::Cli => "CLI",
        _ => "UNKNOWN",
    }
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr;

    use super::*;
    use crate::sample;

    fn shown(width: Option<usize>, earlier: Option<(f64, Counters)>) -> String {
        let screen = Screen::plain(width);
        let mut page = Page::default();
        draw(&mut page, "flights", &sample::snapshot(), earlier, &screen);
        page.text(&screen)
    }

    /// The cells of the line that begins with this word.
    fn row(text: &str, first: &str) -> Vec<String> {
        let line = text
            .lines()
            .find(|line| line.trim_start().starts_with(first))
            .unwrap_or_else(|| panic!("{first}:\n{text}"));
        line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(String::from).collect()
    }

    #[test]
    fn every_part_of_a_snapshot_is_shown() {
        let text = shown(None, None);
        assert_eq!(row(&text, "flights"), ["flights", "shared heap", "2 regions", "3 borrows", "3 attachments"]);
        assert_eq!(row(&text, "1.00 GiB live"), ["1.00 GiB live, 2.00 GiB reserved (peak 3.00 GiB), limit 64.0 GiB"]);
        assert_eq!(row(&text, "r0:77")[..5], ["r0:77", "flights", "open", "3", "1.00 GiB"]);
        assert_eq!(row(&text, "r1:79")[..3], ["r1:79", "draining", "2"]);
        assert_eq!(row(&text, "0 "), ["0", "rust", "4000", "2", "1", "producer", "dead"]);
        assert_eq!(row(&text, "table"), ["table", "b17:2043"]);
        assert_eq!(row(&text, "allocations"), ["allocations", "1,234,567", "1,234,567"]);
        assert_eq!(row(&text, "bytes copied"), ["bytes copied", "3.00 KiB", "3.00 KiB"]);
        assert_eq!(row(&text, "ingest"), ["ingest", "3.00 KiB", "3.00 KiB"]);
        assert!(!text.contains("serialize"), "a reason that never happened is not shown:\n{text}");
    }

    #[test]
    fn no_width_loses_a_number_or_is_passed() {
        for width in [120, 80, 60, 40] {
            let text = shown(Some(width), None);
            assert!(text.lines().all(|line| line.width() <= width), "{width}:\n{text}");
            for word in ["r0:77", "r1:79", "draining", "4250", "2 h 05 m", "producer", "dead", "3.00 KiB", "1,234,567"]
            {
                assert!(text.contains(word), "{word} at {width}:\n{text}");
            }
        }
    }

    #[test]
    fn watching_shows_what_happens_in_a_second() {
        let mut before = sample::counters();
        before.borrows_begun -= 10;
        before.bytes_allocated -= 1 << 20;
        let text = shown(None, Some((2.0, before)));
        assert_eq!(row(&text, "borrows begun"), ["borrows begun", "99", "5", "99"]);
        assert_eq!(row(&text, "bytes allocated"), ["bytes allocated", "2.00 GiB", "512 KiB", "2.00 GiB"]);
    }

    #[test]
    fn an_empty_heap_says_so() {
        let mut snapshot = sample::snapshot();
        snapshot.regions.clear();
        snapshot.borrows.clear();
        snapshot.names.clear();
        let mut page = Page::default();
        draw(&mut page, "flights", &snapshot, None, &Screen::plain(None));
        let text = page.text(&Screen::plain(None));
        for section in ["Regions", "Holders", "Names"] {
            assert!(text.contains(&format!("{section}  none")), "{text}");
        }
    }
}
