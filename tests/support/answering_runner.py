"""What runs the commands of node slots in tests: it answers by itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from clusterdeck.engine.states import NodeState
from clusterdeck.engine.taskmanager.jobs import CommandEnd


class AnsweringRunner:
    """Ends every command at once: `fail` ends with 1, `flaky` the first time only, `hold` waits for `release`."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, str]] = []
        self.held: list[Callable[[CommandEnd], None]] = []
        self.some_held = threading.Event()

    def run(
        self, node: str, slot: int, command: str, on_done: Callable[[CommandEnd], None], *, token: str | None = None
    ) -> Any:
        first = not any(command == before for _, before in self.ran)
        self.ran.append((node, command))
        if command.startswith("hold"):
            self.held.append(on_done)
            self.some_held.set()
        elif command.startswith("fail") or (command.startswith("flaky") and first):
            on_done(CommandEnd(NodeState.FAILED, 1, b"", b"no \x1b[2Jgood\n"))
        else:
            on_done(CommandEnd(NodeState.OK, 0, f"{node} ran {command}\n".encode()))
        return on_done

    def adopt(self, node: str, slot: int, token: str, on_done: Callable[[CommandEnd | None], None]) -> Any:
        on_done(None)

    def cancel(self, handle: Any) -> None:
        handle(CommandEnd(NodeState.ABORTED))

    def clean(self, nodes: Iterable[str]) -> None: ...

    def settle(self, timeout: float) -> bool:
        return True
