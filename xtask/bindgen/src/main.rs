//! Writes the JavaScript and the types of a module that was built with `wasm-bindgen`, and the module that they load:
//! `weaveheap-bindgen MODULE FOLDER --target web|nodejs|bundler|factory --name NAME`.
//!
//! wasm-bindgen's JavaScript is for one instance. With `factory` it is a function that makes one each time.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use wasm_bindgen_cli_support::Bindgen;

const USAGE: &str = "usage: weaveheap-bindgen MODULE FOLDER --target web|nodejs|bundler|factory --name NAME";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [module, folder, target_flag, target, name_flag, name] = arguments.as_slice() else {
        bail!("{USAGE}");
    };
    if (target_flag.as_str(), name_flag.as_str()) != ("--target", "--name") {
        bail!("expected --target and --name, not {target_flag} and {name_flag}");
    }
    let mut bindgen = Bindgen::new();
    match target.as_str() {
        "web" | "factory" => bindgen.web(true)?,
        "nodejs" => bindgen.nodejs(true)?,
        "bundler" => bindgen.bundler(true)?,
        other => bail!("there is no target {other}: web, nodejs, bundler or factory"),
    };
    let factory = target == "factory";
    // A factory is given its module. Otherwise the module's place is beside its JavaScript, if nobody names another.
    bindgen
        .input_path(module)
        .out_name(name)
        .typescript(!factory)
        .omit_default_module_path(factory)
        .generate(folder)?;
    if factory {
        let path = Path::new(folder).join(format!("{name}.js"));
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        std::fs::write(&path, as_factory(&text)?).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// The same JavaScript in a function, `bind`, that gives what was exported, and `initial`: the pages of memory that the
/// module begins with.
fn as_factory(text: &str) -> Result<String> {
    const LAST: &str = "export { initSync, __wbg_init as default };";
    let body = text.split_once(LAST).context("wasm-bindgen's last line is another one")?.0;
    ensure!(!body.contains("import.meta"), "wasm-bindgen names a place of its own");
    let mut names = vec!["initSync"];
    let (mut imports, mut inside) = (String::new(), String::new());
    for line in body.lines() {
        if line.starts_with("import ") {
            imports.push_str(line);
            imports.push('\n');
            continue;
        }
        let declared = line.strip_prefix("export function ");
        names.extend(declared.and_then(|rest| rest.split_once('(')).map(|(name, _)| name));
        ensure!(declared.is_some() || !line.starts_with("export"), "what is exported here is no function: {line}");
        inside.push_str(line.strip_prefix("export ").unwrap_or(line));
        inside.push('\n');
    }
    let (_, memory) = body.split_once("new WebAssembly.Memory({initial:").context("the module's memory is its own")?;
    let initial: String = memory.chars().take_while(char::is_ascii_digit).collect();
    let names = names.join(", ");
    Ok(format!(
        "// Written by wasm-bindgen and `xtask/bindgen`. Do not edit.\n\n{imports}\nexport function bind() {{\n{inside}\n\
         return {{ initial: {initial}, {names} }};\n}}\n"
    ))
}
