"""The command palette: every command of the language and every key of the screen, found by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from textual.command import DiscoveryHit, Hit, Hits, Provider

from ...widgets.actions import ACTIONS
from ..language.registry import Registry
from ..language.spec import CommandSpec

Entry = tuple[str, str, Callable[[], Any]]


class DeckCommands(Provider):
    """Generated from the registry; the app has it in `registry` and takes lines by `ask_line` and `offer_line`."""

    def _entries(self) -> Iterator[Entry]:
        app: Any = self.app
        registry: Registry = app.registry
        for spec in registry:
            if not spec.hidden and not spec.macro_only:
                yield spec.title, spec.summary, partial(self._command, spec)
        for action in ACTIONS.values():
            if action.id.startswith(("view.", "app.")) and action.id not in ("app.palette", "view.escape"):
                yield f"screen: {action.label}", action.help, partial(self._action, action.action)

    def _command(self, spec: CommandSpec) -> None:
        app: Any = self.app
        line = f":{spec.word}"
        if any(argument.required for argument in spec.arguments):
            app.offer_line(line + " ")
        else:
            app.ask_line(line)

    async def _action(self, action: str) -> None:
        app: Any = self.app
        await app.run_action(action if "." in action.partition("(")[0] else f"screen.{action}")

    async def discover(self) -> Hits:
        for title, help_text, run in self._entries():
            yield DiscoveryHit(title, run, help=help_text)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for title, help_text, run in self._entries():
            score = max(matcher.match(title), matcher.match(help_text) * 0.6)
            if score > 0:
                yield Hit(score, matcher.highlight(title), run, help=help_text)
