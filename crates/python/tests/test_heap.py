"""Heaps and regions: making, finding, waiting, closing, owning."""

import gc
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
import warnings
import weakref

import pytest
import weaveheap
from weaveheap import (
    AlreadyExists,
    Borrowed,
    Denied,
    Heap,
    InvalidArgument,
    LimitReached,
    NotAttached,
    NotFound,
    OutOfMemory,
    StaleHandle,
    Timeout,
    WeaveHeapError,
)


def test_private_heap_has_the_options_it_was_made_with():
    with Heap.private(limit=64 << 20, verify=True, label="mine") as heap:
        assert heap.limit == 64 << 20 and heap.verify and not heap.shared and heap.path is None and heap.base > 0
        assert len(heap.id) == 32 and Heap.by_id(heap.id) is heap
        assert heap.stats()["attachments"][0]["label"] == "mine"
        assert heap.stats()["attachments"][0]["runtime"] == "python"
    assert heap.detached and "detached" in repr(heap)


def test_shared_heap_by_name(unique):
    heap = Heap.create(unique, limit=16 << 20)
    assert heap.shared and heap.path.name.startswith(unique) and heap.path.parent == Heap.folder()
    assert [entry.path for entry in Heap.list() if entry.name == unique] == [heap.path]
    with pytest.raises(AlreadyExists):
        Heap.create(unique)
    with Heap.open(unique) as other:
        region = heap.region(name="r")
        buffer = region.string("over there")
        heap.publish("text", buffer.handle)
        found = other.buffer(other.lookup("text"))
        assert found.text() == "over there" and found.handle == buffer.handle
        assert found.region.name == "r" and found == buffer
    Heap.remove(unique)
    with pytest.raises(NotFound):
        Heap.open(unique)
    with pytest.raises(NotFound):
        Heap.remove(unique)
    assert buffer.text() == "over there", "who is attached keeps the heap"
    region.close()
    heap.detach()


def test_shared_heap_by_path(tmp_path):
    path = tmp_path / "heap"
    with Heap.create(path=path) as heap, Heap.open(path=str(path)) as other:
        assert heap.id == other.id
    Heap.remove(path=path)
    assert not path.exists()


def test_leaving_a_shared_heap_removes_nothing(unique):
    with Heap.create(unique) as heap:
        region = heap.region()
        region.alloc_from(b"stays")
        handle = region.handle
    del region
    gc.collect()
    with Heap.open(unique) as heap:
        assert heap.region_at(handle).buffers()[0] == b"stays"
        heap.region_at(handle).close()
    Heap.remove(unique)


def test_alignment_is_as_asked(region):
    import numpy as np

    for align in (1, 2, 64, 128, 4096):
        assert np.asarray(region.alloc(10, align)).ctypes.data % align == 0
    assert np.asarray(region.alloc(10)).ctypes.data % 64 == 0


def test_memory_is_zeroed_unless_asked_otherwise(region):
    dirty = region.alloc_from(b"\xff" * 100_000)
    dirty.free()
    assert bytes(region.alloc(100_000)) == bytes(100_000)
    assert len(region.alloc(100_000, zeroed=False)) == 100_000


def test_alloc_from_takes_any_contiguous_bytes(heap, region):
    import numpy as np

    numbers = np.arange(4, dtype="<u2")
    other = region.alloc_from(b"other")
    for data in (
        b"bytes",
        bytearray(b"bytes"),
        memoryview(b"-bytes-")[1:6],
        numbers,
        other,
        other.borrow_shared(),
        b"",
    ):
        assert region.alloc_from(data) == bytes(memoryview(data))
    with pytest.raises(BufferError):
        region.alloc_from(memoryview(b"abcdef")[::2])
    with other.borrow_unique(), pytest.raises(BufferError):
        region.alloc_from(other)
    large = bytes(range(256)) * 1024
    assert region.alloc_from(large) == large


def test_limits_are_kept():
    with Heap.private(limit=8 << 20) as heap:
        with heap.region(limit=1 << 20) as region:
            with pytest.raises(LimitReached):
                region.alloc(2 << 20)
        with heap.region() as region, pytest.raises(OutOfMemory):
            region.alloc(64 << 20)
        heap.check()


