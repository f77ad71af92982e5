"""Keys as data: presets, and the operator's own file over them; conflicts are found here, before anything is applied.

Textual gives a key to the binding that asked last and takes it from any other without a word, so two actions that
want one key are reported and the later one keeps its key of before.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from textual.keys import KEY_NAME_REPLACEMENTS, Keys

from ...widgets.actions import ACTIONS
from ..settings.trust import TrustError, read_trusted

#: Terminals send these as other keys, or keep them for themselves.
_IMPOSSIBLE = {
    "ctrl+m": "a terminal sends Enter",
    "ctrl+i": "a terminal sends Tab",
    "ctrl+j": "a terminal sends a line feed",
    "ctrl+h": "a terminal sends Backspace",
    "ctrl+left_square_bracket": "a terminal sends Escape",
}

#: Keys whose names are not how people write them.
_WRITTEN = {
    "enter": "Enter",
    "escape": "Esc",
    "space": "Space",
    "tab": "Tab",
    "shift+tab": "S-Tab",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "home": "Home",
    "end": "End",
    "up": "Up",
    "down": "Down",
    "left": "Left",
    "right": "Right",
}

#: What each preset changes of the defaults. "tmux-safe" keeps off what tmux and screen take for themselves.
PRESETS: dict[str, dict[str, str]] = {
    "default": {},
    "emacs": {
        "row.up": "up,ctrl+p",
        "row.down": "down,ctrl+n",
        "row.page-down": "pagedown,ctrl+v",
        "row.page-up": "pageup,alt+v",
        "row.search": "ctrl+f,ctrl+s",
        "app.palette": "alt+x,f2",
    },
    "vi": {
        "row.up": "up,k",
        "row.down": "down,j",
        "row.left": "left,h",
        "row.right": "right,l",
        "row.first": "home,g",
        "row.last": "end,G",
        "row.page-down": "pagedown,ctrl+d",
        "row.page-up": "pageup,ctrl+u",
        "view.gathered-too": "ctrl+g",
        "nodes.abort": "K",
        "failures.abort": "K",
    },
    "tmux-safe": {
        "app.focus-swap": "f6,ctrl+t",
        "app.palette": "ctrl+p,f2",
        "app.suspend": "f12",
    },
}


@dataclass(frozen=True, slots=True)
class Keymap:
    """keys: action id -> keys, comma separated, for Textual's `set_keymap`. problems: one line each."""

    keys: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def load_keymap(preset: str, path: Path | None = None) -> Keymap:
    """The preset with the operator's file over it. Never raises: what is wrong is told and left out."""
    problems: list[str] = []
    if preset not in PRESETS:
        problems.append(f"there is no keymap {preset!a}; using default (known: {', '.join(PRESETS)})")
        preset = "default"
    wanted = dict(PRESETS[preset])
    if path is not None and os.path.lexists(path):
        own, wrong = _read(path)
        problems += wrong
        wanted |= own
    keys, conflicts = settle(wanted)
    return Keymap(keys, tuple(problems + conflicts))


def _read(path: Path) -> tuple[dict[str, str], list[str]]:
    """The `[keys]` of a file: action id = "key" or ["key", "key"]."""
    try:
        table = tomllib.loads(read_trusted(path)).get("keys", {})
    except (OSError, TrustError, tomllib.TOMLDecodeError) as error:
        return {}, [f"{path}: {error}; using the preset alone"]
    if not isinstance(table, dict):
        return {}, [f"{path}: keys must be a table; using the preset alone"]
    found: dict[str, str] = {}
    problems: list[str] = []
    for action, value in table.items():
        keys = value if isinstance(value, list) else [value]
        if action not in ACTIONS:
            near = get_close_matches(action, ACTIONS, 1)
            problems.append(f"{path}: there is no action {action!a}" + (f", perhaps {near[0]}" if near else ""))
        elif not keys or not all(isinstance(key, str) and key for key in keys):
            problems.append(f"{path}: {action} wants a key in quotes, or a list of them")
        else:
            wrong = [reason for key in keys if (reason := key_problem(key))]
            problems += [f"{path}: {action}: {reason}" for reason in wrong]
            good = [normal(key) for key in keys if not key_problem(key)]
            if good:
                found[action] = ",".join(good)
    return found, problems


