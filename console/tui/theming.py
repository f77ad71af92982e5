"""Colour themes as data: `themes/*.toml` of the package and `themes/*.toml` of the operator, checked before use.

A file that cannot be used is told in one line and left out; the theme that stands in for it is named. Nothing in a
theme is ever executed, and a theme cannot change the layout.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from textual.color import Color, ColorParseError
from textual.theme import Theme

from ...widgets.look import ROLES
from ..settings.trust import TrustError, read_trusted

#: Used when nothing else can be.
FALLBACK = "dark"
#: Used when the terminal must not get colours.
COLOURLESS = "monochrome"
#: No theme is longer than this; a file that is was not meant as one.
MAX_BYTES = 64 * 1024

_BASE = ("primary", "secondary", "accent", "foreground", "background", "surface", "panel", "boost")
_COLOURS = (*_BASE, "success", "warning", "error")
#: What Textual's own stylesheets ask for in themes of the terminal's colours; nothing here names a colour of its own.
_ANSI_VARIABLES = {
    "ansi-background": "ansi_default",
    "ansi-foreground": "ansi_default",
    "border-blurred": "ansi_default",
    "block-cursor-foreground": "ansi_default",
    "block-cursor-background": "ansi_default",
    "block-cursor-text-style": "reverse",
    "input-cursor-background": "ansi_default",
    "input-cursor-foreground": "ansi_default",
    "input-cursor-text-style": "reverse",
    "input-selection-background": "ansi_default",
    "input-selection-foreground": "ansi_default",
    "screen-selection-background": "ansi_default",
    "screen-selection-foreground": "ansi_default",
}
_WORDS = frozenset(["bold", "dim", "italic", "underline", "reverse", "none"])
_TABLES = {"title", "dark", "ansi", "colours", "roles", "backgrounds", "styles", "foregrounds"}


class ThemeError(ValueError):
    """A theme that cannot be used; the text names the file, the key and what would be right."""


@dataclass(frozen=True, slots=True)
class LoadedThemes:
    """Themes by name, in the order of the menu, and one line per file that could not be used."""

    themes: Mapping[str, Theme]
    problems: tuple[str, ...]


def load_themes(folder: Path | None = None) -> LoadedThemes:
    """All themes: the package's, then the operator's of `folder` (which may replace them)."""
    themes: dict[str, Theme] = {}
    problems: list[str] = []
    packaged = [entry for entry in resources.files("clusterdeck.themes").iterdir() if entry.name.endswith(".toml")]
    for entry in sorted(packaged, key=lambda entry: _place(entry.name)):
        name = entry.name.removesuffix(".toml")
        themes[name] = read_theme(name, entry.read_text("utf-8"))
    own = sorted(folder.glob("*.toml")) if folder is not None and folder.is_dir() else []
    for path in own:
        try:
            if path.stat().st_size > MAX_BYTES:
                raise ThemeError(f"longer than {MAX_BYTES // 1024} kB")
            themes[path.stem] = read_theme(path.stem, read_trusted(path))
        except (ThemeError, TrustError, OSError) as error:
            kept = "the packaged theme of that name" if path.stem in themes else "the other themes"
            problems.append(f"{path}: {error}; using {kept}")
    return LoadedThemes(themes, tuple(problems))


def _place(name: str) -> int:
    order = ("dark.toml", "light.toml", "high-contrast.toml", "sixteen.toml", "monochrome.toml")
    return order.index(name) if name in order else len(order)


def choose(wanted: str, themes: Iterable[str], *, colour: bool) -> tuple[str, str]:
    """The theme to use and a problem to tell ("" if there is none)."""
    known = list(themes)
    if not colour and COLOURLESS in known:
        return COLOURLESS, ""
    if not wanted:
        return FALLBACK, ""
    if wanted in known:
        return wanted, ""
    return FALLBACK, f"there is no theme {wanted!a}; using {FALLBACK} (known: {', '.join(known)})"


def read_theme(name: str, text: str) -> Theme:
    """A theme of a file's text. Raises ThemeError."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ThemeError(str(error)) from None
    for key in data:
        if key not in _TABLES:
            raise ThemeError(f"unknown key {key!a}, known are {', '.join(sorted(_TABLES))}")
    colours = _colours(_table(data, "colours"), "colours", _COLOURS)
    if "primary" not in colours:
        raise ThemeError("colours.primary is missing")
    ansi = _flag(data, "ansi", False)
    variables = (_ANSI_VARIABLES if ansi else {}) | _variables(data)
    return Theme(name=name, dark=_flag(data, "dark", True), ansi=ansi, variables=variables, **colours)


def _table(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key, {})
    if not isinstance(value, dict):
        raise ThemeError(f"{key} must be a table")
    return value


def _flag(data: Mapping[str, Any], key: str, default: bool) -> bool:
    value = data.get(key, default)
    if not isinstance(value, bool):
        raise ThemeError(f"{key} must be true or false")
    return value


def _colours(table: Mapping[str, Any], name: str, known: Iterable[str]) -> dict[str, Any]:
    known = set(known)
    for key, value in table.items():
        if key not in known:
            raise ThemeError(f"unknown {name}.{key}, known are {', '.join(sorted(known))}")
        if not isinstance(value, str):
            raise ThemeError(f"{name}.{key} must be a colour in quotes")
        try:
            Color.parse(value)
        except ColorParseError:
            raise ThemeError(f"{name}.{key}: {value!a} is no colour") from None
    return dict(table)


def _variables(data: Mapping[str, Any]) -> dict[str, str]:
    variables: dict[str, str] = {}
    for table, pattern in (("roles", "cd-{}"), ("foregrounds", "cd-{}"), ("backgrounds", "cd-{}-background")):
        for role, value in _colours(_table(data, table), table, ROLES).items():
            variables[pattern.format(role)] = value
    for role, value in _table(data, "styles").items():
        if role not in ROLES:
            raise ThemeError(f"unknown styles.{role}, known are {', '.join(sorted(ROLES))}")
        if not isinstance(value, str) or not set(value.split()) <= _WORDS:
            raise ThemeError(f"styles.{role} must be words of {', '.join(sorted(_WORDS))}")
        variables[f"cd-{role}-style"] = value
    return variables
