"""Bad input: each kind gives what its rule names, and the heap passes its check afterwards (C3)."""

import os
import subprocess
import sys

import pytest
import weaveheap
from weaveheap import (
    Corrupt,
    Handle,
    Heap,
    Incompatible,
    InvalidArgument,
    InvalidName,
    InvalidUtf8,
    LimitReached,
    NotFound,
    OutOfMemory,
    StaleHandle,
    WeaveHeapError,
)


@pytest.fixture(autouse=True)
def bystander():
    """A heap that is in use while everything else here is refused."""
    with Heap.private() as heap, heap.region() as region:
        kept = region.alloc_from(b"kept")
        yield heap
        assert kept == b"kept"
        heap.check()


def test_name_and_path_exclude_each_other(tmp_path):
    for call in (Heap.create, Heap.open, Heap.remove):
        for arguments in ({}, {"name": "a", "path": tmp_path / "b"}):
            with pytest.raises(InvalidArgument):
                call(**arguments)


@pytest.mark.parametrize("name", ["", "a/b", "..", "/etc/passwd", "A", "a b", "ä", "-a", ".a", "a" * 65, "a\0b", "a\n"])
def test_bad_names_are_refused(name, heap):
    for call in (Heap.create, Heap.open, Heap.remove, heap.lookup, heap.unpublish):
        with pytest.raises(InvalidName) as refusal:
            call(name)
        assert isinstance(refusal.value, ValueError)


def test_text_that_is_no_utf8_is_refused_wherever_text_is_taken(heap, region, tmp_path):
    handle = region.alloc(8).handle
    place = tmp_path / "heap"
    Heap.create(path=place, limit=4 << 20).detach()
    for call in (
        Heap.create,
        Heap.open,
        Heap.remove,
        Heap.by_id,
        Handle.parse,
        region.string,
        heap.lookup,
        heap.unpublish,
        lambda text: heap.lookup(text, timeout=1),
        lambda text: heap.publish(text, handle),
        lambda text: heap.region(name=text),
        lambda text: Heap.private(label=text),
        lambda text: Heap.create(path=tmp_path / "labelled", label=text),
        lambda text: Heap.open(path=place, label=text),
        lambda text: Heap.attach(heap.base, label=text),
        lambda text: Heap.create(path=str(tmp_path / text)),
        lambda text: Heap.open(path=str(tmp_path / text)),
        lambda text: Heap.remove(path=tmp_path / text),
    ):
        for text in ("\ud800", "a\ud83d\udc00b\ud800"):
            with pytest.raises(InvalidUtf8) as refusal:
                call(text)
            assert isinstance(refusal.value, UnicodeError)
    assert sorted(tmp_path.iterdir()) == [place]
    stats = heap.stats()
    assert (len(stats["regions"]), len(stats["attachments"]), stats["names"]) == (1, 1, [])
    assert region.info()["buffers"] == 1
    Heap.remove(path=place)


def test_wrong_types_are_type_errors(heap, region):
    for call in (
        lambda: Heap.create(5),
        lambda: heap.lookup(b"name"),
        lambda: region.alloc("5"),
        lambda: region.alloc(5.0),
        lambda: region.alloc(None),
        lambda: region.string(b"bytes"),
        lambda: region.alloc_from("text"),
        lambda: region.alloc_from(5),
        lambda: heap.buffer("b1:1"),
        lambda: heap.buffer(None),
        lambda: heap.region("positional"),
        lambda: heap.lookup("a", timeout="1"),
        lambda: weaveheap.Buffer(),
        lambda: weaveheap.Heap(),
    ):
        with pytest.raises(TypeError):
            call()


def test_lengths_and_alignments_that_overflow_are_refused(region):
    for length in (2**40, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 2**200):
        with pytest.raises(OutOfMemory) as refusal:
            region.alloc(length)
        assert isinstance(refusal.value, MemoryError)
    for align in (0, 3, 48, 8192, 2**63, 2**64, 2**200):
        with pytest.raises(InvalidArgument):
            region.alloc(1, align)
        with pytest.raises(InvalidArgument):
            region.alloc_from(b"a", align=align)
    for negative in (-1, -(2**63), -(2**200)):
        with pytest.raises(InvalidArgument):
            region.alloc(negative)
        with pytest.raises(InvalidArgument):
            region.alloc(1, negative)
    assert region.info()["buffers"] == 0


def test_null_forged_and_stale_handles_are_refused(heap, region):
    buffer = region.alloc(8)
    freed = region.alloc(8)
    freed.free()
    forged = int(buffer.handle) ^ (1 << 33)
    with Heap.private() as other, other.region() as elsewhere:
        foreign = elsewhere.alloc(8).handle
        for bad in (0, forged, freed.handle, foreign, 2**64 - 1, Handle(0), int(region.handle)):
            with pytest.raises(StaleHandle) as refusal:
                heap.buffer(bad)
            assert isinstance(refusal.value, BufferError)
        for bad in (0, forged, int(region.handle) ^ (1 << 40), elsewhere.handle, buffer.handle):
            with pytest.raises(StaleHandle):
                heap.region_at(bad)
    for use in (len, bytes, memoryview, lambda b: b.borrow_unique(), lambda b: b.free(), lambda b: b.freeze(),
                lambda b: b.text(), lambda b: b.info(), lambda b: b[0], lambda b: b[0:1], lambda b: b == b""):  # fmt: skip
        with pytest.raises(StaleHandle):
            use(freed)
    for bits in (-1, 2**64, 2**100):
        with pytest.raises(InvalidArgument):
            heap.buffer(bits)
        with pytest.raises(InvalidArgument):
            Handle(bits)
    with pytest.raises(StaleHandle):
        heap.publish("name", 0)


