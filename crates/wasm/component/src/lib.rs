//! The heap as a component: the interface of `wit/` over the core, by wit-bindgen.
#![cfg(target_family = "wasm")]

mod borrow;
mod buffer;
mod embedder;
mod entry;
mod error;
mod error_code;
mod heap;
mod info;
mod names;
mod region;
mod room;

/// What wit-bindgen writes from `wit/`.
#[allow(missing_docs, reason = "written by wit-bindgen from files that have the docs")]
#[allow(clippy::undocumented_unsafe_blocks, reason = "written by wit-bindgen")]
mod bindings {
    #[cfg(not(feature = "planted-panic"))]
    wit_bindgen::generate!({ path: "../../../wit", world: "weaveheap", generate_all });

    #[cfg(feature = "planted-panic")]
    wit_bindgen::generate!({
        path: "../../../wit",
        inline: "
            package weaveheap:planted;
            world planted {
                include weaveheap:heap/weaveheap@0.1.0;
                export planted-panic: func();
            }
        ",
        world: "weaveheap:planted/planted",
        generate_all,
    });
}

/// What the world's exports are made of.
struct Component;

#[cfg(feature = "planted-panic")]
impl bindings::Guest for Component {
    fn planted_panic() {
        let _entry = entry::enter();
        panic!("planted");
    }
}

bindings::export!(Component with_types_in bindings);
