"""The exceptions, one for each code, written from `spec/errors.toml` by `cargo xtask gen`. Do not edit."""

from typing import ClassVar

from ._errors import WeaveHeapError


class InvalidArgument(WeaveHeapError, ValueError):
    """An argument is null, out of range, or not of the kind that is asked for.

    Check the argument that the message names.
    """

    __module__ = "weaveheap"

    code: ClassVar[str] = "InvalidArgument"
    number: ClassVar[int] = 1
    meaning: ClassVar[str] = "An argument is null, out of range, or not of the kind that is asked for."
    remedy: ClassVar[str] = "Check the argument that the message names."


class StaleHandle(WeaveHeapError, BufferError):
    """The handle or token is null, freed, ended, of a closed region, or of another heap.

    Use the handle only while its buffer and its region live; a token only once.
    """

    __module__ = "weaveheap"

    code: ClassVar[str] = "StaleHandle"
    number: ClassVar[int] = 2
    meaning: ClassVar[str] = "The handle or token is null, freed, ended, of a closed region, or of another heap."
    remedy: ClassVar[str] = "Use the handle only while its buffer and its region live; a token only once."


class StaleView(WeaveHeapError, BufferError):
    """The view was released, or no longer points at its bytes.

    Borrow the buffer again and use the new view.
    """

    __module__ = "weaveheap"

    code: ClassVar[str] = "StaleView"
    number: ClassVar[int] = 3
    meaning: ClassVar[str] = "The view was released, or no longer points at its bytes."
    remedy: ClassVar[str] = "Borrow the buffer again and use the new view."


class BorrowConflict(WeaveHeapError, BufferError):
    """A shared borrow meets a unique one, or a unique borrow meets any other.

    End the borrows that the message lists, or try again after they have ended.
    """

    __module__ = "weaveheap"

    code: ClassVar[str] = "BorrowConflict"
    number: ClassVar[int] = 4
    meaning: ClassVar[str] = "A shared borrow meets a unique one, or a unique borrow meets any other."
    remedy: ClassVar[str] = "End the borrows that the message lists, or try again after they have ended."


class Borrowed(WeaveHeapError, BufferError):
    """What would be freed, emptied or unmapped is borrowed.

    End the borrows that the message lists, or close when idle.
    """

    __module__ = "weaveheap"

    code: ClassVar[str] = "Borrowed"
    number: ClassVar[int] = 5
    meaning: ClassVar[str] = "What would be freed, emptied or unmapped is borrowed."
    remedy: ClassVar[str] = "End the borrows that the message lists, or close when idle."


class Denied(WeaveHeapError, BufferError):
    """The handle or the folder lacks the right that the operation needs.

    Use a handle with that right; a frozen buffer is never written again.
    """

    __module__ = "weaveheap"

    code: ClassVar[str] = "Denied"
    number: ClassVar[int] = 6
    meaning: ClassVar[str] = "The handle or the folder lacks the right that the operation needs."
    remedy: ClassVar[str] = "Use a handle with that right; a frozen buffer is never written again."


class Poisoned(WeaveHeapError, BufferError):
    """The holder of a unique borrow died while it could write: the bytes may be half changed.

    Look at the bytes after `clear_poison`, or free the buffer.
    """

    __module__ = "weaveheap"

    code: ClassVar[str] = "Poisoned"
    number: ClassVar[int] = 7
    meaning: ClassVar[str] = "The holder of a unique borrow died while it could write: the bytes may be half changed."
    remedy: ClassVar[str] = "Look at the bytes after `clear_poison`, or free the buffer."


class OutOfMemory(WeaveHeapError, MemoryError):
    """The heap's limit, the system's memory or the shared-memory folder is used up.

    Close regions, make the heap with a larger limit, or give the folder more room.
    """

    __module__ = "weaveheap"

    code: ClassVar[str] = "OutOfMemory"
    number: ClassVar[int] = 8
    meaning: ClassVar[str] = "The heap's limit, the system's memory or the shared-memory folder is used up."
    remedy: ClassVar[str] = "Close regions, make the heap with a larger limit, or give the folder more room."


class LimitReached(WeaveHeapError, BufferError):
    """A region's own limit, or a table of the heap, is full.

    Free buffers, raise the region's limit, or close regions and attachments no longer used.
    """

    __module__ = "weaveheap"

    code: ClassVar[str] = "LimitReached"
    number: ClassVar[int] = 9
    meaning: ClassVar[str] = "A region's own limit, or a table of the heap, is full."
    remedy: ClassVar[str] = "Free buffers, raise the region's limit, or close regions and attachments no longer used."


class NotFound(WeaveHeapError, LookupError):
    """There is no heap or no entry of that name.

    Check the name; `weaveheap list` shows the heaps.
    """

    __module__ = "weaveheap"

    code: ClassVar[str] = "NotFound"
    number: ClassVar[int] = 10
    meaning: ClassVar[str] = "There is no heap or no entry of that name."
    remedy: ClassVar[str] = "Check the name; `weaveheap list` shows the heaps."


class AlreadyExists(WeaveHeapError):
    """A heap or an entry of that name exists.

    Open it, choose another name, or remove it first.
    """

    __module__ = "weaveheap"

    code: ClassVar[str] = "AlreadyExists"
    number: ClassVar[int] = 11
    meaning: ClassVar[str] = "A heap or an entry of that name exists."
    remedy: ClassVar[str] = "Open it, choose another name, or remove it first."


