//! What the compiler refuses (V1, F6). Each function in `cases` is one program twice: as it stands it compiles, and with
//! the feature `wrong` it must not, with the error that a comment on the refused line names (`// E0505`) and no other.
//!
//! Not doctests: stable compilers run a `compile_fail,E0505` block without looking at the code. Not the compiler's text
//! either, which changes with every version; codes and lines stay.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A line of a file, and the code of the error in it.
type Refusals = BTreeSet<(String, u64, String)>;

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lifetimes/cases");
    let entries = std::fs::read_dir(folder).expect("a folder of cases");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

fn stem(path: &Path) -> String {
    path.file_stem().expect("a name").to_string_lossy().into_owned()
}

/// The code that a comment at the end of the line names.
fn marked(line: &str) -> Option<&str> {
    let (_, code) = line.rsplit_once("// ")?;
    let digits = code.strip_prefix('E')?;
    (digits.len() == 4 && digits.bytes().all(|digit| digit.is_ascii_digit())).then_some(code)
}

/// The refusals that the comments of a case name. Every function but those that others call has one.
fn expected(name: &str, content: &str) -> Refusals {
    let lines = content.lines().zip(1..);
    lines.filter_map(|(line, at)| Some((name.to_owned(), at, marked(line)?.to_owned()))).collect()
}

/// The errors that cargo's messages tell of; those without a place only count others.
fn refusals(messages: &str) -> Refusals {
    let messages = messages.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    let errors = messages.filter(|message| message["message"]["level"] == "error");
    errors
        .flat_map(|error| {
            let name = stem(Path::new(error["target"]["src_path"].as_str().expect("a path")));
            let code = error["message"]["code"]["code"].as_str().unwrap_or("no code").to_owned();
            let spans = error["message"]["spans"].as_array().expect("a list").clone();
            let first = spans.into_iter().filter(|span| span["is_primary"] == true);
            first.map(move |span| (name.clone(), span["line_start"].as_u64().expect("a line"), code.clone()))
        })
        .collect()
}

/// A package of the cases, each a program, with what this workspace has locked.
fn package(cases: &[PathBuf]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lifetimes");
    std::fs::create_dir_all(&folder).expect("a folder");
    let core = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut manifest = format!(
        "[package]\nname = \"lifetimes\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n[features]\nwrong = []\n\n\
         [dependencies]\nweaveheap-core = {{ path = {core:?}, default-features = false }}\n"
    );
    for case in cases {
        manifest += &format!("\n[[bin]]\nname = {:?}\npath = {case:?}\n", stem(case));
    }
    std::fs::write(folder.join("Cargo.toml"), manifest).expect("a manifest");
    std::fs::copy(core.join("../../Cargo.lock"), folder.join("Cargo.lock")).expect("the versions");
    folder
}

/// Checks all cases; whether that succeeded, and what was refused.
fn check(folder: &Path, features: &[&str]) -> (bool, Refusals) {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(folder).args(["check", "--offline", "--keep-going", "--bins", "--message-format=json"]);
    command.args(features).env("CARGO_TARGET_DIR", folder.join("target"));
    // Flags that this test was built with (those of a sanitizer, say) are not for the cases.
    command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS").env_remove("CARGO_BUILD_TARGET");
    let output = command.output().expect("cargo");
    let messages = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(messages.contains("\"reason\":\"build-finished\""), "{}", String::from_utf8_lossy(&output.stderr));
    (output.status.success(), refusals(&messages))
}

#[test]
fn wrong_programs_are_refused_for_what_they_show_and_their_twins_are_not() {
    let cases = cases();
    let mut wanted = Refusals::new();
    for case in &cases {
        let content = std::fs::read_to_string(case).expect("a file");
        let here = expected(&stem(case), &content);
        // A function that returns something is one that others call.
        let functions = content.lines().filter(|line| line.starts_with("fn ") && !line.starts_with("fn main(")).count();
        let helpers =
            content.lines().filter(|line| line.starts_with("fn ") && line.contains("-> Result<Lease>")).count();
        assert_eq!(here.len(), functions - helpers, "each function of {} shows one refusal", case.display());
        wanted.extend(here);
    }
    assert!(wanted.len() >= 40, "{} cases were found", wanted.len());
    let folder = package(&cases);
    let (sound, refused) = check(&folder, &[]);
    assert!(sound && refused.is_empty(), "sound programs are refused: {refused:#?}");
    let (sound, refused) = check(&folder, &["--features", "wrong"]);
    let missing: Vec<_> = wanted.difference(&refused).collect();
    let other: Vec<_> = refused.difference(&wanted).collect();
    assert!(
        missing.is_empty() && other.is_empty(),
        "not refused: {missing:#?}\nrefused for another reason: {other:#?}"
    );
    assert!(!sound);
}

#[test]
fn other_codes_and_other_lines_are_told_apart() {
    assert_eq!(marked("    drop(heap); // E0505"), Some("E0505"));
    for line in ["    drop(heap);", "    drop(heap); // E05", "    drop(heap); // the error E0505 comes here"] {
        assert_eq!(marked(line), None, "{line}");
    }
    let wanted = expected("case", "fn main() {\n    drop(heap); // E0505\n}\n");
    let message = |level: &str, code: &str, line: u64| {
        let span = serde_json::json!({ "is_primary": true, "line_start": line });
        let second = serde_json::json!({ "is_primary": false, "line_start": 1 });
        let message = serde_json::json!({ "level": level, "code": { "code": code }, "spans": [span, second] });
        serde_json::json!({ "target": { "src_path": "cases/case.rs" }, "message": message }).to_string()
    };
    assert_eq!(refusals(&message("error", "E0505", 2)), wanted);
    for other in [message("error", "E0597", 2), message("error", "E0505", 3), message("warning", "E0505", 2)] {
        assert_ne!(refusals(&other), wanted);
    }
}
