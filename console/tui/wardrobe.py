"""The colours in use: the themes there are, the one that is worn, and the change to another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..settings import paths
from .theming import choose, load_themes

if TYPE_CHECKING:
    from .app import ClusterdeckApp


class Wardrobe:
    """Of one app; UI thread only."""

    def __init__(self, app: ClusterdeckApp) -> None:
        self._app = app
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
            app.tell(f"there is no theme {name!a}; known are {', '.join(self._names)}", "error")
            return False
        app.theme = name
        app.main.refresh(layout=True)
        app.tell(f"Theme {name}. Put  screen.theme = {name!r}  into the configuration to keep it.")
        return True
