//! A `tracing` subscriber that turns events and spans into log records. It is installed once, when the first callback is
//! registered, and costs nothing while there is none.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fmt::{Debug, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest, Subscriber};
use tracing::{Event, Level, Metadata};

use super::{
    Installed, WEAVEHEAP_LOG_DEBUG, WEAVEHEAP_LOG_ERROR, WEAVEHEAP_LOG_EVENT, WEAVEHEAP_LOG_INFO,
    WEAVEHEAP_LOG_SPAN_BEGIN, WEAVEHEAP_LOG_SPAN_END, WEAVEHEAP_LOG_TRACE, WEAVEHEAP_LOG_WARN, dispatch, registry,
    unavailable,
};

pub(super) fn install() -> Installed {
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    let installed = *INSTALLED.get_or_init(|| tracing::subscriber::set_global_default(Forwarder::default()).is_ok());
    if installed { Ok(()) } else { Err(unavailable()) }
}

#[derive(Default)]
struct Forwarder {
    last_span: AtomicU64,
    spans: Mutex<HashMap<u64, Span>>,
}

struct Span {
    users: usize,
    level: u32,
    target: CString,
    message: String,
    since: Instant,
}

thread_local! {
    /// The spans that this thread is in, innermost last.
    static ENTERED: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

impl Forwarder {
    fn spans(&self) -> MutexGuard<'_, HashMap<u64, Span>> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn level(metadata: &Metadata<'_>) -> u32 {
    match *metadata.level() {
        Level::ERROR => WEAVEHEAP_LOG_ERROR,
        Level::WARN => WEAVEHEAP_LOG_WARN,
        Level::INFO => WEAVEHEAP_LOG_INFO,
        Level::DEBUG => WEAVEHEAP_LOG_DEBUG,
        Level::TRACE => WEAVEHEAP_LOG_TRACE,
    }
}

fn c_text(text: &str) -> CString {
    CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default()
}

/// One line: the message first, then the fields.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Line {
    fn text(self) -> String {
        match (self.message.is_empty(), self.fields.is_empty()) {
            (false, false) => self.message + " " + &self.fields,
            (false, true) => self.message,
            (true, _) => self.fields,
        }
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            let _ = write!(self.message, "{value:?}");
        } else {
            let gap = if self.fields.is_empty() { "" } else { " " };
            let _ = write!(self.fields, "{gap}{}={value:?}", field.name());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message.push_str(value);
        } else {
            self.record_debug(field, &value);
        }
    }
}

impl Subscriber for Forwarder {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if level(metadata) <= registry().level() { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        level(metadata) <= registry().level()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match registry().level() {
            0 => LevelFilter::OFF,
            WEAVEHEAP_LOG_ERROR => LevelFilter::ERROR,
            WEAVEHEAP_LOG_WARN => LevelFilter::WARN,
            WEAVEHEAP_LOG_INFO => LevelFilter::INFO,
            WEAVEHEAP_LOG_DEBUG => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        })
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        // Relaxed: the number only has to be another one.
        let number = self.last_span.fetch_add(1, Ordering::Relaxed) + 1;
        let metadata = attributes.metadata();
        let mut line = Line { message: metadata.name().to_owned(), fields: String::new() };
        attributes.record(&mut line);
        let span = Span {
            users: 1,
            level: level(metadata),
            target: c_text(metadata.target()),
            message: line.text(),
            since: Instant::now(),
        };
        let (level, target, message) = (span.level, span.target.clone(), c_text(&span.message));
        self.spans().insert(number, span);
        dispatch(level, WEAVEHEAP_LOG_SPAN_BEGIN, &target, &message, number, 0.0);
        Id::from_u64(number)
    }

    fn record(&self, id: &Id, values: &Record<'_>) {
        let mut line = Line::default();
        values.record(&mut line);
        if let Some(span) = self.spans().get_mut(&id.into_u64()) {
            span.message = format!("{} {}", span.message, line.text());
        }
    }

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        let metadata = event.metadata();
        let span = ENTERED.try_with(|entered| entered.borrow().last().copied().unwrap_or(0)).unwrap_or(0);
        let (target, message): (CString, CString) = (c_text(metadata.target()), c_text(&line.text()));
        let (target, message): (&CStr, &CStr) = (&target, &message);
        dispatch(level(metadata), WEAVEHEAP_LOG_EVENT, target, message, span, 0.0);
    }

    fn enter(&self, id: &Id) {
        let _ = ENTERED.try_with(|entered| entered.borrow_mut().push(id.into_u64()));
    }

    fn exit(&self, id: &Id) {
        let _ = ENTERED.try_with(|entered| {
            let mut entered = entered.borrow_mut();
            if let Some(position) = entered.iter().rposition(|number| *number == id.into_u64()) {
                entered.remove(position);
            }
        });
    }

    fn clone_span(&self, id: &Id) -> Id {
        if let Some(span) = self.spans().get_mut(&id.into_u64()) {
            span.users += 1;
        }
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        let number = id.into_u64();
        let ended = {
            let mut spans = self.spans();
            let Some(span) = spans.get_mut(&number) else { return false };
            span.users -= 1;
            if span.users > 0 {
                return false;
            }
            spans.remove(&number)
        };
        if let Some(span) = ended {
            let seconds = span.since.elapsed().as_secs_f64();
            dispatch(span.level, WEAVEHEAP_LOG_SPAN_END, &span.target, &c_text(&span.message), number, seconds);
        }
        true
    }
}
