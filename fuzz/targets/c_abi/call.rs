//! One call of the C ABI as data.

use libfuzzer_sys::arbitrary::Arbitrary;

/// A call: the function with its arguments, through which heap, and whether an error is asked for.
#[derive(Arbitrary, Debug)]
pub struct Call {
    /// Null, or one of the heap objects.
    pub heap: Option<u8>,
    pub err: bool,
    pub function: Function,
}

/// A handle or a token: 64 bits.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Bits {
    Made(u8),
    Region(u8),
    Forged(u8, u64),
    Any(u64),
}

/// A string that ends in NUL, or null.
#[derive(Arbitrary, Clone, Debug)]
pub enum Text {
    Null,
    /// One of a few, so that names meet.
    Known(u8),
    Any(Vec<u8>),
}

/// The field `struct_size` of a struct, or a null pointer.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Size {
    Null,
    Right,
    Larger(u16),
    Any(u64),
}

/// Seconds to wait. For ever would be.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Timeout {
    Zero,
    Short,
    NotANumber,
    NegativeZero,
}

#[derive(Arbitrary, Debug)]
pub struct Options {
    pub size: Size,
    pub limit: Option<u64>,
    pub runtime: u8,
    pub inspect: u8,
    pub verify: u8,
    pub label: Text,
}

/// A pointer to bytes and a length that the bytes have, or one that no memory has, or null.
#[derive(Arbitrary, Debug)]
pub enum Bytes {
    Given(Vec<u8>),
    Null(u64),
    TooLong,
}

#[derive(Arbitrary, Debug)]
pub enum Function {
    HeapPrivate(Options),
    HeapCreate(Text, Options),
    HeapCreatePath(Text, Options),
    HeapOpen(Text, Options),
    HeapOpenPath(Text, Options),
    HeapAttach(Option<u8>, Options),
    HeapById(Text, bool),
    HeapId,
    HeapPath,
    HeapInfo(Size),
    HeapDetach,
    HeapRelease,
    HeapRemove(Text),
    HeapRemovePath(Text),
    HeapList,
    HeapCheck(Size),
    HeapTrim,
    HeapStats,
    HeapHolders(Bits),
    HeapCounters(Size),
    RegionCreate(Text, u64),
    RegionReset(Bits),
    RegionClose(Bits),
    RegionCloseWhenIdle(Bits),
    RegionCollect(Bits),
    RegionWaitIdle(Bits, Timeout),
    RegionInfo(Bits, Size),
    RegionName(Bits),
    RegionBuffers(Bits, Option<u8>, u64),
    RegionCounters(Bits, Size),
    BufferAlloc(Bits, u64, u64, u8),
    /// As most callers do it: a length that fits, an alignment that is one.
    BufferAllocUsual(Bits, u16, u8),
    BufferAllocFrom(Bits, Bytes, u64),
    BufferFree(Bits),
    BufferFreeze(Bits),
    BufferClearPoison(Bits),
    BufferInfo(Bits, Size),
    BufferLength(Bits),
    BufferExport(Bits, bool),
    BufferCountCopy(Bits, u32, u64),
    BufferCountView(Bits),
    BufferCountFinalized(Bits),
    StringAlloc(Bits, Bytes),
    StringValidate(Bits),
    StringBorrow(Bits, bool),
    BorrowShared(Bits, bool),
    BorrowUnique(Bits, bool),
    /// Touches all bytes of a view.
    Use(u8, u8),
    BorrowEnd(Bits),
    BorrowEndMade(u8),
    Publish(Text, Bits),
    Lookup(Text),
    LookupWait(Text, Timeout),
    Unpublish(Text),
    InspectorOpen(Text),
    InspectorOpenPath(Text),
    InspectorOfProcess(Option<u32>, u64),
    InspectorStats(Option<u8>),
    InspectorHolders(Option<u8>, Bits),
    InspectorBuffers(Option<u8>, Bits, u64),
    InspectorRelease(Option<u8>),
    LogRegister(bool, u32),
    LogUnregister(Option<u8>, u64),
    HandleToText(Bits),
    HandleFromText(Text),
    ErrorWords(i32),
    ErrorNumber(Text),
    LastHolders,
    AbiCheck(u32),
}
