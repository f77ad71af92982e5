"""Whatever is typed comes to a result or to one clear error: never a traceback, never half a command."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from clusterdeck.console.commands.catalogue import default_registry
from clusterdeck.console.interpreter.interpreter import Interpreter
from clusterdeck.tests.support.fake_session import Answered, FakeFrontEnd, FakeSession

REGISTRY = default_registry()
#: They wait for time to pass, which is tested elsewhere.
_WAITING = (":wait", ":until", "until")
_SPACED = """
' " \\ -- - @ @@ @* @failed @run:1 @run:1:ok @rc: @rc:1 web[1-4] web[ n[1- n[9-1] [ + & ! ? = quit 0 1 -1 1e9 0s inf nan
99999999999999999999 1ms 100d 9999999d % 100% 101% all rest 1,rest {x} {x:raw} $( ` a=b out:/(/ out:/a/ ok>= ok==all / ~
.. . # #1 * web* @web, @web!web1 @web&db1 @a:b @: @a:* : :: true false auto
"""
_AWKWARD = [*_SPACED.split(), "", "\x1b[2J", "\0", "\u202e", "\u00e9", "\ud800", "\n", "\t", "x" * 5000]


def _vocabulary() -> tuple[list[str], list[str]]:
    commands, words = [], list(_AWKWARD)
    for spec in REGISTRY:
        names = [f":{word}" for word in (spec.word, *spec.aliases)]
        commands += [name for name in names if name not in _WAITING]
        for option in spec.options:
            words += [*option.flags, *option.choices]
        for argument in spec.arguments:
            words += argument.choices
        words += [word for line, _ in spec.examples for word in line.split() if not word.startswith(_WAITING)]
    return commands, sorted(set(words))


COMMANDS, WORDS = _vocabulary()


def _line(dice: random.Random) -> str:
    words = [dice.choice(WORDS) for _ in range(dice.randint(0, 6))]
    if dice.random() < 0.85:
        return " ".join([dice.choice(COMMANDS), *words])
    return dice.choice(("", ":", "@", "!", "+")) + dice.choice((" ", "  ", "")).join(words)


@pytest.mark.parametrize("seed", range(8))
def test_random_lines_never_break_the_console(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STATE", "CONFIG", "CACHE"):
        monkeypatch.setenv(f"CLUSTERDECK_{name}_DIR", str(tmp_path / name.lower()))
    monkeypatch.chdir(tmp_path)
    dice = random.Random(seed)
    for _ in range(50):
        session = FakeSession(lambda _command, _node: Answered("out", rc=dice.choice((0, 0, 1))))
        front_end = FakeFrontEnd(agree=dice.random() < 0.7)
        interpreter = Interpreter(session, REGISTRY, front_end)
        for _ in range(8):
            line = _line(dice)
            if any(word in line for word in _WAITING):
                continue
            calls = len(session.calls)
            outcome = interpreter.execute(line)
            shown = [text for document in front_end.documents for text in (document.title, *document.lines)]
            assert "internal error" not in "\n".join(shown), line
            assert all(text.replace("\n", "").replace("\t", "").isprintable() for text in shown), line
            errors = [document for document in front_end.documents if document.level == "error"]
            if outcome.code == 2:
                assert len(errors) == 1, line
                assert len(session.calls) == calls, f"refused, and yet something was done: {line}"
            front_end.documents.clear()
