"""V3, to the letter: what native consumers get, how long they hold it, and what a `with` block does at its end."""

import array
import ctypes
import gc
import io
import sys
import weakref

import numpy as np
import pytest
import weaveheap
from weaveheap import BorrowConflict, Borrowed, Denied, InvalidArgument, InvalidUtf8, StaleHandle, StaleView


def ask_writable(thing):
    """Asks the buffer protocol itself; Python's own consumers replace the refusal by a TypeError of theirs."""
    view = ctypes.create_string_buffer(256)
    ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(thing), view, 1)
    ctypes.pythonapi.PyBuffer_Release(view)


def held(buffer):
    """How many borrows of a buffer live."""
    return len(buffer.heap.holders(buffer.handle))


def test_memoryview_is_a_shared_readonly_borrow_as_long_as_it_lives(region):
    buffer = region.alloc_from(b"0123456789")
    view = memoryview(buffer)
    assert (view.readonly, view.format, view.shape, view.strides, view.nbytes) == (True, "B", (10,), (1,), 10)
    assert [h.kind for h in buffer.heap.holders(buffer.handle)] == ["shared"]
    with pytest.raises(TypeError):
        view[0] = 1
    part = view[2:5]
    del view
    assert held(buffer) == 1, "a slice of the memoryview keeps the borrow"
    assert part.tobytes() == b"234"
    part.release()
    assert held(buffer) == 0


def test_memoryview_released_by_the_program_ends_the_borrow_at_once(region):
    buffer = region.alloc(8)
    view = memoryview(buffer)
    view.release()
    view.release()
    assert held(buffer) == 0
    with memoryview(buffer):
        assert held(buffer) == 1
    assert held(buffer) == 0


def test_frombuffer_is_readonly_and_holds_a_borrow(region):
    buffer = region.alloc_from(bytes(range(16)))
    array_of = np.frombuffer(buffer, dtype="<u4")
    assert not array_of.flags.writeable and not array_of.flags.owndata
    assert array_of[0] == 0x03020100
    with pytest.raises(ValueError):
        array_of.flags.writeable = True
    derived = array_of[1:].view(np.uint8)
    del array_of
    assert held(buffer) == 1, "what is derived from an array holds the borrow"
    with pytest.raises(BorrowConflict) as conflict:
        buffer.borrow_unique()
    assert [h.kind for h in conflict.value.holders] == ["shared"]
    del derived
    assert held(buffer) == 0
    buffer.borrow_unique().release()


def test_asarray_shares_the_memory(region):
    buffer = region.alloc_from(b"abc")
    shown = np.asarray(buffer)
    assert shown.tolist() == [97, 98, 99] and not shown.flags.writeable and not shown.flags.owndata
    del shown
    with buffer.borrow_unique() as view:
        shown = np.asarray(view)
        shown[1] = 120
        del shown
    assert buffer == b"axc"


@pytest.mark.parametrize("convert", [np.asarray, np.array, np.frombuffer, np.ascontiguousarray, memoryview])
def test_refused_consumers_raise_and_copy_nothing(region, convert):
    buffer = region.alloc(4)
    with buffer.borrow_unique():
        with pytest.raises(BufferError) as refusal:
            convert(buffer)
    assert isinstance(refusal.value, BorrowConflict)
    assert refusal.value.code == "BorrowConflict"
    region.close()
    with pytest.raises(StaleHandle):
        convert(buffer)


def test_refused_concatenation_does_not_copy_element_by_element(region):
    buffer = region.alloc(4)
    with buffer.borrow_unique():
        for function in (np.sum, np.stack, lambda b: np.concatenate([b, b])):
            with pytest.raises(BorrowConflict):
                function(buffer)


def test_writable_request_of_a_shared_borrow_is_a_buffer_error(region):
    buffer = region.alloc(4)
    with pytest.raises(Denied) as refusal:
        ask_writable(buffer)
    assert isinstance(refusal.value, BufferError)
    for refused in (io.BytesIO(b"data").readinto, (ctypes.c_char * 4).from_buffer):
        with pytest.raises((BufferError, TypeError)):
            refused(buffer)
    with buffer.borrow_shared() as view:
        with pytest.raises(Denied):
            ask_writable(view)
        with pytest.raises(Denied):
            view[0] = 1
        with pytest.raises(Denied):
            view[:] = b"abcd"
    assert held(buffer) == 0, "a refused request leaves no borrow"


