//! Snapshots as JSON, with the keys that all languages have. Written by hand: a general writer is larger than the rest of
//! this crate.

use weaveheap_core::{
    AttachmentInfo, BufferInfo, CheckReport, CopyCount, Counters, Handle, Holder, NameInfo, RegionInfo,
    RuntimeCounters, Snapshot,
};

/// A value that JSON has.
enum Value<'a> {
    Number(u64),
    Flag(bool),
    Text(&'a str),
    Handle(Handle),
    Nothing,
    Inside(&'a dyn Fn(&mut String)),
}

use Value::{Flag, Inside, Nothing, Number, Text};

fn put(out: &mut String, value: &Value) {
    match value {
        Number(number) => digits(out, *number),
        Flag(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Text(text) => quoted(out, text),
        Value::Handle(handle) => quoted(out, &handle.to_string()),
        Nothing => out.push_str("null"),
        Inside(write) => write(out),
    }
}

fn digits(out: &mut String, mut number: u64) {
    let start = out.len();
    loop {
        out.insert(start, char::from(b'0' + (number % 10) as u8));
        number /= 10;
        if number == 0 {
            return;
        }
    }
}

fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                out.push('\\');
                out.push(character);
            }
            '\0'..='\x1f' => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.push_str("\\u00");
                out.push(char::from(HEX[character as usize >> 4]));
                out.push(char::from(HEX[character as usize & 15]));
            }
            _ => out.push(character),
        }
    }
    out.push('"');
}

fn object(out: &mut String, fields: &[(&str, Value)]) {
    out.push('{');
    for (position, (name, value)) in fields.iter().enumerate() {
        if position > 0 {
            out.push(',');
        }
        quoted(out, name);
        out.push(':');
        put(out, value);
    }
    out.push('}');
}

fn list<T>(out: &mut String, items: &[T], write: fn(&mut String, &T)) {
    out.push('[');
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            out.push(',');
        }
        write(out, item);
    }
    out.push(']');
}

fn written(write: impl FnOnce(&mut String)) -> String {
    let mut out = String::new();
    write(&mut out);
    out
}

fn put_copies(out: &mut String, copies: CopyCount) {
    object(out, &[("count", Number(copies.count)), ("bytes", Number(copies.bytes))]);
}

fn put_counters(out: &mut String, counters: &Counters) {
    let copies = &counters.copies;
    let put_all = |out: &mut String| {
        object(
            out,
            &[
                ("ingest", Inside(&|out| put_copies(out, copies.ingest))),
                ("export", Inside(&|out| put_copies(out, copies.export))),
                ("no_external_buffers", Inside(&|out| put_copies(out, copies.no_external_buffers))),
                ("serialize", Inside(&|out| put_copies(out, copies.serialize))),
            ],
        );
    };
    object(
        out,
        &[
            ("allocations", Number(counters.allocations)),
            ("frees", Number(counters.frees)),
            ("bytes_allocated", Number(counters.bytes_allocated)),
            ("bytes_freed", Number(counters.bytes_freed)),
            ("borrows_begun", Number(counters.borrows_begun)),
            ("borrows_ended", Number(counters.borrows_ended)),
            ("conflicts", Number(counters.conflicts)),
            ("stale", Number(counters.stale)),
            ("views", Number(counters.views)),
            ("finalized", Number(counters.finalized)),
            ("regions_collected", Number(counters.regions_collected)),
            ("copies", Inside(&put_all)),
        ],
    );
}

fn put_holder(out: &mut String, holder: &Holder) {
    object(
        out,
        &[
            ("handle", Value::Handle(holder.handle)),
            ("region", Value::Handle(holder.region)),
            ("kind", Text(holder.kind.name())),
            ("process", Number(holder.process.into())),
            ("thread", Number(holder.thread)),
            ("runtime", Text(holder.runtime.name())),
            ("label", Text(&holder.label)),
            ("age_ms", Number(holder.age_ms)),
            ("alive", Flag(holder.alive)),
        ],
    );
}

