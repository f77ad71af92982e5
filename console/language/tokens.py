"""Words of a command line, with quotes and backslashes as in a POSIX shell, and where each word stands."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

BLANKS = " \t\r\n"
_ESCAPED_IN_DOUBLE = '$`"\\'
_NEEDS_QUOTES = set(BLANKS + "'\"\\")


class LanguageError(ValueError):
    """A line that is not understood. column: where, counted in characters from 0; remedy: what would be right."""

    def __init__(self, message: str, column: int = 0, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.column = column
        self.remedy = remedy

    def explain(self, line: str) -> list[str]:
        """The line, a caret under the place, and the message with its remedy; the line is not cleaned."""
        column = min(max(self.column, 0), len(line))
        start = line.rfind("\n", 0, column) + 1
        shown = line[start:].partition("\n")[0].expandtabs(1)
        text = f"{self.message}: {self.remedy}" if self.remedy else self.message
        return [shown, " " * _cells(line[start:column]) + "^", text]


def _cells(text: str) -> int:
    """Columns that a terminal gives the text, so that a caret under it stands right."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


@dataclass(frozen=True, slots=True)
class Token:
    """A word: its text without quotes, and its place in the line (end is exclusive).

    quote: the quote that is still open at its end ("" when it is complete), only from `token_at(..., open_end=True)`.
    """

    text: str
    start: int
    end: int
    quote: str = ""


def skip_blanks(line: str, position: int) -> int:
    """The place of the first character from `position` on that is not blank; a backslash before a line end is."""
    while position < len(line):
        if line[position] in BLANKS:
            position += 1
        elif line.startswith("\\\n", position):
            position += 2
        else:
            break
    return position


def token_at(line: str, position: int, *, open_end: bool = False) -> Token | None:
    """The first word from `position` on, None at the end of the line.

    Raises LanguageError for a quote that is never closed and a backslash at the very end, unless `open_end`.
    """
    start = position = skip_blanks(line, position)
    if position >= len(line):
        return None
    text: list[str] = []
    while position < len(line) and line[position] not in BLANKS:
        mark = line[position]
        if mark in "'\"":
            opened = position
            position, part, closed = _quoted(line, position)
            text.append(part)
            if not closed:
                if open_end:
                    return Token("".join(text), start, position, mark)
                name = "single" if mark == "'" else "double"
                raise LanguageError(f"this {name} quote is never closed", opened, f"add a {mark} where it should end")
        elif mark == "\\":
            if position + 1 >= len(line):
                if open_end:
                    return Token("".join(text), start, position + 1)
                raise LanguageError(
                    "a backslash at the end of the line quotes nothing", position, "remove it or quote it"
                )
            if line[position + 1] != "\n":
                text.append(line[position + 1])
            position += 2
        else:
            text.append(mark)
            position += 1
    return Token("".join(text), start, position)


def _quoted(line: str, position: int) -> tuple[int, str, bool]:
    """The quoted part that begins at `position`: where it ends, its text, whether it was closed."""
    mark = line[position]
    position += 1
    text: list[str] = []
    while position < len(line):
        character = line[position]
        if character == mark:
            return position + 1, "".join(text), True
        if mark == '"' and character == "\\" and position + 1 < len(line):
            following = line[position + 1]
            if following == "\n":
                position += 2
                continue
            if following in _ESCAPED_IN_DOUBLE:
                text.append(following)
                position += 2
                continue
        text.append(character)
        position += 1
    return position, "".join(text), False


def tokens(line: str, position: int = 0) -> list[Token]:
    """All words from `position` on. Raises LanguageError as `token_at` does."""
    found: list[Token] = []
    while (token := token_at(line, position)) is not None:
        found.append(token)
        position = token.end
    return found


def quote(text: str) -> str:
    """`text` as one word of a command line; quotes only where they are needed."""
    if text and not _NEEDS_QUOTES.intersection(text):
        return text
    if "'" not in text:
        return f"'{text}'"
    if not set(_ESCAPED_IN_DOUBLE).intersection(text):
        return f'"{text}"'
    return "'" + text.replace("'", "'\\''") + "'"