def test_unique_view_is_writable_by_every_consumer(region):
    buffer = region.alloc(8)
    with buffer.borrow_unique() as view:
        ask_writable(view)
        assert not view.readonly and view.kind == "unique" and len(view) == 8
        view[0] = 1
        view[1:3] = b"\x02\x03"
        with memoryview(view) as window:
            assert not window.readonly
            window[3] = 4
        io.BytesIO(b"\x05").readinto(view[4:5])
        text = (ctypes.c_char * 8).from_buffer(view)
        text[5] = b"\x06"
        del text
        numbers = np.frombuffer(view, dtype=np.uint8)
        numbers[6] = 7
        del numbers
        view[-1] = 8
    assert bytes(buffer) == bytes(range(1, 9))


def test_with_block_that_ends_while_an_array_lives_raises_and_the_borrow_goes_on(region):
    buffer = region.alloc(8)
    with pytest.raises(Borrowed) as refusal:
        with buffer.borrow_unique() as view:
            kept = np.frombuffer(view, dtype=np.uint8)
    assert [h.kind for h in refusal.value.holders] == ["unique"]
    assert "still use" in str(refusal.value)
    kept[0] = 42  # the memory is still the array's alone
    with pytest.raises(BorrowConflict):
        buffer.borrow_shared()
    with pytest.raises(StaleView):
        len(view)
    with pytest.raises(Borrowed):
        region.close()
    del kept
    assert held(buffer) == 0 and buffer[0] == 42


@pytest.mark.parametrize("borrow", ["borrow_shared", "borrow_unique"])
def test_with_block_outlived_by_several_lives_until_the_last(region, borrow):
    buffer = region.alloc(8)
    with pytest.raises(Borrowed):
        with getattr(buffer, borrow)() as view:
            kept = [memoryview(view), np.asarray(view), view[2:4], np.from_dlpack(view)]
    while kept:
        assert held(buffer) == 1
        kept.pop()
    assert held(buffer) == 0


def test_with_block_outlived_by_a_part_of_a_part(region):
    buffer = region.alloc_from(b"0123456789")
    with pytest.raises(Borrowed):
        with buffer.borrow_shared() as view:
            inner = view[2:8][1:4]
    gc.collect()
    assert bytes(inner) == b"345" and held(buffer) == 1
    inner.release()
    assert held(buffer) == 0


def test_exception_of_the_user_is_never_masked(region):
    buffer = region.alloc(8)
    kept = []
    with pytest.raises(KeyError, match="mine"):
        with buffer.borrow_unique() as view:
            kept.append(np.asarray(view))
            raise KeyError("mine")
    assert held(buffer) == 1
    kept.clear()
    assert held(buffer) == 0
    with pytest.raises(KeyboardInterrupt):
        with buffer.borrow_unique() as view:
            raise KeyboardInterrupt
    assert held(buffer) == 0


def test_release_while_used_can_be_repeated_after_the_user_is_gone(region):
    buffer = region.alloc(8)
    with buffer.borrow_unique() as view:
        window = memoryview(view)
        with pytest.raises(Borrowed):
            view.release()
        window.release()
        view.release()
    assert held(buffer) == 0


def test_release_twice_does_no_harm(region):
    buffer = region.alloc(8)
    view = buffer.borrow_shared()
    other = buffer.borrow_shared()
    view.release()
    view.release()
    assert view.released and held(buffer) == 1
    other.release()
    with buffer.borrow_unique() as inside:
        inside.release()
        inside.release()


def test_released_view_refuses_everything(region):
    buffer = region.alloc(8)
    view = buffer.borrow_unique()
    part = view[1:3]
    part.release()
    view.release()
    for use in (
        len,
        bytes,
        memoryview,
        np.asarray,
        np.frombuffer,
        np.from_dlpack,
        lambda v: v[0],
        lambda v: v[1:2],
        lambda v: v.__setitem__(0, 1),
        lambda v: v.text(),
        lambda v: v == b"",
        lambda v: v.__enter__(),
        lambda v: v.nbytes,
        lambda v: v.__arrow_c_array__(),
    ):
        for stale in (view, part):
            with pytest.raises(StaleView) as refusal:
                use(stale)
            assert isinstance(refusal.value, BufferError)
    assert "released" in repr(view)


