//! The attachment and the block that a thread used last: what every call asks first.
//!
//! A library that is loaded asks the loader where its thread-local variables are, with each call. On Linux with glibc the
//! two words lie in the storage that every thread has from its start (the ELF TLS model "initial-exec"), a load away
//! (docs/adr/0018).

use crate::threads::Tcb;

/// The serial number of an attachment, and the thread's block of it. Both 0 at first, and once the thread ends.
pub(crate) type Current = (u64, *mut Tcb);

pub(crate) use place::{block, get, set};

#[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64", not(any(loom, miri))))]
mod place {
    use std::arch::{asm, global_asm};

    use super::{Current, Tcb};

    /// One for each version, since two may be linked into one program.
    macro_rules! name {
        () => {
            concat!(
                "weaveheap_current_",
                env!("CARGO_PKG_VERSION_MAJOR"),
                "_",
                env!("CARGO_PKG_VERSION_MINOR"),
                "_",
                env!("CARGO_PKG_VERSION_PATCH")
            )
        };
    }

    global_asm!(
        ".pushsection .tbss.weaveheap_current,\"awT\",@nobits",
        concat!(".globl ", name!()),
        concat!(".hidden ", name!()),
        concat!(".type ", name!(), ", @object"),
        concat!(".size ", name!(), ", 16"),
        ".balign 16",
        concat!(name!(), ":"),
        ".zero 16",
        ".popsection"
    );

    #[inline(always)]
    pub(crate) fn get() -> Current {
        let (serial, block): (u64, usize);
        // SAFETY: the two words are this thread's, and nobody else's; they are only read.
        unsafe {
            asm!(
                concat!("mov {block}, qword ptr [rip + ", name!(), "@GOTTPOFF]"),
                "mov {serial}, qword ptr fs:[{block}]",
                "mov {block}, qword ptr fs:[{block} + 8]",
                serial = out(reg) serial,
                block = out(reg) block,
                options(pure, readonly, nostack, preserves_flags)
            );
        }
        (serial, std::ptr::with_exposed_provenance_mut(block))
    }

    /// The second of the two.
    #[inline(always)]
    pub(crate) fn block() -> *mut Tcb {
        let block: usize;
        // SAFETY: as for `get`.
        unsafe {
            asm!(
                concat!("mov {block}, qword ptr [rip + ", name!(), "@GOTTPOFF]"),
                "mov {block}, qword ptr fs:[{block} + 8]",
                block = out(reg) block,
                options(pure, readonly, nostack, preserves_flags)
            );
        }
        std::ptr::with_exposed_provenance_mut(block)
    }

    pub(crate) fn set((serial, block): Current) {
        // SAFETY: the two words are this thread's, and nobody else's.
        unsafe {
            asm!(
                concat!("mov {at}, qword ptr [rip + ", name!(), "@GOTTPOFF]"),
                "mov qword ptr fs:[{at}], {serial}",
                "mov qword ptr fs:[{at} + 8], {block}",
                at = out(reg) _,
                serial = in(reg) serial,
                block = in(reg) block.expose_provenance(),
                options(nostack, preserves_flags)
            );
        }
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64", not(any(loom, miri)))))]
mod place {
    use std::cell::Cell;
    use std::ptr;

    use super::{Current, Tcb};

    #[cfg(not(loom))]
    thread_local! {
        /// Never destroyed, so that it works in every destructor.
        static CURRENT: Cell<Current> = const { Cell::new((0, ptr::null_mut())) };
    }
    #[cfg(loom)]
    static CURRENT: crate::model::Local<Cell<Current>> = crate::model::Local::new(|| Cell::new((0, ptr::null_mut())));

    #[inline(always)]
    pub(crate) fn get() -> Current {
        CURRENT.with(Cell::get)
    }

    #[inline(always)]
    pub(crate) fn block() -> *mut Tcb {
        get().1
    }

    pub(crate) fn set(current: Current) {
        CURRENT.with(|place| place.set(current));
    }
}
