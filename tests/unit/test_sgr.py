"""Colours of node output become values; no escape comes through."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clusterdeck.engine.sgr import PLAIN, Span, TextStyle, styled_line
from clusterdeck.engine.text import clean_line


@pytest.mark.parametrize(
    ("line", "spans"),
    [
        (b"plain", [Span("plain", PLAIN)]),
        (b"\x1b[31mred\x1b[0m off", [Span("red", TextStyle(foreground=1)), Span(" off", PLAIN)]),
        (b"\x1b[1;4;93;44mx", [Span("x", TextStyle(foreground=11, background=4, bold=True, underline=True))]),
        (b"\x1b[38;5;200mx\x1b[39my", [Span("x", TextStyle(foreground=200)), Span("y", PLAIN)]),
        (b"\x1b[48:2:1:2:999mx", [Span("x", TextStyle(background=(1, 2, 255)))]),
        (b"\x1b[38;2mx", [Span("x", TextStyle(foreground=(0, 0, 0)))]),
        (b"\x1b[mx", [Span("x", PLAIN)]),
        (b"\x1b[5;8mx", [Span("x", PLAIN)]),
        (b"\x1b[1mx\x1b[22my", [Span("x", TextStyle(bold=True)), Span("y", PLAIN)]),
        (b"\x1b[31m\x1b[2J\x1b]0;t\x07x", [Span("x", TextStyle(foreground=1))]),
        (b"", []),
    ],
)
def test_spans(line: bytes, spans: list[Span]) -> None:
    assert styled_line(line) == spans


@given(st.lists(st.sampled_from([b"\x1b[", b"31", b";", b"m", b"\x1b", b"a", b"\xc2\x9b", b"38;5;", b"]0;", b"\x07"])))
def test_nothing_but_text_comes_through(pieces: list[bytes]) -> None:
    text = "".join(span.text for span in styled_line(b"".join(pieces)))
    assert all(c.isprintable() for c in text)


@given(
    st.lists(
        st.sampled_from(
            ["a", "日本", "\t", "é", "\x1b[31m", "\x1b[m", "\x07", "\x1b[2K", "\r", "x\ny", "\x1b]0;t\x07", "\x9b"]
        ),
        max_size=20,
    )
)
@example(["x", "\r", "\x1b[31m", "a"])
def test_the_texts_joined_are_what_the_gate_shows(pieces: list[str]) -> None:
    line = "".join(pieces).rstrip("\r").encode()
    assert "".join(span.text for span in styled_line(line)) == clean_line(line)


def test_marks_cannot_be_stacked_by_colours_between_them() -> None:
    line = ("a" + "\u0301\u0301\u0301\u0301\x1b[31m" * 20 + "b").encode()
    assert styled_line(line) == [Span(clean_line(line), PLAIN)]
    assert clean_line(line).count("\u0301") < 20
