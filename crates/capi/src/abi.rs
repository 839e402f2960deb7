//! Versions, and the constants that stand for the core's enumerations (F5).

use std::ffi::c_char;

use weaveheap_core::{CopyReason, Error, ErrorCode, Init, LAYOUT_VERSION, Result, Runtime};

use crate::argument::invalid;
use crate::boundary::{self, ErrorOut};

/// The version of this header: major number in the high 16 bits, minor in the low 16. A library fits a program if
/// the major numbers are equal and its minor number is not smaller.
pub const WEAVEHEAP_ABI_VERSION: u32 = 1;

/// Not said.
pub const WEAVEHEAP_RUNTIME_UNKNOWN: u32 = 0;
/// Rust.
pub const WEAVEHEAP_RUNTIME_RUST: u32 = 1;
/// C; what `runtime = 0` in the options stands for.
pub const WEAVEHEAP_RUNTIME_C: u32 = 2;
/// C++.
pub const WEAVEHEAP_RUNTIME_CPP: u32 = 3;
/// Python.
pub const WEAVEHEAP_RUNTIME_PYTHON: u32 = 4;
/// Node.
pub const WEAVEHEAP_RUNTIME_NODE: u32 = 5;
/// WebAssembly.
pub const WEAVEHEAP_RUNTIME_WASM: u32 = 6;
/// Go.
pub const WEAVEHEAP_RUNTIME_GO: u32 = 7;
/// Java.
pub const WEAVEHEAP_RUNTIME_JAVA: u32 = 8;
/// Swift.
pub const WEAVEHEAP_RUNTIME_SWIFT: u32 = 9;
/// Zig.
pub const WEAVEHEAP_RUNTIME_ZIG: u32 = 10;
/// The command line.
pub const WEAVEHEAP_RUNTIME_CLI: u32 = 11;

/// The caller's bytes were copied into a buffer.
pub const WEAVEHEAP_COPY_INGEST: u32 = 0;
/// A buffer's bytes were copied out at the caller's word.
pub const WEAVEHEAP_COPY_EXPORT: u32 = 1;
/// The runtime forbids external buffers, so that a view had to be a copy.
pub const WEAVEHEAP_COPY_NO_EXTERNAL_BUFFERS: u32 = 2;
/// A value was made for another protocol.
pub const WEAVEHEAP_COPY_SERIALIZE: u32 = 3;

/// The memory of a new buffer is zeroed.
pub const WEAVEHEAP_INIT_ZEROED: u32 = 0;
/// The memory of a new buffer is whatever was there: faster, and never foreign to this heap.
pub const WEAVEHEAP_INIT_UNINIT: u32 = 1;

/// The usual alignment, in bytes.
pub const WEAVEHEAP_ALIGN_DEFAULT: u64 = 64;
/// The largest alignment, in bytes.
pub const WEAVEHEAP_ALIGN_MAX: u64 = 4096;

/// The ABI version of the library that is loaded, as `WEAVEHEAP_ABI_VERSION` is written.
///
/// Success: the version.
/// Failure: it cannot fail.
/// Threads: any.
/// Null: it takes no pointer.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_abi_version() -> u32 {
    WEAVEHEAP_ABI_VERSION
}

/// Whether the library that is loaded fits a program that was compiled with this ABI version. A binding calls it with
/// `WEAVEHEAP_ABI_VERSION` when it loads.
///
/// Success: 0.
/// Failure: `WEAVEHEAP_ERROR_INCOMPATIBLE`; the message names both versions. Use nothing else of the library then.
/// Threads: any.
/// Null: `err` may be null.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_abi_check(version: u32, err: ErrorOut<'_>) -> i32 {
    boundary::code(err, || {
        let (major, minor) = (version >> 16, version & 0xffff);
        let (own_major, own_minor) = (WEAVEHEAP_ABI_VERSION >> 16, WEAVEHEAP_ABI_VERSION & 0xffff);
        if major == own_major && minor <= own_minor {
            return Ok(());
        }
        Err(Error::with_message(
            ErrorCode::Incompatible,
            format!(
                "the program is built for ABI version {major}.{minor}, the library has {own_major}.{own_minor}: \
                 use the library of the program's version, or build the program anew"
            ),
        ))
    })
}

