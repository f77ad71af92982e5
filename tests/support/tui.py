"""The full-screen console on a FakeSession, for Pilot tests and pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prompt_toolkit import PromptSession
from prompt_toolkit.input.base import Input
from prompt_toolkit.output.base import Output

from clusterdeck.console.app import ClusterdeckApp
from clusterdeck.console.commands.registry import Registry
from clusterdeck.console.commands.spec import CommandSpec
from clusterdeck.console.tui_frontend import TuiFrontEnd

from .fake_run import FakeSession


def plain_prompt(input: Input, output: Output) -> PromptSession[str]:  # noqa: A002 - prompt_toolkit's own names
    """A prompt without history, completion or colours."""
    return PromptSession("deck> ", input=input, output=output, reserve_space_for_menu=0)


class Deck:
    """An app, its fake session, and the lines that reached the command language."""

    def __init__(self, session: FakeSession | None = None, specs: tuple[CommandSpec, ...] | None = None) -> None:
        self.session = session or FakeSession()
        self.lines: list[str] = []
        self.on_line: Callable[[str], Any] = lambda _line: None
        self.front_end = TuiFrontEnd()
        self.registry = Registry(specs) if specs is not None else _registry()
        self.app = ClusterdeckApp(self.session, self.front_end, self.registry, self._execute, plain_prompt)

    def _execute(self, line: str) -> None:
        self.lines.append(line)
        self.on_line(line)


def _registry() -> Registry:
    from clusterdeck.console.commands.catalogue import default_registry

    return default_registry()
