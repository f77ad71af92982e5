"""The texts of some rows, which may have to be read from a disk first."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .views import Excerpt, OutputLine

#: What rows are made of lines.
Told = Callable[[list[OutputLine]], list[str]]


class Texts:
    """Made where rows are known, in the screen's thread; a call gives the texts in order, in any thread.

    A call may wait for the disk, unless they are `at_hand`.
    """

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._pieces: list[list[str] | tuple[Excerpt, Told]] = []
        #: How many texts there are.
        self.count = 0
        self.add(texts)

    def add(self, texts: Iterable[str]) -> None:
        """Further texts."""
        piece = list(texts)
        self._pieces.append(piece)
        self.count += len(piece)

    def add_lines(self, count: int, excerpt: Excerpt, told: Told) -> None:
        """`count` more, as `told` makes them of the lines of an excerpt; it may look at nothing that changes."""
        self._pieces.append((excerpt, told))
        self.count += count

    @property
    def at_hand(self) -> bool:
        """Whether a call would not wait."""
        return all(isinstance(piece, list) or piece[0].at_hand for piece in self._pieces)

    def __call__(self) -> list[str]:
        found: list[str] = []
        for piece in self._pieces:
            found += piece if isinstance(piece, list) else piece[1](piece[0]())
        return found
