"""`sudo` with one password for a set of nodes: each node's prompt is recognised by its own mark, and answered there.

A node that does not ask gets no password. The command says a second mark when sudo has let it through: until then
nothing of the operator's input is sent, and the other nodes wait for the first one (the canary) before they try it.
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Callable

from ..reactor import Deadline, Reactor
from ..states import Failure, FailureKind
from .peer import Peer
from .questions import Ask, SecretQuestion
from .secrets import Secret
from .vault import Need, Vault

_GATHER = 0.3


class SudoDesk:
    """The pool's: who waits at a prompt, and the one question for all of them. ask(): who is asked now, if anybody."""

    def __init__(self, reactor: Reactor, vault: Vault, ask: Callable[[], Ask | None]) -> None:
        self._reactor = reactor
        self._vault = vault
        self._who = ask
        self._waiting: dict[Sudo, str] = {}
        self._timer: Deadline | None = None
        self._open = False

    def wait(self, sudo: Sudo, need: Need) -> None:
        """A node waits at its prompt, for an answer or for the canary."""
        self._waiting[sudo] = need.subject
        if need.kind != "canary" and not self._open and (self._timer is None or not self._timer.active):
            self._timer = self._reactor.call_later(_GATHER, lambda: self._ask(need.subject))

    def leave(self, sudo: Sudo) -> None:
        """A command ended."""
        self._waiting.pop(sudo, None)

    def settled(self, need: Need) -> None:
        """The canary is done."""
        self._go_on(need.subject)

    def _ask(self, account: str) -> None:
        waiting = [sudo for sudo, subject in self._waiting.items() if subject == account]
        ask = self._who()
        if not waiting or ask is None:
            self._go_on(account)
            return
        user = account.removeprefix("sudo:")

        def done(answer: tuple[Secret, ...] | None) -> None:
            self._open = False
            if answer is None:
                self._vault.decline(account)
            else:
                self._vault.put(account, answer)
            self._go_on(account)

        self._open = True
        nodes = tuple(sudo.peer.config.node for sudo in waiting)
        prompts = ((f"[sudo] password for {user}: ", False),)
        ask(SecretQuestion(self._reactor, "sudo", account, prompts, nodes, done))

    def _go_on(self, account: str) -> None:
        for sudo, subject in list(self._waiting.items()):
            if subject == account:
                del self._waiting[sudo]
                sudo.answer()


class Sudo:
    """Stands between one command and its listener. `line` is what is sent; `filter` takes the marks out of the output.

    send(data): to the command's input, past what the operator has queued. passed(): sudo let the command through.
    refused(failure): there is no password, or it is wrong.
    """

    def __init__(
        self,
        peer: Peer,
        command: str,
        program: str,
        send: Callable[[bytes], None],
        passed: Callable[[], None],
        refused: Callable[[Failure], None],
    ) -> None:
        self.peer = peer
        self.account = f"sudo:{peer.config.user}"
        token = secrets.token_hex(12)
        self._prompt = f"cdk-sudo-{token}?".encode()
        self._mark = f"cdk-sudo-{token}!".encode()
        inner = f"printf %s {self._mark.decode()} >&2; {command}"
        self.line = f"{program} -S -p {self._prompt.decode()} -- /bin/sh -c {shlex.quote(inner)}"
        self._send = send
        self._passed = passed
        self._refused = refused
        self._since = peer.wanted_since
        self._pending: dict[bool, bytes] = {}
        self._prompt_on = True
        self._answered = self._line_end_due = False
        self.through = False

    def filter(self, data: bytes, is_error: bool) -> bytes:
        """Output without our marks; what could be the beginning of one is kept for the next piece."""
        if self.through:
            return data
        data = self._pending.pop(is_error, b"") + data
        if self._line_end_due and is_error is self._prompt_on:
            # sudo ends the line of the prompt itself once it has read the answer, which had no echo.
            self._line_end_due = False
            data = data.removeprefix(b"\n")
        for mark, seen in ((self._prompt, self._asked), (self._mark, self._let_through)):
            before, found, after = data.partition(mark)
            if found:
                data = before + after
                self._prompt_on = is_error
                seen()
        if self.through:
            return data
        held = _beginning(data, self._prompt)
        if held:
            self._pending[is_error] = data[-held:]
            data = data[:-held]
        return data

    def rest(self, is_error: bool) -> bytes:
        """What was kept back when the output ended."""
        return self._pending.pop(is_error, b"")

    def over(self) -> None:
        """The command has ended."""
        self.peer.pool.sudo.leave(self)
        if self._answered and not self.through:
            self.peer.pool.vault.settle(self.account, self.peer.config.node, None)

    def _asked(self) -> None:
        if self._answered:
            self.peer.pool.vault.settle(self.account, self.peer.config.node, False)
            self._fail("the password was rejected there")
            return
        self.answer()

    def answer(self) -> None:
        """Give the password, if it may be given now."""
        vault = self.peer.pool.vault
        verdict = vault.ask_for(self.account, self.peer.config.node, self._since)
        if verdict.need is not None:
            self.peer.pool.sudo.wait(self, verdict.need)
        elif verdict.secrets is None:
            self._fail(verdict.refusal or "no password was given")
        else:
            self._answered = self._line_end_due = True
            self._send(verdict.secrets[0].reveal().encode() + b"\n")

    def _let_through(self) -> None:
        self.through = True
        if self._answered:
            self.peer.pool.vault.settle(self.account, self.peer.config.node, True)
        self._passed()

    def _fail(self, why: str) -> None:
        self._refused(Failure(FailureKind.AUTHENTICATION, f"{self.peer.label}: sudo: {why}"))


def _beginning(data: bytes, mark: bytes) -> int:
    """How many bytes at the end of `data` could be the beginning of `mark` (the two marks differ in the last byte)."""
    for size in range(min(len(mark) - 1, len(data)), 0, -1):
        if mark.startswith(data[-size:]):
            return size
    return 0
