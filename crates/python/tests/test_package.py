"""What is in the package beside the code: types that fit, documentation whose examples run, and the samples."""

import ast
import doctest
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest
import weaveheap

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
SAMPLES = sorted((ROOT / "samples" / "python").glob("*.py"))
FLAGS = doctest.ELLIPSIS
CLASSES = [weaveheap.Heap, weaveheap.Region, weaveheap.Buffer, weaveheap.View, weaveheap.Handle, weaveheap.Holder,
           weaveheap.HeapEntry, weaveheap.WeaveHeapError]  # fmt: skip


def run_examples(text, name):
    test = doctest.DocTestParser().get_doctest(text, {}, name, None, None)
    results = doctest.DocTestRunner(optionflags=FLAGS).run(test)
    assert results.failed == 0
    return results.attempted


@pytest.mark.parametrize("thing", [weaveheap, *CLASSES], ids=lambda thing: thing.__name__)
def test_examples_of_the_docstrings(thing):
    count = run_examples(inspect.getdoc(thing) or "", thing.__name__)
    if thing in (weaveheap, weaveheap.Heap, weaveheap.Buffer, weaveheap.View, weaveheap.Handle):
        assert count > 0


def test_examples_of_the_readme():
    assert run_examples((HERE.parent / "README.md").read_text(), "README.md") > 10


@pytest.mark.parametrize("thing", CLASSES, ids=lambda thing: thing.__name__)
def test_everything_public_is_documented(thing):
    for name, member in vars(thing).items():
        if not name.startswith("_") and (callable(member) or inspect.isdatadescriptor(member)):
            assert inspect.getdoc(member), f"{thing.__name__}.{name} has no documentation"


#: Runs a sample whose heaps are checked when they are left.
CHECKED = """
import runpy, sys, weaveheap
leave = weaveheap.Heap.__exit__
def checked(heap, *exception):
    print("checked:", heap.check()["borrows"], "borrows")
    return leave(heap, *exception)
weaveheap.Heap.__exit__ = checked
runpy.run_path(sys.argv[1], run_name="__main__")
"""


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_sample_runs_and_its_heaps_pass_their_check(sample):
    expected = ast.get_docstring(ast.parse(sample.read_text())).split("Prints:\n\n", 1)[1].split("\n")
    expected = [line.strip() for line in expected if line.strip()]
    for arguments in ([str(sample)], ["-c", CHECKED, str(sample)]):
        command = [sys.executable, "-W", "error", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")
        lines = done.stdout.splitlines()
        assert [line for line in lines if not line.startswith("checked")] == expected
    assert "checked: 0 borrows" in lines


def test_there_is_a_sample_of_a_buffer_and_of_a_string():
    assert {"buffer.py", "string.py"} <= {path.name for path in SAMPLES}


def mypy(*arguments, cwd):
    command = [sys.executable, "-m", *arguments]
    environment = {**os.environ, "MYPY_CACHE_DIR": str(cwd / "cache")}
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=environment)


def test_types_are_strict_and_fit_the_samples(tmp_path):
    done = mypy("mypy", "--strict", "-p", "weaveheap", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    done = mypy("mypy", "--strict", *map(str, SAMPLES), str(HERE / "typing_uses.py"), cwd=tmp_path)
    assert done.returncode == 0, done.stdout


def test_types_refuse_what_the_package_refuses(tmp_path):
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "from weaveheap import Heap\nheap = Heap.private()\nregion = heap.region('positional')\nHeap.open()\n"
        "region.alloc('5')\nregion.string(b'')\nheap.buffer('b1:1')\n"
        "view = region.alloc(1).borrow_shared()\nview[0] = b'a'\n"
    )
    done = mypy("mypy", "--strict", "wrong.py", cwd=tmp_path)
    lines = {line.split(":")[1] for line in done.stdout.splitlines() if ": error:" in line}
    assert lines == {"3", "4", "5", "6", "7", "9"}, done.stdout


def test_stubs_fit_the_module(tmp_path):
    # Python before 3.12 has the buffer protocol without a method to see it by.
    allowed = tmp_path / "allowed"
    allowed.write_text("weaveheap._native._Shown.__buffer__\n")
    done = mypy("mypy.stubtest", "weaveheap", "--allowlist", str(allowed), "--ignore-unused-allowlist", cwd=tmp_path)
    assert done.returncode == 0, done.stdout


def test_package_is_marked_as_typed():
    assert (Path(weaveheap.__file__).parent / "py.typed").exists()


def test_public_names_are_there():
    assert sorted(set(weaveheap.__all__)) == sorted(weaveheap.__all__)
    assert all(hasattr(weaveheap, name) for name in weaveheap.__all__)
    public = {name for name, thing in vars(weaveheap).items() if isinstance(thing, type)}
    assert public == set(weaveheap.__all__)
