//! Runs the conformance cases (`conformance/README.md`) through the core's public API, by handle: views are leases, and
//! all needs but `raw_text` are met. What the steps do is in `conformance/world.rs`.

mod world;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use weaveheap_core::{ErrorCode, Runtime};

use crate::support::{SHARED, root};
use world::{Failure, Outcome, Step, World, keys_known, text, to_hex};

const LACKS: &[&str] = if SHARED { &["raw_text"] } else { &["raw_text", "shared", "two_attachments"] };
const NEEDS: &[&str] =
    &["shared", "two_attachments", "tokens", "region_handles", "buffer_info", "address", "raw_text", "validate_text"];

/// Where a case went wrong: `load`, the number of a step from 1, or `end`.
type At = Value;

fn judge(world: &World, step: &Step, result: Result<Outcome, Failure>) -> Result<(), String> {
    let none = Map::new();
    let expect = match step.get("expect") {
        None => &none,
        Some(expect) => expect.as_object().ok_or("`expect` is no object")?,
    };
    let keys: Vec<&str> = expect.keys().map(String::as_str).collect();
    match keys.as_slice() {
        [] | ["error"] | ["error", "holders"] | ["value"] | ["hex"] | ["text"] | ["handle"] => {}
        _ => return Err(format!("unknown expectation {keys:?}")),
    }
    let wanted = expect.get("error").map(|code| {
        let known = ErrorCode::ALL.iter().copied().find(|known| Some(known.name()) == code.as_str());
        known.ok_or(format!("unknown error code {code}"))
    });
    let outcome = match (result, wanted.transpose()?) {
        (Err(Failure::Bad(text)), _) => return Err(text),
        (Err(Failure::Refused(error)), None) => return Err(format!("expected no error, got {error}")),
        (Err(Failure::Refused(error)), Some(code)) if error.code() != code => {
            return Err(format!("expected {}, got {error}", code.name()));
        }
        (Err(Failure::Refused(error)), Some(_)) => {
            return match expect.get("holders") {
                None => Ok(()),
                Some(kinds) => judge_holders(world, step, &error, kinds),
            };
        }
        (Ok(_), Some(code)) => return Err(format!("expected {}, and the step succeeded", code.name())),
        (Ok(outcome), None) => outcome,
    };
    match (outcome, keys.first().map(|key| (*key, &expect[*key]))) {
        (_, None) => Ok(()),
        (Outcome::Value(got), Some(("value", wanted))) => compare(&got, wanted),
        (Outcome::Bytes(got), Some(("hex", wanted))) => compare(&json!(to_hex(&got)), wanted),
        (Outcome::Bytes(got), Some(("text", wanted))) => compare(&json!(String::from_utf8_lossy(&got)), wanted),
        (Outcome::Found(got), Some(("handle", wanted))) => {
            let (_, handle) = world.handle_named(wanted.as_str().unwrap_or_default())?;
            compare(&json!(got.to_string()), &json!(handle.to_string()))
        }
        (_, Some((key, _))) => Err(format!("the step has no result that `{key}` could be compared with")),
    }
}

fn judge_holders(world: &World, step: &Step, error: &weaveheap_core::Error, wanted: &Value) -> Result<(), String> {
    let holders = error.holders();
    for holder in &holders {
        let about = ["buffer", "region"].iter().find_map(|key| step.get(*key)).and_then(Value::as_str);
        if let Some(name) = about {
            let (_, handle) = world.handle_named(name)?;
            if holder.handle != handle && holder.region != handle {
                return Err(format!("a holder is not of `{name}`: {holder}"));
            }
        }
        if holder.runtime != Runtime::Rust || holder.process != std::process::id() || !holder.alive {
            return Err(format!("a holder is not this process: {holder}"));
        }
    }
    compare(&holders.iter().map(|holder| holder.kind.name()).collect(), wanted)
}

fn compare(got: &Value, wanted: &Value) -> Result<(), String> {
    let same = match (got, wanted) {
        (Value::Object(got), Value::Object(wanted)) => {
            wanted.iter().all(|(key, value)| got.get(key).is_some_and(|got| got == value))
        }
        (Value::Array(got), Value::Array(wanted)) => {
            let sorted = |list: &[Value]| {
                let mut words: Vec<String> = list.iter().map(Value::to_string).collect();
                words.sort();
                words
            };
            sorted(got) == sorted(wanted)
        }
        _ => got == wanted,
    };
    if same { Ok(()) } else { Err(format!("expected {wanted}, got {got}")) }
}

/// What became of a case.
enum Verdict {
    Passed,
    NotApplicable,
    Failed(At, String),
}

