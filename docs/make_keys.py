"""Writes docs/keys.md from the screen's own table of keys: `python docs/make_keys.py`.

A test fails when the page is not what this would write.
"""

from __future__ import annotations

from pathlib import Path

from textual.keys import format_key

from clusterdeck.console.commands.catalogue import default_registry
from clusterdeck.console.tui.keymap import PRESETS, normal, shown_key
from clusterdeck.widgets.actions import ACTIONS

_PAGE = Path(__file__).with_name("keys.md")

_HEAD = """\
# Keys of the full screen

*This page is made from the program by `docs/make_keys.py`.*

F1, or `?` in a view, tells the keys of the place you are in. A letter that a view has no use for goes to the prompt,
whose own keys are [on its page](repl.md#keys); Ctrl-O goes to the view and back."""

_PLACES = {
    "app": "Everywhere, at the prompt too",
    "view": "In every view",
    "row": "In every list and text",
    "nodes": "Nodes",
    "pane": "Panes",
    "gather": "Gathered (`s`: in the diff, too)",
    "diff": "Diff",
    "failures": "Failures",
    "queue": "Queue",
    "runs": "Runs",
    "plot": "Plot",
    "document": "Help and other texts",
}

_COMMANDS = """\
## Commands with a key

In views that have no other use for it. What reaches nodes is put into the prompt, and Enter runs it.
"""

_OWN = """
## Other keys

`screen.keymap` chooses a preset: {presets}. What they change is in the tables.
In `keys.toml`, in your configuration folder, every action of the tables can have other keys; what two actions want at
once is told at the start, and the second keeps what it had.

```toml
[keys]
"row.search" = "ctrl+s"
"nodes.sort" = ["o", "f7"]
```
"""


def page() -> str:
    """The whole page."""
    lines = [_HEAD]
    for noun, title in _PLACES.items():
        lines += [f"\n## {title}\n", "| key | does | action |", "|---|---|---|"]
        for identifier, action in ACTIONS.items():
            if identifier.partition(".")[0] == noun:
                others = [
                    f"{preset}: {_shown(keys[identifier])}" for preset, keys in PRESETS.items() if identifier in keys
                ]
                told = " ".join([action.help, *([f"({'; '.join(others)})"] if others else [])])
                lines.append(f"| {_shown(action.key)} | {told} | `{identifier}` |")
    lines += [f"\n{_COMMANDS}", "| key | command | does |", "|---|---|---|"]
    views = {key for name, action in ACTIONS.items() if name.startswith(("app.", "view.")) for key in _keys(action.key)}
    for spec in default_registry():
        keys = [key for key in map(normal, spec.keys) if key not in views and not spec.screen]
        if keys:
            lines.append(f"| {_shown(','.join(keys))} | `:{spec.word}` | {spec.summary} |")
    lines.append(_OWN.format(presets=", ".join(f"`{preset}`" for preset in PRESETS)))
    return "\n".join(lines).rstrip() + "\n"


def _shown(keys: str) -> str:
    return ", ".join(map(_written, _keys(keys)))


def _keys(keys: str) -> list[str]:
    return keys.split(",")


def _written(key: str) -> str:
    """A key as the other pages write it."""
    *modifiers, last = key.split("+")
    shown = shown_key(last, format_key(last))
    if modifiers:
        return "-".join([*(modifier.capitalize() for modifier in modifiers), shown.capitalize()])
    return f"`{shown}`" if len(shown) == 1 else shown.capitalize() if shown.startswith("f") else shown


if __name__ == "__main__":
    _PAGE.write_text(page())
