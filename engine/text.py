"""The gate: makes what a node sent safe to show.

Nothing that a node, a server or a group program said reaches a screen, a prompt, a title or a log before it went
through here. Raw bytes stay in the store; only shown text is changed. The rules:

* escape sequences that are well formed (CSI, OSC, DCS, APC, PM, SOS and two-byte ones, in the 7-bit form and in the
  8-bit form as a UTF-8 terminal reads it) are taken out;
* every other control character becomes a visible picture, so that nothing is hidden: a lone ESC is shown, and a lone
  carriage return cannot overprint what stands before it;
* characters that reorder or hide text (bidirectional controls, zero-width ones, tags) become `<U+202E>`; variation
  selectors, on whose width terminals disagree, are taken out;
* of marks that stand on one character eight are shown, and U+FFFD for the rest;
* bytes that are not UTF-8 become U+FFFD; newline and tab are kept.

The result never holds a C0, DEL or C1 control character but newline and tab. All functions are pure and thread-safe.
Sequences as in ECMA-48 and xterm's ctlseqs.
"""

from __future__ import annotations

import codecs
import re
import unicodedata

#: What needs no work: the whole of a line of plain ASCII output, nearly always.
_PLAIN = re.compile(rb"[\x20-\x7e\n\t]*\Z")

# A control string may hold anything but a terminator, a line end or another introducer: so each character is looked
# at once, however many strings are begun and never ended.
_STRING_BODY = "[^\\x07\\x1b\\x80-\\x9f\\n]{0,65536}"
_SEQUENCE = (
    "(?:\\x1b\\[|\\x9b)[0-?]{0,256}[ -/]{0,16}[@-~]"  # CSI: parameters, intermediates, final
    f"|(?:\\x1b[\\]P^_X]|[\\x9d\\x90\\x9e\\x9f\\x98]){_STRING_BODY}(?:\\x07|\\x1b\\\\|\\x9c)"  # OSC DCS PM APC SOS
    "|\\x1b[ -/]{1,3}[0-~]"  # nF: character sets and the like
    "|\\x1b[0-OQ-WYZ\\\\`-~]"  # Fp, Fe and Fs: two bytes; those that open a string or CSI are left out
)
_CONTROL = "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f]"
_DECEPTIVE = (
    "[\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u3164\\ufe00-\\ufe0f\\ufeff"
    "\\uffa0\\ufff0-\\ufffb\\ud800-\\udfff\\U00013430-\\U0001343f\\U0001bca0-\\U0001bca3\\U0001d173-\\U0001d17a\\U000e0000-\\U000e0fff]"
)
_UNSAFE = re.compile(f"{_SEQUENCE}|{_CONTROL}|{_DECEPTIVE}")
#: Where marks could be stacked: runs of more characters beyond ASCII than may stand on one.
_MARKS_SHOWN = 8
_STACK = re.compile(f"[^\\x00-\\x7f]{{{_MARKS_SHOWN + 1},}}")
_CARRIAGE_RETURNS = re.compile("(?<!\\r)\\r++(?=\\n|\\Z)")

#: A sequence that a later chunk may complete: only what stands at the very end and is not too long to wait for.
_UNFINISHED = re.compile(
    "(?:\\x1b\\[|\\x9b)[0-?]{0,256}[ -/]{0,16}\\Z"
    f"|(?:\\x1b[\\]P^_X]|[\\x9d\\x90\\x9e\\x9f\\x98]){_STRING_BODY}\\x1b?\\Z"
    "|\\x1b[ -/]{0,3}\\Z"
    "|\\r+\\Z"
)
_LONGEST_WAIT = 4096


def _visible(match: re.Match[str]) -> str:
    found = match.group()
    if len(found) > 1:
        return ""
    code = ord(found)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\N{SYMBOL FOR DELETE}"
    if code < 0xA0 or 0xD800 <= code <= 0xDFFF:
        return "\N{REPLACEMENT CHARACTER}"
    if 0xFE00 <= code <= 0xFE0F:  # the base character says the same without its variation selector
        return ""
    return f"<U+{code:04X}>"


def sanitize(data: bytes) -> str:
    """Display text of a whole piece of output (bytes as the node sent them); newlines and tabs are kept."""
    if _PLAIN.match(data):
        return data.decode("ascii")
    return sanitize_text(data.decode("utf-8", "replace"))


def sanitize_text(text: str) -> str:
    """The same for text that is decoded already: names, messages of exceptions, banners."""
    if text.isascii() and text.isprintable():
        return text
    clean = _UNSAFE.sub(_visible, _CARRIAGE_RETURNS.sub("", text))
    return clean if clean.isascii() else _STACK.sub(_unstacked, clean)


def _unstacked(match: re.Match[str]) -> str:
    """A thousand marks on one character are one cell wide, paint over the rows around it, and cost a thousand
    characters at every repaint. No script needs more than a few."""
    run = match.group()
    marks = {character for character in set(run) if unicodedata.category(character) in ("Mn", "Me")}
    if not marks:
        return run
    kept: list[str] = []
    stacked = 0
    for character in run:
        stacked = stacked + 1 if character in marks else 0
        if stacked <= _MARKS_SHOWN:
            kept.append(character)
        elif stacked == _MARKS_SHOWN + 1:
            kept.append("\N{REPLACEMENT CHARACTER}")
    return "".join(kept)


def has_stacks(text: str) -> bool:
    """Whether more marks stand on one character than are shown (in text without escape sequences)."""
    return not text.isascii() and any(_unstacked(match) != match.group() for match in _STACK.finditer(text))


def clean_line(data: bytes) -> str:
    """Display text of one line: as `sanitize`, a newline inside becomes a visible mark and tabs reach their stops."""
    return _one_line(sanitize(data))


def clean_text_line(text: str) -> str:
    """The same for text that is decoded already."""
    return _one_line(sanitize_text(text))


def _one_line(text: str) -> str:
    if "\n" in text:
        text = text.replace("\n", "\N{SYMBOL FOR NEWLINE}")
    return text.expandtabs(8) if "\t" in text else text


class TextGate:
    """The gate for a stream that arrives in chunks: sequences and characters may be split anywhere between them.

    At most 4096 characters are held back for an unfinished sequence; a longer one is shown with its ESC visible.
    One thread at a time.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    def feed(self, chunk: bytes) -> str:
        """Display text of what this chunk completes."""
        text = self._held + self._decoder.decode(chunk)
        self._held = ""
        # The search starts where an unfinished sequence could begin, so that a flood costs one pass.
        unfinished = _UNFINISHED.search(text, max(0, len(text) - _LONGEST_WAIT))
        if unfinished is not None:
            self._held = text[unfinished.start() :]
            text = text[: unfinished.start()]
        return sanitize_text(text)

    def finish(self) -> str:
        """Display text of what is still held back; the gate is as new afterwards."""
        text = self._held + self._decoder.decode(b"", True)
        self._held = ""
        self._decoder.reset()
        return sanitize_text(text)