def test_free_twice_and_close_twice_are_stale(heap):
    region = heap.region()
    buffer = region.alloc(8)
    buffer.free()
    with pytest.raises(StaleHandle):
        buffer.free()
    region.close()
    for call in (region.close, region.reset, region.close_when_idle, region.info, lambda: region.alloc(1)):
        with pytest.raises(StaleHandle):
            call()


@pytest.mark.parametrize(
    "content", [b"", b"short", b"no heap at all " * 10_000, b"\0" * 65536], ids=["empty", "short", "foreign", "zeros"]
)
def test_file_that_is_no_heap_is_refused(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises((Incompatible, Corrupt)):
        Heap.open(path=path)
    assert path.read_bytes() == content


def test_truncated_files_and_flipped_headers_are_refused(tmp_path):
    path = tmp_path / "heap"
    with Heap.create(path=path, limit=4 << 20) as heap:
        heap.region(name="r").alloc_from(b"content")
        whole = path.read_bytes()
    broken = tmp_path / "broken"
    for size in (1, 63, 64, 4095, 4096, 65536):
        broken.write_bytes(whole[: min(size, len(whole) - 1)])
        with pytest.raises((Incompatible, Corrupt)):
            Heap.open(path=broken)
    for at in range(128):
        broken.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        if at < 88:  # what the checksum covers, and the checksum
            with pytest.raises((Incompatible, Corrupt)):
                Heap.open(path=broken)
        else:
            with Heap.open(path=broken) as heap:
                heap.check()
    with Heap.open(path=path) as heap:
        heap.check()


def test_absent_and_unreadable_places(tmp_path):
    with pytest.raises(NotFound):
        Heap.open(path=tmp_path / "absent")
    with pytest.raises(NotFound):
        Heap.remove(path=tmp_path / "absent")
    with pytest.raises(WeaveHeapError) as refusal:
        Heap.open(path=tmp_path)
    assert refusal.value.code in ("Incompatible", "Io", "Denied", "Corrupt")
    with pytest.raises(WeaveHeapError):
        Heap.create(path=tmp_path / "no" / "such" / "folder")


def test_heap_of_another_layout_version_is_refused_and_both_versions_are_named(tmp_path):
    path = tmp_path / "heap"
    with Heap.create(path=path, limit=4 << 20):
        pass
    whole = path.read_bytes()
    path.write_bytes(whole[:8] + (99).to_bytes(4, "little") + whole[12:])
    with pytest.raises(Incompatible) as refusal:
        Heap.open(path=path)
    assert "99" in str(refusal.value) and str(weaveheap._native.LAYOUT_VERSION) in str(refusal.value)


@pytest.mark.skipif(sys.platform == "win32", reason="modes of folders")
def test_folder_that_is_a_link_or_not_the_users_alone_is_refused(tmp_path):
    real = tmp_path / "real"
    real.mkdir(mode=0o700)
    link = tmp_path / "link"
    link.symlink_to(real)
    wide = tmp_path / "wide"
    wide.mkdir()
    wide.chmod(0o777)
    folders = [link, wide]
    if os.geteuid() == 0:  # only root can give a folder away
        foreign = tmp_path / "foreign"
        foreign.mkdir(mode=0o700)
        os.chown(foreign, 12345, 12345)
        folders.append(foreign)
    program = (
        "import weaveheap\ntry:\n    weaveheap.Heap.create('x')\nexcept weaveheap.WeaveHeapError as error:\n"
        "    print(error.code)\n"
    )
    for folder in folders:
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "WEAVEHEAP_DIR": str(folder)},
            capture_output=True,
            text=True,
        )
        assert done.stdout == "Denied\n", done


@pytest.mark.skipif(sys.platform != "linux", reason="a small file system is mounted with unshare")
def test_full_folder_in_the_middle_of_an_allocation(tmp_path):
    """A full shared-memory folder is `OutOfMemory` and no SIGBUS, and the heap goes on."""
    program = tmp_path / "program.py"
    program.write_text(
        "import sys, weaveheap\n"
        "heap = weaveheap.Heap.create(path=sys.argv[1], limit=64 << 20)\n"
        "region = heap.region()\n"
        "first = region.alloc_from(b'first')\n"
        "try:\n    buffers = [region.alloc(1 << 20) for _ in range(40)]\n"
        "except weaveheap.OutOfMemory as full:\n    print(full.code)\n"
        "assert first == b'first'\nheap.check()\nregion.close()\n"
        "assert len(heap.region().alloc(1 << 20)) == 1 << 20\nheap.check()\nprint('goes on')\n"
    )
    folder = tmp_path / "small"
    folder.mkdir()
    script = 'mount -t tmpfs -o size=6m,mode=0700 tmpfs "$1" && exec "$2" "$3" "$1/heap"'
    root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    done = subprocess.run(
        ["unshare", "--mount", *root, "sh", "-c", script, "sh", str(folder), sys.executable, str(program)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "OutOfMemory\ngoes on\n"), done


def test_full_tables_refuse_and_the_heap_goes_on():
    def fill(make):
        made = []
        with pytest.raises(LimitReached) as full:
            while True:
                made.append(make(len(made)))
        assert "full" in str(full.value) and len(made) > 100
        heap.check()
        return made

    with Heap.private(limit=4 << 20) as heap, heap.region() as region:
        buffer = region.alloc(1)
        for name in range(len(fill(lambda n: heap.publish(f"n{n}", buffer.handle)))):
            heap.unpublish(f"n{name}")
        for other in fill(lambda _: heap.region()):
            other.close()
        for view in fill(lambda _: memoryview(buffer)):
            view.release()
        with buffer.borrow_unique() as view:
            view[0] = 1
        heap.region().close()
        heap.publish("n", buffer.handle)
        heap.check()
