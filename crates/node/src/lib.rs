//! The native half of the npm package `weaveheap`: N-API functions over `weaveheap-core` (V4, F1, F5).
//!
//! It is private to the package: `lib/*.js` calls it and gives it its public shape. Every function is a raw N-API
//! callback behind one border (`border.rs`), which turns errors and panics into JavaScript exceptions.

mod addon;
mod border;
mod buffer;
mod error;
mod handle;
mod heap;
mod lend;
mod region;
mod value;
mod view;
mod wait;

use std::ffi::{CStr, c_char};
use std::ptr;

use napi::bindgen_prelude::{Env, JsValue, Object};
use napi::sys;
use napi_derive::napi;

use crate::addon::Addon;
use crate::border::{Callback, callbacks};

/// The version of the border between `lib/*.js` and this library; `lib/native.js` holds the one that it expects (F5).
const ABI_VERSION: u32 = 1;

/// Every function of the library by its name in JavaScript.
const FUNCTIONS: &[(&CStr, Callback)] = callbacks! {
    c"init" => addon::init,
    c"heapPrivate" => heap::private,
    c"heapCreate" => heap::create,
    c"heapOpen" => heap::open,
    c"heapById" => heap::by_id,
    c"heapRemove" => heap::remove,
    c"heapList" => heap::list,
    c"heapFolder" => heap::folder,
    c"heapDescribe" => heap::describe,
    c"heapIsDetached" => heap::is_detached,
    c"heapDetach" => heap::detach,
    c"heapDrop" => heap::drop_object,
    c"heapSnapshot" => heap::snapshot,
    c"heapCheck" => heap::check,
    c"heapTrim" => heap::trim,
    c"heapHolders" => heap::holders,
    c"publish" => heap::publish,
    c"lookup" => heap::lookup,
    c"lookupWait" => heap::lookup_wait,
    c"unpublish" => heap::unpublish,
    c"regionCreate" => region::create,
    c"regionInfo" => region::info,
    c"regionBuffers" => region::buffers,
    c"regionReset" => region::reset,
    c"regionClose" => region::close,
    c"regionCloseWhenIdle" => region::close_when_idle,
    c"regionWaitIdle" => region::wait_idle,
    c"regionCollect" => region::collect,
    c"alloc" => buffer::alloc,
    c"allocFrom" => buffer::alloc_from,
    c"allocText" => buffer::alloc_text,
    c"free" => buffer::free,
    c"freeze" => buffer::freeze,
    c"clearPoison" => buffer::clear_poison,
    c"bufferAt" => buffer::at,
    c"bufferInfo" => buffer::info,
    c"toBytes" => buffer::to_bytes,
    c"toText" => buffer::to_text,
    c"countCopy" => buffer::count_copy,
    c"borrow" => view::borrow,
    c"end" => view::end,
    c"unlock" => lend::unlock,
    c"endCopy" => view::end_copy,
    c"handleToText" => handle::to_text,
    c"handleFromText" => handle::from_text,
    c"errorMessage" => error::message,
    c"errorHolders" => error::holders,
    c"panic" => border::panic_now,
};

/// Fills the exports of one environment (the main thread's or a worker's).
#[napi(module_exports)]
pub fn register(mut exports: Object, env: Env) -> napi::Result<()> {
    exports.set("abi", ABI_VERSION)?;
    exports.set("version", env!("CARGO_PKG_VERSION"))?;
    exports.set("layoutVersion", weaveheap_core::LAYOUT_VERSION)?;
    let raw_env = env.raw();
    let raw_exports = exports.raw();
    let addon = Addon::install(raw_env)?;
    for (name, callback) in FUNCTIONS {
        let mut function = ptr::null_mut();
        // SAFETY: the environment is the one that calls; the name is terminated; the callback reads its data as the
        // addon of this environment, which lives until the environment is deleted.
        let status = unsafe {
            let name: *const c_char = name.as_ptr();
            match sys::napi_create_function(raw_env, name, -1, Some(*callback), addon.cast_mut().cast(), &mut function)
            {
                sys::Status::napi_ok => sys::napi_set_named_property(raw_env, raw_exports, name, function),
                status => status,
            }
        };
        if status != sys::Status::napi_ok {
            return Err(napi::Error::from_reason(format!("cannot export {name:?}: N-API status {status}")));
        }
    }
    Ok(())
}
