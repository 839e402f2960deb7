"""Runs the conformance cases through the public API; `conformance/README.md` describes them.

As a program it runs all of `cases/` and prints the closing line; `test_conformance.py` takes it up for pytest.
"""

import contextlib
import json
import os
import secrets
import sys
import tempfile
from pathlib import Path

from weaveheap import Buffer, Heap, Region, View, WeaveHeapError

from conformance_operations import HEAP, OPERATIONS, Data, must, pick, same

ROOT = Path(__file__).resolve().parents[3] / "conformance"
# A view is read as text by copying it: `text()`.
LACKING = {"tokens", "raw_text", "validate_text"}
NEEDS = {"shared", "two_attachments", "region_handles", "buffer_info", "address"} | LACKING
KEYS = {"title", "rules", "needs", "heap", "steps"}


class Failed(Exception):
    """A case failed at a step (from 1), at `"end"` or at `"load"`."""

    def __init__(self, where, message):
        super().__init__(f"step {where}: {message}")
        self.where = where


class Run:
    """One case at work: what its steps have made, and the heaps that it is attached to."""

    def __init__(self, temp):
        unique = "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(24))
        self.names, self.heaps, self.places = {}, [], {"{unique}": unique, "{temp}": temp}

    def text(self, text):
        for place, value in self.places.items():
            text = text.replace(place, value)
        return text

    def content(self, step):
        return bytes.fromhex(step["hex"]) if "hex" in step else self.text(step["text"]).encode()

    def place(self, step):
        return {key: self.text(value) for key, value in pick(step, "name path").items()}

    def attached(self, heap):
        self.heaps.append(heap)
        return heap

    def get(self, name, kind=object):
        if name == "null":
            return Data(self.names.get("h"), 0)
        must(name in self.names, f"nothing is called {name}")
        must(isinstance(self.names[name], kind), f"{name} is of another kind")
        return self.names[name]

    def heap(self, step):
        return self.get(step.get("heap", "h"), Heap)

    def view(self, step):
        return self.get(step["view"], View)

    def handle(self, step, key="handle"):
        found = self.get(step[key], (Region, Buffer, Data))
        return Data(self.heap(step), int(found.handle)) if "heap" in step else found

    def region(self, step):
        found = self.handle(step, "region")
        return found if isinstance(found, Region) else found.heap.region_at(found.handle)

    def buffer(self, step):
        found = self.handle(step, "buffer")
        return found if isinstance(found, Buffer) else found.heap.buffer(found.handle)

    def step(self, step):
        must(step.get("do") in OPERATIONS, f"there is no operation {step.get('do')}")
        needed, allowed, kind, act = OPERATIONS[step["do"]]
        keys, expect, name = set(step) - {"do", "expect"}, step.get("expect"), step.get("as")
        must(set(needed.split()) <= keys <= set(f"{needed} {allowed}".split()), f"wrong keys: {sorted(keys)}")
        must(name is None or name not in (*self.names, "null"), f"the name {name} is given twice")
        results = {"bytes": ("hex", "text"), None: (), "new": ()}.get(kind, (kind,))
        if expect is None:
            must(not results or name, "an expectation is missing")
        else:
            fits = len(expect) == 1 and set(expect) <= {*results, "error"} or set(expect) == {"error", "holders"}
            must(fits, f"no such expectation here: {expect}")
        try:
            result = act(self, step)
        except WeaveHeapError as error:
            must(expect and "error" in expect, f"unexpected {error.code}: {error}")
            must(error.code == expect["error"], f"expected {expect['error']}, not {error.code}: {error}")
            self.check_holders(error.holders, expect, step)
            return
        if name:
            self.names[name] = result
        must(expect is None or "error" not in expect, f"expected {expect}, and it succeeded")
        if expect and kind == "handle":
            wanted = self.get(expect["handle"]).handle
            must(wanted == result.handle, f"expected the handle {wanted}, not {result.handle}")
        elif expect:
            wanted = self.content(expect) if kind == "bytes" else expect[kind]
            must(same(wanted, result), f"expected {wanted!r}, not {result!r}")

    def check_holders(self, found, expect, step):
        if "holders" in expect:
            kinds, about = expect["holders"], step.get("buffer", step.get("region"))
            must(sorted(h.kind for h in found) == sorted(kinds), f"expected the holders {kinds}, not {found}")
            for holder in found:
                mine = (holder.runtime, holder.process, holder.alive) == ("python", os.getpid(), True)
                at = about is None or self.get(about).handle in (holder.handle, holder.region)
                must(mine and at, f"another holder: {holder}")

    def finish(self):
        attached = [heap for heap in self.heaps if not heap.detached]
        for heap in attached:
            must(not heap.stats()["borrows"], f"borrowed at the end: {heap.stats()['borrows']}")
            heap.check()
        for heap in attached:
            heap.detach()

    def clean(self):
        """Lets go of what a case that failed has left, without complaint."""
        for end in ("release", "close_when_idle"):
            for made in self.names.values():
                with contextlib.suppress(AttributeError, WeaveHeapError):
                    getattr(made, end)()
        for path in {heap.path for heap in self.heaps if heap.shared}:
            Path(path).unlink(missing_ok=True)


def load(path, more=()):
    case = json.loads(path.read_text())
    try:
        must({"title", "rules", "steps"} <= set(case) <= KEYS | set(more), "wrong keys")
        must(set(case.get("needs", ())) <= NEEDS, "an unknown need")
        heap = case.get("heap", {"kind": "private"})
        must(heap is None or {"kind"} <= set(heap) <= {"kind", *HEAP.split()}, "wrong keys of the heap")
        must(heap is None or heap["kind"] in ("private", "shared"), "an unknown kind of heap")
    except AssertionError as error:
        raise Failed("load", error) from error
    return case, heap


def run(path, more=()):
    """Runs a case. False if it does not apply; raises `Failed`."""
    case, heap = load(path, more)
    if LACKING & set(case.get("needs", ())):
        return False
    with tempfile.TemporaryDirectory() as temp:
        this, where = Run(temp), 0
        try:
            if heap is not None:
                name = {"name": "{unique}"} if heap["kind"] == "shared" else {}
                kind = "create_heap" if name else "private_heap"
                this.step({"do": kind, "as": "h", **name, **pick(heap, HEAP)})
            for where, step in enumerate(case["steps"], 1):
                this.step(step)
            where = "end"
            this.finish()
        except Exception as error:
            raise Failed(where, f"{type(error).__name__}: {error}") from error
        finally:
            this.clean()
    return True


def main():
    passed = failed = other = 0
    for path in sorted((ROOT / "cases").rglob("*.json")):
        try:
            applies = run(path)
            passed, other = passed + applies, other + (not applies)
        except Failed as error:
            failed += 1
            print(f"{path.relative_to(ROOT / 'cases').with_suffix('')}: {error}", file=sys.stderr)
    print(f"conformance: {passed} passed, {failed} failed, {other} not applicable")
    return failed or passed + other != json.loads((ROOT / "manifest.json").read_text())["cases"]


if __name__ == "__main__":
    sys.exit(main() != 0)
