"""`--batch 1,10%,rest` and `--stop-at 2%`: how many nodes go first, and how many bad ones are too many."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil


def plan_waves(count: int, spec: str | None) -> list[range]:
    """Ranges of node numbers, in order, that cover 0 to `count`.

    spec: numbers, shares (`10%`) and `rest`, separated by commas; the last one is repeated until all nodes are
    covered. None: one wave. Raises ValueError naming the part that cannot be read.
    """
    if spec is None or not spec.strip():
        return [range(count)] if count else []
    sizes = [_wave_size(part.strip(), count, spec) for part in spec.split(",")]
    waves: list[range] = []
    start = 0
    for position in range(count):
        if start >= count:
            break
        size = sizes[min(position, len(sizes) - 1)]
        stop = count if size is None else min(count, start + size)
        waves.append(range(start, stop))
        start = stop
    return waves


def _wave_size(part: str, count: int, spec: str) -> int | None:
    if part == "rest":
        return None
    size = _share(part, count)
    if size is None or size < 1:
        raise ValueError(f"cannot read {part!r} in {spec!r}: use numbers of nodes, shares such as 10%, or rest")
    return size


def stop_threshold(count: int, spec: str | None) -> int | None:
    """How many bad nodes stop further waves; None = never. Raises ValueError."""
    if spec is None or not spec.strip():
        return None
    limit = _share(spec.strip(), count)
    if limit is None:
        raise ValueError(f"cannot read {spec!r}: use a number of nodes or a share such as 2%")
    return max(1, limit)


def _share(text: str, count: int) -> int | None:
    """A number, or a share of `count` rounded up; None where the text is neither."""
    number = text.removesuffix("%")
    try:
        value = float(number) if number != text else int(number)
    except ValueError:
        return None
    if not 0 <= value < 1e9 or (number != text and value > 100):
        return None
    return ceil(count * value / 100) if number != text else int(value)


def spread(total: int, waves: Sequence[range]) -> str:
    """The waves in words, for a dry run: `1, then 10, then 117 of 128`."""
    return ", then ".join(str(len(wave)) for wave in waves) + f" of {total}"
