"""Regular expressions that an operator types, to be tried on lines that hostile nodes wrote.

Python's `re` tries every way of matching, and nothing can stop it while it does: `(a+)+$` on forty letters takes years.
So expressions in which a repeated group repeats something inside are refused, and of a line only the first LINE_LIMIT
characters are looked at.
"""

from __future__ import annotations

import re

#: A pattern is never tried on more of a line than this.
LINE_LIMIT = 4096
_REPEATS = frozenset("*+{")


def compile_pattern(expression: str, flags: re.RegexFlag = re.NOFLAG) -> re.Pattern[str]:
    """The compiled expression. Raises ValueError, with one line, for one that is wrong or could take for ever."""
    if _repeats_in_repeats(expression):
        raise ValueError("a repeated group inside a repeat could take for ever")
    try:
        return re.compile(expression, flags)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(str(error)) from None


def _repeats_in_repeats(expression: str) -> bool:
    """Whether a group that holds a repeat, at any depth, is repeated itself."""
    #: For each open group: whether there is a repeat in it.
    wild = [False]
    position = 0
    closed = False
    while position < len(expression):
        mark = expression[position]
        if mark in _REPEATS:
            if closed:
                return True
            wild[-1] = True
        closed = False
        if mark == "\\":
            position += 1
        elif mark == "[":
            position = _class_end(expression, position)
        elif mark == "(":
            wild.append(False)
        elif mark == ")" and len(wild) > 1:
            closed = wild.pop()
            wild[-1] = wild[-1] or closed
        position += 1
    return False


def _class_end(expression: str, start: int) -> int:
    """The place of the bracket that ends the character class which begins at `start`."""
    position = start + 1
    position += expression.startswith("^", position)
    position += expression.startswith("]", position)
    while position < len(expression) and expression[position] != "]":
        position += 1 + (expression[position] == "\\")
    return position