fn load(path: &Path) -> Result<Step, String> {
    let content = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let case: Value = serde_json::from_str(&content).map_err(|error| error.to_string())?;
    let case = case.as_object().ok_or("the case is no object")?;
    let wrong = path.parent().is_some_and(|folder| folder.ends_with("wrong"));
    let extra: &[&str] = if wrong { &["fails_at"] } else { &[] };
    keys_known(case, &[&["title", "rules", "needs", "heap", "steps"], extra].concat())?;
    for need in case.get("needs").and_then(Value::as_array).into_iter().flatten() {
        if !NEEDS.contains(&need.as_str().unwrap_or_default()) {
            return Err(format!("unknown need {need}"));
        }
    }
    for key in ["rules", "steps"] {
        case.get(key).and_then(Value::as_array).filter(|list| !list.is_empty()).ok_or(format!("no `{key}`"))?;
    }
    text(case, "title")?;
    Ok(case.clone())
}

fn run_case(path: &Path) -> Verdict {
    let case = match load(path) {
        Ok(case) => case,
        Err(text) => return Verdict::Failed(json!("load"), text),
    };
    let needs = case.get("needs").and_then(Value::as_array).into_iter().flatten();
    if needs.into_iter().any(|need| LACKS.contains(&need.as_str().unwrap_or_default())) {
        return Verdict::NotApplicable;
    }
    let mut world = World::new();
    if let Err(text) = first_heap(&mut world, &case) {
        return Verdict::Failed(json!("load"), text);
    }
    for (index, step) in case["steps"].as_array().into_iter().flatten().enumerate() {
        let judged = match step.as_object() {
            None => Err("the step is no object".to_owned()),
            Some(step) => {
                let result = world.run(step);
                judge(&world, step, result)
            }
        };
        if let Err(text) = judged {
            return Verdict::Failed(json!(index + 1), format!("{text}\n    in {step}"));
        }
    }
    match world.finish() {
        Ok(()) => Verdict::Passed,
        Err(text) => Verdict::Failed(json!("end"), text),
    }
}

fn first_heap(world: &mut World, case: &Step) -> Result<(), String> {
    let mut step = match case.get("heap") {
        Some(Value::Null) => return Ok(()),
        None => Map::from_iter([("kind".to_owned(), json!("private"))]),
        Some(heap) => heap.as_object().ok_or("`heap` is no object")?.clone(),
    };
    match step.remove("kind").as_ref().and_then(Value::as_str) {
        Some("private") => step.insert("do".to_owned(), json!("private_heap")),
        Some("shared") => {
            step.insert("name".to_owned(), json!("{unique}"));
            step.insert("do".to_owned(), json!("create_heap"))
        }
        _ => return Err("`kind` is neither private nor shared".to_owned()),
    };
    step.insert("as".to_owned(), json!("h"));
    let result = world.run(&step);
    judge(world, &step, result)
}

/// The files of a folder and its folders, sorted.
pub fn json_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for path in entries.map(|entry| entry.expect("a folder that is read").path()) {
        match path.is_dir() {
            true => files.extend(json_files(&path)),
            false => files.push(path),
        }
    }
    files.sort();
    files
}

/// `cases` or `wrong` of the manifest.
pub fn manifest(key: &str) -> usize {
    let content = std::fs::read_to_string(root().join("conformance/manifest.json")).expect("the manifest");
    let manifest: Value = serde_json::from_str(&content).expect("JSON");
    manifest[key].as_u64().expect("a number") as usize
}

#[test]
fn every_case_passes() {
    let folder = root().join("conformance/cases");
    let files = json_files(&folder);
    let (mut passed, mut lacking, mut failed) = (0, 0, Vec::new());
    for path in &files {
        let name = path.strip_prefix(&folder).expect("inside").with_extension("").display().to_string();
        match run_case(path) {
            Verdict::Passed => passed += 1,
            Verdict::NotApplicable => lacking += 1,
            Verdict::Failed(at, text) => failed.push(format!("{name}, step {at}: {text}")),
        }
    }
    println!("conformance: {passed} passed, {} failed, {lacking} not applicable", failed.len());
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert_eq!(passed + lacking, manifest("cases"));
}

#[test]
fn every_wrong_case_fails_where_it_says() {
    let files = json_files(&root().join("conformance/wrong"));
    assert_eq!(files.len(), manifest("wrong"));
    for path in &files {
        let content = std::fs::read_to_string(path).expect("a file");
        let wanted = serde_json::from_str::<Value>(&content).expect("JSON")["fails_at"].clone();
        match run_case(path) {
            Verdict::Failed(at, _) if at == wanted => {}
            Verdict::Failed(at, text) => panic!("{}: fails at {at} instead of {wanted}: {text}", path.display()),
            _ => panic!("{}: does not fail", path.display()),
        }
    }
}
