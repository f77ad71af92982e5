"""What the full screen asks before nodes are touched, and for passwords, in a terminal and on real OpenSSH servers."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from clusterdeck.tests.support.sshd import Sshd
from clusterdeck.tests.support.sshd_accounts import ACCOUNTS, sshd_with_accounts, why_not
from clusterdeck.tests.support.tmux import Tmux

#: What stands for each character of a secret.
DOT = "\N{BULLET}"
PASSWORD = ACCOUNTS["operator"][1]
Open = Callable[..., Tmux]


@pytest.fixture
def console(console_on: Open) -> Open:
    """Open the console on nodes of a server."""
    return lambda server, nodes, *settings: console_on(server.config, nodes, *settings)


def logins(server: Sshd) -> int:
    return server.log().count("Accepted publickey")


def fill(terminal: Tmux, text: str, shown: str) -> None:
    """Type into the question's line; keys of its first moments are dropped, so until it looks like this."""

    def there(screen: str) -> bool:
        if not re.search(shown, screen):
            terminal.key("End", "C-u")
            terminal.send(text)
        return re.search(shown, terminal.screen()) is not None

    terminal.wait_for(there)


def give_up(terminal: Tmux, key: str, title: str) -> None:
    """Press a key that refuses until the question takes keys; not so fast that one is left for the prompt."""
    pressed = 0.0

    def gone(screen: str) -> bool:
        nonlocal pressed
        if "Go ahead" in screen and time.monotonic() - pressed > 1.0:
            terminal.key(key)
            pressed = time.monotonic()
        return "Go ahead" not in screen

    terminal.wait_for(gone)
    terminal.wait_for(f"not done: {title}")


def test_keys_of_one_write_go_where_those_before_them_lead(console: Open, sshd: Sshd) -> None:
    terminal = console(sshd, "node[1-9]")
    terminal.line("echo one-$((40+2))")
    terminal.wait_for("ok 9")
    terminal.send("\x0f5eout.txt")
    terminal.wait_for(re.compile(r":save --run 1 out\.txt"))
    terminal.key("C-u")
    terminal.send("\x0f1/node3\recho two-$((40+3))\r")
    terminal.wait_for(re.compile(r"node3 \(1(, \d+ connected)?\) +#2 echo two-"))
    terminal.wait_for("two-43")
    # Alt-Enter is Escape and Enter in one piece: a line more, and nothing runs yet.
    terminal.send("echo three-$((40+4))\x1b\recho four-$((40+5))\r")
    terminal.wait_for(lambda screen: "three-44" in screen and "four-45" in screen and "#3 echo three" in screen)


def test_many_nodes_and_protected_ones_are_agreed_to(console: Open, sshd: Sshd) -> None:
    terminal = console(sshd, "node[1-9]", "safety.protected=node2", "safety.confirm_above=5")
    before = logins(sshd)

    # Typed on in the same write: none of it answers.
    terminal.send("@node[1-9] echo said-$((40+2))\r\rnine9\t\r\r9\r")
    asked = terminal.wait_for("Type  9  to agree")
    assert "run on 1 protected of 9 nodes" in asked
    assert "protected   node2 (1)" in asked
    assert "nodes   node[1-9] (9)" in asked
    assert "echo said-$((40+2))" in asked
    give_up(terminal, "Escape", "run on 1 protected of 9 nodes")

    # Above the limit, none of them protected: Cancel has the focus.
    terminal.line("@node[3-9] echo said-$((40+2))")
    asked = terminal.wait_for(lambda screen: "run on 7 nodes" in screen and "Go ahead" in screen)
    assert "nodes   node[3-9] (7)" in asked
    give_up(terminal, "Enter", "run on 7 nodes")
    assert logins(sshd) == before
    assert "said-42" not in terminal.screen()

    # The number agrees, typed where the focus is; another does not.
    terminal.line("@node[1-3] echo said-$((40+2))")
    terminal.wait_for("Type  3  to agree")
    fill(terminal, "3", r"\W 3 +\W\n")
    terminal.key("Enter")
    terminal.wait_for(re.compile(r"3/3.*ok 3"))
    terminal.wait_for("said-42")


@pytest.mark.skipif(bool(why_not()), reason=why_not())
def test_passwords_are_asked_once_for_a_set(console: Open, tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    methods = {"PasswordAuthentication": "yes", "PubkeyAuthentication": "no"}
    with sshd_with_accounts(tmp_path / "server", **methods) as server:
        server.config.write_text(server.config.read_text().replace("    BatchMode yes\n", ""))
        terminal = console(server, "node[1-3]", "ssh.agent=false")

        def answer(password: str) -> None:
            asked = terminal.wait_for(lambda screen: "assword" in screen and "Send" in screen)
            assert re.search(r"operator +node\[1-3\]", asked)
            fill(terminal, password, DOT * len(password))
            assert password not in terminal.screen()
            terminal.key("Enter")
            terminal.wait_for(lambda screen: "Send" not in screen)

        terminal.line("echo said-$((40+2))")
        answer("wrong goose")
        terminal.wait_for("unreachable 3")
        terminal.line(":failed")
        terminal.wait_for(re.compile("node.*password", re.IGNORECASE))
        terminal.line("echo said-$((40+3))")
        answer(PASSWORD)
        terminal.wait_for(re.compile(r"3/3.*ok 3"))

        # Once a session: the next run asks nothing, and sudo asks for its own.
        terminal.line(":shell --sudo -- id -un")
        answer(PASSWORD)
        terminal.wait_for(re.compile(r"#3.*\n.*3/3.*ok 3"))
        terminal.line(":gather")
        terminal.wait_for(lambda screen: "root" in screen and "node[1-3] (3)" in screen)
        wrong = [line for line in server.log().splitlines() if "Failed password" in line]
        assert len(wrong) == 1, wrong
    for path in (tmp_path / "STATE").rglob("*"):
        if path.is_file():
            assert PASSWORD.encode() not in path.read_bytes(), path
