"""Shared heaps between processes, threads, forked children and the end of the interpreter."""

import gc
import os
import subprocess
import sys
import textwrap
import threading
import time

import pytest
import weaveheap
from weaveheap import BorrowConflict, Borrowed, Heap, NotAttached, StaleHandle, Timeout


class Peer:
    """A second Python process with `heap` open. It runs lines of code and answers with what they print."""

    PROGRAM = textwrap.dedent(
        """
        import gc, sys, traceback, weaveheap
        from weaveheap import *
        heap = weaveheap.Heap.open(sys.argv[1], label="peer")
        names = globals()
        print("ready", flush=True)
        for line in sys.stdin:
            try:
                exec(line, names)
                print("done", flush=True)
            except WeaveHeapError as error:
                print(error.code, flush=True)
            except BaseException:
                print(repr(traceback.format_exc()), flush=True)
        """
    )

    def __init__(self, name):
        command = [sys.executable, "-W", "error", "-c", self.PROGRAM, name]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def begin(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def answer(self):
        return self.process.stdout.readline().rstrip("\n")

    def run(self, line):
        self.begin(line)
        return self.answer()

    @property
    def pid(self):
        return self.process.pid

    def end(self):
        self.process.stdin.close()
        self.process.stdout.close()
        return self.process.wait(timeout=30)


@pytest.fixture
def peer(shared, unique):
    peer = Peer(unique)
    yield peer
    peer.process.kill()
    peer.end()


def test_two_processes_see_one_memory(shared, peer):
    region = shared.region(name="common")
    buffer = region.alloc_from(b"from here")
    shared.publish("buffer", buffer.handle)
    assert peer.run("buffer = heap.buffer(heap.lookup('buffer')); assert buffer == b'from here'") == "done"
    assert peer.run("with buffer.borrow_unique() as view: view[:4] = b'read'") == "done"
    assert buffer == b"read here"
    assert peer.run(f"assert str(buffer.handle) == {str(buffer.handle)!r}") == "done"
    processes = {a["process"] for a in shared.stats()["attachments"]}
    assert processes == {os.getpid(), peer.pid}


def test_borrows_conflict_across_processes_and_name_the_holder(shared, peer):
    region = shared.region()
    buffer = region.alloc(8)
    shared.publish("buffer", buffer.handle)
    assert peer.run("buffer = heap.buffer(heap.lookup('buffer')); view = buffer.borrow_unique()") == "done"
    with pytest.raises(BorrowConflict) as conflict:
        memoryview(buffer)
    holder = conflict.value.holders[0]
    assert (holder.process, holder.runtime, holder.kind, holder.label) == (peer.pid, "python", "unique", "peer")
    assert holder.handle == buffer.handle and holder.alive and str(peer.pid) in str(conflict.value)
    for refused in (region.close, region.reset, buffer.free):
        with pytest.raises(Borrowed) as refusal:
            refused()
        assert [h.process for h in refusal.value.holders] == [peer.pid]
    assert peer.run("view.release()") == "done"
    with buffer.borrow_shared():
        assert peer.run("buffer.borrow_unique()") == "BorrowConflict"
        assert peer.run("shown = memoryview(buffer)") == "done"
        assert {h.process for h in shared.holders(buffer.handle)} == {os.getpid(), peer.pid}
    assert peer.run("del shown") == "done"
    region.close()
    assert peer.run("memoryview(buffer)") == "StaleHandle"


def test_refusal_keeps_the_holders_that_it_was_asked_for(shared, peer):
    buffer = shared.region().alloc(8)
    shared.publish("buffer", buffer.handle)
    assert peer.run("view = heap.buffer(heap.lookup('buffer')).borrow_unique()") == "done"
    with pytest.raises(BorrowConflict) as seen:
        buffer.borrow_shared()
    with pytest.raises(BorrowConflict) as unseen:
        buffer.borrow_shared()
    assert len(seen.value.holders) == 1
    assert peer.run("view.release()") == "done"
    assert len(seen.value.holders) == 1, "asked for while it was held"
    assert unseen.value.holders == [] and "try again" in str(unseen.value)


def test_lookup_and_wait_idle_wait_for_the_other_process(shared, peer):
    region = shared.region()
    buffer = region.alloc(8)
    peer.begin("handle = heap.lookup('late', timeout=30); view = heap.buffer(handle).borrow_shared()")
    time.sleep(0.2)
    shared.publish("late", buffer.handle)
    assert peer.answer() == "done"
    with pytest.raises(Timeout):
        region.wait_idle(timeout=0.2)
    peer.begin("import time; time.sleep(0.4); view.release()")
    region.wait_idle(timeout=30)
    assert peer.answer() == "done"
    assert peer.run("heap.lookup('never', timeout=0.1)") == "Timeout"


def test_last_borrow_of_the_other_process_frees_a_draining_region(shared, peer):
    region = shared.region()
    buffer = region.alloc_from(b"draining")
    shared.publish("buffer", buffer.handle)
    assert peer.run("buffer = heap.buffer(heap.lookup('buffer')); view = memoryview(buffer)") == "done"
    region.close_when_idle()
    with pytest.raises(StaleHandle):
        buffer.borrow_shared()
    assert region.info()["state"] == "draining"
    assert peer.run("assert view.tobytes() == b'draining'; view.release()") == "done"
    with pytest.raises(StaleHandle):
        region.info()


def test_peer_closes_what_was_made_here(shared, peer):
    region = shared.region()
    buffer = region.alloc(8)
    assert peer.run(f"heap.region_at(Handle.parse({str(region.handle)!r})).close()") == "done"
    with pytest.raises(StaleHandle):
        len(buffer)
    with pytest.raises(StaleHandle):
        region.close()


def test_regions_of_a_process_that_ended_stay(shared, peer):
    assert peer.run("region = heap.region(name='left'); heap.publish('left', region.string('behind').handle)") == "done"
    assert peer.end() == 0
    found = shared.buffer(shared.lookup("left"))
    assert found.text() == "behind" and found.region.name == "left"
    found.region.close()


def test_views_of_a_killed_process_are_recovered(shared, peer):
    buffer = shared.region().alloc(8)
    shared.publish("buffer", buffer.handle)
    assert peer.run("shown = [memoryview(heap.buffer(heap.lookup('buffer'))) for _ in range(3)]") == "done"
    assert len(shared.holders(buffer.handle)) == 3
    peer.process.kill()
    peer.process.wait()
    buffer.borrow_unique().release()


def test_writer_that_was_killed_leaves_poison(shared, peer):
    buffer = shared.region().alloc(8)
    shared.publish("buffer", buffer.handle)
    assert peer.run("view = heap.buffer(heap.lookup('buffer')).borrow_unique(); view[0] = 1") == "done"
    peer.process.kill()
    peer.process.wait()
    with pytest.raises(weaveheap.Poisoned) as refusal:
        buffer.borrow_shared()
    assert isinstance(refusal.value, BufferError) and buffer.info()["poisoned"]
    with pytest.raises(weaveheap.Poisoned):
        memoryview(buffer)
    buffer.clear_poison()
    assert buffer[0] == 1


def run(program, *arguments):
    command = [sys.executable, "-c", textwrap.dedent(program), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_interpreter_ends_with_live_views(unique):
    heap = Heap.create(unique)
    done = run(
        """
        import sys, numpy, weaveheap
        for heap in (weaveheap.Heap.open(sys.argv[1]), weaveheap.Heap.private()):
            region = heap.region()
            buffer = region.alloc(8)
            kept = [memoryview(buffer), numpy.asarray(buffer), buffer.borrow_shared(), buffer[1:3],
                    numpy.from_dlpack(buffer), buffer.__arrow_c_array__(), region.alloc(8).borrow_unique()]
            sys.modules[f"kept{id(kept)}"] = (kept, heap, region)
            kept.append(kept)
        print("end")
        """,
        unique,
    )
    assert (done.returncode, done.stdout) == (0, "end\n"), done.stderr
    assert heap.stats()["borrows"] == []
    heap.check()
    heap.detach()
    Heap.remove(unique)


def test_interpreter_ends_while_a_daemon_thread_waits():
    done = run(
        """
        import threading, time, weaveheap
        heap = weaveheap.Heap.private()
        threading.Thread(target=heap.lookup, args=("never",), kwargs={"timeout": None}, daemon=True).start()
        time.sleep(0.2)
        print("end")
        """
    )
    assert (done.returncode, done.stdout) == (0, "end\n"), done.stderr


FORK = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


def in_child(body):
    """Runs a function in a forked child. True if it returned, without what the test run does at its end."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            body()
            status = 0
        except BaseException as error:
            os.write(2, f"in the child: {error!r}\n".encode())
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1] == 0


@FORK
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("kind", ["private", "shared"])
def test_forked_child_is_not_attached_and_ends_nothing(kind, unique):
    heap = Heap.private() if kind == "private" else Heap.create(unique)
    region = heap.region()
    buffer = region.alloc_from(b"parent's")
    objects = [memoryview(buffer), buffer.borrow_shared(), buffer[1:3]]

    def child():
        for call in (heap.stats, heap.region, region.close, lambda: len(buffer), lambda: memoryview(buffer),
                     buffer.borrow_unique, heap.detach, lambda: heap.lookup("a", timeout=1)):  # fmt: skip
            with pytest.raises(NotAttached):
                call()
        assert heap.detached
        objects[1].release()
        objects.clear()
        gc.collect()
        if kind == "shared":
            with Heap.open(unique) as own:
                assert len(own.holders(buffer.handle)) == 3, "what was inherited has ended nothing"
                assert own.buffer(buffer.handle) == b"parent's"

    assert in_child(child)
    assert len(heap.holders(buffer.handle)) == 3
    assert objects[0].tobytes() == b"parent's"
    for view in objects:
        view.release()
    region.close()
    heap.check()
    heap.detach()
    if kind == "shared":
        Heap.remove(unique)


@FORK
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_child_drops_a_region_in_silence(heap):
    region = heap.region()
    box = [region]
    del region

    def child():
        import warnings

        warnings.simplefilter("error")
        box.clear()
        gc.collect()

    assert in_child(child)
    assert box[0].info()["state"] == "open"
    box[0].close()


@FORK
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_multiprocessing_fork_opens_the_heap_anew(unique):
    done = run(
        """
        import multiprocessing, sys, weaveheap
        name = sys.argv[1]

        def work(handle):
            try:
                heap.buffer(handle)
            except weaveheap.NotAttached:
                with weaveheap.Heap.open(name) as own:
                    with own.buffer(handle).borrow_unique() as view:
                        view[0] += 1
                    return True

        heap = weaveheap.Heap.create(name)
        buffer = heap.region().alloc(1)
        with multiprocessing.get_context("fork").Pool(1) as pool:
            assert all(pool.map(work, [int(buffer.handle)] * 5))
        assert buffer[0] == 5
        heap.check()
        weaveheap.Heap.remove(name)
        """,
        unique,
    )
    assert done.returncode == 0, done.stderr


def test_threads_share_a_heap(heap):
    """Any thread may begin or end any borrow; what one began another ends."""
    region = heap.region()
    buffers = [region.alloc(64) for _ in range(8)]
    passed, errors = [], []

    def work(seed):
        try:
            for step in range(300):
                buffer = buffers[(seed * 7 + step) % len(buffers)]
                try:
                    if step % 3 == 0:
                        with buffer.borrow_unique() as view:
                            view[:8] = bytes([seed]) * 8
                            assert bytes(view[:8]) == bytes([seed]) * 8
                    else:
                        shown = memoryview(buffer)
                        assert len(set(shown[:8].tobytes())) == 1
                        passed.append(shown)
                        if len(passed) > 20:
                            passed.pop(0).release()
                except (BorrowConflict, IndexError):
                    if passed:
                        passed.pop().release()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    for shown in passed:
        shown.release()
    counters = heap.stats()["counters"]
    assert counters["borrows_begun"] == counters["borrows_ended"]
    region.close()


def test_large_allocations_let_other_threads_run(heap):
    ticks, stop = [], threading.Event()

    def tick():
        while not stop.is_set():
            ticks.append(time.monotonic())
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    with heap.region() as region:
        thread.start()
        start = time.monotonic()
        large = region.alloc(192 << 20)
        dirty = region.alloc_from(bytes(128 << 20))
        end = time.monotonic()
        stop.set()
        thread.join()
        assert len(large) + len(dirty) == 320 << 20
    during = [t for t in ticks if start < t < end]
    assert len(during) >= 5 or end - start < 0.05


def test_by_id_gives_other_threads_the_same_heap(heap):
    found = []
    thread = threading.Thread(target=lambda: found.append(Heap.by_id(heap.id)))
    thread.start()
    thread.join()
    assert found == [heap]
