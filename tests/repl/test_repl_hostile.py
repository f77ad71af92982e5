"""Whatever nodes and files are called or say, the operator's terminal gets only what we and prompt_toolkit made.

Every byte that reaches the terminal is recorded and its escape sequences are taken apart. This terminal answers no
question for the cursor's position, as some do not.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from clusterdeck.tests.support.terminal import PtyRecorder

#: CSI sequences that prompt_toolkit and our printer write: cursor, erasing, colours, modes; nothing else is expected.
_OURS = re.compile(rb"\x1b\[\??[0-9;]*[ABCDHJKmhln]")
_MODES = re.compile(rb"\x1b\[\?(\d+)[hl]")
_KNOWN_MODES = {b"1", b"7", b"12", b"25", b"2004"}

HOSTILE = [
    b"\x1b]0;stolen title\x07",
    b"\x1b]52;c;c3RvbGVu\x1b\\",
    b"\x1b[2J\x1b[H",
    b"\x1b[?1049h",
    b"\x1b[?1000h",
    b"\x1b[6n",
    b"\x1bPq#0\x1b\\",
    b"\x1b_Gf=100\x1b\\",
    b"\x1b^pm\x1b\\",
    b"\x1bc",
    b"\x1b(0",
    b"\xc2\x9b31m",
    b"\xc2\x9d0;x\xc2\x9c",
    b"\x9b31m",
    b"\xe2\x80\xae" + b"reversed",
    b"\x07\x08\x08\x08",
    b"line\rnode9: forged",
    b"\x1b",
    b"\x1b[",
    b"\x1b]unterminated",
]


def judge(data: bytes) -> None:
    """Fails for anything that a terminal would obey and that is not ours."""
    rest = _OURS.sub(b"", data)
    assert b"\x1b" not in rest, rest[max(0, rest.find(b"\x1b") - 60) :][:160]
    assert set(_MODES.findall(data)) <= _KNOWN_MODES
    text = rest.decode("utf-8", "replace")
    bad = sorted({char for char in text if not char.isprintable() and char not in "\r\n\x08"})
    assert not bad, [hex(ord(char)) for char in bad]
    assert b"\x1b[?1049" not in data


def start(tmp_path: Path, *options: str) -> PtyRecorder:
    moved = {f"CLUSTERDECK_{kind}_DIR": str(tmp_path / kind.lower()) for kind in ("CONFIG", "STATE", "CACHE")}
    command = [sys.executable, "-m", "clusterdeck", "repl", "-w", "node[1-2]", "-O", "run.worker=exec", *options]
    return PtyRecorder(command, columns=120, rows=40, environment={**moved, "LC_ALL": "C.UTF-8"}, cwd=tmp_path)


@pytest.mark.parametrize("mode", ["both", "gathered"])
def test_output_in_every_place_it_is_shown(tmp_path: Path, mode: str) -> None:
    (tmp_path / "corpus").write_bytes(b"\n".join(b"<" + piece + b">" for piece in HOSTILE) + b"\n")
    with start(tmp_path, "-O", f"screen.output={mode}") as repl:
        end = repl.wait_for(b"(2)")
        for number, line in enumerate(("cat corpus", "cat corpus >&2; false", "!cat corpus"), 1):
            repl.send(line.encode() + b"\r")
            end = repl.wait_for(b"#%d " % number if number < 3 else b"unterminated", start=end)
        for line, wanted in ((":gather 1", b"-----"), (":out node1 1", b"unterminated"), (":runs", b"shell")):
            repl.send(line.encode() + b"\r")
            end = repl.wait_for(wanted, start=end)
        repl.send(b":quit\r")
        assert repl.wait() == 0
        judge(repl.data)
        assert b"unterminated" in repl.data


def test_file_names_in_the_menu(tmp_path: Path) -> None:
    for number, piece in enumerate(HOSTILE):
        name = b"f%02d" % number + piece.replace(b"/", b"")
        (tmp_path / name.decode("utf-8", "surrogateescape")).write_text("")
    (tmp_path / "f99-harmless").write_text("")
    with start(tmp_path) as repl:
        repl.wait_for(b"(2)")
        repl.send(b"!ls ./f")
        repl.wait_for(b"f99-harmless")
        repl.send(b"\t\t\t\x15:quit\r")
        assert repl.wait() == 0
        judge(repl.data)


def test_what_is_pasted_is_shown_and_sent_but_never_obeyed(tmp_path: Path) -> None:
    with start(tmp_path) as repl:
        repl.wait_for(b"(2)")
        repl.send(b"\x1b[200~echo 'a\xc2\x9b31m\xe2\x80\xaeb'\x1b[201~")
        repl.wait_for(b"echo")
        repl.send(b"\r")
        repl.wait_for(b"#1 ")
        repl.send(b":quit\r")
        assert repl.wait() == 0
        judge(repl.data)
