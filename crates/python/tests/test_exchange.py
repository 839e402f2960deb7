"""DLPack, Arrow and pickle: handing the bytes over without a copy, with a borrow that lives as long as the consumer."""

import gc
import pickle
import sys
import threading

import numpy as np
import pyarrow as pa
import pytest
from weaveheap import BorrowConflict, Borrowed, StaleHandle, StaleView, Unsupported


def held(buffer):
    return len(buffer.heap.holders(buffer.handle))


def test_dlpack_tensor_is_readonly_and_holds_a_borrow(region):
    buffer = region.alloc_from(b"abcd")
    tensor = np.from_dlpack(buffer)
    assert tensor.tolist() == [97, 98, 99, 100] and tensor.dtype == np.uint8
    assert not tensor.flags.writeable
    assert buffer.__dlpack_device__() == (1, 0)
    assert held(buffer) == 1
    with pytest.raises(Borrowed):
        buffer.free()
    del tensor
    assert held(buffer) == 0


def test_dlpack_of_a_unique_view_is_writable(region):
    buffer = region.alloc(4)
    with buffer.borrow_unique() as view:
        tensor = np.from_dlpack(view)
        assert tensor.flags.writeable
        tensor[:] = 5
        del tensor
        view.__dlpack__()  # the older kind of capsule can say what is writable
        with pytest.raises(BorrowConflict):
            np.from_dlpack(buffer)
    assert buffer == bytes([5] * 4)


def test_dlpack_capsule_that_nobody_takes_ends_its_borrow(region):
    buffer = region.alloc(4)
    capsule = buffer.__dlpack__(max_version=(1, 1))
    assert '"dltensor_versioned"' in repr(capsule) and held(buffer) == 1
    del capsule
    assert held(buffer) == 0


def test_dlpack_that_needs_a_copy_or_a_lie_is_refused(region):
    buffer = region.alloc(4)
    with pytest.raises(BufferError, match="read-only"):
        buffer.__dlpack__()
    with pytest.raises(BufferError):
        buffer.__dlpack__(max_version=(0, 8))
    for arguments in ({"copy": True}, {"dl_device": (2, 0)}, {"stream": 1}):
        with pytest.raises(Unsupported) as refusal:
            buffer.__dlpack__(max_version=(1, 0), **arguments)
        assert isinstance(refusal.value, BufferError)
    with pytest.raises(BufferError):
        np.from_dlpack(buffer, copy=True)
    assert held(buffer) == 0


def test_dlpack_consumer_may_let_go_in_another_thread(region):
    buffer = region.alloc(4)
    tensors = [np.from_dlpack(buffer)]
    thread = threading.Thread(target=tensors.clear)
    thread.start()
    thread.join()
    assert held(buffer) == 0


def test_arrow_array_is_made_in_place_and_holds_a_borrow(region):
    buffer = region.alloc_from(b"\x01\x02\x03")
    before = pa.total_allocated_bytes()
    numbers = pa.array(buffer)
    assert numbers.type == pa.uint8() and numbers.to_pylist() == [1, 2, 3] and numbers.null_count == 0
    assert numbers.buffers()[1].address == np.asarray(buffer).ctypes.data
    assert pa.total_allocated_bytes() == before
    part = numbers.slice(1)
    del numbers
    assert held(buffer) == 1, "a slice of the array holds the borrow"
    with pytest.raises(BorrowConflict):
        buffer.borrow_unique()
    del part
    assert held(buffer) == 0


def test_arrow_capsules_that_nobody_takes_end_their_borrow(region):
    buffer = region.alloc(4)
    pair = buffer.__arrow_c_array__()
    assert ["arrow_schema" in repr(pair[0]), "arrow_array" in repr(pair[1]), held(buffer)] == [True, True, 1]
    del pair
    assert held(buffer) == 0
    with buffer.borrow_unique():
        with pytest.raises(BorrowConflict):
            buffer.__arrow_c_array__()


def test_arrow_of_a_view_uses_its_borrow(region):
    buffer = region.alloc_from(b"\x01\x02\x03\x04")
    with pytest.raises(Borrowed):
        with buffer.borrow_shared() as view:
            numbers = pa.array(view[1:3])
    assert numbers.to_pylist() == [2, 3] and held(buffer) == 1
    del numbers
    gc.collect()
    assert held(buffer) == 0


