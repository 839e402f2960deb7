"""The operations of the conformance cases, through the public API: one entry each in `OPERATIONS`."""

from pathlib import Path

import numpy
from weaveheap import Handle, Heap

HEAP = "limit verify inspect"


class Data:
    """A handle as data, with the heap that it is used in."""

    def __init__(self, heap, bits):
        self.heap, self.handle = heap, Handle(bits)


def must(truth, message):
    if not truth:
        raise AssertionError(message)


def same(wanted, got):
    """Of objects the keys named are compared, of lists the elements in any order."""
    if isinstance(wanted, dict):
        return all(same(value, got[key] if key in got else dig(got, key)) for key, value in wanted.items())
    if isinstance(wanted, list):
        return sorted(wanted) == sorted(got)
    return type(wanted) is type(got) and wanted == got


def dig(data, dotted):
    for key in dotted.split("."):
        must(key in data, f"there is no {dotted}")
        data = data[key]
    return data


def pick(step, keys):
    return {key: step[key] for key in keys.split() if key in step}


def counters(of):
    return of.stats()["counters"] if isinstance(of, Heap) else of.info()["counters"]


def counted(run, step):
    of, before = run.get(step["since"], tuple)
    now = counters(of)
    return {key: dig(now, key) - dig(before, key) for key in step["expect"].get("value", {})}


def forge(run, step):
    source = run.handle(step) if "handle" in step else Data(run.heap(step), int(step["bits"]))
    return Data(source.heap, int(source.handle) ^ int(step.get("xor", "0"), 16))


def holders(run, step):
    found = run.handle(step)
    text = str(found.handle)
    return [b["kind"] for b in found.heap.stats()["borrows"] if text in (b["handle"], b["region"])]


def read(run, step):
    with memoryview(run.view(step)) as view:
        start = step.get("at", 0)
        return view[start : start + step["length"] if "length" in step else None].tobytes()


def write(run, step):
    data, start = run.content(step), step.get("at", 0)
    run.view(step)[start : start + len(data)] = data


def text_of(run, step):
    handle = run.handle(step).handle
    must(Handle.parse(str(handle)) == handle, "the text form is another handle")
    return str(handle)[0]


def private(run, step):
    return run.attached(Heap.private(**pick(step, HEAP)))


def create(run, step):
    # What `inspect` says concerns private heaps only: a shared one is seen by its name.
    return run.attached(Heap.create(**run.place(step), **pick(step, "limit verify")))


def lookup(run, step):
    return Data(run.heap(step), int(run.heap(step).lookup(run.text(step["name"]), **pick(step, "timeout"))))


def alloc(run, step):
    align = {"align": int(step["align"])} if "align" in step else {}
    zeroed = {"zeroed": True, "uninit": False}[step.get("init", "zeroed")]
    return run.region(step).alloc(int(step["length"]), zeroed=zeroed, **align)


def publish(run, step):
    found = run.handle(step)
    found.heap.publish(run.text(step["name"]), found.handle)


def plain(what, name):
    return lambda run, step: getattr(getattr(run, what)(step), name)()


# Operation: keys that must be there, keys that may be, kind of the result, what it does.
OPERATIONS = {
    "private_heap": ("as", HEAP, "new", private),
    "create_heap": ("as", "name path " + HEAP, "new", create),
    "open_heap": ("as", "name path", "new", lambda r, s: r.attached(Heap.open(**r.place(s)))),
    "remove_heap": ("", "name path", None, lambda r, s: Heap.remove(**r.place(s))),
    "detach": ("heap", "", None, plain("heap", "detach")),
    "check": ("heap", "", None, plain("heap", "check")),
    "write_file": ("path text", "", None, lambda r, s: Path(r.text(s["path"])).write_text(r.text(s["text"]))),
    "create_region": ("as", "name limit heap", "new", lambda r, s: r.heap(s).region(**pick(s, "name limit"))),
    "reset": ("region", "heap", None, plain("region", "reset")),
    "close": ("region", "heap", None, plain("region", "close")),
    "close_when_idle": ("region", "heap", None, plain("region", "close_when_idle")),
    "wait_idle": ("region timeout", "heap", None, lambda r, s: r.region(s).wait_idle(s["timeout"])),
    "region_info": ("region", "heap", "value", plain("region", "info")),
    "alloc": ("region length as", "align init heap", "new", alloc),
    "string": ("region text as", "heap", "new", lambda r, s: r.region(s).string(r.text(s["text"]))),
    "free": ("buffer", "heap", None, plain("buffer", "free")),
    "freeze": ("buffer", "heap", None, plain("buffer", "freeze")),
    "clear_poison": ("buffer", "heap", None, plain("buffer", "clear_poison")),
    "length": ("buffer", "heap", "value", lambda r, s: len(r.buffer(s))),
    "buffer_info": ("buffer", "heap", "value", plain("buffer", "info")),
    "borrow_shared": ("buffer as", "heap", "new", plain("buffer", "borrow_shared")),
    "borrow_unique": ("buffer as", "heap", "new", plain("buffer", "borrow_unique")),
    "release": ("view", "", None, plain("view", "release")),
    "write": ("view", "at hex text", None, write),
    "read": ("view", "at length", "bytes", read),
    "view_length": ("view", "", "value", lambda r, s: len(r.view(s))),
    "view_aligned": ("view to", "", "value", lambda r, s: numpy.asarray(r.view(s)).ctypes.data % s["to"] == 0),
    "validate_text": ("view", "", "text", plain("view", "text")),
    "forge": ("as", "handle bits xor heap", "new", forge),
    "compare": ("a b", "", "value", lambda r, s: int(r.get(s["a"]).handle) == int(r.get(s["b"]).handle)),
    "holders": ("handle", "heap", "value", holders),
    "format_handle": ("bits", "", "value", lambda r, s: str(Handle(int(s["bits"])))),
    "parse_handle": ("text", "", "value", lambda r, s: str(int(Handle.parse(s["text"])))),
    "text_of": ("handle", "heap", "value", text_of),
    "publish": ("name handle", "heap", None, publish),
    "lookup": ("name", "timeout heap as", "handle", lookup),
    "unpublish": ("name", "heap", None, lambda r, s: r.heap(s).unpublish(r.text(s["name"]))),
    "mark": ("of as", "", "new", lambda r, s: (r.get(s["of"]), counters(r.get(s["of"])))),
    "counted": ("since", "", "value", counted),
}  # fmt: skip
