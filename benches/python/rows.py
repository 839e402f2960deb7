"""The rows of the target table in Python, ours and the peer in turns in one process. Started by ``cargo xtask bench`` as
``python rows.py ROW... [--quick]``; prints one JSON object a line.
"""

import json
import multiprocessing
import os
import resource
import statistics
import sys
import tempfile
import time
import timeit

import numpy as np

import weaveheap

MIB = 1 << 20


def preemptions():
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw


def nanoseconds(count, work):
    """How long each of so many takes, and whether another program had the processor meanwhile."""
    before = preemptions()
    start = time.perf_counter_ns()
    work()
    taken = time.perf_counter_ns() - start
    return taken / count, preemptions() != before


def in_turns(rounds, ours, peer):
    """The medians of both. Rounds that were disturbed are taken again, but not for ever."""
    sides = [(ours, []), (peer, [])]
    disturbed = [0, 0]
    for side, _ in sides:
        side()
    turn = 0
    while any(len(values) < rounds for _, values in sides):
        for index in (0, 1) if turn % 2 == 0 else (1, 0):
            side, values = sides[index]
            taken, was_disturbed = side()
            if was_disturbed and disturbed[index] < 4 * rounds:
                disturbed[index] += 1
            elif len(values) < rounds:
                values.append(taken)
        turn += 1
    return {
        "ours_ns": statistics.median(sides[0][1]),
        "peer_ns": statistics.median(sides[1][1]),
        "rounds": rounds,
        "disturbed": sum(disturbed),
    }


def statement(text, count, **names):
    """A side that runs a statement so many times a round, in timeit's own loop."""
    loop = timeit.Timer(text, globals=names).timeit
    return lambda: nanoseconds(count, lambda: loop(count))


def py_memoryview(quick):
    with weaveheap.Heap.private() as heap, heap.region() as region:
        ours = statement("memoryview(b)", 2_000, b=region.alloc(4096))
        peer = statement("memoryview(b)", 2_000, b=bytearray(4096))
        return in_turns(31 if quick else 201, ours, peer)


def py_frombuffer(quick):
    with weaveheap.Heap.private() as heap, heap.region() as region:
        ours = statement("frombuffer(b, uint8)", 1_000, b=region.alloc(4096), frombuffer=np.frombuffer, uint8=np.uint8)
        peer = statement("frombuffer(b, uint8)", 1_000, b=bytes(4096), frombuffer=np.frombuffer, uint8=np.uint8)
        return in_turns(31 if quick else 201, ours, peer)


def receive(pipe, path):
    """The other process: says when it could read the last byte of what came, and what that was. It lets go of what came
    before it answers: freeing 64 MiB takes milliseconds, which must not fall into the next round."""
    heap = weaveheap.Heap.open(path=path)
    pipe.send("ready")
    while (name := pipe.recv()) is not None:
        before = preemptions()
        if name:
            view = np.frombuffer(heap.buffer(heap.lookup(name, timeout=60)), np.uint8)
        else:
            view = pipe.recv()
        last = int(view[-1])
        moment = time.monotonic_ns()
        disturbed = preemptions() != before
        del view
        if name:
            heap.unpublish(name)
        pipe.send((moment, last, disturbed))


def handoff_pickle(quick):
    """One way, to a process that sleeps until something comes: a handle published in the heap, or the array itself as
    `multiprocessing` pickles it through a pipe."""
    folder = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(prefix="weaveheap-bench-", dir=folder) as place:
        path = os.path.join(place, "heap")
        with weaveheap.Heap.create(path=path) as heap:
            region = heap.region()
            buffer = region.alloc(64 * MIB)
            with buffer.borrow_unique() as view:
                np.frombuffer(view, np.uint8)[:] = 7
            array = np.full(64 * MIB, 7, np.uint8)
            # A fresh interpreter: it inherits neither the array nor the heap.
            context = multiprocessing.get_context("spawn")
            pipe, other = context.Pipe()
            process = context.Process(target=receive, args=(other, path), daemon=True)
            process.start()
            if pipe.recv() != "ready":
                sys.exit("the receiver did not start")

            def hand_over(name, send):
                pipe.send(name)
                # Until the other process waits for it.
                time.sleep(0.005)
                before = preemptions()
                start = time.monotonic_ns()
                send()
                disturbed = preemptions() != before
                to, last, other_disturbed = pipe.recv()
                if last != 7:
                    sys.exit("other bytes came through")
                return to - start, disturbed or other_disturbed

            figures = in_turns(
                7 if quick else 31,
                lambda: hand_over("table", lambda: heap.publish("table", buffer.handle)),
                lambda: hand_over("", lambda: pipe.send(array)),
            )
            pipe.send(None)
            process.join()
            region.close()
            return figures


ROWS = {"py_memoryview": py_memoryview, "py_frombuffer": py_frombuffer, "handoff_pickle": handoff_pickle}


def main():
    quick = "--quick" in sys.argv
    for name in sys.argv[1:]:
        if not name.startswith("--"):
            print(json.dumps({"begin": name}), flush=True)
            print(json.dumps({"row": name, **ROWS[name](quick)}), flush=True)


if __name__ == "__main__":
    main()
