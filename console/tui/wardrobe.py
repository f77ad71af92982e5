"""The colours in use: the themes there are, the one that is worn, and the change to another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.app import App

from ..settings import paths
from .theming import choose, load_themes


class Wardrobe:
    """Of one app; UI thread only. tell: says something to the operator, with its level."""

    def __init__(self, app: App[Any], tell: Callable[[str, str], None]) -> None:
        self._app = app
        self._tell = tell
        self._names: list[str] = []

    def open(self, wanted: str, *, colour: bool) -> list[str]:
        """Register all themes and wear one; what was wrong with any of them, a line each."""
        app = self._app
        loaded = load_themes(paths.config_dir() / "themes")
        for theme in loaded.themes.values():
            app.register_theme(theme)
        self._names = list(loaded.themes)
        known = [*self._names, *(name for name in app.available_themes if name not in loaded.themes)]
        app.theme, problem = choose(wanted, known, colour=colour)
        return [*loaded.problems, *([problem] if problem else [])]

    def next(self) -> None:
        """Wear the next theme of our own."""
        names = self._names
        at = names.index(self._app.theme) if self._app.theme in names else -1
        self.wear(names[(at + 1) % len(names)])

    def wear(self, name: str) -> bool:
        """Change the colours; False if there is no such theme, which is told."""
        app = self._app
        if name not in app.available_themes:
            self._tell(f"there is no theme {name!a}; known are {', '.join(self._names)}", "error")
            return False
        app.theme = name
        app.screen_stack[0].refresh(layout=True)
        self._tell(f"Theme {name}. Put  screen.theme = {name!r}  into the configuration to keep it.", "information")
        return True
