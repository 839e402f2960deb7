"""Uses of the public API that type checkers must accept. Checked by `test_package.py`, not run."""

from pathlib import Path
from typing import assert_type

import weaveheap
from weaveheap import Buffer, Handle, Heap, Holder, Region, Stats, View, WeaveHeapError


def uses(path: Path) -> None:
    heap = Heap.create("name", limit=1 << 30, label="me")
    assert_type(heap, Heap)
    Heap.open(path=path)
    Heap.remove(path=str(path))
    with heap as entered, entered.region(name="r", limit=1 << 20) as region:
        assert_type(region, Region)
        buffer = region.alloc(10, align=128, zeroed=False)
        assert_type(buffer, Buffer)
        region.alloc_from(memoryview(b"bytes"))
        with buffer.borrow_unique() as view:
            assert_type(view, View)
            view[0] = 1
            view[0:2] = b"ab"
            assert_type(view[0], int)
            assert_type(view[0:1], View)
        memoryview(buffer)
        bytes(buffer)
        assert_type(buffer == b"", bool)
        assert_type(buffer.handle, Handle)
        assert_type(heap.lookup("a", timeout=None), Handle)
        heap.buffer(int(buffer.handle))
        stats: Stats = heap.stats()
        assert_type(stats["counters"]["copies"]["ingest"]["bytes"], int)
    try:
        heap.detach()
    except weaveheap.Borrowed as error:
        assert_type(error.holders, list[Holder])
        assert_type(error.code, str)
        refusal: BufferError = error
        raise WeaveHeapError("mine") from refusal
