//! The drawing of one heap as lines.

use std::collections::HashMap;

use weaveheap_core::{BufferInfo, Handle, Holder, RegionState};

use super::map::{self, State};
use super::{Picture, RegionPicture};
use crate::human::{age, count, plural, printable, size};
use crate::screen::{Line, Page, Role, Screen, Span};
use crate::{stats, who};

/// Regions and, in each, buffers and holders that are shown without `--all`.
const REGIONS: usize = 16;
const BUFFERS: usize = 10;
const HOLDERS: usize = 8;
/// Names of one handle that are shown without `--all`.
const NAMES: usize = 4;

/// The width of the bars where lines may be of any length.
const WIDTH: usize = 100;

/// Draws a heap.
pub fn heap(page: &mut Page, picture: &Picture, all: bool, screen: &Screen) {
    let snapshot = &picture.snapshot;
    stats::head(page, &picture.title, snapshot, screen);
    let width = screen.width.unwrap_or(WIDTH).saturating_sub(4).max(8);
    let buffers = || picture.regions.iter().flat_map(|region| &region.buffers);
    let end = buffers().map(|buffer| buffer.offset.saturating_add(buffer.length)).max().unwrap_or(0);
    let extent = end.max(snapshot.heap.reserved).max(1);

    page.gap();
    let used = map::gauge(snapshot.heap.reserved, snapshot.heap.limit, width);
    let share = snapshot.heap.reserved as f64 / snapshot.heap.limit.max(1) as f64 * 100.0;
    let percent = if share > 0.0 && share < 0.1 { "under 0.1".to_string() } else { format!("{share:.1}") };
    page.push(Line::new(Role::Plain, format!("  Reserved: {percent} % of {}", size(snapshot.heap.limit))));
    page.push(frame(
        vec![
            Span::new(Role::Title, screen.glyph('■', '#').to_string().repeat(used)),
            Span::new(Role::Dim, screen.glyph('·', '.').to_string().repeat(width - used)),
        ],
        screen,
    ));
    page.push(scale(extent, width));
    page.push(bar(map::cells(buffers(), extent, width), screen));
    let mut legend: Vec<Span> = State::ALL
        .iter()
        .map(|state| Span::new(state.role(), format!("{} {}", state.glyph(screen), state.name())))
        .collect();
    legend.push(Span::new(Role::Dim, format!("{} no buffer", screen.glyph('·', '.'))));
    legend.push(Span::new(Role::Dim, format!("1 cell: {}", size(extent.div_ceil(width as u64)))));
    page.wrap(2, 2, "  ", &legend, screen);

    let mut names: HashMap<Handle, Vec<&str>> = HashMap::new();
    for name in &snapshot.names {
        names.entry(name.handle).or_default().push(&name.name);
    }
    let mut holders: HashMap<Handle, Vec<&Holder>> = HashMap::new();
    for holder in &snapshot.borrows {
        holders.entry(holder.handle).or_default().push(holder);
    }
    let context = Context { names, holders, extent, width, single: picture.regions.len() == 1, all };
    let limit = if all { usize::MAX } else { REGIONS };
    let shown = most_telling(&picture.regions, limit, |region| (region.info.borrows, region.info.bytes_live));
    for region in picture.regions.iter().enumerate().filter(|(i, _)| shown.contains(i)).map(|(_, region)| region) {
        page.gap();
        self::region(page, region, &context, screen);
    }
    let rest: Vec<&RegionPicture> =
        picture.regions.iter().enumerate().filter(|(i, _)| !shown.contains(i)).map(|(_, region)| region).collect();
    if !rest.is_empty() {
        let bytes = rest.iter().fold(0_u64, |sum, region| sum.saturating_add(region.info.bytes_live));
        let buffers = rest.iter().fold(0_u64, |sum, region| sum.saturating_add(region.info.buffers));
        page.gap();
        let more = plural(rest.len() as u64, "more region");
        let note = format!("{more}: {} in {}; --all shows them", size(bytes), plural(buffers, "buffer"));
        page.push(Line::new(Role::Dim, note));
    }
}

/// What the drawing of a region needs to know of its heap.
struct Context<'a> {
    names: HashMap<Handle, Vec<&'a str>>,
    holders: HashMap<Handle, Vec<&'a Holder>>,
    extent: u64,
    width: usize,
    single: bool,
    all: bool,
}

