"""The peers in Python: the same table handed from process to process by pickle through a multiprocessing pipe, and as
Arrow IPC through a socket. Started as ``python peers.py HEAP BYTES``; reports one JSON object a line.

The time runs from the moment at which the sender has the table until the receiver can read it.
"""

import json
import multiprocessing
import socket
import sys
import time

import pyarrow as pa
import pyarrow.compute as pc

import weaveheap


def receive_pickle(pipe):
    pipe.send("ready")
    table = pipe.recv()
    pipe.send({"to": time.monotonic_ns(), "rows": table.num_rows, "sum": pc.sum(table.column("distance")).as_py()})


def receive_ipc(pipe, connection):
    pipe.send("ready")
    with connection, connection.makefile("rb") as stream:
        table = pa.ipc.open_stream(stream).read_all()
    pipe.send({"to": time.monotonic_ns(), "rows": table.num_rows, "sum": pc.sum(table.column("distance")).as_py()})


def send_pickle(table, pipe):
    pipe.send(table)


def send_ipc(table, connection):
    with connection.makefile("wb") as stream, pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    connection.close()


def measure(name, table, receiver, extra, send):
    # A fresh interpreter: the receiver inherits nothing of the table.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=receiver, args=(theirs, *extra), daemon=True)
    process.start()
    theirs.close()
    for end in extra:
        end.close()
    if ours.recv() != "ready":
        sys.exit("the receiver did not start")
    start = time.monotonic_ns()
    send(ours)
    result = ours.recv()
    process.join()
    expected = {"rows": table.num_rows, "sum": pc.sum(table.column("distance")).as_py()}
    if {key: result[key] for key in expected} != expected:
        sys.exit(f"{name}: the receiver has {result}, the sender {expected}")
    print(json.dumps({"event": name, "bytes": table.nbytes, "rows": table.num_rows, "ms": (result["to"] - start) / 1e6}),
          flush=True)


def main():
    heap = weaveheap.Heap.open(sys.argv[1], label="demo peers")
    limit = int(sys.argv[2])
    reader = pa.ipc.open_file(pa.py_buffer(heap.buffer(heap.lookup("flights"))))
    batches, size = [], 0
    while len(batches) < reader.num_record_batches and size < limit:
        batches.append(reader.get_batch(len(batches)))
        size += batches[-1].nbytes
    table = pa.Table.from_batches(batches)
    measure("pickle", table, receive_pickle, (), lambda pipe: send_pickle(table, pipe))
    near, far = socket.socketpair()
    measure("socket", table, receive_ipc, (far,), lambda pipe: send_ipc(table, near))


if __name__ == "__main__":
    main()
