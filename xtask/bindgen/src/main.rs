//! Writes the JavaScript and the types of a module that was built with `wasm-bindgen`, and the module that they load:
//! `weaveheap-bindgen MODULE FOLDER --target web|nodejs|bundler --name NAME`.

use anyhow::{Result, bail};
use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [module, folder, target_flag, target, name_flag, name] = arguments.as_slice() else {
        bail!("usage: weaveheap-bindgen MODULE FOLDER --target web|nodejs|bundler --name NAME");
    };
    if (target_flag.as_str(), name_flag.as_str()) != ("--target", "--name") {
        bail!("expected --target and --name, not {target_flag} and {name_flag}");
    }
    let mut bindgen = Bindgen::new();
    match target.as_str() {
        "web" => bindgen.web(true)?,
        "nodejs" => bindgen.nodejs(true)?,
        "bundler" => bindgen.bundler(true)?,
        other => bail!("there is no target {other}: web, nodejs or bundler"),
    };
    // A module's place is named by whoever starts it, and never guessed from the place of its JavaScript.
    bindgen.input_path(module).out_name(name).typescript(true).omit_default_module_path(false).generate(folder)
}
