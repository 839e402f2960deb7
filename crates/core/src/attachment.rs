//! One copy of the library in one process that has mapped a heap.

#![allow(unused_variables, dead_code, reason = "being written")]
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;
use crate::handle::{Handle, Token};
use crate::heap::{HeapOptions, Init};
use crate::lease::RawBorrow;
use crate::runtime::{CopyReason, Runtime};
use crate::snapshot::*;

pub(crate) struct Attachment {
    _p: (),
}

impl Attachment {
    pub(crate) fn private(options: HeapOptions) -> Result<Arc<Attachment>> {
        todo!()
    }
    pub(crate) fn create_named(options: HeapOptions, name: &str) -> Result<Arc<Attachment>> {
        todo!()
    }
    pub(crate) fn create_path(options: HeapOptions, path: &Path) -> Result<Arc<Attachment>> {
        todo!()
    }
    pub(crate) fn open_named(options: HeapOptions, name: &str) -> Result<Arc<Attachment>> {
        todo!()
    }
    pub(crate) fn open_path(options: HeapOptions, path: &Path) -> Result<Arc<Attachment>> {
        todo!()
    }
    pub(crate) unsafe fn at_base(options: HeapOptions, base: *mut u8) -> Result<Arc<Attachment>> {
        todo!()
    }
    pub(crate) fn by_id(id: &str) -> Result<Arc<Attachment>> {
        todo!()
    }
    pub(crate) fn id(&self) -> String {
        todo!()
    }
    pub(crate) fn path(&self) -> Option<&Path> {
        todo!()
    }
    pub(crate) fn is_shared(&self) -> bool {
        todo!()
    }
    pub(crate) fn verify(&self) -> bool {
        todo!()
    }
    pub(crate) fn limit(&self) -> u64 {
        todo!()
    }
    pub(crate) fn base(&self) -> *mut u8 {
        todo!()
    }
    pub(crate) fn runtime(&self) -> Runtime {
        todo!()
    }
    pub(crate) fn is_detached(&self) -> bool {
        todo!()
    }
    pub(crate) fn check_attached(&self) -> Result<()> {
        todo!()
    }
    pub(crate) fn detach(&self) -> Result<()> {
        todo!()
    }
    pub(crate) fn region_create(&self, name: &str, limit: Option<u64>) -> Result<Handle> {
        todo!()
    }
    pub(crate) fn region_reset(&self, region: Handle) -> Result<()> {
        todo!()
    }
    pub(crate) fn region_close(&self, region: Handle) -> Result<()> {
        todo!()
    }
    pub(crate) fn region_close_when_idle(&self, region: Handle) -> Result<()> {
        todo!()
    }
    pub(crate) fn region_collected(&self, region: Handle) -> bool {
        todo!()
    }
    pub(crate) fn wait_idle(&self, region: Handle, timeout: Option<Duration>) -> Result<()> {
        todo!()
    }
    pub(crate) fn alloc(&self, region: Handle, length: u64, align: u64, init: Init) -> Result<Handle> {
        todo!()
    }
    pub(crate) fn alloc_from(&self, region: Handle, bytes: &[u8], align: u64) -> Result<Handle> {
        todo!()
    }
    pub(crate) fn free(&self, buffer: Handle) -> Result<()> {
        todo!()
    }
    pub(crate) fn freeze(&self, buffer: Handle) -> Result<()> {
        todo!()
    }
    pub(crate) fn clear_poison(&self, buffer: Handle) -> Result<()> {
        todo!()
    }
    pub(crate) fn borrow_raw(self: &Arc<Self>, buffer: Handle, kind: BorrowKind) -> Result<RawBorrow> {
        todo!()
    }
    pub(crate) fn end_token(&self, token: Token) -> Result<()> {
        todo!()
    }
    pub(crate) fn end_owned(&self, token: Token) {
        todo!()
    }
    pub(crate) fn buffer_info(&self, buffer: Handle) -> Result<BufferInfo> {
        todo!()
    }
    pub(crate) fn region_info(&self, region: Handle) -> Result<RegionInfo> {
        todo!()
    }
    pub(crate) fn buffers(&self, region: Handle, limit: usize) -> Result<Vec<BufferInfo>> {
        todo!()
    }
    pub(crate) fn holders(&self, handle: Handle) -> Vec<Holder> {
        todo!()
    }
    pub(crate) fn publish(&self, name: &str, handle: Handle) -> Result<()> {
        todo!()
    }
    pub(crate) fn lookup(&self, name: &str) -> Result<Handle> {
        todo!()
    }
    pub(crate) fn lookup_wait(&self, name: &str, timeout: Option<Duration>) -> Result<Handle> {
        todo!()
    }
    pub(crate) fn unpublish(&self, name: &str) -> Result<()> {
        todo!()
    }
    pub(crate) fn snapshot(&self) -> Result<Snapshot> {
        todo!()
    }
    pub(crate) fn check(&self) -> Result<CheckReport> {
        todo!()
    }
    pub(crate) fn trim(&self) -> Result<u64> {
        todo!()
    }
    pub(crate) fn count_copy(&self, buffer: Handle, reason: CopyReason, bytes: u64) {
        todo!()
    }
    pub(crate) fn count_view(&self, buffer: Handle) {
        todo!()
    }
    pub(crate) fn count_finalized(&self, buffer: Handle) {
        todo!()
    }
}
