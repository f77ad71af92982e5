"""What is different from the round before, for timers: the point of looking every 30 seconds."""

from __future__ import annotations

from collections.abc import Iterable

from ...engine.text import sanitize_text
from .events import Notice
from .runs import Run


def changed_nodes(before: Run, run: Run) -> list[int]:
    """Numbers of the nodes of `run` that ended or answered otherwise than in `before`; new nodes count too."""
    places = {name: number for number, name in enumerate(before.names)}
    changed: list[int] = []
    for number, name in enumerate(run.names):
        old = places.get(name)
        if old is None or (
            before.states[old],
            before.rc(old),
            before.output.digest(old),
        ) != (run.states[number], run.rc(number), run.output.digest(number)):
            changed.append(number)
    return changed


def timer_notice(runs: Iterable[Run], run: Run) -> Notice | None:
    """What to tell when a timer's round ended: the nodes that changed since the last one, None where none did."""
    if run.timer is None:
        return None
    earlier = [one for one in runs if one.timer == run.timer and one.id < run.id and one.ended is not None]
    if not earlier:
        return None
    before = earlier[-1]
    changed = changed_nodes(before, run)
    if not changed:
        return None
    worse = run.bad_nodes() - before.bad_nodes()
    text = f"timer {run.timer}: {run.fold(changed)} ({len(changed)}) changed since #{before.id}"
    if worse:
        text += f", bad now: {worse}"
    text += f"; :diff {before.id} {run.id} shows it"
    return Notice("warning" if worse else "info", sanitize_text(text), run.id)
