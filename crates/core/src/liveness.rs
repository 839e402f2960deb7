//! Which of those that are attached are dead, by the rules of C1, and how they are called in messages.

use crate::attachment::{ATTACHED, Attachment};
use crate::layout::*;
use crate::runtime::Runtime;
use crate::segment::Source;
use crate::sys::{self, ProcessId};

impl Attachment {
    /// Whether there can be attachments of other processes.
    pub(crate) fn others_may_die(&self) -> bool {
        #[cfg(loom)]
        if crate::model::has_processes() {
            return true;
        }
        sys::SHARED_HEAPS && self.segment.source() == Source::Shared
    }

    /// Whether an attachment that is not this one is dead, by the rules of C1.
    pub(crate) fn is_dead(&self, index: u16) -> bool {
        if index == self.index || !self.others_may_die() {
            return false;
        }
        let Some(record) = self.segment.get::<AttachmentRecord>(u32::from(index)) else { return false };
        if record.state.acquire() & 0xff != ATTACHED {
            return false;
        }
        #[cfg(loom)]
        if crate::model::is_dead(index) {
            return true;
        }
        let Some(file) = self.segment.file.as_ref() else { return false };
        let boot = sys::boot_id();
        let same_boot = record.boot[0].relaxed() == boot as u64 && record.boot[1].relaxed() == (boot >> 64) as u64;
        let namespace = if same_boot { record.namespace.relaxed() } else { 0 };
        let process = ProcessId { pid: record.pid.relaxed() as u32, start: record.start.relaxed(), namespace };
        sys::is_dead(file, index, process, self.process)
    }

    /// Whether the holder in the heap's lock word is dead, or is an attachment that has gone since.
    pub(crate) fn lock_holder_is_dead(&self, word: u64) -> bool {
        if !sys::SHARED_HEAPS {
            return false;
        }
        let Some(index) = (word as u16).checked_sub(1) else { return false };
        let sequence = (word >> 16) as u32;
        if index == self.index {
            // The liveness byte is ours alone: a word with our index that is not ours is our dead predecessor's.
            let shared = self.segment.source() == Source::Shared;
            return shared && (self.sequence == 0 || sequence != self.sequence);
        }
        match self.segment.get::<AttachmentRecord>(u32::from(index)) {
            // A process that dies while it attaches has no record yet, but had its byte.
            None => self.byte_is_free(index),
            Some(record) => {
                let state = record.state.acquire();
                if state & 0xff == ATTACHED && (state >> 32) as u32 == sequence {
                    self.is_dead(index)
                } else {
                    self.byte_is_free(index)
                }
            }
        }
    }

    fn byte_is_free(&self, index: u16) -> bool {
        match (self.segment.source(), self.segment.file.as_ref()) {
            (Source::Shared, Some(file)) if index != self.index => {
                sys::is_dead(file, index, ProcessId::default(), self.process)
            }
            _ => false,
        }
    }

    /// An attachment in words.
    pub(crate) fn describe(&self, index: u16) -> String {
        if !sys::SHARED_HEAPS {
            return "this process".to_owned();
        }
        match self.segment.get::<AttachmentRecord>(u32::from(index)) {
            Some(record) => {
                let runtime = Runtime::from_number((record.state.acquire() >> 8) as u8);
                format!("{} process {}", runtime.name(), record.pid.relaxed())
            }
            None => format!("attachment {index}"),
        }
    }
}
