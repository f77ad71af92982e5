"""Random bytes through the gate, every character there is, and lines that pretend to be another node's."""

from __future__ import annotations

import functools
import random
import re
import sys
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pyte
import pytest

from clusterdeck.console.batch.writer import Writer
from clusterdeck.engine.sgr import styled_line
from clusterdeck.engine.text import TextGate, clean_line, sanitize, sanitize_text
from clusterdeck.tests.hostile.judge import foreign
from clusterdeck.tests.support.terminal import PtyRecorder

#: Pieces that a terminal might begin to obey, put together at random.
_PIECES = [
    *(bytes([code]) for code in range(256)),
    *(b"\x1b" + end for end in (b"[", b"]", b"P", b"_", b"^", b"X", b"\\", b"c", b"(0", b"#8", b"7", b"N", b"O")),
    *(chr(code).encode() for code in range(0x80, 0xA0)),
    *(b"\x9b", b"\x9d", b"\x90", b"\xc2", b"\xe2\x80", b"\xf0\x9f", b"\xed\xa0\x80", b"\xc0\x9b", b"\xf4\x90\x80\x80"),
    *(b"31m", b"2J", b"?1049h", b"6n", b"0;x", b"52;c;eA==", b"8;;http://x", b"\x07", b"\x1b\\", b"\r", b"\r\n", b"\n"),
    *(chr(code).encode() for code in (0x202E, 0x200B, 0x2066, 0xFEFF, 0xE0041, 0xFE0F, 0x34F, 0x1160, 0x3164, 0xAD)),
    *("äß\u4e16\u754c\U0001f600e\u0301".encode() * 2 for _ in range(4)),
    *(b"plain text ", b"node9: ", b"0123456789;" * 30, b"\x1b[" + b"1;" * 200, b"\x1b]" + b"y" * 300),
]


def fuzz(seed: int, size: int) -> bytes:
    """About that many bytes, the same for the same seed."""
    made = random.Random(seed)
    data = bytearray()
    while len(data) < size:
        data += b"".join(made.choices(_PIECES, k=200)) if made.random() < 0.7 else made.randbytes(500)
    return bytes(data[:size])


@functools.cache
def _foreign_pattern() -> re.Pattern[str]:
    """Everything that the judge calls foreign but newline and tab, as one pattern."""
    bad = [chr(code) for code in range(sys.maxunicode + 1) if chr(code) not in "\n\t" and foreign(chr(code))]
    assert "\x1b" in bad and "\u202e" in bad and "\x9b" in bad  # noqa: PT018
    return re.compile("[" + "".join(map(re.escape, bad)) + "]")


def chunks(data: bytes, made: random.Random) -> Iterator[bytes]:
    start = 0
    while start < len(data):
        size = made.choice((1, 1, 2, 3, 5, 17, 100, 4096))
        yield data[start : start + size]
        start += size


def judge(seed: int, size: int) -> None:
    """All ways through the gate for one piece of fuzz."""
    bad = _foreign_pattern()
    data = fuzz(seed, size)
    ways = {"whole": sanitize(data), "text": sanitize_text(data.decode("utf-8", "surrogateescape"))}
    gate = TextGate()
    ways["chunks"] = "".join([*(gate.feed(chunk) for chunk in chunks(data, random.Random(seed))), gate.finish()])
    ways["lines"] = "\n".join(clean_line(line) for line in data.split(b"\n"))
    ways["colours"] = "\n".join("".join(span.text for span in styled_line(line)) for line in data.split(b"\n"))
    for way, text in ways.items():
        found = bad.search(text)
        assert found is None, f"{way}, seed {seed}: {text[max(0, found.start() - 40) : found.end() + 40]!r}"
        if way != "text":
            assert text.count("\n") >= data.count(b"\n") - (way == "lines"), (
                f"{way}, seed {seed}: a line end is missing"
            )


def test_every_character_there_is() -> None:
    for start in range(0, sys.maxunicode + 1, 4096):
        text = "".join(f"a{chr(code)}" for code in range(start, min(start + 4096, sys.maxunicode + 1)))
        assert foreign(sanitize_text(text), "\n\t") == []
        assert unicodedata.normalize("NFC", sanitize_text(text)).count("a") >= 4000


@pytest.mark.parametrize("seed", range(4))
def test_fuzz(seed: int) -> None:
    judge(seed, 50_000)


@pytest.mark.long
def test_ten_million_bytes() -> None:
    for seed in range(200):
        judge(1000 + seed, 50_000)
    sys.stdout.write("\nFIGURE 10,000,000 fuzzed bytes, five ways through the gate: 0 foreign characters\n")


