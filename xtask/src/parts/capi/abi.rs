//! `abi/symbols.txt` and `abi/layout.json`: what the built library exports, and how the compiler lays the header's structs
//! out. A change of either is a change of the ABI, and shows in review.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::build::{Library, compiler};
use crate::ctx::Ctx;

/// The names that the library exports, one a line. Anything but `weaveheap_*` is an error.
pub fn symbols(ctx: &Ctx, library: &Library) -> Result<String> {
    let arguments: &[&str] = if cfg!(target_os = "macos") { &["-gUj"] } else { &["-D", "--defined-only"] };
    let output = ctx.output("nm", Command::new("nm").args(arguments).arg(&library.shared))?;
    let mut names: Vec<&str> =
        output.lines().filter_map(|line| line.split_whitespace().last()).map(without_underscore).collect();
    names.sort_unstable();
    if let Some(stray) = names.iter().find(|name| !name.starts_with("weaveheap_") || name.contains("_test_")) {
        bail!("the library exports {stray}: only weaveheap_* may leave it, and nothing that is for tests");
    }
    if names.is_empty() {
        bail!("the library exports nothing");
    }
    Ok(names.join("\n") + "\n")
}

/// Mach-O puts one before every name of C.
fn without_underscore(name: &str) -> &str {
    if cfg!(target_os = "macos") { name.strip_prefix('_').unwrap_or(name) } else { name }
}

struct Struct {
    name: String,
    fields: Vec<String>,
}

/// The structs of a header, with their fields in order.
fn structs(header: &str) -> Vec<Struct> {
    let mut found = Vec::new();
    let mut fields: Option<Vec<String>> = None;
    for line in header.lines() {
        if line == "typedef struct {" {
            fields = Some(Vec::new());
        } else if let Some(name) = line.strip_prefix("} ").and_then(|rest| rest.strip_suffix(';')) {
            if let Some(fields) = fields.take() {
                found.push(Struct { name: name.to_owned(), fields });
            }
        } else if let (Some(fields), Some(declaration)) = (&mut fields, line.trim().strip_suffix(';'))
            && !declaration.starts_with(['*', '/'])
        {
            fields.extend(declaration.rsplit([' ', '*']).next().map(str::to_owned));
        }
    }
    found
}

/// Sizes, alignments and offsets as the C compiler of a 64-bit system has them, as JSON.
pub fn layout(ctx: &Ctx, header: &str) -> Result<String> {
    let structs = structs(header);
    if structs.len() < 8 {
        bail!("only {} structs were found in the header: abi.rs no longer reads it", structs.len());
    }
    let folder = ctx.target().join("capi").join("layout");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    write(&folder.join("weaveheap.h"), header)?;
    let source = folder.join("layout.c");
    write(&source, &program(&structs)?)?;
    let binary = folder.join("layout");
    let mut compile = compiler(ctx, false)?;
    compile.arg("-std=c11").arg(&source).arg("-o").arg(&binary);
    ctx.run("compile layout.c", &mut compile)?;
    ctx.output("layout of the structs", &mut Command::new(&binary))
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn program(structs: &[Struct]) -> Result<String> {
    let mut out = String::from(
        "#include \"weaveheap.h\"\n#include <stdio.h>\nint main(void) {\n  printf(\"{\\n  \\\"pointer\\\": %zu,\\n  \\\"structs\\\": {\\n\", sizeof(void *));\n",
    );
    for (index, Struct { name, fields }) in structs.iter().enumerate() {
        writeln!(
            out,
            "  printf(\"    \\\"{name}\\\": {{\\n      \\\"size\\\": %zu, \\\"align\\\": %zu,\\n      \\\"offsets\\\": {{\", sizeof({name}), _Alignof({name}));"
        )?;
        for (at, field) in fields.iter().enumerate() {
            let gap = if at == 0 { "" } else { "," };
            writeln!(out, "  printf(\"{gap} \\\"{field}\\\": %zu\", offsetof({name}, {field}));")?;
        }
        let gap = if index + 1 == structs.len() { "" } else { "," };
        writeln!(out, "  printf(\" }}\\n    }}{gap}\\n\");")?;
    }
    out.push_str("  printf(\"  }\\n}\\n\");\n  return 0;\n}\n");
    Ok(out)
}

/// Every exported function is called by a test in C; twice at least where there are arguments to be wrong.
pub fn all_are_tested(ctx: &Ctx, symbols: &str, header: &str) -> Result<()> {
    let folder = ctx.path("crates/capi/tests/c");
    let mut sources = String::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "c") {
            sources += &std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        }
    }
    let is_tested = |name: &str| {
        let calls = sources.matches(&format!("{name}(")).count();
        calls >= if header.contains(&format!("{name}(void)")) { 1 } else { 2 }
    };
    let untested: Vec<&str> = symbols.lines().filter(|name| !is_tested(name)).collect();
    if !untested.is_empty() {
        bail!("no test in crates/capi/tests/c calls these with good and with bad arguments: {}", untested.join(", "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_with_pointers_and_comments() {
        let header = "/** A. */\ntypedef struct {\n  /** One; two. */\n  size_t struct_size;\n  /**\n   * More;\n   */\n  const char *label;\n} weaveheap_a;\ntypedef struct weaveheap_b weaveheap_b;\n";
        let found = structs(header);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].name, "weaveheap_a");
        assert_eq!(found[0].fields, ["struct_size", "label"]);
    }
}
