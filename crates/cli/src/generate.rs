//! Completion scripts and man pages, both made from the definition in `syntax.rs`.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use clap::CommandFactory;
use clap_complete::aot;

use crate::screen;
use crate::syntax::{Cli, Shell};

/// Writes a completion script to standard output.
pub fn completions(shell: Shell) -> Result<u8> {
    screen::print(&script(shell)?)?;
    Ok(0)
}

fn script(shell: Shell) -> Result<String> {
    let shell = match shell {
        Shell::Bash => aot::Shell::Bash,
        Shell::Zsh => aot::Shell::Zsh,
        Shell::Fish => aot::Shell::Fish,
    };
    let mut text = Vec::new();
    aot::generate(shell, &mut Cli::command(), "weaveheap", &mut text);
    Ok(String::from_utf8(text)?)
}

/// Writes `weaveheap.1` and a page for every command into a folder.
pub fn man(folder: &Path) -> Result<u8> {
    ensure!(folder.is_dir(), "{} is no folder: make it first", folder.display());
    for (name, text) in pages()? {
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(0)
}

fn pages() -> Result<Vec<(String, Vec<u8>)>> {
    let mut root = Cli::command();
    root.build();
    let mut commands = vec![root.clone()];
    // After `build`, a subcommand's own name is the last word only: the page needs both, joined as man does it.
    for command in root.get_subcommands().filter(|command| command.get_name() != "help") {
        let name: &'static str = format!("weaveheap-{}", command.get_name()).leak();
        commands.push(command.clone().name(name).display_name(name));
    }
    commands
        .into_iter()
        .map(|command| {
            let name = format!("{}.1", command.get_name());
            let mut text = Vec::new();
            clap_mangen::Man::new(command).render(&mut text)?;
            Ok((name, text))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    fn commands() -> Vec<String> {
        Cli::command().get_subcommands().map(|command| command.get_name().to_string()).collect()
    }

    #[test]
    fn every_shell_completes_every_command_and_the_options_of_stats() {
        for shell in Shell::value_variants() {
            let text = script(*shell).unwrap();
            for word in commands().iter().map(String::as_str).chain(["watch", "json", "pid"]) {
                assert!(text.contains(word), "{shell:?} lacks {word}");
            }
        }
    }

    #[test]
    fn every_command_has_a_man_page_that_names_its_options() {
        let pages = pages().unwrap();
        assert_eq!(pages.len(), commands().len() + 1);
        for command in commands() {
            let (_, text) = pages.iter().find(|(name, _)| *name == format!("weaveheap-{command}.1")).unwrap();
            let text = String::from_utf8(text.clone()).unwrap().replace("\\-", "-");
            assert!(text.contains(&format!("weaveheap {command}")), "{text}");
            let definition = Cli::command();
            let definition = definition.find_subcommand(&command).unwrap();
            for option in definition.get_arguments().filter_map(|argument| argument.get_long()) {
                assert!(text.contains(&format!("--{option}")), "{command} lacks {option}");
            }
        }
    }

    #[test]
    fn the_docs_name_every_command_and_option() {
        let docs = include_str!("../../../docs/command-line.md");
        for command in Cli::command().get_subcommands() {
            assert!(docs.contains(&format!("`weaveheap {}", command.get_name())), "{}", command.get_name());
            for option in command.get_arguments().filter_map(|argument| argument.get_long()) {
                assert!(docs.contains(&format!("--{option}")), "{} --{option}", command.get_name());
            }
        }
    }
}