fn region(page: &mut Page, region: &RegionPicture, context: &Context, screen: &Screen) {
    let info = &region.info;
    let state = if info.state == RegionState::Open { Role::Dim } else { Role::Warn };
    let limit = info.limit.map(|limit| format!("limit {}", size(limit))).unwrap_or_default();
    let parts = [
        Span::new(Role::Title, format!("region {}", info.handle)),
        Span::new(Role::Title, printable(&info.name)),
        published(info.handle, context),
        Span::new(state, info.state.name()),
        Span::plain(format!("{} in {}", size(info.bytes_live), plural(info.buffers, "buffer"))),
        Span::plain(format!("{} reserved", size(info.reserved))),
        Span::plain(limit),
        Span::plain(plural(info.borrows, "borrow")),
    ];
    page.wrap(0, 2, "  ", &parts, screen);
    // With one region its bar would be the heap's again.
    if !context.single {
        page.push(bar(map::cells(&region.buffers, context.extent, context.width), screen));
    }

    let limit = if context.all { usize::MAX } else { BUFFERS };
    let shown = most_telling(&region.buffers, limit, |buffer| (State::of(buffer), buffer.length));
    let rows: Vec<&BufferInfo> = shown.iter().map(|i| &region.buffers[*i]).collect();
    let cells: Vec<[String; 3]> = rows
        .iter()
        .map(|buffer| [buffer.handle.to_string(), size(buffer.length), format!("at {:#x}", buffer.offset)])
        .collect();
    let widths = [0, 1, 2].map(|column| cells.iter().map(|row| row[column].len()).max().unwrap_or(0));
    for (buffer, [handle, length, offset]) in rows.into_iter().zip(cells) {
        let state = State::of(buffer);
        let parts = [
            Span::new(state.role(), state.glyph(screen).to_string()),
            Span::plain(format!("{handle:<0$}", widths[0])),
            Span::plain(format!("{length:>0$}", widths[1])),
            Span::new(Role::Dim, format!("{offset:<0$}", widths[2])),
            Span::new(state.role(), describe(buffer, state)),
            published(buffer.handle, context),
        ];
        page.wrap(2, 4, "  ", &parts, screen);
        holders(page, buffer, context, screen);
    }
    rest(page, region, &shown, screen);
}

fn holders(page: &mut Page, buffer: &BufferInfo, context: &Context, screen: &Screen) {
    let holders = context.holders.get(&buffer.handle).map(Vec::as_slice).unwrap_or_default();
    let limit = if context.all { usize::MAX } else { HOLDERS };
    let column = |text: fn(&Holder) -> String| holders.iter().take(limit).map(|holder| text(holder).len()).max();
    let language = column(|holder| holder.runtime.name().into()).unwrap_or(0);
    let process = column(|holder| holder.process.to_string()).unwrap_or(0);
    let thread = column(|holder| holder.thread.to_string()).unwrap_or(0);
    let since = column(|holder| age(holder.age_ms)).unwrap_or(0);
    for holder in holders.iter().take(limit) {
        let parts = [
            Span::new(who::role(holder), holder.kind.name()),
            Span::plain(format!("{:<language$}", holder.runtime.name())),
            Span::plain(format!("process {:<process$}", holder.process)),
            Span::plain(format!("thread {:<thread$}", holder.thread)),
            Span::plain(format!("{:>since$}", age(holder.age_ms))),
            Span::plain(printable(&holder.label)),
            Span::new(Role::Bad, if holder.alive { "" } else { "dead" }),
        ];
        page.wrap(6, 8, "  ", &parts, screen);
    }
    if holders.len() > limit {
        let more = plural((holders.len() - limit) as u64, "more holder");
        page.push(Line::new(Role::Dim, format!("      {more}; --all shows them")));
    }
}

