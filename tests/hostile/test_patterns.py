"""Expressions of the operator on lines that were made to stop them: each is refused, or done in some milliseconds."""

from __future__ import annotations

import random
import re
import time

import pytest

from clusterdeck.engine.patterns import compile_pattern
from clusterdeck.widgets.filter_model import _in_order

EVIL = [
    "(a|a)*$",
    "(a|aa)+$",
    "(a|b|ab)*c",
    "(a?b?)*c",
    "(.*)*x",
    r"(\w+\s?)*x",
    r"^(\d+)*$",
    "((a*)*)*",
    "(?:a|a)*?b",
    "(a*?)*?b",
    "(?=(a+)+)b",
    "a*" * 6 + "b",
    ".*" * 8 + "x",
    "a?" * 40 + "a" * 40,
    r"(a*)(b*)(c*)(d*)(e*)(f*)\1\2x",
    "(a{1,9}){1,9}b",
    "(x+x+)+y",
    r"([a-z]+)*\d",
    ".*a.*a.*a.*b",
    "a*a*a*b",
    ".*error.*disk",
    "a+b",
    ".*x",
    r"\s+$",
    r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}",
    "(foo|foobar)baz",
]
LINES = ["a" * 20_000, "ab" * 10_000, " " * 20_000, "1." * 10_000, "x" * 20_000, "error " * 4000, "foo" * 6000]


@pytest.mark.parametrize("expression", EVIL)
def test_no_expression_stops_the_screen(expression: str) -> None:
    try:
        pattern = compile_pattern(expression)
    except ValueError:
        with pytest.raises(ValueError, match="for ever"):
            compile_pattern(expression)
        return
    for line in LINES:
        for text in (line, f"{line}!"):
            begun = time.process_time()
            pattern.search(text)
            sum(1 for _ in pattern.finditer(text))
            assert time.process_time() - begun < 0.5, f"{expression} took {time.process_time() - begun:.1f} s"


def test_expressions_put_together_at_random() -> None:
    """None of them takes longer, whatever the reckoning overlooked."""
    made = random.Random(7)
    parts = ["a", "b", ".", r"\w", "[ab]", "(a|b)", "(ab|a)", "(a)", "^", "$", r"\b", "(?:b|ab)", "a|b", "(?=a)"]
    taken = 0
    for _ in range(250):
        expression = "".join(
            made.choice(parts) + made.choice(["", "", "*", "+", "?", "*?", "{2}", "{1,5}", "{3,}"])
            for _ in range(made.randint(1, 8))
        )
        if made.random() < 0.3:
            expression = f"({expression}){made.choice('*+?')}b"
        try:
            re.compile(expression)
        except re.error:
            continue
        try:
            pattern = compile_pattern(expression)
        except ValueError:
            continue
        taken += 1
        begun = time.process_time()
        for line in ("a" * 5000, "ab" * 2500, "aab" * 1500 + "c"):
            pattern.search(line)
        assert time.process_time() - begun < 1.0, expression
    assert taken > 60, "most expressions are harmless, and stay possible"


def test_letters_in_order() -> None:
    """What is typed into the filter, on names that a group program chose."""
    begun = time.process_time()
    assert not _in_order("a" * 100 + "b", "a" * 253)
    assert time.process_time() - begun < 0.05
    assert _in_order("nd7", "node17")
    assert not _in_order("7nd", "node17")
