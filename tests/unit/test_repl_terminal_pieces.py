"""Long text goes above the prompt in pieces; the prompt is drawn between two of them."""

from __future__ import annotations

import pytest
from prompt_toolkit import PromptSession
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import DummyOutput

from clusterdeck.console.repl.terminal import PIECE, Terminal, _pieces


@pytest.mark.parametrize(
    "text",
    ["", "one\n", "no end", "x\n" * PIECE, "x" * (3 * PIECE) + "\nend\n", "line of text\n" * 5000 + "no end"],
)
def test_no_piece_ends_inside_a_line(text: str) -> None:
    pieces = list(_pieces(text))
    assert "".join(pieces) == text
    assert all(piece.endswith("\n") for piece in pieces[:-1])
    longest = max(map(len, text.split("\n")))
    assert all(len(piece) <= PIECE + longest + 1 for piece in pieces)


def test_a_key_that_fails_is_told_and_the_prompt_goes_on() -> None:
    keys = KeyBindings()

    @keys.add("c-t")
    def _broken(_event: KeyPressEvent) -> None:
        raise ZeroDivisionError("boom")

    failures: list[BaseException] = []
    with create_pipe_input() as typed:

        def failed(error: BaseException) -> None:
            failures.append(error)
            typed.send_text("k\r")

        terminal = Terminal(typed, DummyOutput(), failed=failed)
        session: PromptSession[str] = PromptSession("> ", key_bindings=keys, input=typed, output=DummyOutput())
        typed.send_text("o\x14")
        assert terminal.ask(session) == "ok"
    assert [str(error) for error in failures] == ["boom"]