/// The layout version of the segments that this library makes and opens. It refuses heaps of another one.
///
/// Success: the version.
/// Failure: it cannot fail.
/// Threads: any.
/// Null: it takes no pointer.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_abi_layout_version() -> u32 {
    LAYOUT_VERSION
}

/// The version of the library that is loaded, for people: "0.1.0".
///
/// Success: a static string. Do not release it.
/// Failure: it cannot fail.
/// Threads: any.
/// Null: it takes no pointer.
#[unsafe(no_mangle)]
pub extern "C" fn weaveheap_abi_library_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast::<c_char>()
}

pub(crate) fn runtime(number: u32) -> Result<Runtime> {
    if number == WEAVEHEAP_RUNTIME_UNKNOWN {
        return Ok(Runtime::C);
    }
    match u8::try_from(number).map(Runtime::from_number) {
        Ok(runtime) if runtime != Runtime::Unknown => Ok(runtime),
        _ => Err(invalid(format!("{number} is no runtime: use one of WEAVEHEAP_RUNTIME_*"))),
    }
}

pub(crate) fn copy_reason(number: u32) -> Result<CopyReason> {
    u8::try_from(number)
        .ok()
        .and_then(CopyReason::from_number)
        .ok_or_else(|| invalid(format!("{number} is no reason for a copy: use one of WEAVEHEAP_COPY_*")))
}

pub(crate) fn init(number: u32) -> Result<Init> {
    match number {
        WEAVEHEAP_INIT_ZEROED => Ok(Init::Zeroed),
        WEAVEHEAP_INIT_UNINIT => Ok(Init::Uninit),
        _ => Err(invalid(format!("{number} is no first content: use WEAVEHEAP_INIT_ZEROED or WEAVEHEAP_INIT_UNINIT"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtime_constants_are_the_cores_numbers() {
        let constants = [
            WEAVEHEAP_RUNTIME_UNKNOWN,
            WEAVEHEAP_RUNTIME_RUST,
            WEAVEHEAP_RUNTIME_C,
            WEAVEHEAP_RUNTIME_CPP,
            WEAVEHEAP_RUNTIME_PYTHON,
            WEAVEHEAP_RUNTIME_NODE,
            WEAVEHEAP_RUNTIME_WASM,
            WEAVEHEAP_RUNTIME_GO,
            WEAVEHEAP_RUNTIME_JAVA,
            WEAVEHEAP_RUNTIME_SWIFT,
            WEAVEHEAP_RUNTIME_ZIG,
            WEAVEHEAP_RUNTIME_CLI,
        ];
        assert_eq!(Runtime::ALL.map(|runtime| runtime as u32), constants);
        assert_eq!(runtime(WEAVEHEAP_RUNTIME_CPP).unwrap(), Runtime::Cpp);
    }

    #[test]
    fn copy_constants_are_the_cores_numbers() {
        let constants = [
            WEAVEHEAP_COPY_INGEST,
            WEAVEHEAP_COPY_EXPORT,
            WEAVEHEAP_COPY_NO_EXTERNAL_BUFFERS,
            WEAVEHEAP_COPY_SERIALIZE,
        ];
        assert_eq!(CopyReason::ALL.map(|reason| reason as u32), constants);
    }

    #[test]
    fn numbers_past_the_last_are_refused() {
        for number in [12, 255, 256, 258, u32::MAX] {
            assert_eq!(runtime(number).unwrap_err().code(), ErrorCode::InvalidArgument);
            assert_eq!(copy_reason(number).unwrap_err().code(), ErrorCode::InvalidArgument);
            assert_eq!(init(number).unwrap_err().code(), ErrorCode::InvalidArgument);
        }
    }

    #[test]
    fn an_older_program_fits_and_a_newer_one_does_not() {
        assert_eq!(weaveheap_abi_check(0, None), 0);
        assert_eq!(weaveheap_abi_check(WEAVEHEAP_ABI_VERSION, None), 0);
        assert_eq!(weaveheap_abi_check(WEAVEHEAP_ABI_VERSION + 1, None), ErrorCode::Incompatible.number());
        assert_eq!(weaveheap_abi_check(1 << 16, None), ErrorCode::Incompatible.number());
    }
}
