"""One heap for all runtimes: regions, checked handles, recorded borrows, views without a copy.

>>> import weaveheap
>>> with weaveheap.Heap.private() as heap, heap.region() as region:
...     buffer = region.string("one heap")
...     buffer.text(), len(buffer)
('one heap', 8)
"""

from . import _native

#: The version of this package, and of the native module that it needs.
__version__ = "0.1.0"

if _native.VERSION != __version__:
    raise ImportError(
        f"weaveheap {__version__} has found a native module of version {_native.VERSION}: "
        "remove both, and install one version again"
    )

from ._codes import *
from ._errors import WeaveHeapError
from ._native import Buffer, Handle, Heap, HeapEntry, Holder, Region, View
from ._types import *

__all__ = [
    "AlreadyExists",
    "AttachmentInfo",
    "Borrow",
    "BorrowConflict",
    "Borrowed",
    "Buffer",
    "BufferInfo",
    "CheckReport",
    "Copies",
    "CopyCount",
    "Corrupt",
    "Counters",
    "Denied",
    "Handle",
    "Heap",
    "HeapEntry",
    "HeapInfo",
    "Holder",
    "Incompatible",
    "Internal",
    "InvalidArgument",
    "InvalidName",
    "InvalidUtf8",
    "Io",
    "LimitReached",
    "NameInfo",
    "NotAttached",
    "NotFound",
    "OutOfMemory",
    "Poisoned",
    "Region",
    "RegionInfo",
    "RuntimeCounters",
    "StaleHandle",
    "StaleView",
    "Stats",
    "Timeout",
    "Unsupported",
    "View",
    "WeaveHeapError",
]
