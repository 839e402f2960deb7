//! A program as a conformance case: the steps that were made, in the form of `conformance/cases`, with what the
//! reference expects of each.

use serde_json::{Value, json};
use weaveheap_core::BorrowKind;

use crate::reference::{Answer, Named, Refusal};

/// The steps so far.
pub(crate) struct Case {
    attachments: usize,
    steps: Vec<Value>,
}

impl Case {
    pub(crate) fn new(attachments: usize) -> Case {
        let open = |index| json!({ "do": "open_heap", "name": "{unique}", "as": heap(index) });
        Case { attachments, steps: (1..attachments).map(open).collect() }
    }

    /// One step through an attachment; `name` is what it makes if it succeeds.
    pub(crate) fn step(&mut self, attachment: usize, mut step: Value, name: Option<String>, expected: &Answer) {
        if attachment > 0 {
            step["heap"] = json!(heap(attachment));
        }
        if let Some(name) = name {
            step["as"] = json!(name);
        }
        if let Err(Refusal { code, holders }) = expected {
            step["expect"] = json!({ "error": code.name() });
            if let Some(holders) = holders {
                step["expect"]["holders"] = kinds(holders);
            }
        }
        self.steps.push(step);
    }

    /// One step whose result is expected to be this.
    pub(crate) fn result(&mut self, attachment: usize, step: Value, key: &str, value: impl Into<Value>) {
        self.step(attachment, step, None, &Ok(()));
        if let Some(last) = self.steps.last_mut() {
            last["expect"] = json!({ key: value.into() });
        }
    }

    /// The case, a step a line.
    pub(crate) fn text(&self) -> String {
        let uses = |what: &str| self.steps.iter().any(|step| step["do"] == what);
        let mut needs = Vec::new();
        if self.attachments > 1 {
            needs.extend(["shared", "two_attachments"]);
        }
        if uses("begin") {
            needs.push("tokens");
        }
        if uses("forge") {
            needs.push("region_handles");
        }
        let kind = if self.attachments > 1 { "shared" } else { "private" };
        let head = [
            ("title", json!("What is kept")),
            ("rules", json!([])),
            ("needs", json!(needs)),
            ("heap", json!({ "kind": kind })),
        ];
        let head: String = head.iter().map(|(key, value)| format!("  \"{key}\": {value},\n")).collect();
        let steps: Vec<String> = self.steps.iter().map(|step| format!("    {}", line(step))).collect();
        format!("{{\n{head}  \"steps\": [\n{}\n  ]\n}}\n", steps.join(",\n"))
    }
}

/// A step in one line, with its keys as people read them: what is done first, what it makes and gives last.
fn line(step: &Value) -> String {
    let mut keys: Vec<(&String, &Value)> = step.as_object().into_iter().flatten().collect();
    keys.sort_by_key(|(key, _)| match key.as_str() {
        "do" => 0,
        "as" => 2,
        "expect" => 3,
        _ => 1,
    });
    let keys: Vec<String> = keys.iter().map(|(key, value)| format!("\"{key}\": {value}")).collect();
    format!("{{ {} }}", keys.join(", "))
}

/// The name of an attachment.
fn heap(index: usize) -> String {
    if index == 0 { "h".to_owned() } else { format!("h{}", index + 1) }
}

/// The name of a region or a buffer.
pub(crate) fn name_of(named: Named) -> String {
    match named {
        Named::Region(index) => format!("r{index}"),
        Named::Buffer(index) => format!("b{index}"),
    }
}

/// The names of kinds.
pub(crate) fn kinds(kinds: &[BorrowKind]) -> Value {
    kinds.iter().map(|kind| kind.name()).collect()
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
