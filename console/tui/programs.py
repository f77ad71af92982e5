"""Texts handed to $PAGER and $EDITOR, with the screen handed over meanwhile."""

from __future__ import annotations

import asyncio
import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress
from functools import partial
from itertools import chain
from pathlib import Path
from typing import IO, Any, Protocol

from ...engine.text import sanitize_text
from ...widgets.background import Background
from ...widgets.text_rows import SLOW_DISK, TOLD_AFTER
from ...widgets.texts import Texts


class Host(Protocol):
    """What is needed of the app."""

    def suspend(self) -> AbstractContextManager[Any]: ...

    def batch_update(self) -> AbstractContextManager[Any]: ...

    def tell(self, text: str, level: str = "information") -> None: ...


class Programs:
    """Of one app; UI thread only. Files are made, written, read and removed in a thread that may wait for a disk."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._disk = Background("program")

    async def show(self, read: Callable[[], Iterable[Texts]], program: str) -> None:
        """Show lines in $PAGER or $EDITOR."""
        sheet = Sheet(".txt")
        try:
            # Models may be looked at in this thread only, disks in another one only: a piece at a time.
            if await self._written(sheet, read()):
                await self.run_on(_command(program), sheet.name)
        finally:
            self._disk.submit(sheet.remove, _nothing)

    async def edit(self, text: str, suffix: str) -> str | None:
        """The text after $EDITOR; None when it failed, which is told."""
        sheet = Sheet(suffix)
        try:
            if not await self._written(sheet, [Texts([text])], end="") or not await self.run_on(
                _command("editor"), sheet.name
            ):
                return None
            edited, problem = await self._disk.result(sheet.read)
            if problem:
                self._host.tell(f"what was edited cannot be read: {sanitize_text(problem)}", "error")
            return edited
        finally:
            self._disk.submit(sheet.remove, _nothing)

    async def _written(self, sheet: Sheet, pieces: Iterable[Texts], end: str = "\n") -> bool:
        """Write all pieces; False when that failed, which is told."""
        late = asyncio.get_running_loop().call_later(TOLD_AFTER, self._host.tell, f"{SLOW_DISK} it is shown then.")
        try:
            for texts in chain([Texts()], pieces):  # the file is there even if nothing is in it
                if problem := await self._disk.result(partial(sheet.write, texts, end)):
                    self._host.tell(f"nothing to show: {sanitize_text(problem)}", "error")
                    return False
        finally:
            late.cancel()
        return True

    async def run_on(self, command: list[str], name: str) -> bool:
        """Run a program on a file, with the terminal to itself; False when it failed, which is told."""
        host = self._host
        problem = ""
        try:
            # The loop goes on meanwhile, so that the session is drained; batch_update keeps it from painting.
            with host.suspend(), host.batch_update():
                problem = await asyncio.to_thread(_run, [*command, name])
        except Exception as error:
            problem = str(error) or type(error).__name__
        if problem:
            host.tell(f"{sanitize_text(command[0])}: {sanitize_text(problem)}", "error")
        return not problem


class Sheet:
    """A temporary file, made with the first text. One thread at a time; every call may wait for a disk."""

    def __init__(self, suffix: str) -> None:
        self._suffix = suffix
        self._file: IO[str] | None = None
        self.name = ""

    def write(self, texts: Texts, end: str = "\n") -> str:
        """Add some texts, each with its end; what went wrong, or ""."""
        try:
            if self._file is None:
                self._file = tempfile.NamedTemporaryFile(  # noqa: SIM115 - closed by `remove`
                    "w", prefix="clusterdeck-", suffix=self._suffix, encoding="utf-8", delete=False
                )
                self.name = self._file.name
            self._file.writelines(f"{text}{end}" for text in texts())
            self._file.flush()
        except OSError as error:
            return error.strerror or str(error)
        return ""

    def read(self) -> tuple[str | None, str]:
        """What is in the file now (an editor may have put another one in its place), or what went wrong."""
        try:
            return Path(self.name).read_text("utf-8", "replace"), ""
        except OSError as error:
            return None, error.strerror or str(error)

    def remove(self) -> None:
        """Nobody needs it any more."""
        if self._file is not None:
            with suppress(OSError):  # a full disk cannot take what is left to be written
                self._file.close()
            with suppress(OSError):
                os.unlink(self.name)


def _run(command: list[str]) -> str:
    try:
        code = subprocess.run(command, check=False).returncode
    except OSError as error:
        return error.strerror or str(error)
    return f"ended with {code}" if code else ""


def _command(program: str) -> list[str]:
    """$PAGER, or $VISUAL or $EDITOR, as words of a command line."""
    if program == "editor":
        return shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "") or ["vi"]
    return shlex.split(os.environ.get("PAGER") or "") or ["less"]


def _nothing(_answer: object) -> None:
    """For jobs that have no answer."""
