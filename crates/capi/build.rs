//! Link arguments of `libweaveheap.so`: its SONAME, and that it stays loaded. After `dlclose` the log callback, thread
//! records and deferred unmappings of the library may still run, so that its code must not go.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    match std::env::var("CARGO_CFG_TARGET_OS").as_deref() {
        Ok("macos") => println!("cargo:rustc-cdylib-link-arg=-Wl,-install_name,@rpath/libweaveheap.0.dylib"),
        Ok("linux" | "android" | "freebsd") => {
            println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libweaveheap.so.0");
            println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
        }
        _ => {}
    }
}