@pytest.mark.parametrize(
    "piece",
    [
        b"\x1b]", b"\x1b[", b"\x1b", b"\xc2\x9d", b"\x9d", b"\r", b"\x1b]0;" + b"x" * 60, b"\x1b[1;", b"\x1bP\x1b",
        b"\x00", b"e\xcc\x81",
    ],
)  # fmt: skip
def test_no_input_takes_more_than_its_length(piece: bytes) -> None:
    """Ten times as much takes about ten times as long, whatever is begun and never ended."""

    def seconds(size: int) -> float:
        data = piece * (size // len(piece))
        begun = time.process_time()
        sanitize(data)
        gate = TextGate()
        for start in range(0, len(data), 4096):
            gate.feed(data[start : start + 4096])
        gate.finish()
        styled_line(data)
        return time.process_time() - begun

    seconds(10_000)
    small, large = seconds(30_000), seconds(300_000)
    assert large < max(0.02, small) * 40, f"{small:.3f} s for 30 kB, {large:.3f} s for 300 kB"


#: What comes before a forged label, and what the label looks like.
_BEFORE = [
    b"", b"\r", b"x\r", b"\x1b[2K\r", b"\x1b[1G", b"\x1b[A", b"\x1b[1A\x1b[2K", b"\x08" * 80, b"\x7f" * 20, b"\x0b",
    b"\x0c", b"\x1bE", b"\x1bD\r", b"\x1bM", b"\x85", b"\xc2\x85", b"\xe2\x80\xa8", b"\xe2\x80\xa9", b"\x1b[100D",
    b"\x1b[H", b"\x1b[?1049h", b"\x1bc", b"\x1b[s\x1b[u", b"\x1b7\x1b8", b"x" * 76, "\u754c".encode() * 38,
    "\u202e".encode(), "e\u0301".encode() * 76, b"\t" * 10, "\u200b".encode() * 80,
]  # fmt: skip
_LABELS = [
    b"n2: forged",
    b"\x1b[34mn2: \x1b[0mforged",
    b"\x1b[34mn2:\x1b[0m forged\r\n\x1b[34mn3: \x1b[0mforged",
    b"n2\xef\xbc\x9a forged",
]
FORGERIES = [before + label for before in _BEFORE for label in _LABELS]


def test_labels_cannot_be_forged(folders: dict[str, str], tmp_path: Path) -> None:
    """On a terminal of 80 columns a label is blue, and no node's output ever is: rows that begin with a blue label
    are counted, and there are as many as lines, each of the node that sent it."""
    assert len(FORGERIES) >= 100
    (tmp_path / "forged").write_bytes(b"\n".join(FORGERIES) + b"\n")
    lines = (tmp_path / "forged").read_bytes().count(b"\n")
    argv = [sys.executable, "-m", "clusterdeck", "run", "-R", "exec", "-w", "n1", "--color", "always"]
    with PtyRecorder(
        [*argv, f"cat {tmp_path}/forged"], columns=80, rows=24, environment=folders, cwd=tmp_path
    ) as batch:
        batch.wait(30)
        data = batch.data
    screen = pyte.Screen(80, 3 * lines)
    pyte.ByteStream(screen).feed(data)
    labels = []
    for row in range(screen.lines):
        cells = screen.buffer[row]
        blue = "".join(cells[column].data for column in range(80) if cells[column].fg.endswith("blue"))
        if blue:
            assert cells[0].fg.endswith("blue"), f"blue in the middle: {screen.display[row]!r}"
            labels.append(blue)
    assert labels == ["n1: "] * lines
    assert "\ufffd[34m" not in data.decode(errors="replace")


def test_nothing_stands_in_front_of_a_label(tmp_path: Path) -> None:
    """The progress line has gone from the terminal before a node's line comes, however the streams are buffered."""
    shared = tmp_path / "terminal"
    with shared.open("ab") as out, shared.open("ab") as err:
        writer = Writer(out, err)
        writer.progress("0/1")
        writer.lines("n1", b"first\n")
        writer.progress("1/1")
        writer.narrate("told")
        writer.flush()
    assert shared.read_bytes() == b"\r\x1b[K0/1\r\x1b[Kn1: first\n\r\x1b[K1/1\r\x1b[Kclusterdeck: told\n"


@pytest.mark.parametrize("between", ["", "\x1b[31m", "\x1b[K", "\x1b[K\x1b[1m", "\x1b]0;x\x07", "\u0301\x1b[32m"])
@pytest.mark.parametrize("mark", ["\u0301", "\u0e49", "\u20dd", "\u0730", "\U0001d167"])
def test_marks_are_not_stacked_without_end(between: str, mark: str) -> None:
    """A tower of marks is one cell wide: it would paint over other rows, and cost its length at every repaint."""
    tower = ("e" + (mark + between) * 5000 + "end").encode()
    for shown in (sanitize(tower), clean_line(tower), "".join(span.text for span in styled_line(tower))):
        assert shown.endswith("\ufffdend")
        assert len(shown) < 20
    few = "e\u0301\u0323 \u0e01\u0e34\u0e49 \u05d1\u05bc\u05b0"
    assert sanitize_text(few) == few
    assert sanitize("\u2500".encode() * 50) == "\u2500" * 50
