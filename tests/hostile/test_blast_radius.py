"""What keeps a slip from reaching every node, judged at a real sshd; and the record of all that was done."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from ClusterShell.NodeUtils import GroupResolver, UpcallGroupSource

from clusterdeck.console.commands.catalogue import default_registry
from clusterdeck.console.language.language import parse
from clusterdeck.console.macros.substitution import SubstitutionError, fill
from clusterdeck.console.records.audit import AuditLog, verify_chain
from clusterdeck.console.runs.run_store import RunStore
from clusterdeck.console.session.node_expressions import DeckResolver, NodeExpressionError, parse_nodes
from clusterdeck.console.settings.settings import Settings
from clusterdeck.tests.support.program import PROGRAM
from clusterdeck.tests.support.sshd import Sshd
from clusterdeck.tests.support.terminal import PtyRecorder


def logins(sshd: Sshd) -> int:
    return sshd.log().count("Accepted publickey")


def ask_at_the_prompt(
    sshd: Sshd, folders: dict[str, str], tmp_path: Path, nodes: str, line: str, answer: str, *options: str
) -> str:
    """A line at the plain prompt, an answer to its question, and what the terminal then showed."""
    argv = [*PROGRAM, "repl", "-O", f"ssh.config={sshd.config}", "-O", "ssh.agent=false", "-w", nodes, *options]
    with PtyRecorder(argv, columns=120, environment=folders, cwd=tmp_path) as repl:
        end = repl.wait_for(b"deck ", 30)
        repl.send(line.encode() + b"\r")
        end = repl.wait_for(b"go on", 30, start=end)
        repl.send(answer.encode() + b"\r")
        repl.wait_for(b"deck ", 30, start=end)
        repl.send(b":wait\r:quit\r")
        repl.wait(30)
        return repl.data.decode(errors="replace")


@pytest.mark.parametrize(
    ("nodes", "line", "answer", "options", "goes"),
    [
        ("node[1-51]", "true", "n", (), False),
        ("node[1-51]", "true", "", (), False),
        ("node[1-3]", "rm -rf /tmp/x", "n", (), False),
        ("node[1-3]", "true", "y", ("-O", "safety.protected=node2"), False),
        ("node[1-3]", "true", "1", ("-O", "safety.protected=node2"), False),
        ("node[1-3]", "true", "3", ("-O", "safety.protected=node2"), True),
    ],
)
def test_nothing_goes_out_before_it_is_agreed_to(
    nodes: str,
    line: str,
    answer: str,
    options: tuple[str, ...],
    goes: bool,
    make_sshd: Callable[..., Sshd],
    folders: dict[str, str],
    tmp_path: Path,
) -> None:
    sshd = make_sshd()
    shown = ask_at_the_prompt(sshd, folders, tmp_path, nodes, line, answer, *options)
    assert (logins(sshd) > 0) is goes, shown
    assert ("not done" in shown) is not goes, shown
    assert nodes in shown


@pytest.mark.parametrize(
    "words",
    [
        ["run", "--dry-run", "true"],
        ["run", "--dry-run", "--copy", "/etc/hostname", "--dest", "/tmp/clusterdeck-never"],
        ["run", "--dry-run", "--rcopy", "/etc/hostname", "--dest", "."],
        ["run", "-O", "safety.read_only=true", "true"],
        ["run", "-O", "safety.protected=node2", "true"],
        ["run", "-O", "safety.protected=node2", "--confirm", "2", "true"],
        ["run", "-O", "safety.protected=@nowhere", "true"],
        ["run", "-O", "records.audit_required=true", "true"],
    ],
    ids=" ".join,
)
def test_the_server_hears_nothing(words: list[str], sshd: Sshd, folders: dict[str, str], tmp_path: Path) -> None:
    if "records.audit_required=true" in words:
        (tmp_path / "state" / "audit.jsonl").mkdir(parents=True)
    before = sshd.log().count("Connection from")
    words = [words[0], "-O", f"ssh.config={sshd.config}", "-w", "node[1-3]", *words[1:]]
    done = subprocess.run(
        [*PROGRAM, *words],
        env=folders,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert sshd.log().count("Connection from") == before
    assert "Traceback" not in done.stderr
    assert (done.returncode == 0) is ("--dry-run" in words), done
    assert done.stdout if "--dry-run" in words else done.stderr


WIDE = ["@", "@:", "@:*", "@:g", "@ :*", "n1,@:*", "@*!@:g", "@s:", "@$GROUP", "@{set}", "@{set}*", "@'", " @ "]


@pytest.mark.parametrize("expression", WIDE)
def test_what_an_undefined_variable_leaves_is_refused(expression: str) -> None:
    """`-w "@$SOURCE:*"` and the like: never every node."""
    groups = GroupResolver(UpcallGroupSource("s", "echo n[1-99]", "echo n[1-99]", "echo g"))
    resolver = DeckResolver(RunStore(), lambda _: None, lambda _: None, lambda: groups)
    assert len(parse_nodes("@*", resolver)) == 99
    with pytest.raises(NodeExpressionError):
        parse_nodes(expression, resolver)


@pytest.mark.parametrize("line", [":nodes @{set}*", ":nodes @{set}:*", ":shell -w @s:{set}* -- true", ":nodes @{set}"])
def test_an_empty_parameter_of_a_macro_widens_nothing(line: str) -> None:
    command = parse(line, default_registry())
    assert "web" in str(fill(command, {"set": "web"}))
    with pytest.raises(SubstitutionError, match="set is empty"):
        fill(command, {"set": ""})


def test_every_run_is_in_the_record(folders: dict[str, str], tmp_path: Path) -> None:
    """Who, what, where and how it ended; and a command that says whether the record is whole."""
    for words in (["true"], ["exit 3"], ["echo --password=tiger >&2"], ["-u", "0.2", "sleep 5"]):
        argv = [*PROGRAM, "run", "-R", "exec", "-w", "n[1-3]", *words]
        subprocess.run(argv, env=folders, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    log = tmp_path / "state" / "audit.jsonl"
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    begun, ended = ([row for row in rows if row["event"] == kind] for kind in ("run", "end"))
    assert [row["command"] for row in begun] == ["true", "exit 3", "echo --password=*** >&2", "sleep 5"]
    assert {row["nodes"] for row in begun} == {"n[1-3]"}
    assert {(row["count"], row["uid"], row["from"]) for row in begun} == {(3, os.getuid(), "local")}
    assert [row.get("rc") for row in ended] == [{"0": "n[1-3]"}, {"3": "n[1-3]"}, {"0": "n[1-3]"}, {}]
    assert ended[3]["timeout"] == "n[1-3]"
    assert log.stat().st_mode & 0o777 == 0o600

    def doctor() -> str:
        argv = [*PROGRAM, "doctor"]
        return subprocess.run(argv, env=folders, capture_output=True, text=True, check=False).stdout

    assert "its chain is whole" in doctor()
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(lines).replace("exit 3", "exit 0"))
    assert "does not follow from the one before" in doctor()
    log.write_text("".join([*lines[:3], *lines[5:]]))
    assert "does not follow from the one before" in doctor()


def _demanding() -> Settings:
    settings = Settings()
    settings.set("records.audit_required", True)
    return settings


def test_the_chain_holds_for_long_lines_and_cut_ones(tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    log = AuditLog(file, _demanding(), warn=lambda _: None)
    for size in (0, 1, 65_535, 65_536, 300_000, 5, 1_000_000, 7):
        log.note("test", text="x" * size)
    assert verify_chain(file) is None
    # A console that was killed in the middle of a line: what comes after is a line of its own.
    with file.open("ab") as stream:
        stream.write(b'{"event": "half')
    log.note("after")
    log.note("later")
    rows = file.read_text().splitlines()
    assert [json.loads(row)["event"] for row in rows[-2:]] == ["after", "later"]
    assert verify_chain(file) == 9, "the half line shows"


def test_many_consoles_keep_one_chain(tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"

    def write() -> None:
        log = AuditLog(file, _demanding(), warn=lambda _: None)
        for number in range(100):
            log.note("test", text="y" * (number * 700))

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verify_chain(file) is None
    assert len(file.read_text().splitlines()) == 400
