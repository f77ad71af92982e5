"""Where macros live, and which of them the operator has agreed to.

A macro of the user's own folder or of the package plays at once. Any other one is shown and asked about before its
first playing and after every change; what was agreed to is remembered by its text.
"""

from __future__ import annotations

import difflib
import json
import sys
from pathlib import Path

from ...engine.text import sanitize_text
from ..exits import ExitCode
from ..frontend import Confirmation, FrontEnd
from ..interpreter.context import CommandError
from ..language.registry import Registry
from ..settings import paths
from ..settings.trust import MAX_BYTES, TrustError, read_trusted
from .macros import SUFFIX, Macro, MacroError, find_file, parse_macro

EXAMPLES = Path(__file__).parent.parent / "examples"
_KEPT_TEXT = 64 * 1024


def folders() -> list[Path]:
    """Folders that bare macro names are looked up in, in order: the user's own, then the examples."""
    return [paths.macros_dir(), EXAMPLES]


def known() -> dict[str, Path]:
    """Macros that have a bare name: name -> file, the user's own before an example of the same name."""
    found: dict[str, Path] = {}
    for folder in reversed(folders()):
        try:
            files = sorted(folder.glob(f"*{SUFFIX}"))
        except OSError:
            continue
        found.update({file.stem: file for file in files})
    return dict(sorted(found.items()))


#: The name of standard input, for front ends whose lines do not come from there.
STDIN = "-"


def load(name: str, registry: Registry) -> tuple[Macro, Path]:
    """Find, read and check a macro. Raises CommandError (there is none, not trusted) and MacroError (it is wrong)."""
    if name == STDIN:
        return _from_stdin(registry), Path(STDIN)
    file = find_file(name, folders())
    if file is None:
        near = difflib.get_close_matches(name, list(known()), 1, 0.5)
        remedy = f"did you mean {near[0]}?" if near else ":macros lists those with a name"
        raise CommandError(f"there is no macro {name!a}", remedy, code=ExitCode.USAGE, argument="file")
    try:
        text = read_trusted(file)
    except TrustError as error:
        raise CommandError(sanitize_text(str(error)), code=ExitCode.REFUSED, argument="file") from error
    except OSError as error:
        message = sanitize_text(f"cannot read {file}: {error.strerror or error}")
        raise CommandError(message, code=ExitCode.ERROR, argument="file") from error
    return parse_macro(text, sanitize_text(file.name), registry), file


def _from_stdin(registry: Registry) -> Macro:
    data = sys.stdin.buffer.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise CommandError(f"standard input holds more than {MAX_BYTES} bytes", code=ExitCode.USAGE, argument="file")
    return parse_macro(data.decode("utf-8", "replace"), "stdin", registry)


def agree(macro: Macro, file: Path, front_end: FrontEnd) -> None:
    """Make sure the operator has seen this text of the macro. Raises CommandError (REFUSED)."""
    if file == Path(STDIN):
        return
    real = file.resolve()
    if any(real.is_relative_to(folder.resolve()) for folder in folders()):
        return
    book = _TrustBook()
    before = book.get(real)
    if before is not None and before.get("sha256") == macro.digest:
        return
    lines = tuple(sanitize_text(line) for line in _shown(macro, before))
    title = f"{sanitize_text(str(real))} has changed" if before else f"{sanitize_text(str(real))} is new to you"
    if not front_end.confirm(Confirmation(f"{title}: play it?", lines, required=True)):
        if front_end.interactive:
            raise CommandError(f"not played: {title}", "it was not agreed to", code=ExitCode.REFUSED)
        remedy = f"play it once where you can be asked, or move it to {paths.macros_dir()}"
        raise CommandError(title, remedy, code=ExitCode.REFUSED)
    book.put(real, macro)


def _shown(macro: Macro, before: dict[str, str] | None) -> list[str]:
    new = macro.text.splitlines()
    old = (before or {}).get("text")
    if old is None:
        return new
    return list(difflib.unified_diff(old.splitlines(), new, "agreed to", "now", lineterm=""))


class _TrustBook:
    """The state file of agreed macros: real path -> digest and text."""

    def __init__(self) -> None:
        self._file = paths.state_dir() / "macros.json"

    def _read(self) -> dict[str, dict[str, str]]:
        try:
            content = json.loads(paths.read_private(self._file))
        except (OSError, ValueError):
            # A lost or broken book only means that macros are asked about once more.
            return {}
        if not isinstance(content, dict):
            return {}
        return {key: value for key, value in content.items() if isinstance(value, dict)}

    def get(self, real: Path) -> dict[str, str] | None:
        """What was agreed to for that file."""
        return self._read().get(str(real))

    def put(self, real: Path, macro: Macro) -> None:
        """Remember the macro as it is now."""
        content = self._read()
        content[str(real)] = {"sha256": macro.digest, "text": macro.text[:_KEPT_TEXT]}
        try:
            paths.write_private(self._file, json.dumps(content, indent=1))
        except OSError as error:
            message = sanitize_text(f"cannot remember that {real} was agreed to: {error.strerror or error}")
            raise CommandError(message, code=ExitCode.ERROR) from error


__all__ = ["EXAMPLES", "MacroError", "agree", "folders", "known", "load"]
