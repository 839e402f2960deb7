"""The shapes of the dictionaries that `stats()`, `info()` and `check()` return. Sizes are bytes, ages milliseconds,
handles text."""

from typing import Literal, TypedDict

__all__ = [
    "AttachmentInfo",
    "Borrow",
    "BufferInfo",
    "CheckReport",
    "Copies",
    "CopyCount",
    "Counters",
    "HeapInfo",
    "NameInfo",
    "RegionInfo",
    "RuntimeCounters",
    "Stats",
]


class CopyCount(TypedDict):
    """How many copies, and of how many bytes."""

    count: int
    bytes: int


class Copies(TypedDict):
    """Copies that the library has made, by reason."""

    ingest: CopyCount
    export: CopyCount
    no_external_buffers: CopyCount
    serialize: CopyCount


class Counters(TypedDict):
    """What a heap, a region or a runtime has done. The numbers only grow."""

    allocations: int
    frees: int
    bytes_allocated: int
    bytes_freed: int
    borrows_begun: int
    borrows_ended: int
    conflicts: int
    stale: int
    views: int
    finalized: int
    regions_collected: int
    copies: Copies


class HeapInfo(TypedDict):
    """A heap."""

    id: str
    path: str | None
    shared: bool
    verify: bool
    layout_version: int
    limit: int
    reserved: int
    peak: int
    bytes_live: int


class AttachmentInfo(TypedDict):
    """One copy of the library in one process."""

    index: int
    process: int
    runtime: str
    label: str
    alive: bool
    threads: int
    borrows: int


class RegionInfo(TypedDict):
    """A region."""

    handle: str
    name: str
    state: Literal["open", "closing", "draining"]
    limit: int | None
    reserved: int
    peak: int
    buffers: int
    bytes_live: int
    borrows: int
    counters: Counters


class BufferInfo(TypedDict):
    """A buffer."""

    handle: str
    region: str
    length: int
    offset: int
    shared: int
    unique: bool
    frozen: bool
    poisoned: bool


class Borrow(TypedDict):
    """A live borrow."""

    handle: str
    region: str
    kind: Literal["shared", "unique"]
    process: int
    thread: int
    runtime: str
    label: str
    age_ms: int
    alive: bool


class NameInfo(TypedDict):
    """A published name."""

    name: str
    handle: str


class RuntimeCounters(TypedDict):
    """The counters of one runtime."""

    runtime: str
    counters: Counters


class Stats(TypedDict):
    """A heap as it was seen at one time."""

    heap: HeapInfo
    attachments: list[AttachmentInfo]
    regions: list[RegionInfo]
    borrows: list[Borrow]
    names: list[NameInfo]
    counters: Counters
    runtimes: list[RuntimeCounters]


class CheckReport(TypedDict):
    """What `check` has walked."""

    regions: int
    chunks: int
    buffers: int
    borrows: int
    attachments: int
    lost: int