def test_region_name_is_for_people(heap):
    with heap.region(name="Tabelle ü") as region:
        assert region.name == "Tabelle ü" and "Tabelle ü" in repr(region)
    assert "stale" in repr(region)
    with pytest.raises(InvalidArgument):
        heap.region(name="x" * 65)


def test_frozen_buffer_is_never_written_again(region):
    buffer = region.alloc_from(b"ice")
    with buffer.borrow_unique(), pytest.raises(weaveheap.BorrowConflict):
        buffer.freeze()
    buffer.freeze()
    assert buffer.info()["frozen"] and buffer == b"ice"
    with pytest.raises(Denied) as refusal:
        buffer.borrow_unique()
    assert isinstance(refusal.value, BufferError)
    buffer.clear_poison()
    buffer.free()


def test_reset_keeps_the_region(region):
    buffer = region.alloc(8)
    with buffer.borrow_shared(), pytest.raises(Borrowed):
        region.reset()
    region.reset()
    with pytest.raises(StaleHandle):
        len(buffer)
    assert len(region.alloc(8)) == 8 and region.info()["buffers"] == 1


def test_region_is_closed_by_its_with_block(heap):
    with heap.region() as region:
        buffer = region.alloc(8)
    with pytest.raises(StaleHandle):
        len(buffer)
    with heap.region() as region:
        region.close()  # leaving a closed region does no harm
    with pytest.raises(Borrowed) as refusal:
        with heap.region() as region:
            kept = memoryview(region.alloc(8))
    assert len(refusal.value.holders) == 1
    assert region.info()["state"] == "open", "refused, and nothing is changed"
    kept.release()
    region.close()


def test_region_block_that_ends_with_an_exception_closes_when_idle(heap):
    kept = []
    with pytest.raises(KeyError):
        with heap.region() as region:
            kept.append(memoryview(region.alloc_from(b"still")))
            raise KeyError
    assert region.info()["state"] == "draining" and kept[0].tobytes() == b"still"
    kept.pop().release()
    with pytest.raises(StaleHandle):
        region.info()


def test_heap_block_with_views_is_borrowed_and_an_exception_is_not_masked():
    with pytest.raises(Borrowed):
        with Heap.private() as heap:
            region = heap.region()
            kept = memoryview(region.alloc_from(b"view"))
    assert not heap.detached and kept.tobytes() == b"view"
    with pytest.raises(KeyError):
        with heap:
            raise KeyError
    assert not heap.detached
    kept.release()
    region.close()
    heap.detach()
    with heap:
        pass  # leaving a detached heap does no harm
    with pytest.raises(NotAttached):
        heap.detach()


def test_detached_heap_refuses_everything():
    heap = Heap.private()
    region = heap.region()
    buffer = region.alloc(8)
    heap.detach()
    for call in (heap.region, heap.stats, heap.check, heap.trim, lambda: heap.lookup("a"), lambda: heap.buffer(1),
                 lambda: heap.holders(1), lambda: region.alloc(1), region.close, lambda: memoryview(buffer),
                 lambda: len(buffer), buffer.borrow_unique, buffer.free):  # fmt: skip
        with pytest.raises(NotAttached):
            call()


def test_dropped_heap_stays_mapped_while_a_view_lives():
    heap = Heap.private()
    region = heap.region()
    view = region.alloc_from(b"mapped").borrow_shared()
    region.close_when_idle()
    gone = weakref.ref(heap)
    tensor = memoryview(view)
    del heap, region
    gc.collect()
    assert tensor.tobytes() == b"mapped"
    tensor.release()
    view.release()
    del view, tensor
    gc.collect()
    assert gone() is None


def test_collected_region_of_a_private_heap_is_closed_and_warned_of(heap):
    region = heap.region(name="forgotten")
    handle = region.handle
    with pytest.warns(ResourceWarning, match="unclosed region"):
        del region
        gc.collect()
    with pytest.raises(StaleHandle):
        heap.region_at(handle)
    assert heap.stats()["counters"]["regions_collected"] == 1


