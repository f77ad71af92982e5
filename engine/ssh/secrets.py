"""A value that must never be shown: passwords, passphrases and answers to hidden prompts."""

from __future__ import annotations

import time
from typing import NoReturn


class Secret:
    """Wraps text; `str`, `repr` and formatting give `***`, pickling and copying are refused.

    `reveal()` is called where the text goes out on an encrypted channel, and nowhere else. Python cannot promise that
    memory is overwritten; `forget()` drops this reference, which is all that is possible.
    """

    __slots__ = ("_text", "born")

    def __init__(self, text: str) -> None:
        self._text: str | None = text
        #: `time.monotonic()` of the last use, for forgetting idle ones.
        self.born = time.monotonic()

    def reveal(self) -> str:
        """The text itself. Raises ValueError after `forget`."""
        if self._text is None:
            raise ValueError("this secret was forgotten")
        self.born = time.monotonic()
        return self._text

    def forget(self) -> None:
        """Drop the text."""
        self._text = None

    @property
    def known(self) -> bool:
        """Whether it was not forgotten."""
        return self._text is not None

    def __bool__(self) -> bool:
        return bool(self._text)

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, _spec: str) -> str:
        return "***"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is never written anywhere")

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, _memo: object) -> Secret:
        return self