fn put_region(out: &mut String, region: &RegionInfo) {
    object(
        out,
        &[
            ("handle", Value::Handle(region.handle)),
            ("name", Text(&region.name)),
            ("state", Text(region.state.name())),
            ("limit", region.limit.map_or(Nothing, Number)),
            ("reserved", Number(region.reserved)),
            ("peak", Number(region.peak)),
            ("buffers", Number(region.buffers)),
            ("bytes_live", Number(region.bytes_live)),
            ("borrows", Number(region.borrows)),
            ("counters", Inside(&|out| put_counters(out, &region.counters))),
        ],
    );
}

fn put_buffer(out: &mut String, buffer: &BufferInfo) {
    object(
        out,
        &[
            ("handle", Value::Handle(buffer.handle)),
            ("region", Value::Handle(buffer.region)),
            ("length", Number(buffer.length)),
            ("offset", Number(buffer.offset)),
            ("shared", Number(buffer.shared.into())),
            ("unique", Flag(buffer.unique)),
            ("frozen", Flag(buffer.frozen)),
            ("poisoned", Flag(buffer.poisoned)),
        ],
    );
}

fn put_attachment(out: &mut String, attachment: &AttachmentInfo) {
    object(
        out,
        &[
            ("index", Number(attachment.index.into())),
            ("process", Number(attachment.process.into())),
            ("runtime", Text(attachment.runtime.name())),
            ("label", Text(&attachment.label)),
            ("alive", Flag(attachment.alive)),
            ("threads", Number(attachment.threads.into())),
            ("borrows", Number(attachment.borrows)),
        ],
    );
}

fn put_name(out: &mut String, entry: &NameInfo) {
    object(out, &[("name", Text(&entry.name)), ("handle", Value::Handle(entry.handle))]);
}

fn put_runtime(out: &mut String, entry: &RuntimeCounters) {
    let counters = |out: &mut String| put_counters(out, &entry.counters);
    object(out, &[("runtime", Text(entry.runtime.name())), ("counters", Inside(&counters))]);
}

/// The whole heap.
pub(crate) fn snapshot(snapshot: &Snapshot) -> String {
    let heap = &snapshot.heap;
    let put_heap = |out: &mut String| {
        object(
            out,
            &[
                ("id", Text(&heap.id)),
                ("path", heap.path.as_deref().map_or(Nothing, Text)),
                ("shared", Flag(heap.shared)),
                ("verify", Flag(heap.verify)),
                ("layout_version", Number(heap.layout_version.into())),
                ("limit", Number(heap.limit)),
                ("reserved", Number(heap.reserved)),
                ("peak", Number(heap.peak)),
                ("bytes_live", Number(heap.bytes_live)),
            ],
        );
    };
    written(|out| {
        object(
            out,
            &[
                ("heap", Inside(&put_heap)),
                ("attachments", Inside(&|out| list(out, &snapshot.attachments, put_attachment))),
                ("regions", Inside(&|out| list(out, &snapshot.regions, put_region))),
                ("borrows", Inside(&|out| list(out, &snapshot.borrows, put_holder))),
                ("names", Inside(&|out| list(out, &snapshot.names, put_name))),
                ("counters", Inside(&|out| put_counters(out, &snapshot.counters))),
                ("runtimes", Inside(&|out| list(out, &snapshot.runtimes, put_runtime))),
            ],
        );
    })
}

/// Who holds borrows.
pub(crate) fn holders(holders: &[Holder]) -> String {
    written(|out| list(out, holders, put_holder))
}

/// One region.
pub(crate) fn region(region: &RegionInfo) -> String {
    written(|out| put_region(out, region))
}

/// One buffer.
pub(crate) fn buffer(buffer: &BufferInfo) -> String {
    written(|out| put_buffer(out, buffer))
}

/// Some buffers.
pub(crate) fn buffers(buffers: &[BufferInfo]) -> String {
    written(|out| list(out, buffers, put_buffer))
}

/// What a check has found.
pub(crate) fn report(report: &CheckReport) -> String {
    written(|out| {
        object(
            out,
            &[
                ("regions", Number(report.regions)),
                ("chunks", Number(report.chunks)),
                ("buffers", Number(report.buffers)),
                ("borrows", Number(report.borrows)),
                ("attachments", Number(report.attachments)),
                ("lost", Number(report.lost)),
            ],
        );
    })
}