def ipc(kind, table):
    sink = pa.BufferOutputStream()
    with kind(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("kind", "opened"), [(pa.ipc.new_stream, pa.ipc.open_stream), (pa.ipc.new_file, pa.ipc.open_file)]
)
def test_arrow_ipc_is_read_in_place(region, kind, opened):
    table = pa.table({"origin": ["AMS", "ZRH"] * 5000, "delay": list(range(10000))})
    buffer = region.alloc_from(ipc(kind, table))
    before = pa.total_allocated_bytes()
    read = opened(pa.py_buffer(buffer)).read_all()
    assert read.equals(table)
    assert pa.total_allocated_bytes() - before < 4096, "pyarrow has copied the table"
    with memoryview(buffer) as view:
        start = np.frombuffer(view, np.uint8).ctypes.data
    data = read["delay"].chunk(0).buffers()[1]
    assert start <= data.address < start + len(buffer)
    column = read["delay"]
    del read, data
    assert held(buffer) == 1, "a column holds the borrow"
    with pytest.raises(Borrowed):
        region.close()
    del column
    gc.collect()
    assert held(buffer) == 0


def test_arrow_reads_a_buffer_that_is_given_as_it_is(region):
    table = pa.table({"n": [1, 2, 3]})
    buffer = region.alloc_from(ipc(pa.ipc.new_stream, table))
    assert pa.ipc.open_stream(buffer).read_all().equals(table)
    shown = pa.py_buffer(buffer)
    assert not shown.is_mutable and held(buffer) == 1
    del shown
    gc.collect()
    assert held(buffer) == 0


def test_pickle_goes_out_of_band_without_a_copy(region):
    buffer = region.alloc_from(bytes(range(256)) * 64)
    outside = []
    stream = pickle.dumps(buffer, protocol=5, buffer_callback=outside.append)
    assert len(stream) < 200 and len(outside) == 1 and held(buffer) == 1
    raw = outside[0].raw()
    assert raw.readonly
    assert np.frombuffer(raw, np.uint8).ctypes.data == np.asarray(buffer).ctypes.data
    loaded = pickle.loads(stream, buffers=outside)
    assert isinstance(loaded, memoryview) and loaded.readonly and loaded == memoryview(buffer)
    with pytest.raises(BorrowConflict):
        buffer.borrow_unique()
    del loaded, raw, outside
    gc.collect()
    assert held(buffer) == 0
    assert region.info()["counters"]["copies"]["serialize"]["count"] == 0


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_in_band_copies(region, protocol):
    buffer = region.alloc_from(b"in band")
    loaded = pickle.loads(pickle.dumps(buffer, protocol=protocol))
    assert loaded == b"in band" and buffer == loaded
    # From protocol 5 on, pickle makes the copy and not this library.
    count = 1 if protocol < 5 else 0
    assert region.info()["counters"]["copies"]["serialize"] == {"count": count, "bytes": 7 * count}
    with buffer.borrow_shared() as view:
        assert pickle.loads(pickle.dumps(view[3:], protocol=protocol)) == b"band"
    gc.collect()
    assert held(buffer) == 0


def test_pickle_of_what_cannot_be_borrowed_is_refused(region):
    buffer = region.alloc(4)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with buffer.borrow_unique(), pytest.raises(BorrowConflict):
            pickle.dumps(buffer, protocol=protocol)
    buffer.free()
    with pytest.raises(StaleHandle):
        pickle.dumps(buffer)
    for thing in (region, buffer.heap):
        with pytest.raises(TypeError):
            pickle.dumps(thing)


def test_handle_is_pickled_as_data(region):
    handle = region.alloc(1).handle
    assert pickle.loads(pickle.dumps(handle)) == handle


def test_sizes_of_the_objects_do_not_grow_with_the_buffer(region):
    assert sys.getsizeof(region.alloc(1)) == sys.getsizeof(region.alloc(1 << 20))


@pytest.mark.parametrize("take", [pa.py_buffer, pa.array, pa.ipc.open_stream, np.from_dlpack, pickle.PickleBuffer])
def test_refused_consumers_raise_the_refusal_itself(region, take):
    buffer = region.alloc(64)
    with buffer.borrow_unique() as view:
        with pytest.raises(BorrowConflict) as conflict:
            take(buffer)
        assert [h.kind for h in conflict.value.holders] == ["unique"]
    with pytest.raises(StaleView):
        take(view)
    buffer.free()
    with pytest.raises(StaleHandle):
        take(buffer)
