"""The Python process of the demo: reads the table in place, lets go of it, and changes a column in place.

Started as ``python reader.py HEAP``. It reports one JSON object a line, and waits for a line on standard input where
another process has to have its turn.
"""

import json
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import weaveheap

KILOMETRES = 1.609344


def report(event, **fields):
    print(json.dumps({"event": event, "at": time.monotonic_ns(), **fields}), flush=True)


def wait_for(command):
    line = sys.stdin.readline().strip()
    if line != command:
        sys.exit(f"expected {command!r}, got {line!r}")


def open_table(buffer):
    """The table over the buffer's own bytes. The shared borrow lives for as long as any part of the table does."""
    memory = pa.py_buffer(buffer)
    return memory, pa.ipc.open_file(memory).read_all()


def bytes_in_place(memory, table):
    """How many bytes of the table's columns lie inside the buffer, and how many outside."""
    inside = outside = 0
    for column in table.columns:
        for chunk in column.chunks:
            for part in chunk.buffers():
                if part is None:
                    continue
                if memory.address <= part.address and part.address + part.size <= memory.address + memory.size:
                    inside += part.size
                else:
                    outside += part.size
    return inside, outside


def mean_delays(table):
    """Sum, number and mean of the delays, by origin."""
    groups = table.group_by("origin").aggregate([("delay", "sum"), ("delay", "count"), ("delay", "mean")])
    return {
        row["origin"]: {"sum": row["delay_sum"], "count": row["delay_count"], "mean": row["delay_mean"]}
        for row in groups.to_pylist()
    }


def places(memory, table, name):
    """Where the values of an int64 column stand in the buffer: offset and number of values of each chunk."""
    return [
        (chunk.buffers()[1].address - memory.address + chunk.offset * 8, len(chunk))
        for chunk in table.column(name).chunks
    ]


def to_kilometres(view, column):
    """Changes miles to kilometres where they stand, chunk by chunk, so that little other memory is needed."""
    scratch = np.empty(max(length for _, length in column))
    for offset, length in column:
        miles = np.frombuffer(view, dtype=np.int64, count=length, offset=offset)
        kilometres = np.multiply(miles, KILOMETRES, out=scratch[:length])
        miles[:] = np.rint(kilometres, out=kilometres)


def outcome(work):
    try:
        work()
    except weaveheap.WeaveHeapError as error:
        return {"ok": False, "code": error.code, "message": str(error)}
    return {"ok": True}


def main():
    report("ready")
    with weaveheap.Heap.open(sys.argv[1], label="demo reader") as heap:
        handle = heap.lookup("flights", timeout=600)
        woken = time.monotonic_ns()
        buffer = heap.buffer(handle)
        memory, table = open_table(buffer)
        opened = time.monotonic_ns()
        inside, outside = bytes_in_place(memory, table)
        report("opened", woken=woken, opened=opened, rows=table.num_rows, inside=inside, outside=outside,
               allocated=pa.total_allocated_bytes())

        start = time.monotonic_ns()
        delays = mean_delays(table)
        report("delays", ms=(time.monotonic_ns() - start) / 1e6, delays=delays)

        column = places(memory, table, "distance")
        # While any part of the table lives, so does the shared borrow, and a unique one would be refused.
        del memory, table
        start = time.monotonic_ns()
        with buffer.borrow_unique() as view:
            to_kilometres(view, column)
        changed = (time.monotonic_ns() - start) / 1e6

        # The next reader waits for this name.
        published = time.monotonic_ns()
        heap.publish("flights-km", handle)
        memory, table = open_table(buffer)
        report("changed", ms=changed, published=published, kilometres=pc.sum(table.column("distance")).as_py(),
               allocated=pa.total_allocated_bytes(), peak=pa.default_memory_pool().max_memory())

        wait_for("release")
        del memory, table
        report("released")

        wait_for("prove")
        report("stale", borrow=outcome(lambda: memoryview(buffer)), unique=outcome(buffer.borrow_unique))
        wait_for("exit")


if __name__ == "__main__":
    main()
