//! `weaveheap who`: who holds borrows of a buffer, or of any buffer of a region. It has the table of holders that
//! `stats` shows too.

use anyhow::{Context, Result};
use weaveheap_core::{Handle, HandleKind, Holder, RegionInfo};

use crate::human;
use crate::screen::{self, Line, Page, Role, Screen, Span};
use crate::table::{Table, number, text};
use crate::target::{Opened, Target};

/// Shows the holders of a handle.
pub fn run(target: &Target, handle: Handle, json: bool, screen: &Screen) -> Result<u8> {
    let opened = target.open()?;
    let (holders, regions) = find(opened, target, handle)?;
    if json {
        screen::print(&format!("{}\n", serde_json::to_string(&holders)?))?;
    } else {
        page(handle, &holders, &regions, screen).print(screen)?;
    }
    Ok(0)
}

/// The holders, from the one heap that knows the handle: a process may have several private heaps.
fn find(opened: Opened, target: &Target, handle: Handle) -> Result<(Vec<Holder>, Vec<RegionInfo>)> {
    let mut last = None;
    for subject in &opened.subjects {
        match subject.inspector.holders(handle) {
            Ok(holders) => {
                // Only for the regions' names: without them the handles have to do.
                let regions = subject.inspector.snapshot().map(|s| s.regions).unwrap_or_default();
                return Ok((holders, regions));
            }
            Err(error) => last = Some(error),
        }
    }
    let error = last.context("no heap could be opened")?;
    Err(crate::fail::of_heap(&target.title(), error))
}

fn page(handle: Handle, holders: &[Holder], regions: &[RegionInfo], screen: &Screen) -> Page {
    let mut page = Page::default();
    let of = match handle.kind() {
        HandleKind::Buffer => "buffer",
        HandleKind::Region => "region",
    };
    if holders.is_empty() {
        page.push(Line::new(Role::Plain, format!("Nobody holds a borrow of {of} {handle}.")));
        return page;
    }
    page.push(Line(vec![
        Span::new(Role::Title, format!("{of} {handle}")),
        Span::plain(format!(": {}", human::plural(holders.len() as u64, "borrow"))),
    ]));
    table(holders, regions).draw(&mut page, 0, screen);
    page
}

/// Holders by language, process, thread, age and kind.
pub fn table(holders: &[Holder], regions: &[RegionInfo]) -> Table {
    let mut table = Table::new(&[
        text("LANGUAGE", 0),
        number("PROCESS", 0),
        number("THREAD", 5),
        number("AGE", 1),
        text("KIND", 2),
        text("BUFFER", 0),
        text("REGION", 6),
        text("LABEL", 4),
        text("STATE", 3),
    ]);
    for holder in holders {
        let region = regions.iter().find(|region| region.handle == holder.region);
        let dead = if holder.alive { "" } else { "dead" };
        table.row([
            holder.runtime.name().into(),
            holder.process.to_string().into(),
            holder.thread.to_string().into(),
            human::age(holder.age_ms).into(),
            Span::new(role(holder), holder.kind.name()),
            holder.handle.to_string().into(),
            region_title(holder.region, region).into(),
            human::printable(&holder.label).into(),
            Span::new(Role::Bad, dead),
        ]);
    }
    table
}

/// The role of a borrow's kind.
pub fn role(holder: &Holder) -> Role {
    match holder.kind {
        weaveheap_core::BorrowKind::Shared => Role::Shared,
        weaveheap_core::BorrowKind::Unique => Role::Unique,
    }
}

/// A region's name, its handle if it has none.
pub fn region_title(handle: Handle, region: Option<&RegionInfo>) -> String {
    match region {
        Some(region) if !region.name.is_empty() => human::printable(&region.name),
        _ => handle.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn holders_are_shown_by_language_process_thread_age_and_kind() {
        let snapshot = sample::snapshot();
        let text = page(snapshot.borrows[0].handle, &snapshot.borrows, &snapshot.regions, &Screen::plain(None))
            .text(&Screen::plain(None));
        let wanted = "\
buffer b17:2043: 3 borrows
LANGUAGE  PROCESS  THREAD         AGE  KIND    BUFFER    REGION   LABEL     STATE
python       4242    4250  2 h 05 m    shared  b17:2043  flights  analysis
node         4243    4243      3.1 s   shared  b17:2043  flights
rust         4000    4001      0.2 s   unique  b18:2045  flights  producer  dead
";
        let squeeze =
            |text: &str| text.lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>();
        assert_eq!(squeeze(&text), squeeze(wanted));
    }

    #[test]
    fn on_forty_columns_nothing_is_lost() {
        let snapshot = sample::snapshot();
        let screen = Screen::plain(Some(40));
        let text = page(snapshot.borrows[0].handle, &snapshot.borrows, &snapshot.regions, &screen).text(&screen);
        for word in
            ["python", "4242", "4250", "2 h 05 m", "shared", "unique", "b17:2043", "flights", "analysis", "dead"]
        {
            assert!(text.contains(word), "{word} is missing:\n{text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= 40), "{text}");
    }

    #[test]
    fn nobody_is_an_answer() {
        let handle = "r3:77".parse().unwrap();
        let text = page(handle, &[], &[], &Screen::plain(None)).text(&Screen::plain(None));
        assert_eq!(text, "Nobody holds a borrow of region r3:77.\n");
    }
}
