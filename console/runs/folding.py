"""Folding node numbers of a run into node sets, fast enough to be done while the screen waits.

Runs mostly have names of one form, `prefix<number>suffix`; for these the ranges are written directly, exactly as
ClusterShell would write them. All other names go to ClusterShell itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet

_FORM = re.compile(r"([^0-9\[\]]*)([0-9]+)([^0-9\[\]]*)\Z", re.ASCII)


class Folder:
    """Folds subsets of `names`, which are given by numbers (indices into `names`)."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._form: tuple[str, str, int] | None = None
        self._values: list[int] = []
        self._read()

    def _read(self) -> None:
        """Find the one form of all names; leaves `_form` None where there is none."""
        values: list[int] = []
        form: tuple[str, str] | None = None
        widths: set[int] = set()
        padded = False
        for name in self._names:
            match = _FORM.match(name)
            if match is None or (form is not None and form != (match[1], match[3])):
                return
            form = (match[1], match[3])
            values.append(int(match[2]))
            widths.add(len(match[2]))
            padded = padded or (match[2][0] == "0" and len(match[2]) > 1)
        if form is None or (padded and len(widths) > 1):
            return
        if any(later <= earlier for earlier, later in pairwise(values)):
            return
        self._form = (*form, widths.pop() if padded else 0)
        self._values = values

    def fold(self, nodes: Iterable[int]) -> str:
        """The node set of these, in any order, folded; "" for none."""
        numbers = sorted(set(nodes))
        if self._form is None or not numbers:
            return str(self.node_set(numbers))
        prefix, suffix, width = self._form
        values = self._values
        ranges: list[str] = []
        start = previous = values[numbers[0]]
        for number in numbers[1:]:
            value = values[number]
            if value != previous + 1:
                ranges.append(_range(start, previous, width))
                start = value
            previous = value
        ranges.append(_range(start, previous, width))
        if len(numbers) == 1:
            return f"{prefix}{ranges[0]}{suffix}"
        return f"{prefix}[{','.join(ranges)}]{suffix}"

    def node_set(self, numbers: Sequence[int]) -> NodeSet:
        """The node set of these."""
        if self._form is not None and numbers:
            return NodeSet(self.fold(numbers), resolver=RESOLVER_NOGROUP)
        return NodeSet.fromlist([self._names[number] for number in numbers], resolver=RESOLVER_NOGROUP)


def _range(start: int, stop: int, width: int) -> str:
    return f"{start:0{width}d}" if start == stop else f"{start:0{width}d}-{stop:0{width}d}"