def test_collected_region_is_closed_when_idle(heap):
    import numpy as np

    region = heap.region()
    handle = region.handle
    tensor = np.from_dlpack(region.alloc_from(b"used"))
    with pytest.warns(ResourceWarning):
        del region
        gc.collect()
    assert tensor.tobytes() == b"used" and heap.stats()["regions"][0]["state"] == "draining"
    del tensor
    gc.collect()
    with pytest.raises(StaleHandle):
        heap.region_at(handle)


def test_closed_region_is_collected_in_silence(heap):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        region = heap.region()
        region.close()
        waiting = heap.region()
        waiting.close_when_idle()
        del region, waiting
        gc.collect()
    assert heap.stats()["counters"]["regions_collected"] == 0


def test_warning_does_not_replace_an_exception_on_its_way(heap):
    def fail():
        heap.region()
        raise KeyError("mine")

    with pytest.warns(ResourceWarning), pytest.raises(KeyError, match="mine"):
        fail()


def test_region_of_a_shared_heap_outlives_its_object(shared):
    region = shared.region()
    handle = region.handle
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del region
        gc.collect()
    found = shared.region_at(handle)
    assert found.handle == handle
    found.close()


def test_buffer_keeps_its_regions_object_alive(heap):
    region = heap.region()
    alive = weakref.ref(region)
    handle = region.alloc_from(b"kept").handle
    buffer = heap.buffer(handle)
    assert buffer.region is region and heap.region_at(region.handle) is region
    del region
    gc.collect()
    assert alive() is buffer.region and buffer == b"kept"
    buffer.region.close()
    del buffer
    gc.collect()
    assert alive() is None


def test_region_found_by_its_handle_owns_nothing(heap):
    region = heap.region()
    with Heap.attach(heap.base) as twin:
        found = twin.region_at(region.handle)
        assert found == found and found != region and found != 5 and {found: 1}[found]
        del found
        gc.collect()
        assert region.info()["state"] == "open"
    region.close()


def test_attach_by_base_is_a_second_attachment(heap, region):
    buffer = region.alloc_from(b"twice")
    twin = Heap.attach(heap.base, label="twin")
    assert twin.id == heap.id
    assert twin.buffer(buffer.handle) == b"twice"
    assert {a["label"] for a in heap.stats()["attachments"]} == {"test", "twin"}
    with twin.buffer(buffer.handle).borrow_unique():
        with pytest.raises(weaveheap.BorrowConflict) as conflict:
            buffer.borrow_shared()
        assert conflict.value.holders[0].label == "twin"
    twin.detach()
    for base in (0, -1, 2**64):
        with pytest.raises(InvalidArgument):
            Heap.attach(base)


def test_by_id_of_an_unknown_heap_is_not_found():
    for bad in ("0" * 32, "", "x"):
        with pytest.raises(WeaveHeapError) as refusal:
            Heap.by_id(bad)
        assert refusal.value.code in ("NotFound", "InvalidArgument")


def test_directory(heap, region):
    buffer = region.alloc(1)
    with pytest.raises(NotFound) as refusal:
        heap.lookup("absent")
    assert isinstance(refusal.value, LookupError)
    heap.publish("name", buffer.handle)
    assert heap.lookup("name") == buffer.handle == heap.lookup("name", timeout=None) == heap.lookup("name", timeout=0)
    assert heap.stats()["names"] == [{"name": "name", "handle": str(buffer.handle)}]
    with pytest.raises(AlreadyExists):
        heap.publish("name", region.handle)
    heap.unpublish("name")
    with pytest.raises(NotFound):
        heap.unpublish("name")


def test_waiting_ends_with_timeout(heap, region):
    start = time.monotonic()
    with pytest.raises(Timeout) as refusal:
        heap.lookup("absent", timeout=0.25)
    assert 0.2 < time.monotonic() - start < 5 and isinstance(refusal.value, TimeoutError)
    view = region.alloc(1).borrow_shared()
    with pytest.raises(Timeout):
        region.wait_idle(timeout=0.15)
    view.release()
    region.wait_idle()
    region.wait_idle(timeout=0)
    for bad in (-1, float("nan"), -float("inf")):
        with pytest.raises(InvalidArgument):
            heap.lookup("absent", timeout=bad)
        with pytest.raises(InvalidArgument):
            region.wait_idle(timeout=bad)


