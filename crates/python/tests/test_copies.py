"""Two copies of the library in one process: this module and the C library, on one heap (H6)."""

import ctypes
import os
import threading
from pathlib import Path

import pytest
import weaveheap
from weaveheap import BorrowConflict, Borrowed, Heap, NotAttached, StaleHandle

OK = 0


class View(ctypes.Structure):
    _fields_ = [("data", ctypes.POINTER(ctypes.c_uint8)), ("length", ctypes.c_size_t), ("token", ctypes.c_uint64)]


class CHeap:
    """What a C program would do with the heap at this address."""

    def __init__(self, library, base):
        self.library = library
        library.weaveheap_heap_attach.restype = ctypes.c_void_p
        library.weaveheap_region_create.restype = ctypes.c_uint64
        library.weaveheap_buffer_alloc.restype = ctypes.c_uint64
        self.heap = ctypes.c_void_p(library.weaveheap_heap_attach(ctypes.c_void_p(base), None, None))
        assert self.heap

    def borrow(self, kind, buffer):
        """The code and the view."""
        view = View()
        call = getattr(self.library, f"weaveheap_borrow_{kind}")
        return call(self.heap, ctypes.c_uint64(int(buffer.handle)), ctypes.byref(view), None), view

    def end(self, view):
        return self.library.weaveheap_borrow_end(self.heap, ctypes.c_uint64(view.token), None)

    def region(self):
        region = self.library.weaveheap_region_create(self.heap, b"C's", ctypes.c_uint64(0), None)
        assert region
        return region

    def alloc(self, region, length):
        buffer = self.library.weaveheap_buffer_alloc(
            self.heap, ctypes.c_uint64(region), ctypes.c_uint64(length), ctypes.c_uint64(64), 0, None
        )
        assert buffer
        return buffer

    def free(self, buffer):
        return self.library.weaveheap_buffer_free(self.heap, ctypes.c_uint64(int(buffer)), None)

    def close(self, region):
        return self.library.weaveheap_region_close(self.heap, ctypes.c_uint64(int(region)), None)

    def check(self):
        return self.library.weaveheap_heap_check(self.heap, None, None)

    def detach(self):
        return self.library.weaveheap_heap_detach(self.heap, None)

    def release(self):
        self.library.weaveheap_heap_release(self.heap)


@pytest.fixture(scope="session")
def library():
    """The C library. `cargo xtask test python` builds it."""
    built = Path(__file__).resolve().parents[3] / "target" / "release" / "libweaveheap.so"
    return ctypes.CDLL(os.environ.get("WEAVEHEAP_LIBRARY", str(built)))


@pytest.fixture(params=["private", "shared"])
def both(request, library):
    """A heap of this module, and the same heap attached by the C library."""
    heap = request.getfixturevalue("heap" if request.param == "private" else "shared")
    twin = CHeap(library, heap.base)
    yield heap, twin
    twin.release()


def test_both_copies_see_the_same_bytes(both):
    heap, twin = both
    buffer = heap.region().alloc_from(b"from Python")
    code, view = twin.borrow("unique", buffer)
    assert code == OK and ctypes.string_at(view.data, view.length) == b"from Python"
    ctypes.memmove(view.data, b"changed", 7)
    assert twin.end(view) == OK
    assert buffer == b"changedthon"
    made = heap.buffer(weaveheap.Handle(twin.alloc(twin.region(), 8)))
    assert made == bytes(8) and made.region.name == "C's"
    runtimes = {a["runtime"]: a["process"] for a in heap.stats()["attachments"]}
    assert runtimes == {"python": os.getpid(), "c": os.getpid()}
    made.region.close()
    buffer.region.close()
    assert twin.check() == OK


def test_borrows_of_one_copy_hold_the_other_off(both):
    heap, twin = both
    region = heap.region()
    buffer = region.alloc(64)
    code, view = twin.borrow("shared", buffer)
    assert code == OK
    with memoryview(buffer):
        with pytest.raises(BorrowConflict) as conflict:
            buffer.borrow_unique()
        assert {holder.runtime for holder in conflict.value.holders} == {"c", "python"}
    for refused in (buffer.free, region.close, region.reset):
        with pytest.raises(Borrowed):
            refused()
    assert twin.detach() == Borrowed.number
    # The token is the other copy's alone.
    assert twin.end(view) == OK and twin.end(view) == StaleHandle.number
    with buffer.borrow_unique():
        assert twin.borrow("shared", buffer)[0] == BorrowConflict.number
        assert twin.free(buffer.handle) == Borrowed.number and twin.close(region.handle) == Borrowed.number
    assert twin.close(region.handle) == OK
    with pytest.raises(StaleHandle):
        len(buffer)


def test_threads_of_both_copies_work_at_once(both):
    heap, twin = both
    region = heap.region()
    buffer = region.alloc(8)
    turns, failed = 2_000, []

    def count(borrow):
        try:
            for _ in range(turns):
                while not borrow():
                    pass
        except BaseException as error:
            failed.append(error)

    def by_python():
        try:
            with buffer.borrow_unique() as view:
                view[:8] = (int.from_bytes(view[:8], "little") + 1).to_bytes(8, "little")
            return True
        except BorrowConflict:
            return False

    def by_c():
        code, view = twin.borrow("unique", buffer)
        assert code in (OK, BorrowConflict.number)
        if code == OK:
            number = ctypes.cast(view.data, ctypes.POINTER(ctypes.c_uint64))
            number[0] += 1
            assert twin.end(view) == OK
        return code == OK

    threads = [threading.Thread(target=count, args=(borrow,)) for borrow in (by_python, by_c, by_python, by_c)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert int.from_bytes(bytes(memoryview(buffer)), "little") == 4 * turns
    region.close()
    heap.check()


@pytest.mark.parametrize("first", ["python", "c"])
def test_heap_lives_until_both_copies_have_left(library, first):
    heap = Heap.private()
    twin = CHeap(library, heap.base)
    buffer = heap.region().alloc_from(b"still here")
    if first == "python":
        heap.detach()
        code, view = twin.borrow("shared", buffer)
        assert code == OK and ctypes.string_at(view.data, view.length) == b"still here"
        assert twin.end(view) == OK and twin.check() == OK and twin.detach() == OK
        twin.release()
    else:
        assert twin.detach() == OK and twin.check() == NotAttached.number
        twin.release()
        assert buffer == b"still here"
        buffer.region.close()
        heap.check()
        heap.detach()
