//! Linker flags of a Node addon: on macOS and Windows the symbols of N-API come from the process that loads it. On Linux,
//! the C++ of `lend.rs` is compiled where there is a compiler for it; without, large views go the way of small ones.

fn main() {
    napi_build::setup();
    println!("cargo::rustc-check-cfg=cfg(weaveheap_lend)");
    println!("cargo::rerun-if-changed=src/array_buffer.cc");
    let target = |part: &str| std::env::var(format!("CARGO_CFG_TARGET_{part}")).unwrap_or_default();
    if (target("OS").as_str(), target("ENV").as_str(), target("POINTER_WIDTH").as_str()) != ("linux", "gnu", "64") {
        return;
    }
    let mut build = cc::Build::new();
    build.cpp(true).std("c++17").file("src/array_buffer.cc").flag("-fno-exceptions").flag("-fno-rtti");
    // Debug information would hold the folder that it was compiled in.
    build.debug(false).opt_level(2).warnings_into_errors(true);
    match build.try_compile("weaveheap_array_buffer") {
        Ok(()) => println!("cargo::rustc-cfg=weaveheap_lend"),
        Err(error) => println!("cargo::warning=no C++ compiler for large views ({error}): V8 will count their bytes"),
    }
}