/// What the buffers are that are not shown.
fn rest(page: &mut Page, region: &RegionPicture, shown: &[usize], screen: &Screen) {
    let mut states = [0_u64; State::ALL.len()];
    let mut bytes = 0_u64;
    for (i, buffer) in region.buffers.iter().enumerate() {
        if shown.binary_search(&i).is_err() {
            states[State::of(buffer) as usize] += 1;
            bytes = bytes.saturating_add(buffer.length);
        }
    }
    let hidden: u64 = states.iter().sum();
    if hidden > 0 {
        let mut parts = vec![Span::new(Role::Dim, format!("{} ({}):", plural(hidden, "more buffer"), size(bytes)))];
        for (state, number) in State::ALL.into_iter().zip(states).filter(|(_, number)| *number > 0) {
            parts.push(Span::new(state.role(), format!("{} {}", count(number), state.name())));
        }
        parts.push(Span::new(Role::Dim, "--all shows them"));
        page.wrap(2, 4, "  ", &parts, screen);
    }
    if region.unread > 0 {
        let were = if region.unread == 1 { "was" } else { "were" };
        page.push(Line::new(Role::Dim, format!("  {} {were} not read", plural(region.unread, "buffer"))));
    }
}

/// The indices of the most telling items, in the order of the items.
fn most_telling<T, K: Ord>(items: &[T], limit: usize, key: impl Fn(&T) -> K) -> Vec<usize> {
    let mut order: Vec<usize> = (0..items.len()).collect();
    if items.len() > limit {
        order.sort_by(|a, b| key(&items[*b]).cmp(&key(&items[*a])));
        order.truncate(limit);
        order.sort_unstable();
    }
    order
}

fn describe(buffer: &BufferInfo, state: State) -> String {
    let mut text = match state {
        State::Shared if buffer.shared > 1 => format!("shared by {}", buffer.shared),
        _ => state.name().to_string(),
    };
    if buffer.frozen && state != State::Frozen {
        text.push_str(", frozen");
    }
    text
}

/// The names in the directory that a handle has; most have none or one.
fn published(handle: Handle, context: &Context) -> Span {
    let names = context.names.get(&handle).map(Vec::as_slice).unwrap_or_default();
    let limit = if context.all { usize::MAX } else { NAMES };
    let mut shown: Vec<String> = names.iter().take(limit).map(|name| printable(name)).collect();
    if names.len() > limit {
        shown.push(format!("{} more", count((names.len() - limit) as u64)));
    }
    let text = if shown.is_empty() { String::new() } else { format!("published as {}", shown.join(", ")) };
    Span::new(Role::Dim, text)
}

/// The ends of the bar beneath.
fn scale(extent: u64, width: usize) -> Line {
    let end = size(extent);
    let start = "  Segment: 0";
    let mut line = Line::new(Role::Plain, start);
    line.pad_to((width + 4).saturating_sub(end.len() + 1).max(start.len() + 1));
    line.push(end);
    line
}

fn bar(cells: Vec<Option<State>>, screen: &Screen) -> Line {
    let mut spans: Vec<Span> = Vec::new();
    for cell in cells {
        let (role, glyph) = match cell {
            Some(state) => (state.role(), state.glyph(screen)),
            None => (Role::Dim, screen.glyph('·', '.')),
        };
        match spans.last_mut() {
            Some(span) if span.role == role => span.text.push(glyph),
            _ => spans.push(Span::new(role, glyph)),
        }
    }
    frame(spans, screen)
}