def normal(key: str) -> str:
    """A key by the name that Textual gives it: `?` is `question_mark`, `Ctrl-F` is `ctrl+f`."""
    if len(key) == 1:
        import unicodedata

        if key.isalnum():
            return key
        name = unicodedata.name(key, "").lower().replace("-", "_").replace(" ", "_")
        return KEY_NAME_REPLACEMENTS.get(name, name)
    *modifiers, last = key.replace("-", "+").split("+")
    shift_lost = [modifier.lower() for modifier in modifiers]
    return "+".join([*shift_lost, last.lower() if len(last) > 1 or modifiers else last])


def shown_key(key: str, shown: str) -> str:
    """A key as people write it. key: by Textual's name; shown: as Textual would write it."""
    return f"^{shown[1:].upper()}" if shown.startswith("^") else _WRITTEN.get(key, shown)


def key_problem(key: str) -> str:
    """Why a key cannot be bound; empty if it can."""
    name = normal(key)
    if name in _IMPOSSIBLE:
        return f"{key} cannot be told apart: {_IMPOSSIBLE[name]}"
    *modifiers, last = name.split("+")
    if any(modifier not in ("ctrl", "alt", "shift", "super", "meta") for modifier in modifiers):
        return f"{key!a} is no key"
    known = {value.value.split("+")[-1] for value in Keys} | set(KEY_NAME_REPLACEMENTS.values())
    if len(last) == 1 or last in known or (last.isidentifier() and len(name) > 1 and last.islower()):
        return "" if last else f"{key!a} is no key"
    return f"{key!a} is no key"


#: Where an action's keys are heard: two of them may share a key only if they are never heard together.
def scopes_of(action: str) -> frozenset[str]:
    """Names of the places; "*" is everywhere."""
    noun = action.partition(".")[0]
    if noun in ("app", "view"):
        return frozenset("*")
    if noun == "row":
        return frozenset({"row"})
    return frozenset({noun})


#: Which actions a view hears beside its own noun's.
_TOGETHER = {
    "nodes": ("row",),
    "pane": ("row",),
    "gather": ("row",),
    "diff": ("row",),
    "failures": ("row",),
    "runs": ("row",),
    "queue": ("row",),
    "plot": ("row",),
}


def settle(wanted: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Keys without conflicts, and what was in conflict. An action in conflict keeps its default keys."""
    final = {identifier: action.key for identifier, action in ACTIONS.items()}
    problems: list[str] = []
    accepted: dict[str, str] = {}
    pending = dict(wanted)
    trial = final | pending
    for action in wanted:
        rivals = [other for other in conflicts_of(action, trial) if not _defaults_overlap(action, other, trial, final)]
        if rivals:
            problems.append(
                f"{wanted[action]} for {action} is taken by {', '.join(sorted(rivals))}; keeping {final[action]}"
            )
            trial[action] = final[action]
        else:
            accepted[action] = wanted[action]
    return accepted, problems


def _defaults_overlap(action: str, other: str, trial: Mapping[str, str], final: Mapping[str, str]) -> bool:
    """Whether two actions share only keys that they share by default, on purpose (a view's own meaning goes first)."""
    shared = _keys(trial[action]) & _keys(trial[other])
    return shared <= (_keys(final[action]) & _keys(final[other]))


def conflicts_of(action: str, keys: Mapping[str, str]) -> list[str]:
    """Actions that are heard together with `action` and want one of its keys."""
    mine = _keys(keys[action])
    return [
        other for other, theirs in keys.items() if other != action and mine & _keys(theirs) and _meet(action, other)
    ]


def _meet(one: str, two: str) -> bool:
    first, second = one.partition(".")[0], two.partition(".")[0]
    if first == second:
        return True
    if "app" in (first, second) or "view" in (first, second):
        return True
    return second in _TOGETHER.get(first, ()) or first in _TOGETHER.get(second, ())


def _keys(text: str) -> set[str]:
    return {key.strip() for key in text.split(",")}


def keys_of(prefix: str, keymap: Mapping[str, str]) -> Iterator[str]:
    """Every key of the actions whose ids begin so."""
    for identifier, action in ACTIONS.items():
        if identifier.startswith(prefix):
            yield from _keys(keymap.get(identifier, action.key))