def test_waiting_lets_other_threads_run(heap, region):
    buffer = region.alloc(1)
    view = buffer.borrow_shared()

    def work():
        time.sleep(0.3)
        heap.publish("late", buffer.handle)
        time.sleep(0.2)
        view.release()

    thread = threading.Thread(target=work)
    thread.start()
    assert heap.lookup("late", timeout=30) == buffer.handle
    region.wait_idle(timeout=30)
    assert view.released
    thread.join()


@pytest.mark.skipif(sys.platform == "win32", reason="signals are raised another way there")
@pytest.mark.parametrize("wait", ["heap.lookup('absent', timeout=None)", "region.wait_idle()", "heap.lookup('a', 60)"])
def test_ctrl_c_ends_a_wait(wait):
    program = (
        "import weaveheap\nheap = weaveheap.Heap.private()\nregion = heap.region()\n"
        "view = region.alloc(1).borrow_shared()\n"
        f"print('waiting', flush=True)\ntry:\n    {wait}\nexcept KeyboardInterrupt:\n    print('interrupted')\n"
        "view.release(); region.close(); heap.detach()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "waiting\n"
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30)[0] == "interrupted\n" and process.returncode == 0


def test_private_heap_can_be_made_for_inspection():
    with Heap.private(inspect=True, label="seen") as heap, heap.region() as region:
        assert region.alloc_from(b"seen") == b"seen"
        heap.check()


def test_folder_of_names_is_the_systems_without_the_variable(unique):
    program = (
        "import weaveheap\nprint(weaveheap.Heap.folder())\n"
        f"weaveheap.Heap.create({unique!r}).detach()\nweaveheap.Heap.remove({unique!r})\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "WEAVEHEAP_DIR"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.strip(), done


def test_stats_are_live_and_complete(heap, region):
    buffer = region.alloc_from(b"12345")
    view = buffer.borrow_shared()
    stats = heap.stats()
    assert stats["heap"]["id"] == heap.id and stats["heap"]["bytes_live"] == 5
    assert [r["name"] for r in stats["regions"]] == ["test"]
    borrow = stats["borrows"][0]
    assert (borrow["handle"], borrow["kind"], borrow["runtime"], borrow["process"]) == (
        str(buffer.handle), "shared", "python", os.getpid()
    )  # fmt: skip
    holder = heap.holders(buffer.handle)[0]
    assert (holder.handle, holder.region, holder.kind, holder.alive) == (buffer.handle, region.handle, "shared", True)
    assert holder.age_ms >= 0 and holder.label == "test" and str(buffer.handle) in str(holder)
    assert [r["runtime"] for r in stats["runtimes"]] == ["python"]
    view.release()
    assert heap.check()["borrows"] == 0 and heap.trim() >= 0
    assert buffer.info()["length"] == buffer.nbytes == 5
    assert [b.handle for b in region.buffers()] == [buffer.handle]
    assert region.buffers(limit=0) == []


def test_many_regions_and_buffers_leave_nothing(heap):
    for _ in range(50):
        with heap.region() as region:
            for _ in range(100):
                region.alloc(100)
    assert heap.stats()["regions"] == [] and heap.stats()["heap"]["bytes_live"] == 0


def test_names_in_the_folder_are_listed(unique):
    names = [f"{unique}.{secrets.token_hex(2)}" for _ in range(3)]
    heaps = [Heap.create(name, limit=4 << 20) for name in names]
    listed = [entry.name for entry in Heap.list()]
    assert set(names) <= set(listed) and listed == sorted(listed)
    for heap, name in zip(heaps, names, strict=True):
        heap.detach()
        Heap.remove(name)
    assert not set(names) & {entry.name for entry in Heap.list()}
