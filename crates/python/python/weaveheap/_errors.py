"""`WeaveHeapError`, the base of every exception of WeaveHeap. The classes of the codes are in `_codes.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from ._native import ErrorDetail, Handle, Holder


class WeaveHeapError(Exception):
    """What every error of WeaveHeap is. `code` is the code's name and `number` its number, the same in all languages.

    The message and the list of holders are made when they are asked for, and not when the error happens.
    """

    __module__ = "weaveheap"

    code: ClassVar[str] = ""
    number: ClassVar[int] = 0
    #: What the code says, and what to do about it, in a sentence each.
    meaning: ClassVar[str] = ""
    remedy: ClassVar[str] = ""

    def __init__(self, message: str | None = None, detail: ErrorDetail | None = None) -> None:
        super().__init__(*(() if message is None else (message,)))
        self._message = message
        self._detail = detail
        self._holders: list[Holder] | None = None

    def __str__(self) -> str:
        if self._message is not None:
            return self._message
        if self._detail is not None:
            return self._detail.message()
        return f"{self.meaning} {self.remedy}".strip()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        # The details stay in this process; the message is made for the journey.
        return type(self), (str(self),)

    @property
    def holders(self) -> list[Holder]:
        """Who held a borrow that was in the way, as seen when this was first asked for. Empty for other errors."""
        if self._holders is None:
            self._holders = [] if self._detail is None else self._detail.holders()
        return self._holders

    @property
    def subject(self) -> Handle | None:
        """The handle that the error is about; `None` if it is about none."""
        handle = None if self._detail is None else self._detail.subject
        return handle or None
