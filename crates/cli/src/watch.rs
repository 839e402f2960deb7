//! Showing something once, or again and again: drawn over itself on a terminal, one after the other elsewhere.

use std::io::{self, Write};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::fail;
use crate::screen::{self, Line, Page, Role, Screen};

/// One showing.
pub struct Frame {
    /// What is shown.
    pub output: Output,
    /// What could not be shown, each with its reason.
    pub failures: Vec<anyhow::Error>,
}

pub enum Output {
    Page(Page),
    Json(String),
}

/// Shows what `draw` gives, at this pace until Ctrl-C, or once without one. Gives the status.
pub fn show(pace: Option<Duration>, mut screen: Screen, mut draw: impl FnMut(&Screen) -> Result<Frame>) -> Result<u8> {
    let Some(pace) = pace else {
        let frame = draw(&screen)?;
        return finish(frame, &screen);
    };
    let (stop, stopped) = mpsc::channel();
    ctrlc::set_handler(move || {
        // Nobody listens any more only while the program ends anyway.
        let _ = stop.send(());
    })
    .context("cannot listen for Ctrl-C")?;

    let mut frame = draw(&screen)?;
    let mut over = match frame.output {
        Output::Page(_) if screen.is_terminal() => Some(Overlay::begin()?),
        _ => None,
    };
    let mut next = Instant::now();
    loop {
        match (&mut over, &frame.output) {
            (Some(over), Output::Page(page)) => over.draw(page, &frame.failures, pace, &screen)?,
            _ => {
                report(&frame.failures);
                emit(&frame.output, &screen)?;
                if let Output::Page(_) = frame.output {
                    screen::print("\n")?;
                }
            }
        }
        next = (next + pace).max(Instant::now());
        match stopped.recv_timeout(next - Instant::now()) {
            Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {}
        }
        screen.measure();
        frame = draw(&screen)?;
    }
    if let Some(over) = over {
        // The last state stays on the terminal after the drawing has gone.
        drop(over);
        return finish(frame, &screen);
    }
    Ok(0)
}

fn finish(frame: Frame, screen: &Screen) -> Result<u8> {
    emit(&frame.output, screen)?;
    report(&frame.failures);
    Ok(if frame.failures.is_empty() { 0 } else { fail::FAILED })
}

fn emit(output: &Output, screen: &Screen) -> io::Result<()> {
    match output {
        Output::Page(page) => page.print(screen),
        Output::Json(text) => screen::print(&format!("{text}\n")),
    }
}

/// Says what went wrong with single heaps, one line each.
pub fn report(failures: &[anyhow::Error]) {
    for failure in failures {
        eprintln!("{}", fail::line(failure));
    }
}

/// The terminal's second screen: drawn over in place, and given back whatever happens.
struct Overlay;

impl Overlay {
    fn begin() -> io::Result<Overlay> {
        // Second screen, cursor hidden, no wrapping.
        raw("\x1b[?1049h\x1b[?25l\x1b[?7l")?;
        Ok(Overlay)
    }

    /// Draws a page over the last one. Nothing is cleared first, and the terminal is asked to show it all at once:
    /// so nothing flickers.
    fn draw(&mut self, page: &Page, failures: &[anyhow::Error], pace: Duration, screen: &Screen) -> io::Result<()> {
        raw(&frame_text(page, failures, pace, screen))
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        // If the terminal is gone there is nothing to give back.
        let _ = raw("\x1b[?7h\x1b[?25h\x1b[?1049l");
    }
}

fn frame_text(page: &Page, failures: &[anyhow::Error], pace: Duration, screen: &Screen) -> String {
    let height = screen.height.unwrap_or(24).max(2);
    let mut lines = page.lines(screen);
    let mut foot = Page::default();
    for failure in failures {
        foot.push(Line::new(Role::Bad, fail::line(failure)));
    }
    lines.extend(foot.lines(screen));
    let room = height - 1;
    let hidden = lines.len().saturating_sub(room);
    lines.truncate(room);
    let more = if hidden > 0 { format!("{hidden} more lines below; ") } else { String::new() };
    let note = format!("{more}every {} s, Ctrl-C ends", pace.as_secs_f64());
    lines.resize(room, String::new());
    lines.extend(Page(vec![Line::new(Role::Dim, note)]).lines(screen));
    format!("\x1b[?2026h\x1b[H{}\x1b[K\x1b[J\x1b[?2026l", lines.join("\x1b[K\r\n"))
}

fn raw(text: &str) -> io::Result<()> {
    let mut out = anstream::AutoStream::new(io::stdout().lock(), anstream::ColorChoice::Always);
    out.write_all(text.as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(lines: usize) -> Page {
        Page((0..lines).map(|i| Line::new(Role::Plain, format!("line {i}"))).collect())
    }

    #[test]
    fn a_frame_covers_the_terminal_and_no_more() {
        let screen = Screen { height: Some(5), ..Screen::plain(Some(60)) };
        for lines in [0, 2, 4, 40] {
            let text = frame_text(&page(lines), &[], Duration::from_secs(1), &screen);
            assert_eq!(text.matches("\r\n").count(), 4, "{lines} lines");
            assert!(text.contains("Ctrl-C ends"), "{text:?}");
            assert_eq!(text.contains("36 more lines below"), lines == 40);
        }
    }

    #[test]
    fn a_frame_clears_no_screen_before_it_is_drawn() {
        let text =
            frame_text(&page(2), &[], Duration::from_secs(1), &Screen { height: Some(5), ..Screen::plain(Some(60)) });
        assert!(!text.contains("\x1b[2J") && text.starts_with("\x1b[?2026h\x1b[Hline 0\x1b[K"), "{text:?}");
    }
}