fn frame(spans: Vec<Span>, screen: &Screen) -> Line {
    let mut line = Line::new(Role::Plain, format!("  {}", screen.glyph('▕', '[')));
    line.0.extend(spans);
    line.push(screen.glyph('▏', ']'));
    line
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr;

    use super::super::tests::picture;
    use super::*;

    fn drawn(width: Option<usize>, all: bool) -> String {
        let screen = Screen::plain(width);
        let mut page = Page::default();
        heap(&mut page, &picture(), all, &screen);
        page.text(&screen)
    }

    #[test]
    fn a_heap_is_drawn_with_its_bar_its_buffers_and_its_holders() {
        let text = drawn(Some(80), false);
        // 76 cells over 2 GiB: the shared GiB fills the first half, the small ones share the cell after it.
        let bar = text.lines().find(|line| line.contains('▓')).unwrap();
        assert_eq!(bar, format!("  ▕{}█{}▏", "▓".repeat(38), "·".repeat(37)));
        let line = |start: &str| {
            text.lines().find(|line| line.trim_start().starts_with(start)).unwrap_or_else(|| panic!("{start}:\n{text}"))
        };
        assert_eq!(line("▓  b17:2043"), "  ▓  b17:2043  1.00 GiB  at 0x10000     shared by 2  published as table");
        assert!(line("unique  rust").ends_with("process 4000  thread 4001  0.2 s  producer  dead"), "{text}");
        assert!(line("▒  b19:2047").contains("frozen"));
        assert!(line("region r1:79").contains("draining  12.0 KiB in 2 buffers"), "{text}");
    }

    #[test]
    fn the_drawing_fits_every_width_and_keeps_every_holder() {
        for width in [132, 80, 60, 40, 20] {
            let text = drawn(Some(width), false);
            assert!(text.lines().all(|line| line.width() <= width), "{width}:\n{text}");
            if width >= 40 {
                for word in ["4250", "4243", "4001", "analysis", "2 h 05 m", "dead", "b31:1"] {
                    assert!(text.contains(word), "{word} at {width}:\n{text}");
                }
            }
        }
    }

    #[test]
    fn without_drawings_in_the_locale_it_is_ascii() {
        let screen = Screen { unicode: false, ..Screen::plain(Some(80)) };
        let mut page = Page::default();
        heap(&mut page, &picture(), false, &screen);
        let text = page.text(&screen);
        assert!(text.is_ascii(), "{text}");
        assert!(text.contains(&format!("[{}U{}]", "s".repeat(38), ".".repeat(37))), "{text}");
    }

    #[test]
    fn of_many_buffers_the_borrowed_ones_are_shown_and_the_rest_is_counted() {
        let mut picture = picture();
        let buffers = &mut picture.regions[1].buffers;
        buffers.clear();
        for i in 0..1000_u64 {
            buffers.push(crate::sample::buffer(&format!("b{}:1", 100 + i), "r1:79", (1 << 30) + i * 64, 64));
        }
        buffers[777].unique = true;
        let screen = Screen::plain(Some(80));
        let text_of = |all| {
            let mut page = Page::default();
            heap(&mut page, &picture, all, &screen);
            page.text(&screen)
        };
        let text = text_of(false);
        assert!(text.contains("b877:1"), "{text}");
        assert!(text.contains("990 more buffers (61.9 KiB):  990 idle"), "{text}");
        assert!(text.lines().count() < 60, "{text}");
        let text = text_of(true);
        assert!(text.contains("b1099:1") && !text.contains("more buffers"));
    }

    #[test]
    fn all_names_of_a_buffer_are_shown_and_of_very_many_the_first() {
        let mut picture = picture();
        let buffer = picture.regions[0].buffers[0].handle;
        let draw = |picture: &Picture, all| {
            let screen = Screen::plain(Some(120));
            let mut page = Page::default();
            heap(&mut page, picture, all, &screen);
            page.text(&screen)
        };
        picture.snapshot.names.push(weaveheap_core::NameInfo { name: "table-km".into(), handle: buffer });
        let text = draw(&picture, false);
        assert!(text.contains("published as table, table-km\n"), "{text}");
        for i in 0..9 {
            picture.snapshot.names.push(weaveheap_core::NameInfo { name: format!("t{i}"), handle: buffer });
        }
        let text = draw(&picture, false);
        assert!(text.contains("published as table, table-km, t0, t1, 7 more\n"), "{text}");
        assert!(draw(&picture, true).contains("t7, t8"));
    }

    #[test]
    fn buffers_that_were_not_read_are_counted() {
        let mut picture = picture();
        picture.regions[1].unread = 1234;
        let screen = Screen::plain(Some(80));
        let mut page = Page::default();
        heap(&mut page, &picture, false, &screen);
        let text = page.text(&screen);
        assert_eq!(text.matches("1,234 buffers were not read").count(), 1, "{text}");
    }

    #[test]
    fn poison_and_control_characters_are_shown_as_what_they_are() {
        let mut picture = picture();
        picture.regions[0].buffers[0].poisoned = true;
        picture.regions[0].info.name = "evil\u{1b}[2J".into();
        let screen = Screen::plain(Some(80));
        let mut page = Page::default();
        heap(&mut page, &picture, false, &screen);
        let text = page.text(&screen);
        assert!(text.contains("▚  b17:2043") && text.contains("poisoned"), "{text}");
        assert!(text.contains("evil\\u{1b}[2J") && !text.contains('\u{1b}'), "{text}");
    }
}
