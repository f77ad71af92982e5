"""Passwords of a batch run: asked on the controlling terminal where there is one, never echoed, never kept."""

from __future__ import annotations

import os

from ...engine.text import clean_text_line
from ..privacy import no_core_dumps
from ..runs.events import QuestionAsked

_TERMINAL = "/dev/tty"


def has_terminal() -> bool:
    """Whether somebody can be asked, wherever the standard streams go."""
    try:
        os.close(os.open(_TERMINAL, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def ask_password(prompt: str) -> str | None:
    """What was typed, None for nothing or the end of input. Only where `has_terminal` says so."""
    import getpass

    no_core_dumps()
    try:
        return getpass.getpass(f"{clean_text_line(prompt)}: ") or None
    except EOFError:
        return None


class SecretDesk:
    """Answers the engine's questions for secrets. Host keys are never a matter for it: batch refuses unknown ones.

    ssh_password: what the operator has typed for SSH itself (a run mode with a password prompt); tried once.
    """

    def __init__(self, ssh_password: str | None = None) -> None:
        self._ssh_password = ssh_password

    def answer(self, asked: QuestionAsked) -> str | None:
        """The answer; None: none is given. Waits for whoever types it."""
        if asked.kind != "secret":
            return None
        subject = asked.rows[0][0] if asked.rows else ""
        if subject.startswith("sudo:"):
            nodes = asked.rows[0][1] if len(asked.rows[0]) > 1 else ""
            return ask_password(f"{asked.title} (on {nodes})" if nodes else asked.title)
        password, self._ssh_password = self._ssh_password, None
        return password
