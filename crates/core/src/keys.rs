//! Handles as slotmap keys, so that a Rust program can keep data of its own beside buffers and regions in slotmap's
//! secondary maps. Live generations are odd and indices dense, as slotmap wants them; the two nulls are mapped.

use slotmap::{Key, KeyData};

use crate::handle::{Handle, HandleKind};

macro_rules! key {
    ($(#[$doc:meta])* $name:ident, $kind:ident, $make:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
        #[repr(transparent)]
        pub struct $name(Handle);

        impl $name {
            /// The key of this handle; `None` if it is of the other kind. The null handle is the null key.
            pub fn new(handle: Handle) -> Option<$name> {
                let fits = handle.is_null() || handle.kind() == HandleKind::$kind && handle.generation() & 1 == 1;
                fits.then_some($name(handle))
            }

            /// The handle of this key.
            pub fn handle(self) -> Handle {
                self.0
            }
        }

        impl From<KeyData> for $name {
            fn from(data: KeyData) -> $name {
                if data == KeyData::default() {
                    return $name(Handle::NULL);
                }
                let bits = data.as_ffi();
                $name(Handle::$make(bits as u32, (bits >> 32) as u32))
            }
        }

        // SAFETY: a key is the index and generation of its handle, and `From<KeyData>` takes both back unchanged; the
        // null handle is slotmap's null key, which no live handle is, since no table has u32::MAX records.
        unsafe impl Key for $name {
            fn data(&self) -> KeyData {
                if self.0.is_null() {
                    return KeyData::default();
                }
                KeyData::from_ffi(u64::from(self.0.generation()) << 32 | u64::from(self.0.index()))
            }
        }
    };
}

key! {
    /// A buffer's handle as a slotmap key.
    ///
    /// ```
    /// use weaveheap_core::{BufferKey, Heap, RegionOptions};
    ///
    /// # fn main() -> weaveheap_core::Result<()> {
    /// let heap = Heap::private()?;
    /// let region = heap.region(&RegionOptions::new())?;
    /// let buffer = region.alloc(16)?;
    /// let mut labels = slotmap::SecondaryMap::new();
    /// let key = BufferKey::new(buffer.handle()).expect("a buffer's handle");
    /// labels.insert(key, "pixels");
    /// assert_eq!(labels[key], "pixels");
    /// # Ok(())
    /// # }
    /// ```
    BufferKey, Buffer, buffer
}

key! {
    /// A region's handle as a slotmap key.
    RegionKey, Region, region
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_through_slotmap_unchanged() {
        let handle = Handle::buffer(17, 2043);
        let key = BufferKey::new(handle).unwrap();
        assert_eq!(BufferKey::from(key.data()).handle(), handle);
        let region = RegionKey::new(Handle::region(3, 77)).unwrap();
        assert_eq!(region.data().as_ffi() as u32, 3, "indices are dense, without the mark of the kind");
        assert_eq!(RegionKey::from(region.data()).handle(), Handle::region(3, 77));
    }

    #[test]
    fn nulls_are_mapped_and_kinds_are_kept_apart() {
        assert!(BufferKey::default().is_null());
        assert!(BufferKey::new(Handle::NULL).unwrap().is_null());
        assert!(BufferKey::null().handle().is_null());
        assert_eq!(BufferKey::new(Handle::region(3, 77)), None);
        assert_eq!(RegionKey::new(Handle::buffer(3, 77)), None);
    }
}
