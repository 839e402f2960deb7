//! Completions and man pages: that shells and `man` can read them, not only that they are written.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::common::Folder;

#[test]
fn bash_completes_commands_and_options() {
    let folder = Folder::new();
    let script = folder.ok(&["completions", "bash"]);
    let ask = |words: &str| {
        let body = format!(
            "{script}\nCOMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _weaveheap weaveheap \"${{COMP_WORDS[$COMP_CWORD]}}\" \"${{COMP_WORDS[$COMP_CWORD - 1]}}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let mut child = Command::new("bash").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(body.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().split_whitespace().map(String::from).collect::<Vec<_>>()
    };
    assert_eq!(ask("weaveheap st"), ["stats"]);
    assert_eq!(ask("weaveheap stats --wa"), ["--watch"]);
    assert_eq!(ask("weaveheap doctor --need zi"), ["zig"]);
}

#[test]
fn zsh_and_fish_scripts_name_their_program() {
    let folder = Folder::new();
    assert!(folder.ok(&["completions", "zsh"]).starts_with("#compdef weaveheap"));
    assert!(folder.ok(&["completions", "fish"]).contains("complete -c weaveheap"));
}

#[test]
fn man_pages_are_written_for_every_command() {
    let folder = Folder::new();
    let pages = folder.beside("man");
    let said = folder.fails(1, &["man", &pages.display().to_string()]);
    assert!(said.contains("no folder"), "{said}");
    std::fs::create_dir(&pages).unwrap();
    assert_eq!(folder.ok(&["man", &pages.display().to_string()]), "");
    let mut names: Vec<String> =
        std::fs::read_dir(&pages).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    for command in ["doctor", "list", "stats", "viz", "who", "check", "remove", "completions", "man"] {
        assert!(names.contains(&format!("weaveheap-{command}.1")), "{names:?}");
    }
    let text = std::fs::read_to_string(pages.join("weaveheap-stats.1")).unwrap();
    assert!(text.contains(".TH weaveheap-stats 1") && text.contains(".SH SYNOPSIS"), "{text}");
}
