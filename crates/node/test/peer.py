"""The other process of the two-process tests, in Python: one command a line from standard input, one answer a line.

`peer.mjs` is the same in Node.
"""

import json
import sys

import weaveheap
from weaveheap import Handle


class Peer:
    def __init__(self):
        self.heap = None
        self.regions = None
        self.views = {}

    def buffer(self, text):
        return self.heap.buffer(Handle.parse(text))

    def open(self, name):
        self.heap = weaveheap.Heap.open(name, label="peer")
        return self.heap.id

    def region(self, name):
        self.regions = self.heap.region(name=name)
        return str(self.regions.handle)

    def string(self, text):
        return str(self.regions.string(text).handle)

    def alloc(self, length):
        return str(self.regions.alloc(length).handle)

    def publish(self, name, handle):
        self.heap.publish(name, Handle.parse(handle))

    def lookup(self, name, timeout=None):
        if timeout is None:
            return str(self.heap.lookup(name))
        return str(self.heap.lookup(name, timeout=timeout / 1000))

    def length(self, handle):
        return len(self.buffer(handle))

    def borrow(self, handle, kind, **rest):
        buffer = self.buffer(handle)
        view = buffer.borrow_unique() if kind == "unique" else buffer.borrow_shared()
        self.views[rest["as"]] = view

    def read(self, view, at, length):
        with memoryview(self.views[view]) as bytes_:
            return bytes(bytes_[at : at + length]).hex()

    def write(self, view, at, hex):
        data = bytes.fromhex(hex)
        with memoryview(self.views[view]) as bytes_:
            bytes_[at : at + len(data)] = data

    def release(self, view):
        self.views.pop(view).release()

    def close(self):
        self.regions.close()

    def close_when_idle(self):
        self.regions.close_when_idle()

    def detach(self):
        self.heap.detach()


def main():
    peer = Peer()
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = {"ok": getattr(peer, command.pop("do"))(**command)}
        except weaveheap.WeaveHeapError as error:
            answer = {"error": error.code, "message": str(error), "holders": [facts(h) for h in error.holders]}
        except Exception as error:
            answer = {"error": repr(error)}
        print(json.dumps(answer), flush=True)


def facts(holder):
    return {key: getattr(holder, key) for key in ("kind", "process", "runtime", "label", "alive")}


main()