class InvalidName(WeaveHeapError, ValueError):
    """The name is not of the form [a-z0-9][a-z0-9._-]{0,63}.

    Use lower-case letters, digits, dot, underscore and hyphen.
    """

    __module__ = "weaveheap"

    code: ClassVar[str] = "InvalidName"
    number: ClassVar[int] = 12
    meaning: ClassVar[str] = "The name is not of the form [a-z0-9][a-z0-9._-]{0,63}."
    remedy: ClassVar[str] = "Use lower-case letters, digits, dot, underscore and hyphen."


class NotAttached(WeaveHeapError, BufferError):
    """This process is not attached to the heap: it has detached, or it is a forked child.

    Open the heap in this process.
    """

    __module__ = "weaveheap"

    code: ClassVar[str] = "NotAttached"
    number: ClassVar[int] = 13
    meaning: ClassVar[str] = "This process is not attached to the heap: it has detached, or it is a forked child."
    remedy: ClassVar[str] = "Open the heap in this process."


class Timeout(WeaveHeapError, TimeoutError):
    """The time given for waiting is over.

    Wait longer, or look with `weaveheap who` for what is waited for.
    """

    __module__ = "weaveheap"

    code: ClassVar[str] = "Timeout"
    number: ClassVar[int] = 14
    meaning: ClassVar[str] = "The time given for waiting is over."
    remedy: ClassVar[str] = "Wait longer, or look with `weaveheap who` for what is waited for."


class Incompatible(WeaveHeapError):
    """The file is no heap, or one of another layout version, word size, byte order or ABI version.

    Use one version of WeaveHeap on both sides; the message names both.
    """

    __module__ = "weaveheap"

    code: ClassVar[str] = "Incompatible"
    number: ClassVar[int] = 15
    meaning: ClassVar[str] = "The file is no heap, or one of another layout version, word size, byte order or ABI version."
    remedy: ClassVar[str] = "Use one version of WeaveHeap on both sides; the message names both."


class Corrupt(WeaveHeapError, BufferError):
    """The heap's own records contradict each other.

    Close it everywhere, keep the file for a report, and make a new heap.
    """

    __module__ = "weaveheap"

    code: ClassVar[str] = "Corrupt"
    number: ClassVar[int] = 16
    meaning: ClassVar[str] = "The heap's own records contradict each other."
    remedy: ClassVar[str] = "Close it everywhere, keep the file for a report, and make a new heap."


class Io(WeaveHeapError, OSError):
    """The system refused an operation on a file or a mapping.

    See the system's own words in the message.
    """

    __module__ = "weaveheap"

    code: ClassVar[str] = "Io"
    number: ClassVar[int] = 17
    meaning: ClassVar[str] = "The system refused an operation on a file or a mapping."
    remedy: ClassVar[str] = "See the system's own words in the message."


class InvalidUtf8(WeaveHeapError, UnicodeError):
    """The bytes are not UTF-8.

    Give UTF-8, or allocate bytes instead of a string.
    """

    __module__ = "weaveheap"

    code: ClassVar[str] = "InvalidUtf8"
    number: ClassVar[int] = 18
    meaning: ClassVar[str] = "The bytes are not UTF-8."
    remedy: ClassVar[str] = "Give UTF-8, or allocate bytes instead of a string."


class Unsupported(WeaveHeapError, BufferError):
    """This system or runtime lacks what the operation needs.

    The message names what is missing; docs/platforms.md lists it for each system.
    """

    __module__ = "weaveheap"

    code: ClassVar[str] = "Unsupported"
    number: ClassVar[int] = 19
    meaning: ClassVar[str] = "This system or runtime lacks what the operation needs."
    remedy: ClassVar[str] = "The message names what is missing; docs/platforms.md lists it for each system."


class Internal(WeaveHeapError, BufferError):
    """A defect in WeaveHeap itself. The heap stays usable.

    Please report it with the message.
    """

    __module__ = "weaveheap"

    code: ClassVar[str] = "Internal"
    number: ClassVar[int] = 20
    meaning: ClassVar[str] = "A defect in WeaveHeap itself. The heap stays usable."
    remedy: ClassVar[str] = "Please report it with the message."


#: The class of each code, by number.
CLASSES: dict[int, type[WeaveHeapError]] = {
    1: InvalidArgument,
    2: StaleHandle,
    3: StaleView,
    4: BorrowConflict,
    5: Borrowed,
    6: Denied,
    7: Poisoned,
    8: OutOfMemory,
    9: LimitReached,
    10: NotFound,
    11: AlreadyExists,
    12: InvalidName,
    13: NotAttached,
    14: Timeout,
    15: Incompatible,
    16: Corrupt,
    17: Io,
    18: InvalidUtf8,
    19: Unsupported,
    20: Internal,
}

__all__ = [
    "InvalidArgument",
    "StaleHandle",
    "StaleView",
    "BorrowConflict",
    "Borrowed",
    "Denied",
    "Poisoned",
    "OutOfMemory",
    "LimitReached",
    "NotFound",
    "AlreadyExists",
    "InvalidName",
    "NotAttached",
    "Timeout",
    "Incompatible",
    "Corrupt",
    "Io",
    "InvalidUtf8",
    "Unsupported",
    "Internal",
]