def test_view_kept_past_its_region_keeps_the_memory(heap):
    region = heap.region()
    buffer = region.alloc_from(b"kept")
    view = buffer.borrow_shared()
    shown = memoryview(buffer)
    with pytest.raises(Borrowed):
        region.close()
    region.close_when_idle()
    assert bytes(view) == shown.tobytes() == b"kept"
    with pytest.raises(StaleHandle):
        buffer.borrow_shared()
    view.release()
    assert shown.tobytes() == b"kept"
    shown.release()
    with pytest.raises(StaleHandle):
        region.info()


def test_dropped_view_is_ended_by_its_finalizer_and_counted(region):
    buffer = region.alloc(8)
    before = region.info()["counters"]
    view = buffer.borrow_shared()
    del view
    buffer.borrow_shared().release()
    after = region.info()["counters"]
    assert held(buffer) == 0
    assert after["finalized"] - before["finalized"] == 1
    assert after["views"] - before["views"] == 2


def test_view_in_a_reference_cycle_is_collected(region):
    buffer = region.alloc(8)

    class Knot:
        pass

    knot = Knot()
    knot.self, knot.view = knot, buffer.borrow_unique()
    del knot
    gc.collect()
    assert held(buffer) == 0
    assert region.info()["counters"]["finalized"] == 1


def test_slices_of_a_buffer_are_borrowed_views(region):
    buffer = region.alloc_from(b"0123456789")
    part = buffer[2:5]
    assert isinstance(part, weaveheap.View) and part.readonly and bytes(part) == b"234" and held(buffer) == 1
    with pytest.raises(Denied):
        part[0] = 1
    part.release()
    assert held(buffer) == 0
    with buffer[-3:] as end:
        assert end == b"789" and end[0] == ord("7") and len(end) == 3
    assert held(buffer) == 0
    with buffer[5:2] as nothing:
        assert len(nothing) == 0
    assert buffer[0] == ord("0") and buffer[-1] == ord("9") and buffer[np.int64(1)] == ord("1")
    assert held(buffer) == 0, "reading a byte leaves no borrow"


def test_bad_indices_are_refused(region):
    buffer = region.alloc(4)
    with buffer.borrow_unique() as view:
        for thing in (view,):
            for index in (4, -5, 2**70, -(2**70)):
                with pytest.raises(IndexError):
                    thing[index]
                with pytest.raises(IndexError):
                    thing[index] = 1
            with pytest.raises(TypeError):
                thing["a"]
            with pytest.raises(TypeError):
                thing[1.5]
            with pytest.raises(InvalidArgument):
                thing[::2]
            with pytest.raises(InvalidArgument):
                thing[::-1]
        for value in (256, -1, 2**80):
            with pytest.raises(InvalidArgument):
                view[0] = value
        with pytest.raises(TypeError):
            view[0] = "a"
        with pytest.raises(TypeError):
            view[0:2] = 5
        for data in (b"", b"a", b"abc"):
            with pytest.raises(InvalidArgument):
                view[0:2] = data
        view[1:3] = view[0:2]
    with pytest.raises(IndexError):
        buffer[4]
    with pytest.raises(InvalidArgument):
        buffer[::2]
    for use in (lambda: buffer[_Raises() :], lambda: buffer[_Raises()]):
        with pytest.raises(ZeroDivisionError):
            use()
    with buffer.borrow_unique() as view:
        for use in (
            lambda: view[_Raises()],
            lambda: view[: _Raises()],
            lambda: view.__setitem__(0, _Raises()),
            lambda: view.__setitem__(_Raises(), 0),
        ):
            with pytest.raises(ZeroDivisionError):
                use()
    assert held(buffer) == 0


class _Raises:
    def __index__(self):
        return 1 // 0


def test_assignment_of_an_overlapping_part_moves_the_bytes(region):
    buffer = region.alloc_from(b"abcdef")
    with buffer.borrow_unique() as view:
        with view[0:4] as source:
            view[2:6] = source
    assert buffer == b"ababcd"


def test_value_that_releases_the_view_while_it_is_assigned(region):
    """Code of the user runs in the middle of the assignment; the bytes stay until it is done."""
    buffer = region.alloc(4)
    view = buffer.borrow_unique()

    class Byte:
        def __index__(self):
            with pytest.raises(Borrowed):
                view.release()
            return 7

    view[0] = Byte()
    assert held(buffer) == 0 and buffer[0] == 7


