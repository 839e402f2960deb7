//! The table of rules (`conformance/rules.toml`) is true: each rule in force is covered, and what it names is there.

use std::collections::{BTreeMap, BTreeSet};

use crate::conformance::{json_files, manifest};
use crate::support::root;

/// The rules of the design that are in force, those of recovery (C1, C2) among them.
const IN_FORCE: &[&str] = &[
    "H1", "H2", "H3", "H4", "H5", "H6", "H7", "H8", "H9", "H10", "R1", "R2", "R3", "R4", "R5", "R6", "R7", "K1", "K2",
    "K4", "K5", "B1", "B2", "B3", "B4", "B6", "B7", "C1", "C2", "C3", "N1", "N2", "V1", "V2", "V3", "V4", "V5", "F1",
    "F2", "F3", "F4", "F5", "F6",
];

/// Those that are kept by one language's binding alone, or inside the library: no case of data can show them.
const WITHOUT_CASES: &[&str] =
    &["H6", "H7", "H10", "R7", "B3", "C1", "V1", "V2", "V3", "V5", "F1", "F2", "F3", "F4", "F5", "F6"];

fn table() -> BTreeMap<String, toml::Table> {
    let content = std::fs::read_to_string(root().join("conformance/rules.toml")).expect("the table of rules");
    toml::from_str(&content).expect("TOML with a table for each rule")
}

fn list(entry: &toml::Table, key: &str) -> Vec<String> {
    let Some(value) = entry.get(key) else { return Vec::new() };
    let words = value.as_array().expect("a list").iter().map(|word| word.as_str().expect("a text").to_owned());
    words.collect()
}

/// The rules that each case names.
fn rules_of_cases() -> BTreeMap<String, Vec<String>> {
    let folder = root().join("conformance/cases");
    let files = json_files(&folder);
    let cases = files.iter().map(|path| {
        let content = std::fs::read_to_string(path).expect("a file");
        let case: serde_json::Value = serde_json::from_str(&content).expect("JSON");
        let rules = case["rules"].as_array().expect("a list").iter();
        let name = path.strip_prefix(&folder).expect("inside").with_extension("").display().to_string();
        (name, rules.map(|rule| rule.as_str().expect("a text").to_owned()).collect())
    });
    cases.collect()
}

/// Whether a test of this name is defined in a file of any of the project's languages.
fn defines(content: &str, name: &str) -> bool {
    let forms = [format!("fn {name}("), format!("def {name}("), format!("void {name}("), format!("test('{name}'")];
    forms.iter().any(|form| content.contains(form.as_str()))
        || name == "compile_fail" && content.contains("```compile_fail")
}

#[test]
fn table_has_the_rules_in_force_and_no_other() {
    let table = table();
    let (has, wants): (BTreeSet<&str>, BTreeSet<&str>) =
        (table.keys().map(String::as_str).collect(), IN_FORCE.iter().copied().collect());
    assert_eq!(has, wants);
}

#[test]
fn every_rule_is_covered() {
    for (rule, entry) in table() {
        let (cases, tests) = (list(&entry, "cases"), list(&entry, "tests"));
        assert!(entry.get("says").and_then(toml::Value::as_str).is_some_and(|says| !says.is_empty()), "{rule}");
        assert!(!tests.is_empty(), "{rule} is covered by no test");
        assert_eq!(cases.is_empty(), WITHOUT_CASES.contains(&rule.as_str()), "{rule}: cases {cases:?}");
    }
}

#[test]
fn cases_and_table_name_each_other() {
    let (cases, table) = (rules_of_cases(), table());
    let mut named: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (case, rules) in &cases {
        for rule in rules {
            assert!(table.contains_key(rule), "{case} names {rule}, which is no rule in force");
            named.entry(rule.clone()).or_default().insert(case.clone());
        }
    }
    for (rule, entry) in &table {
        let listed: BTreeSet<String> = list(entry, "cases").into_iter().collect();
        assert_eq!(
            listed,
            named.remove(rule).unwrap_or_default(),
            "{rule}: the table, and the cases that name the rule"
        );
    }
    assert_eq!(cases.len(), manifest("cases"));
    assert!(cases.len() >= 60, "{} cases", cases.len());
}

