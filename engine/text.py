"""The gate: makes the bytes that a node sent safe to show.

Nothing that a node, a server or a group program said reaches a screen, a prompt, a title or a log before it went
through here. The raw bytes stay in the store; only shown text is changed.
"""

from __future__ import annotations


def sanitize(data: bytes) -> str:
    """Display text of a whole piece of output: valid UTF-8 kept, anything a terminal would obey taken out."""
    return sanitize_text(data.decode("utf-8", "replace"))


def sanitize_text(text: str) -> str:
    """The same for text that is already decoded (names, messages of exceptions)."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def clean_line(data: bytes) -> str:
    """One line, without line ends or tabs: `sanitize` with every newline shown as a visible mark."""
    return sanitize(data).replace("\n", "\N{SYMBOL FOR NEWLINE}").replace("\t", "    ")
