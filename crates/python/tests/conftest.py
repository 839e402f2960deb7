"""What the tests share. Shared heaps go to a folder of the test run, so that none is left in the system's."""

import gc
import os
import secrets
import subprocess
from pathlib import Path

import pytest
import weaveheap


@pytest.fixture(scope="session", autouse=True)
def folder_of_names(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("names")
        folder.chmod(0o700)
        patch.setenv("WEAVEHEAP_DIR", str(folder))
        yield folder


@pytest.fixture
def heap():
    """A private heap that passes `check` at the end of the test, with no borrow left."""
    heap = weaveheap.Heap.private(label="test")
    yield heap
    if not heap.detached:
        gc.collect()
        assert heap.stats()["borrows"] == []
        heap.check()


@pytest.fixture
def region(heap):
    """A region of the heap. It is closed at the end, if the test has not done so."""
    region = heap.region(name="test")
    yield region
    gc.collect()
    try:
        region.close()
    except (weaveheap.StaleHandle, weaveheap.NotAttached):
        pass


@pytest.fixture
def unique():
    """A name that no other test uses."""
    return f"t{secrets.token_hex(8)}"


@pytest.fixture
def shared(unique):
    """A shared heap with a name; removed at the end."""
    heap = weaveheap.Heap.create(unique, label="test")
    heap_path = heap.path
    yield heap
    if not heap.detached:
        gc.collect()
        assert heap.stats()["borrows"] == []
        heap.check()
        heap.detach()
    heap_path.unlink(missing_ok=True)


@pytest.fixture(scope="session")
def command_line():
    """Runs the program `weaveheap`, and returns what it prints. `cargo xtask test python` builds it."""
    built = Path(__file__).resolve().parents[3] / "target" / "release" / "weaveheap"
    program = os.environ.get("WEAVEHEAP_CLI", str(built))

    def run(*arguments):
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, (arguments, done)
        return done.stdout

    return run
