"""Which part of a line is coloured as what."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.document import Document

from clusterdeck.console.commands.catalogue import default_registry
from clusterdeck.console.repl.highlight import spans
from clusterdeck.console.repl.lexer import DeckLexer

REGISTRY = default_registry()


def parts(line: str) -> list[tuple[str, str]]:
    return [(line[span.start : span.end], span.kind) for span in spans(line, REGISTRY)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", []),
        ("# note", [("# note", "deck.comment")]),
        ("quit", [("quit", "deck.command")]),
        ("+node[1-3]", [("+", "deck.sign"), ("node[1-3]", "deck.nodes")]),
        ("-@web", [("-", "deck.sign"), ("@web", "deck.group")]),
        (":nope", [(":nope", "deck.unknown")]),
        (":shel", [(":shel", "deck.command")]),
        (":", [(":", "deck.command")]),
        ("!ls -l", [("!", "deck.sign"), ("ls", "shell.command"), ("-l", "deck.option")]),
    ],
)
def test_short_lines(line: str, expected: list[tuple[str, str]]) -> None:
    assert parts(line) == expected


def test_a_shell_line_shows_verbs_strings_variables_and_operators() -> None:
    found = parts("A=1 grep -r 'x y' $HOME | sort && echo \"done $?\"; ls # all")
    assert ("grep", "shell.command") in found
    assert ("sort", "shell.command") in found
    assert ("ls", "shell.command") in found
    assert ("-r", "deck.option") in found
    assert ("'x y'", "shell.string") in found
    assert ("$HOME", "shell.variable") in found
    assert ("&&", "shell.operator") in found
    assert ("# all", "deck.comment") in found


def test_a_console_command_shows_options_nodes_and_the_command_behind_them() -> None:
    found = parts(":shell -w @web,n[1-2] --nope -f 3 -- uname -r")
    assert found[0] == (":shell", "deck.command")
    assert ("-w", "deck.option") in found
    assert ("@web", "deck.group") in found
    assert ("--nope", "deck.unknown") in found
    assert ("uname", "shell.command") in found


def test_a_group_before_a_command() -> None:
    assert parts("@web uname") == [("@web", "deck.group"), ("uname", "shell.command")]


_LINES = st.one_of(
    st.text(max_size=60),
    st.lists(
        st.sampled_from(
            [":shell", ":nodes", ":timer 30s", "@web", "-w", "--", "n[1-3]", "'", '"', "\\", "|", "$x", "\n", ":"]
        ),
        max_size=8,
    ).map(" ".join),
)


@given(_LINES)
def test_any_text_is_coloured_without_overlap_and_without_loss(text: str) -> None:
    end = 0
    for span in spans(text, REGISTRY):
        assert end <= span.start <= span.end <= len(text)
        end = span.end
    rows = DeckLexer(REGISTRY).lex_document(Document(text))
    lines = text.split("\n")
    assert ["".join(piece[1] for piece in rows(number)) for number in range(len(lines))] == lines
