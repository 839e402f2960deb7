"""The exceptions: one class for each code, their built-in kin, what they carry; and panics, which become `Internal`."""

import pickle
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import weaveheap
from weaveheap import Internal, WeaveHeapError, _native

SPEC = tomllib.loads((Path(__file__).resolve().parents[3] / "spec" / "errors.toml").read_text())["error"]
BUFFER_ERRORS = {"StaleHandle", "StaleView", "BorrowConflict", "Borrowed", "Denied", "Poisoned", "NotAttached"}


@pytest.mark.parametrize("entry", SPEC, ids=lambda entry: entry["name"])
def test_every_code_has_its_class(entry):
    error = getattr(weaveheap, entry["name"])
    assert issubclass(error, WeaveHeapError) and error.__module__ == "weaveheap"
    assert (error.code, error.number) == (entry["name"], entry["number"])
    assert entry["meaning"] in error.__doc__ and entry["remedy"] in error.__doc__
    assert issubclass(error, BufferError) or entry["name"] not in BUFFER_ERRORS
    made = error()
    assert (made.code, made.number, made.holders, made.subject) == (entry["name"], entry["number"], [], None)
    assert str(made) == f"{entry['meaning']} {entry['remedy']}"
    told = error("in my words")
    assert str(told) == "in my words" and "in my words" in repr(told)
    again = pickle.loads(pickle.dumps(told))
    assert type(again) is error and str(again) == "in my words"
    with pytest.raises(error):
        raise error("raised")


def test_no_class_is_without_a_code():
    assert [tuple(entry.values()) for entry in SPEC] == _native.ERROR_CODES
    classes = [c for c in vars(weaveheap).values() if isinstance(c, type) and issubclass(c, WeaveHeapError)]
    assert {c.__name__ for c in classes} == {entry["name"] for entry in SPEC} | {"WeaveHeapError"}


def test_message_says_what_was_wrong_and_what_to_do(region):
    buffer = region.alloc(8)
    view = buffer.borrow_shared()
    with pytest.raises(weaveheap.BorrowConflict) as conflict:
        buffer.borrow_unique()
    error = conflict.value
    assert error.subject == buffer.handle
    assert re.search(r"Held: shared borrow of b\d+:\d+ by python process \d+ thread \d+ \(test\)", str(error))
    assert "try again" in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert str(again).startswith(str(buffer.handle)) and again.code == "BorrowConflict"
    view.release()


def test_errors_may_outlive_their_heap():
    heap = weaveheap.Heap.private()
    region = heap.region()
    buffer = region.alloc(1)
    errors = []
    with buffer.borrow_unique() as view:
        for refused in (buffer.borrow_shared, region.close):
            with pytest.raises(BufferError) as refusal:
                refused()
            errors.append(refusal.value.with_traceback(None))
        shown = memoryview(view)
        with pytest.raises(weaveheap.Borrowed) as refusal:
            view.release()
        errors.append(refusal.value.with_traceback(None))
        shown.release()
    region.close()
    heap.detach()
    del view, shown, refusal, buffer, region, heap
    assert [error.holders for error in errors] == [[], [], []]
    assert all(str(error) for error in errors)


def test_panic_becomes_internal_and_the_heap_stays_usable(heap, region):
    buffer = region.alloc_from(b"fine")
    with pytest.raises(Internal, match="a panic inside WeaveHeap: asked for") as failure:
        _native.panic_inside()
    assert isinstance(failure.value, Exception), "and no PanicException, which only BaseException would catch"
    assert buffer == b"fine"
    heap.check()


def test_package_of_another_version_is_refused(tmp_path):
    package = Path(weaveheap.__file__).parent
    copy = tmp_path / "weaveheap"
    copy.mkdir()
    for file in package.glob("*"):
        if file.name == "__init__.py":
            text = file.read_text()
            assert '__version__ = "0.1.0"' in text
            (copy / file.name).write_text(text.replace('__version__ = "0.1.0"', '__version__ = "9.8.7"'))
        elif file.is_file():
            (copy / file.name).symlink_to(file)
    done = subprocess.run([sys.executable, "-c", "import weaveheap"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and "ImportError" in done.stderr
    assert "9.8.7" in done.stderr and _native.VERSION in done.stderr, "both versions are named"
