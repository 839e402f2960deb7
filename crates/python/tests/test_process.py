"""Heaps between processes, threads, forked children and the end of the interpreter."""

import gc
import json
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


@pytest.mark.skipif(sys.platform != "linux", reason="private heaps are seen from outside on Linux")
@pytest.mark.parametrize("how", ["option", "variable"])
def test_private_heap_made_for_inspection_is_seen_by_the_command_line(how, monkeypatch, command_line):
    with Heap.private() as hidden:
        if how == "variable":
            monkeypatch.setenv("WEAVEHEAP_INSPECT", "1")
        with Heap.private(inspect=how == "option", label="seen") as heap, heap.region(name="in sight") as region:
            buffer = region.alloc(4096)
            with buffer.borrow_unique():
                heaps = json.loads(command_line("stats", "--pid", str(os.getpid()), "--json"))
                assert hidden.id not in [seen["heap"]["id"] for seen in heaps]
                [seen] = [seen for seen in heaps if seen["heap"]["id"] == heap.id]
                assert (seen["heap"]["shared"], seen["heap"]["bytes_live"]) == (False, 4096)
                assert [r["name"] for r in seen["regions"]] == ["in sight"]
                assert [a["label"] for a in seen["attachments"]] == ["seen"]
                [borrow] = seen["borrows"]
                assert (borrow["handle"], borrow["kind"], borrow["runtime"], borrow["process"]) == (
                    str(buffer.handle), "unique", "python", os.getpid()
                )  # fmt: skip
                assert "in sight" in command_line("viz", "--pid", str(os.getpid()))
                command_line("check", "--pid", str(os.getpid()))
            heap.check()


def test_kept_object_of_a_detached_heap_is_no_attachment(shared, unique, peer):
    shared.publish("buffer", shared.region().alloc(8).handle)
    assert peer.run("memoryview(heap.buffer(heap.lookup('buffer'))).release(); heap.detach()") == "done"
    assert [a["process"] for a in shared.stats()["attachments"]] == [os.getpid()]
    assert peer.run("heap.stats()") == "NotAttached"
    kept = []
    for _ in range(300):
        visitor = Heap.open(unique)
        assert len(memoryview(visitor.buffer(visitor.lookup("buffer")))) == 8
        assert len(shared.stats()["attachments"]) == 2
        visitor.detach()
        kept.append(visitor)
    assert shared.check()["attachments"] == 1 and all(visitor.detached for visitor in kept)


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


def test_multiprocessing_spawn_opens_the_heap_by_name(unique, tmp_path):
    program = tmp_path / "spawned.py"
    program.write_text(
        textwrap.dedent(
            """
            import multiprocessing, sys, weaveheap

            def work(job):
                name, handle = job
                with weaveheap.Heap.open(name) as own:
                    while True:
                        try:
                            with own.buffer(handle).borrow_unique() as view:
                                view[0] += 1
                                return True
                        except weaveheap.BorrowConflict:
                            pass

            if __name__ == "__main__":
                name = sys.argv[1]
                heap = weaveheap.Heap.create(name)
                buffer = heap.region().alloc(1)
                with multiprocessing.get_context("spawn").Pool(2) as pool:
                    assert all(pool.map(work, [(name, int(buffer.handle))] * 50))
                assert buffer[0] == 50
                assert [a["process"] for a in heap.stats()["attachments"]] == [multiprocessing.current_process().pid]
                heap.check()
                weaveheap.Heap.remove(name)
            """
        )
    )
    done = subprocess.run([sys.executable, str(program), unique], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@FORK
def test_forked_child_outlives_its_parent_and_attaches_anew(shared, unique):
    buffer = shared.region().alloc_from(b"parent's")
    program = """
        import os, sys, weaveheap
        heap = weaveheap.Heap.open(sys.argv[1])
        buffer = heap.buffer(weaveheap.Handle.parse(sys.argv[2]))
        view = buffer.borrow_unique()
        if os.fork() == 0:
            # Without exec: what is inherited is of no use, and a new attachment is one like any other.
            os.write(1, b"child\\n")
            sys.stdin.readline()
            view.release()
            with weaveheap.Heap.open(sys.argv[1]) as own:
                print(bytes(memoryview(own.buffer(buffer.handle))), flush=True)
            os._exit(0)
        os.write(1, b"parent\\n")
        os.wait()
    """
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program), unique, str(buffer.handle)]
    parent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    said = {parent.stdout.readline(), parent.stdout.readline()}
    assert said == {"child\n", "parent\n"}
    with pytest.raises(BorrowConflict):
        buffer.borrow_shared()
    parent.kill()
    parent.wait()
    # The child has what its parent had open, the mark of its life too; it does not stand for it.
    with pytest.raises(weaveheap.Poisoned):
        buffer.borrow_shared()
    buffer.clear_poison()
    with buffer.borrow_shared():
        parent.stdin.write("go on\n")
        parent.stdin.close()
        assert parent.stdout.read() == "b\"parent's\"\n"
        assert len(shared.holders(buffer.handle)) == 1, "the child has ended nothing that is another's"
    parent.stdout.close()


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


class Turns:
    """Counts the turns of a thread that runs only while this one has let go of the interpreter."""

    def __enter__(self):
        self.count = 0
        self.over = threading.Event()
        self.interval = sys.getswitchinterval()
        # No thread is made to give way: the count stands still unless a call lets go by itself.
        sys.setswitchinterval(1000)
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def run(self):
        while not self.over.is_set():
            self.count += 1
            time.sleep(0.0002)

    def during(self, call):
        before = self.count
        result = call()
        return self.count - before, result

    def __exit__(self, *exception):
        self.over.set()
        self.thread.join()
        sys.setswitchinterval(self.interval)


def test_zeroing_and_copying_let_other_threads_run(heap):
    length = 64 << 20
    content = b"\xaa" * length
    with heap.region() as region, Turns() as turns:
        place = None
        in_turns = {"alloc": 0, "alloc_from": 0}
        for _ in range(200):
            count, dirty = turns.during(lambda: region.alloc_from(content))
            in_turns["alloc_from"] += count
            # The same dirty memory each time, so that the library has to zero it: fresh pages are zero already.
            place = place or dirty.info()["offset"]
            assert dirty.info()["offset"] == place
            dirty.free()
            count, zeroed = turns.during(lambda: region.alloc(length))
            in_turns["alloc"] += count
            assert zeroed.info()["offset"] == place and memoryview(zeroed)[::4096].tobytes() == bytes(length // 4096)
            zeroed.free()
            if all(in_turns.values()):
                break
        assert all(in_turns.values()), in_turns
        # What does not let go is no turn of the other thread, however long it takes.
        assert turns.during(lambda: content.count(b"\xbb"))[0] == 0


def test_by_id_gives_other_threads_the_same_heap(heap):
    found = []
    thread = threading.Thread(target=lambda: found.append(Heap.by_id(heap.id)))
    thread.start()
    thread.join()
    assert found == [heap]
