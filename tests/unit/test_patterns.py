"""Regular expressions of the operator: what could take for ever is refused, everything else works."""

from __future__ import annotations

import pytest

from clusterdeck.engine.patterns import compile_pattern


@pytest.mark.parametrize(
    "expression", ["(a+)+", "(a*)*$", "((a+))+", "(x(a{2,})y)*", "(a+){2,}", r"([)]+)*", "(?:a+|b)*"]
)
def test_repeats_in_repeats_are_refused(expression: str) -> None:
    with pytest.raises(ValueError, match="for ever"):
        compile_pattern(expression)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("a+b*", "aab"),
        ("(ab|cd)+", "cdab"),
        ("(a+)?b", "aab"),
        (r"(\+)+", "++"),
        ("([*+])+", "*+"),
        ("([]+])+", "]+"),
        (r"([^\]+])+", "x"),
        ("(a)(b+)", "ab"),
        ("^inactive$", "inactive"),
    ],
)
def test_what_ends_in_time_is_taken(expression: str, text: str) -> None:
    assert compile_pattern(expression).search(text)


@pytest.mark.parametrize("expression", ["(", "a{99999999999}", "[", "*", "(?P<", "\\"])
def test_what_is_wrong_is_one_line(expression: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the text is Python's own)
        compile_pattern(expression)
    assert "\n" not in str(caught.value)
