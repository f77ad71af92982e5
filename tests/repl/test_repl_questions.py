"""Questions of the engine in the plain REPL, against a real SSH server whose key nobody knows yet."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusterdeck.tests.support.hostile_ssh import HostileServer
from clusterdeck.tests.support.sshd import Sshd
from clusterdeck.tests.support.sshd_accounts import ACCOUNTS, sshd_with_accounts, why_not
from clusterdeck.tests.support.terminal import PtyRecorder
from clusterdeck.tests.support.tmux import Tmux

KEYS = "^C stop run"

RIGHT = "canary-0815-pw"


def _command(tmp_path: Path, config: Path, known: Path, *more: str) -> tuple[list[str], dict[str, str]]:
    """A REPL on three nodes of a server, with folders of its own."""
    moved = {f"CLUSTERDECK_{kind}_DIR": str(tmp_path / kind.lower()) for kind in ("CONFIG", "STATE", "CACHE")}
    command = [sys.executable, "-m", "clusterdeck", "repl", "-w", "node[1-3]", "-O", f"ssh.config={config}"]
    return [*command, "-O", f"ssh.known_hosts={known}", "-O", "ssh.agent=false", *more], moved


def _kept(folder: Path, secret: str) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


@pytest.fixture
def repl(sshd: Sshd, tmp_path: Path) -> Iterator[Tmux]:
    """A REPL on node1..node3 of the server, with an empty known_hosts of its own."""
    config = tmp_path / "ssh_config"
    known = tmp_path / "known_hosts"
    text = sshd.config.read_text().replace(str(sshd.known_hosts), str(known))
    config.write_text(text.replace("StrictHostKeyChecking yes", "StrictHostKeyChecking ask"))
    moved = {f"CLUSTERDECK_{kind}_DIR": str(tmp_path / kind.lower()) for kind in ("CONFIG", "STATE", "CACHE")}
    command = [sys.executable, "-m", "clusterdeck", "repl", "-w", "node[1-3]"]
    command += ["-O", f"ssh.config={config}", "-O", f"ssh.known_hosts={known}", "-O", "ssh.agent=false"]
    with Tmux(command, columns=140, rows=40, environment=moved, cwd=tmp_path) as tmux:
        tmux.wait_for(KEYS)
        yield tmux


def test_an_unknown_key_is_asked_above_what_is_typed_and_accepted(repl: Tmux, tmp_path: Path) -> None:
    repl.line("echo reached")
    repl.wait_for(re.compile(r"unknown keys? of"))
    screen = repl.wait_for("accept, import, refuse?")
    assert "SHA256:" in screen
    repl.line("accept")
    repl.wait_for(re.compile(r"#1 echo reached   ok 3"))
    assert (tmp_path / "known_hosts").read_text().startswith("[127.0.0.1]:")
    repl.line("echo again")
    repl.wait_for(re.compile(r"#2 echo again   ok 3"))


def test_a_half_typed_line_survives_the_question_and_does_not_answer_it(repl: Tmux) -> None:
    repl.send("sleep 0.5; echo reached\recho half typed")  # in one piece: the question comes soon
    repl.wait_for("accept, import, refuse?")
    repl.wait_for(lambda screen: screen.rstrip().endswith("accept, import, refuse?"))
    repl.line("refuse")
    repl.wait_for(re.compile(r"#1 sleep .*unreachable 3"))
    repl.wait_for(lambda screen: "deck node[1-3] (3) x3>" in screen)


def test_no_answer_is_a_refusal(repl: Tmux, tmp_path: Path) -> None:
    repl.line("echo reached")
    repl.wait_for("accept, import, refuse?")
    repl.key("Enter")
    screen = repl.wait_for(re.compile(r"#1 echo reached   unreachable 3"))
    assert "node1: reached" not in screen
    assert not (tmp_path / "known_hosts").exists()


def test_a_line_that_waits_for_the_nodes_does_not_wait_for_ever(repl: Tmux) -> None:
    repl.send("echo reached\r:wait\r")  # in one piece: the question comes soon
    repl.wait_for("accept, import, refuse?")
    repl.line("accept")
    repl.wait_for(re.compile(r"#1 echo reached   ok 3"))
    repl.wait_for(KEYS)


def test_a_passphrase_is_asked_and_ends_up_nowhere(sshd: Sshd, tmp_path: Path) -> None:
    canary = "canary-4711-passphrase"
    key = tmp_path / "locked"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", canary, "-f", str(key)], check=True)
    with (sshd.folder / "authorized_keys").open("a") as allowed:
        allowed.write(key.with_suffix(".pub").read_text())
    config = tmp_path / "ssh_config"
    text = sshd.config.read_text().replace(str(sshd.key), str(key))
    config.write_text(text.replace("BatchMode yes", "BatchMode no"))
    command, moved = _command(tmp_path, config, sshd.known_hosts)
    with PtyRecorder(command, columns=140, rows=40, environment=moved, cwd=tmp_path) as repl:
        end = repl.wait_for(b"(3)")
        repl.send(b"echo reached\r")
        end = repl.wait_for(b"(not shown)", start=end)
        repl.send(b"wrong\r")
        end = repl.wait_for(b"again: the last one was wrong", start=end)
        end = repl.wait_for(b"(not shown)", start=end)
        repl.send(canary.encode() + b"\r")
        end = repl.wait_for(b"ok 3", start=end)
        repl.send(b":runs\r")
        repl.wait_for(b"shell", start=end)
        repl.send(b":quit\r")
        assert repl.wait() == 0
        shown = repl.data
    assert canary.encode() not in shown
    assert _kept(tmp_path, canary) == []
    assert "echo reached" in (tmp_path / "state" / "history").read_text()


@pytest.mark.parametrize("methods", ["password", "keyboard-interactive"])
def test_a_password_is_asked_once_for_all_nodes(tmp_path: Path, methods: str) -> None:
    server = HostileServer(methods=methods, password=RIGHT, prompts=(("Code: ", False),), answers=[RIGHT])
    known, config = tmp_path / "known", tmp_path / "ssh_config"
    known.write_text(server.known_hosts)
    config.write_text(
        f"Host *\n HostName 127.0.0.1\n Port {server.port}\n User operator\n UserKnownHostsFile {known}\n"
        " IdentityFile none\n IdentityAgent none\n"
    )
    command, moved = _command(tmp_path, config, known)
    try:
        with PtyRecorder(command, columns=140, rows=40, environment=moved, cwd=tmp_path) as repl:
            end = repl.wait_for(b"(3)")
            repl.send(b"echo reached\r")
            end = repl.wait_for(b"(not shown)", start=end)
            repl.send(b"wrong\r")
            end = repl.wait_for(b"unreachable 3", start=end)
            repl.send(b"echo reached\r")
            end = repl.wait_for(b"(not shown)", start=end)
            repl.send(RIGHT.encode() + b"\r")
            end = repl.wait_for(b"ok 3", start=end)
            repl.send(b"echo again\r")
            end = repl.wait_for(b"ok 3", start=end)
            repl.send(b":quit\r")
            assert repl.wait() == 0
            shown = repl.data
    finally:
        server.stop()
    assert shown.count(b"  operator  node[1-3]") == 2, (
        "one question for all three nodes, and one after the wrong answer"
    )
    assert RIGHT.encode() not in shown
    assert b"wrong\r" not in shown
    assert _kept(tmp_path, RIGHT) == []
    wrong = [attempt for attempt in server.attempts if attempt[-1] == "wrong"]
    assert len(wrong) == 1, "a wrong password is tried on one node only"


@pytest.mark.skipif(bool(why_not()), reason=why_not())
def test_sudo_asks_once_for_all_nodes(tmp_path: Path) -> None:
    password = ACCOUNTS["operator"][1]
    (tmp_path / "server").mkdir()
    with sshd_with_accounts(tmp_path / "server") as server:
        command, moved = _command(tmp_path, server.config, server.known_hosts)
        with PtyRecorder(command, columns=140, rows=40, environment=moved, cwd=tmp_path) as repl:
            end = repl.wait_for(b"(3)")
            repl.send(b":shell --sudo -- id -un\r")
            end = repl.wait_for(b"(not shown)", start=end)
            repl.send(password.encode() + b"\r")
            end = repl.wait_for(b"ok 3", start=end)
            repl.send(b":quit\r")
            assert repl.wait() == 0
            shown = repl.data
    assert b"node2: root" in re.sub(rb"\x1b\[[0-9;]*m", b"", shown)
    assert shown.count(b"node[1-3]\r\n") == 1, shown
    assert password.encode() not in shown
    assert _kept(tmp_path / "state", password) == []