#[test]
fn tests_of_the_table_exist() {
    let mut missing = Vec::new();
    for (rule, entry) in table() {
        for test in list(&entry, "tests") {
            let (file, name) = test.split_once("::").unwrap_or_else(|| panic!("{rule}: {test} is not FILE::NAME"));
            let found = std::fs::read_to_string(root().join(file)).is_ok_and(|content| defines(&content, name));
            if !found {
                missing.push(format!("{rule}: {test}"));
            }
        }
    }
    assert!(missing.is_empty(), "not there:\n{}", missing.join("\n"));
}

#[test]
fn invented_test_is_missed() {
    let content = "fn one() {}\ndef test_two():\nstatic void three(void) {\ntest('four and more', () => {";
    for name in ["one", "test_two", "three", "four and more"] {
        assert!(defines(content, name), "{name}");
    }
    for name in ["on", "two", "thre", "four", "compile_fail"] {
        assert!(!defines(content, name), "{name}");
    }
}

#[test]
fn every_reachable_error_code_is_expected_by_a_case() {
    // What no case can bring about: views of WebAssembly, the death of a process, damaged records, the system's own
    // refusals, and defects. The tests of their nouns cover them.
    let elsewhere = ["StaleView", "Poisoned", "Corrupt", "Io", "Unsupported", "Internal"];
    let files = json_files(&root().join("conformance/cases"));
    let contents: Vec<String> = files.iter().map(|path| std::fs::read_to_string(path).expect("a file")).collect();
    for code in weaveheap_core::ErrorCode::ALL {
        let wanted = format!("\"error\": \"{}\"", code.name());
        let expected = contents.iter().any(|content| content.contains(&wanted));
        assert_eq!(expected, !elsewhere.contains(&code.name()), "{}", code.name());
    }
}

/// What a step of each operation gives, as the table in the README says: the kinds of its expectation, none if it gives
/// nothing that could be compared.
fn kinds_of_results() -> BTreeMap<String, Vec<String>> {
    let readme = std::fs::read_to_string(root().join("conformance/README.md")).expect("the format's description");
    let quoted = |cell: &str| -> Vec<String> { cell.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let rows = readme.lines().skip_while(|line| *line != "| do | keys | what it does | result |").skip(2);
    let rows = rows.map_while(|line| line.strip_prefix("| ")?.strip_suffix('|'));
    rows.flat_map(|row| {
        let cells: Vec<&str> = row.split(" | ").collect();
        assert_eq!(cells.len(), 4, "{row}");
        let kinds = quoted(cells[3]);
        quoted(cells[0]).into_iter().map(move |operation| (operation, kinds.clone()))
    })
    .collect()
}

#[test]
fn every_result_is_expected_and_nothing_else() {
    let kinds = kinds_of_results();
    assert!(kinds["lookup"] == ["handle"] && kinds["read"] == ["hex", "text"] && kinds["alloc"].is_empty());
    for path in json_files(&root().join("conformance/cases")) {
        let content = std::fs::read_to_string(&path).expect("a file");
        let case: serde_json::Value = serde_json::from_str(&content).expect("JSON");
        for step in case["steps"].as_array().expect("a list") {
            let operation = step["do"].as_str().expect("a text");
            let kinds =
                kinds.get(operation).unwrap_or_else(|| panic!("{}: the README lacks {operation}", path.display()));
            let expected = step["expect"].as_object().and_then(|expect| expect.keys().next()).map(String::as_str);
            let right = match expected {
                None => kinds.is_empty(),
                Some(kind) => kind == "error" || kinds.iter().any(|known| known == kind),
            };
            assert!(right, "{}: {step} expects {expected:?}, its result is {kinds:?}", path.display());
        }
    }
}
