"""argparse as all our programs use it: an error is one line that says what is wrong and what would be right."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """Errors end with the name of the help, and with the exit code for wrong usage."""

    def error(self, message: str) -> NoReturn:
        from ..engine.text import sanitize_text

        # Words of the command line may be names that others made.
        self.exit(2, f"{self.prog}: {sanitize_text(message)}\ntry: {self.prog} --help\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """As its base, with the nearest of the words that would be right."""
        if action.choices is not None and isinstance(value, str) and value not in action.choices:
            from .settings.settings import nearest

            words = [word for word in action.choices if isinstance(word, str)]
            known = nearest(value, words) or f": use {', '.join(words)}"
            what = "command" if isinstance(action, argparse._SubParsersAction) else action.dest
            self.error(f"{value!r} is no {what}{known}")
        super()._check_value(action, value)

    #: What is done to the words before they are read.
    prepare: Callable[[Sequence[str]], list[str]] | None = None

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As its base, but a command's unknown option is an error of that command, not of the whole program."""
        if self.prepare is not None:
            args = self.prepare(args)
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            from .settings.settings import nearest

            options = [name for name in self._option_string_actions if name.startswith("--")]
            self.error(f"unknown option {unknown[0]!r}{nearest(unknown[0].partition('=')[0], options)}")
        return found, unknown
