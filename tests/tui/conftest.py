"""Async tests of the screen run in a loop of their own; nothing of the operator's configuration reaches them."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path

import pytest

from clusterdeck.console.tui import key_order


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run `async def` tests; no plugin is needed for that."""
    if not inspect.iscoroutinefunction(pyfuncitem.function):
        return None
    wanted = inspect.signature(pyfuncitem.function).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in wanted}
    asyncio.run(pyfuncitem.function(**arguments))
    return True


@pytest.fixture(autouse=True)
def _own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No keymap, theme or history of whoever runs the tests; colours and animation as by default.

    And a key waits for the one before however slow the machine is.
    """
    monkeypatch.setattr(key_order, "PATIENCE", 30.0)
    for name in ("CONFIG", "STATE", "CACHE"):
        monkeypatch.setenv(f"CLUSTERDECK_{name}_DIR", str(tmp_path / name.lower()))
    for name in ("NO_COLOR", "SSH_CONNECTION", "TEXTUAL_THEME", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
