"""The whole corpus through batch runs and the plain prompt: every byte that reaches the terminal is recorded."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from clusterdeck.tests.hostile.corpus import Attack, corpus, lines, texts
from clusterdeck.tests.hostile.judge import foreign, foreign_in_terminal
from clusterdeck.tests.support.program import PROGRAM
from clusterdeck.tests.support.terminal import PtyRecorder

EXEC = ["run", "-R", "exec", "-w", "n[1-2]"]


@pytest.fixture
def said(tmp_path: Path) -> Path:
    """What the nodes print."""
    file = tmp_path / "corpus"
    file.write_bytes(lines())
    return file


def judge(data: bytes, wanted: int) -> None:
    assert foreign_in_terminal(data)[:5] == []
    missing = [n for n in range(wanted) if b"<%04d>" % n not in data]
    assert not missing, f"attacks that were not shown at all: {missing[:20]} of {len(missing)}"


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("-b",),
        ("-B",),
        ("-L",),
        ("-bL",),
        ("-N",),
        ("--diff",),
        ("--json",),
        ("--jsonl",),
        ("-b", "-P", "--color", "always"),
        ("--color", "always", "-v"),
    ],
    ids=" ".join,
)
def test_modes_of_batch_runs(options: tuple[str, ...], said: Path, folders: dict[str, str], tmp_path: Path) -> None:
    """Both streams, and an answer of one node that differs."""
    command = f"cat {said}; cat {said} >&2; test %n = 0 || head -c 500000 {said} | tail -n 400; exit 3"
    argv = [*PROGRAM, *EXEC, *options, command]
    with PtyRecorder(argv, columns=200, rows=50, environment=folders, cwd=tmp_path) as batch:
        batch.wait(40)
        judge(batch.data, len(corpus()) if "--diff" not in options else 0)
        assert b"Traceback" not in batch.data


def test_bytes_that_come_one_by_one(folders: dict[str, str], tmp_path: Path) -> None:
    """Sequences split at every byte, on the way from the node to the loop."""
    script = tmp_path / "drip"
    script.write_text(
        f"import os, sys\nfor byte in open({str(tmp_path / 'short')!r}, 'rb').read():\n    os.write(1, bytes([byte]))\n"
    )
    short = lines(30)
    (tmp_path / "short").write_bytes(short)
    argv = [*PROGRAM, "run", "-R", "exec", "-w", "n1", f"{sys.executable} -S {script}"]
    with PtyRecorder(argv, columns=200, rows=50, environment=folders, cwd=tmp_path) as batch:
        batch.wait(40)
        judge(batch.data, 0)
        assert batch.data.count(b"n1: ") >= short.count(b"\n")


def _hostile_words(limit: int = 90_000) -> str:
    """Attacks that fit into one word of a command line."""
    return "".join(text for text in texts(60) if "\0" not in text)[:limit]


@pytest.mark.parametrize(
    "words",
    [
        ["run", "-w", "@X", "true"],
        ["run", "-w", "n1;X", "true"],
        ["run", "-w", "n1", "-l", "X", "true"],
        ["run", "-w", "n1", "-R", "X", "true"],
        ["run", "-w", "n1", "-O", "X=1", "true"],
        ["run", "-w", "n1", "-O", "run.fanout=X", "true"],
        ["run", "-w", "n1", "--groupsconf", "X", "true"],
        ["run", "-w", "n1", "--batch", "X", "true"],
        ["run", "-w", "n1", "--hostfile", "X", "true"],
        ["run", "-R", "exec", "-w", "n1", "--copy", "/X"],
        ["run", "-R", "exec", "-w", "n1", "--dry-run", "echo X"],
        ["run", "--X"],
        ["X"],
        ["play", "X"],
        ["play", "missing", "X=X"],
        ["config", "explain", "X"],
        ["help", "X"],
        ["doctor", "--X"],
    ],
    ids=lambda words: " ".join(words).replace("X", "attack"),
)
def test_words_that_come_from_anywhere(words: list[str], folders: dict[str, str], tmp_path: Path) -> None:
    """Error lines name what they refuse; scripts hand us names that others made."""
    hostile = _hostile_words(3000 if "--hostfile" in words else 90_000)
    argv = [*PROGRAM, *(word.replace("X", hostile) for word in words)]
    with PtyRecorder(argv, columns=200, rows=50, environment=folders, cwd=tmp_path) as batch:
        batch.wait(40)
        assert b"Traceback" not in batch.data
        assert foreign_in_terminal(batch.data)[:5] == []
        assert batch.data, "nothing was said"


def test_the_plain_prompt(said: Path, folders: dict[str, str], tmp_path: Path) -> None:
    """Live lines, gathered answers, summary, documents of a run, the list of runs, notices, errors."""
    options = ["-w", "node[1-2]", "-O", "run.worker=exec", "-O", "screen.output=both"]
    argv = [*PROGRAM, "repl", *options]
    with PtyRecorder(argv, columns=200, rows=50, environment=folders, cwd=tmp_path) as repl:
        end = repl.wait_for(b"(2)")
        for number, line in enumerate((f"cat {said}", f"cat {said} >&2; exit 3"), 1):
            repl.send(line.encode() + b"\r")
            end = repl.wait_for(b"#%d " % number, 60, start=end)
        last = b"</%04d>" % (len(corpus()) - 1)
        for line, wanted in (
            (":gather 1", last),
            (":out node1 1", last),
            (":diff 1 2", b"deck "),
            (":failures", b"deck "),
            (":runs", b"cat "),
            (":show 1", b"deck "),
            (f"!cat {said}", last),
        ):
            repl.send(line.encode() + b"\r")
            end = repl.wait_for(wanted, 60, start=end)
        repl.send(b":quit\r")
        assert repl.wait() == 0
        judge(repl.data, len(corpus()))
        assert b"Traceback" not in repl.data


def test_files_that_hold_the_program_settings(folders: dict[str, str], tmp_path: Path) -> None:
    """Parsers quote what they do not understand: settings, groups, macros and host files of others."""
    config = tmp_path / "config"
    (config / "macros").mkdir(parents=True)
    hostile = _hostile_words(3000)
    texts_by_place = {
        "config.toml": f"[run]\n'{hostile.translate({10: None, 39: None})}' = 3\n",
        "macros/evil.deck": f":nope {hostile}\n{hostile}\n",
        "hosts": f"{hostile}\n",
    }
    for name, text in texts_by_place.items():
        (config / name).write_text(text, "utf-8", "surrogateescape")
    for words in (["config", "show"], ["doctor"], ["run", "-w", "n1", "true"]):
        _recorded(words, folders, tmp_path)
    (config / "config.toml").unlink()
    for words in (
        ["play", "evil"],
        ["play", "--dry-run", "evil"],
        ["run", "-R", "exec", "--hostfile", str(config / "hosts"), "true"],
        ["run", "-R", "exec", "-w", "n1", "--copy", str(config / "hosts"), "--dest", str(tmp_path / hostile[:80])],
    ):
        _recorded(words, folders, tmp_path)


def _recorded(words: list[str], folders: dict[str, str], where: Path) -> bytes:
    with PtyRecorder([*PROGRAM, *words], columns=200, rows=50, environment=folders, cwd=where) as batch:
        batch.wait(40)
        assert b"Traceback" not in batch.data
        assert foreign_in_terminal(batch.data)[:5] == [], words
        return batch.data


def test_messages_of_a_mistake(capsys: pytest.CaptureFixture[str], folders: dict[str, str]) -> None:
    """An exception's text may quote what a node sent."""
    from clusterdeck.console.crash import tell_crash

    for attack in corpus():
        try:
            raise RuntimeError(attack.data.decode("utf-8", "surrogateescape"))
        except RuntimeError as error:
            tell_crash(error, ["run", attack.data[:100].decode("utf-8", "surrogateescape")])
    shown = capsys.readouterr()
    assert foreign(shown.out + shown.err, "\n") == []


def test_the_judge_sees_what_it_is_there_for() -> None:
    """Each attack, unchanged, is found by the judge of recorded bytes, but for those that only deceive a parser."""
    harmless = [attack for attack in corpus() if not foreign_in_terminal(b"<0001>" + attack.data + b"</0001>")]
    assert {attack.name for attack in harmless} <= {
        "C0 08",
        "C0 0D",
        "forged after b'\\r'",
        "forged after " + repr(b"\x08" * 4),
    }
    assert len({attack.name for attack in corpus()}) == len(corpus()) >= 300
    assert not [attack for attack in corpus() if isinstance(attack, Attack) and not attack.data]
