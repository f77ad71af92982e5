"""Puts the full-screen console together around a session, and ends it properly whatever happens."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

from ..commands.catalogue import default_registry
from ..completion.names import NameCache
from ..interpreter.interpreter import Interpreter
from ..repl.history import DeckHistory
from ..repl.prompt import PromptParts, build_prompt
from ..session.group_files import forget_groups, loaded_groups
from ..settings import paths
from .app import ClusterdeckApp
from .frontend import TuiFrontEnd
from .hangup import HangupWatch

if TYPE_CHECKING:
    from ..session.session import Session

#: Signals after which the terminal must be left as it was found, and the exit code says which it was.
_ENDING = (signal.SIGHUP, signal.SIGTERM)
#: Seconds that the screen has to end by itself once its terminal has gone, and then the session.
_PATIENCE = 3.0


def make_app(session: Session) -> ClusterdeckApp:
    """The app with its interpreter and prompt."""
    front_end = TuiFrontEnd()
    registry = default_registry()
    interpreter = Interpreter(session, registry, front_end)
    colour = session.settings.screen.color != "never"

    def say(text: str) -> None:
        app.call_soon(lambda: app.tell(text))

    def stop_run() -> bool:
        """Ctrl-C at the prompt: only if something runs; in the prompt's thread, so it hands over."""
        if not session.runs.running:
            return False
        app.call_soon(app.action_interrupt)
        return True

    history = DeckHistory(paths.state_dir() / "history", session.settings.records.history_size, say)
    front_end.history = history
    parts = PromptParts(
        session,
        registry,
        history,
        stop_run,
        say,
        recording=lambda: interpreter.recorder.recording,
        color=colour,
        hosted=True,
        queue=interpreter.context.queue,
    )

    def make_prompt(input: Any, output: Any) -> Any:  # noqa: A002 - prompt_toolkit's own names
        return build_prompt(parts, input, output)

    app = ClusterdeckApp(
        session,
        front_end,
        registry,
        interpreter.execute,
        make_prompt,
        interrupt=interpreter.stop,
        groups=lambda: groups_of(session),
    )
    app.queue = interpreter.context.queue
    return app


def groups_of(session: Session) -> dict[str, list[str]]:
    """Groups of the settings and of groups.conf with their nodes, for the tree; may wait for group programs."""
    resolver = loaded_groups()
    forget_groups(resolver)
    NameCache.of(session).forget()
    names = list(session.settings.group_sets) + [name for name in resolver.grouplist() if name != "all"]
    return {name: [str(node) for node in session.resolve(f"@{name}")] for name in dict.fromkeys(names)}


async def _run(app: ClusterdeckApp) -> int | None:
    loop = asyncio.get_running_loop()
    if threading.current_thread() is threading.main_thread():
        for number in _ENDING:
            loop.add_signal_handler(number, app.end, 128 + number)
    try:
        return await app.run_async()
    finally:
        if threading.current_thread() is threading.main_thread():
            for number in _ENDING:
                loop.remove_signal_handler(number)


def run(session: Session) -> int:
    """The full-screen console on a session; returns the exit code. Raises what was a mistake in the screen."""
    app = make_app(session)

    def last_resort() -> None:
        session.close(_PATIENCE)
        os._exit(128 + signal.SIGHUP)

    with HangupWatch(sys.__stdin__.fileno() if sys.__stdin__ else -1, _PATIENCE, last_resort):
        result = asyncio.run(_run(app))
    if app._exception is not None and not os.environ.get("CLUSTERDECK_DEBUG"):
        raise app._exception
    if result is None:
        result = app.return_code or 0
    return result
