"""Questions in a plain terminal: what counts as an answer, and that secrets are neither shown nor remembered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

from clusterdeck.console.frontend import Answer, Confirmation, Question
from clusterdeck.console.repl.printer import Paint
from clusterdeck.console.repl.questions import SHOWN_ROWS, Asker, chosen
from clusterdeck.console.repl.terminal import Terminal

CHOICES = ("accept", "refuse")


@pytest.mark.parametrize(
    ("text", "more", "expected"),
    [
        ("accept", False, "accept"),
        ("ACC", False, "accept"),
        ("r", False, "refuse"),
        ("", False, None),
        ("yes", False, None),
        ("accept all", False, None),
        ("accept node[1-3]", True, "accept node[1-3]"),
        ("a  n1 ", True, "accept n1"),
    ],
)
def test_what_counts_as_a_choice(text: str, more: bool, expected: str | None) -> None:
    assert chosen(text, CHOICES, more=more) == expected


def test_a_beginning_that_fits_two_choices_is_none() -> None:
    assert chosen("re", ("retry", "refuse")) is None
    assert chosen("retry", ("retry", "retry all")) == "retry"


class Typist(Terminal):
    """A terminal at which `typed` is pressed once a question is on the screen."""

    def __init__(self, pipe: PipeInput, typed: str) -> None:
        self.written: list[str] = []
        super().__init__(pipe, DummyOutput(), out=self.written.append)
        self.pipe, self.typed = pipe, typed

    def drop_typeahead(self) -> None:
        super().drop_typeahead()
        self.pipe.send_text(self.typed)


@contextmanager
def asker(typed: str) -> Iterator[tuple[Asker, Typist]]:
    with create_pipe_input() as pipe:
        terminal = Typist(pipe, typed)
        yield Asker(terminal, Paint(False)), terminal


@pytest.mark.parametrize(
    ("typed", "expected"),
    [("y\r", True), ("YES\r", True), ("\r", False), ("n\r", False), ("yy\r", False), ("\x03", False), ("\x04", False)],
)
def test_only_a_yes_is_a_yes(typed: str, expected: bool) -> None:
    with asker(typed) as (asks, terminal):
        assert asks.confirm(Confirmation("reboot 3 nodes", ("nodes   n[1-3] (3)",), 3)) is expected
    assert "".join(terminal.written).splitlines() == ["reboot 3 nodes", "  nodes   n[1-3] (3)"]


@pytest.mark.parametrize(("typed", "expected"), [("128\r", True), ("y\r", False), ("127\r", False), ("\r", False)])
def test_what_has_to_be_typed_has_to_be_typed(typed: str, expected: bool) -> None:
    with asker(typed) as (asks, _):
        assert asks.confirm(Confirmation("reboot", (), 128, typed="128")) is expected


def test_a_secret_is_answered_and_never_shown() -> None:
    with asker("hunter2\r") as (asks, terminal):
        answer = asks.ask(Question("password of root", "secret", (("root", "n1"),), secret=True))
    assert answer == Answer(text="hunter2")
    assert "hunter2" not in repr(answer)
    assert "hunter2" not in "".join(terminal.written)


@pytest.mark.parametrize("typed", ["\x03", "\x04"])
def test_giving_up_is_no_answer(typed: str) -> None:
    with asker(typed) as (asks, _):
        assert asks.ask(Question("password", "secret", secret=True)) is None
        assert asks.ask(Question("keys", "host-keys", choices=CHOICES)) is None


def test_host_keys_can_be_accepted_for_some_nodes() -> None:
    rows = tuple((f"n{number}", "10.0.0.1", "ed25519", "SHA256:x") for number in range(SHOWN_ROWS + 7))
    with asker("accept n[1-2]\r") as (asks, terminal):
        assert asks.ask(Question("unknown keys", "host-keys", rows, CHOICES)) == Answer(choice="accept n[1-2]")
    assert "  ... and 7 more" in "".join(terminal.written).splitlines()


def test_other_peoples_text_in_a_question_is_harmless() -> None:
    with asker("\r") as (asks, terminal):
        asks.ask(Question("t\x1b[2J", "host-keys", (("n1\x1b]0;x\x07", "\u202e"), ("n2", "b", "a note")), CHOICES))
    assert all(line.isprintable() for line in "".join(terminal.written).splitlines())
    assert "a note" in "".join(terminal.written)
