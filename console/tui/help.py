"""Help for the place where the operator is: its keys first, then those of everywhere, then what can be typed."""

from __future__ import annotations

from textual.screen import Screen
from textual.widget import Widget

from ...widgets.actions import ACTIONS
from ..language.registry import Registry
from ..manuals.reference import overview

_FILTER = (
    "Filter: words that a node must all pass; ! in front turns one round",
    "  @web  node[1-8]  a,b  @web!node7  @a&@b     node sets with groups",
    "  node*                                      glob",
    "  state:failed  state:ok,timeout  state:bad  states",
    "  rc:2  rc:>0  rc:!0                         return codes",
    "  out:word  out:/regex/                      output",
    "  /regex/                                    names by regular expression",
    "  anything else                              a name, part of one, or its letters in order",
)


def help_lines(screen: Screen[None], focused: Widget | None, registry: Registry) -> list[str]:
    """The text of F1."""
    lines: list[str] = []
    told = getattr(focused, "HELP_TEXT", "")
    if told:
        lines += [told, ""]
    here: list[tuple[str, str]] = []
    lists: list[tuple[str, str]] = []
    everywhere: list[tuple[str, str]] = []
    seen: set[str] = set()
    for active in screen.active_bindings.values():
        identifier = active.binding.id or ""
        if identifier in seen or identifier not in ACTIONS:
            continue
        seen.add(identifier)
        keys = [
            screen.app.get_key_display(other.binding)
            for other in screen.active_bindings.values()
            if other.binding.id == identifier
        ]
        entry = (", ".join(dict.fromkeys(keys)), ACTIONS[identifier].help)
        place = {"app": everywhere, "view": everywhere, "row": lists}.get(identifier.partition(".")[0], here)
        place.append(entry)
    for title, entries in (("Keys here", here), ("Keys in every list", lists), ("Keys everywhere", everywhere)):
        if entries:
            width = max(len(keys) for keys, _ in entries) + 2
            lines += [title, *(f"  {keys.ljust(width)}{text}" for keys, text in entries), ""]
    lines += [*_FILTER, "", "What can be typed at the prompt", ""]
    lines += list(overview(registry))
    return lines