def test_equality_is_of_content(region):
    buffer = region.alloc_from(b"same")
    twin = region.alloc_from(b"same")
    other = region.alloc_from(b"else")
    assert buffer == buffer and buffer == twin and buffer != other and not buffer == other
    for content in (b"same", bytearray(b"same"), memoryview(b"same"), np.frombuffer(b"same", np.uint8)[:]):
        assert buffer == content
    assert b"same" == buffer and bytearray(b"same") == buffer
    assert buffer != b"sam" and buffer != b"same!" and buffer != "same" and buffer != 5 and buffer is not None
    with buffer.borrow_shared() as view:
        assert view == b"same" and view == buffer and view == twin and view[:2] == b"sa" and view != other
    with pytest.raises(TypeError):
        hash(buffer)
    with twin.borrow_unique():
        with pytest.raises(BorrowConflict):
            assert buffer == twin
        with pytest.raises(BorrowConflict):
            assert twin != b"same"
    assert held(buffer) == held(twin) == 0


def test_zero_length_works_everywhere(region):
    for buffer in (region.alloc(0), region.alloc_from(b""), region.string("")):
        assert len(buffer) == 0 and buffer == b"" and bytes(buffer) == b"" and buffer.text() == ""
        assert memoryview(buffer).nbytes == 0
        assert np.asarray(buffer).size == 0
        assert np.from_dlpack(buffer).size == 0
        assert list(buffer) == []
        assert not buffer
        with buffer.borrow_unique() as view:
            view[:] = b""
            assert len(view) == 0 and view[0:0] == b""
            assert memoryview(view).nbytes == 0
        assert held(buffer) == 0


def test_copies_that_the_library_makes_are_counted(region):
    buffer = region.string("grün")
    copies = lambda: region.info()["counters"]["copies"]  # noqa: E731
    assert copies()["ingest"] == {"count": 1, "bytes": 5}
    assert bytes(buffer) == "grün".encode() and buffer.text() == "grün"
    with buffer.borrow_shared() as view:
        assert bytes(view[:2]) == b"gr" and view.text() == "grün"
    assert copies()["export"] == {"count": 4, "bytes": 17}
    np.frombuffer(buffer, np.uint8)
    memoryview(buffer).tobytes()  # a copy of Python's own
    assert copies()["export"]["count"] == 4 and copies()["serialize"]["count"] == 0


def test_text_of_bytes_that_are_none_is_refused(region):
    buffer = region.alloc_from(b"ab\xff")
    with pytest.raises(InvalidUtf8, match="offset 2"):
        buffer.text()
    with buffer.borrow_unique() as view, pytest.raises(InvalidUtf8):
        view.text()
    with pytest.raises(UnicodeError):
        buffer.text()


def test_iteration_and_other_consumers(region):
    buffer = region.alloc_from(b"abc")
    assert list(buffer) == [97, 98, 99] and 98 in buffer
    assert bytearray(buffer) == b"abc"
    assert b"".join([buffer, buffer]) == b"abcabc"
    out = io.BytesIO()
    out.write(buffer)
    assert out.getvalue() == b"abc"
    assert array.array("B", bytes(buffer)).tolist() == [97, 98, 99]
    assert int.from_bytes(buffer, "little") == 0x636261
    assert held(buffer) == 0


def test_consumer_keeps_buffer_region_and_heap_alive():
    heap = weaveheap.Heap.private()
    region = heap.region()
    shown = memoryview(region.alloc_from(b"alive"))
    keepers = [weakref.ref(heap), weakref.ref(region)]
    del heap, region
    gc.collect()
    assert shown.tobytes() == b"alive" and all(keeper() is not None for keeper in keepers)
    keepers[1]().close_when_idle()
    shown.release()
    del shown
    gc.collect()
    assert [keeper() for keeper in keepers] == [None, None]


def test_references_are_balanced(region):
    buffer = region.alloc(8)
    base = sys.getrefcount(buffer)
    for _ in range(50):
        memoryview(buffer).release()
        np.asarray(buffer)
        np.from_dlpack(buffer)
        buffer.borrow_shared().release()
        with pytest.raises(Denied):
            ask_writable(buffer)
        buffer.__arrow_c_array__()
    gc.collect()
    assert sys.getrefcount(buffer) == base and held(buffer) == 0
