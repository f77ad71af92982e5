"""The styles that widgets paint with, made once per theme from the theme's variables.

A role is a variable of the theme: `cd-failed` (foreground), `cd-failed-background`, `cd-failed-style` (words of
`bold dim italic underline reverse`). A role that a theme leaves out falls back to one of Textual's own variables, so
every theme of Textual works too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from rich.style import Style
from textual.color import Color, ColorParseError

from ..engine.states import NodeState

#: Role -> the theme variable of Textual that stands in for it.
ROLES: dict[str, str] = {
    "text": "foreground",
    "quiet": "foreground-muted",
    "accent": "accent",
    "title": "primary",
    "rule": "foreground-disabled",
    "cursor": "foreground",
    "idle-cursor": "foreground",
    "mark": "warning",
    "match": "warning",
    "current-match": "accent",
    "stderr": "error",
    "key": "accent",
    "warn": "warning",
    "menu": "foreground",
    "menu-note": "foreground-muted",
    "menu-current": "foreground",
    "changed": "secondary",
    "added": "success",
    "removed": "error",
    "bar": "success",
    "pending": "foreground-muted",
    "connecting": "secondary",
    "running": "primary",
    "ok": "success",
    "failed": "error",
    "timeout": "warning",
    "unreachable": "error",
    "aborted": "foreground-muted",
    "lost": "warning",
    "heat-0": "success",
    "heat-1": "success",
    "heat-2": "warning",
    "heat-3": "warning",
    "heat-4": "error",
}

#: Roles that Textual's variables cannot give: what they are when a theme says nothing.
_DEFAULT_STYLES = {"title": "bold", "cursor": "reverse", "idle-cursor": "underline", "current-match": "reverse bold",
                   "match": "reverse", "key": "bold", "changed": "bold",
                   "menu-current": "reverse"}  # fmt: skip
#: Roles on a background of their own where a theme says nothing.
_DEFAULT_BACKGROUNDS = {"menu": "panel", "menu-note": "panel"}
_ATTRIBUTES = {"bold", "dim", "italic", "underline", "reverse"}


@dataclass(frozen=True, slots=True)
class Look:
    """One theme's styles; every one carries the view's background, so rows need no second pass."""

    styles: Mapping[str, Style]
    states: tuple[Style, ...]
    background: Color
    #: Styles made for nodes' own colours, by what was asked for (node_colours.py).
    node_styles: dict[Any, Style] = field(default_factory=dict)

    @property
    def colourless(self) -> bool:
        """Whether the theme tells failures from the rest without any colour."""
        colour = self.styles["failed"].color
        return colour is None or colour.is_default

    def __getitem__(self, role: str) -> Style:
        return self.styles[role]

    @property
    def text(self) -> Style:
        """Ordinary text."""
        return self.styles["text"]

    @property
    def quiet(self) -> Style:
        """Text that steps back: hints, times, what is not there yet."""
        return self.styles["quiet"]

    def state(self, state: int) -> Style:
        """The style of a node state's symbol and word."""
        return self.states[state]


def _colour(variables: Mapping[str, str], name: str) -> Color | None:
    value = variables.get(name)
    if value is None:
        return None
    try:
        return Color.parse(value)
    except ColorParseError:
        return None


def _role(variables: Mapping[str, str], role: str, background: Color) -> Style:
    colour = _colour(variables, f"cd-{role}") or _colour(variables, ROLES[role])
    behind = _colour(variables, f"cd-{role}-background")
    if behind is None and background.ansi is None:  # a terminal's own palette has no shades
        behind = _colour(variables, _DEFAULT_BACKGROUNDS.get(role, ""))
    behind = behind or background
    words = variables.get(f"cd-{role}-style", _DEFAULT_STYLES.get(role, "")).split()
    if colour is not None and colour.a < 1 and not colour.ansi:
        colour = behind.blend(colour, colour.a, 1.0) if behind.ansi is None else colour.with_alpha(1.0)
    plain = Style(color=colour.rich_color if colour else None, bgcolor=behind.rich_color)
    return plain + Style.parse(" ".join(word for word in words if word in _ATTRIBUTES))


@lru_cache(maxsize=8)
def _look(variables: frozenset[tuple[str, str]]) -> Look:
    table = dict(variables)
    background = _colour(table, "cd-background") or _colour(table, "background") or Color.parse("ansi_default")
    styles = {role: _role(table, role, background) for role in ROLES}
    return Look(styles, tuple(styles[state.word] for state in NodeState), background)


def make_look(variables: Mapping[str, str]) -> Look:
    """The look of a theme's variables; cached, so that asking again is cheap."""
    return _look(frozenset((key, value) for key, value in variables.items() if isinstance(value, str)))


class LookCache:
    """A widget's look, looked up again only when the theme changed."""

    __slots__ = ("_look", "_theme")

    def __init__(self) -> None:
        self._theme: object = None
        self._look: Look | None = None

    def get(self, app: Any) -> Look:
        """The look of the app's theme now."""
        theme = app.current_theme
        if self._look is None or theme is not self._theme:
            self._look = make_look(app.theme_variables)
            self._theme = theme
        return self._look
