//! Linker flags of a Node addon: on macOS and Windows the symbols of N-API come from the process that loads it.

fn main() {
    napi_build::setup();
}
