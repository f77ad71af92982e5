"""What the full screen asks, end to end, on real OpenSSH servers: unknown host keys, a key with a passphrase."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from clusterdeck.tests.support.sshd import Sshd
from clusterdeck.tests.support.tmux import Tmux

NODES = ("alpha1", "beta1", "gamma1")
#: Seconds after which keys are sent again that were dropped.
PACE = 1.0
#: What stands for each character of a secret.
DOT = "\N{BULLET}"
#: The button `accept` as it looks with the focus: reversed.
FOCUSED = re.compile(r"\x1b\[(?:\d;)*7m(?:\x1b\[[\d;]*m)* *accept +(?:\x1b|$)")
Open = Callable[[], Tmux]


@pytest.fixture
def fleet(make_sshd: Callable[..., Sshd], tmp_path: Path) -> Path:
    """A configuration for three servers whose host keys are not known; its known_hosts is empty."""
    blocks = []
    for name in NODES:
        server = make_sshd(prefix=name.rstrip("1"))
        blocks.append(
            f"Host {name}\n  HostName 127.0.0.1\n  Port {server.port}\n  User {server.user}\n"
            f"  IdentityFile {server.key}\n  IdentitiesOnly yes\n  IdentityAgent none\n"
            f"  UserKnownHostsFile {tmp_path}/known_hosts\n  GlobalKnownHostsFile /dev/null\n"
            "  StrictHostKeyChecking ask\n"
        )
    config = tmp_path / "ssh_config"
    config.write_text("\n".join(blocks))
    config.chmod(0o600)
    return config


@pytest.fixture
def console(console_on: Callable[..., Tmux], fleet: Path) -> Open:
    """Open the console on the three nodes."""
    return lambda: console_on(fleet, ",".join(NODES), columns=110, rows=30)


def known(fleet: Path) -> int:
    """How many host keys are known now."""
    path = fleet.parent / "known_hosts"
    return len(path.read_text().splitlines()) if path.exists() else 0


def asked(terminal: Tmux) -> str:
    """Wait for the question, and until it takes keys."""
    shown = terminal.wait_for(lambda screen: "unknown keys of 3 hosts" in screen and "Cancel" in screen, 30)
    assert all(name in shown for name in NODES)
    assert shown.count("SHA256:") == 3
    return shown


def write(terminal: Tmux, text: str) -> None:
    """Into the line above the buttons, where Cancel has the focus; what comes in the first moments is dropped."""

    sent = 0.0

    def there(screen: str) -> bool:
        nonlocal sent
        if text not in screen and time.monotonic() - sent > PACE:
            sent = time.monotonic()
            terminal.key("Left", "End", "C-u")
            terminal.send(text)
        return text in screen

    terminal.wait_for(there, 30)


def take(terminal: Tmux) -> None:
    """From the line to the choices with Enter, and there the first one with another."""
    terminal.key("Enter")
    terminal.wait_for(lambda _screen: FOCUSED.search(terminal.coloured_screen()))
    terminal.key("Enter")


def gone(screen: str) -> bool:
    """No question is open."""
    return "unknown keys of" not in screen


def test_one_question_for_all_and_keys_typed_before_it_do_not_answer(console: Open, fleet: Path) -> None:
    terminal = console()
    terminal.line("echo said-$((40+2))")
    terminal.key("Tab", "Enter", "Enter", "y")
    asked(terminal)
    assert known(fleet) == 0
    write(terminal, "alpha1,beta1,gamma1,other")
    terminal.key("C-u")
    take(terminal)
    terminal.wait_for(gone)
    terminal.wait_for("ok 3", 30)
    assert known(fleet) == 3
    terminal.key("C-u")
    terminal.line("echo again-$((40+3))")
    terminal.wait_for("again-43")
    assert "unknown keys" not in terminal.screen()


def test_some_are_accepted_and_the_others_are_not_reached(console: Open, fleet: Path) -> None:
    terminal = console()
    terminal.line("echo said-$((40+2))")
    asked(terminal)
    write(terminal, "nobody")
    take(terminal)
    terminal.wait_for(lambda screen: "is in nobody" in screen and not FOCUSED.search(terminal.coloured_screen()))
    write(terminal, "beta1,gamma[1-2]")
    take(terminal)
    terminal.wait_for(gone)
    terminal.wait_for(re.compile(r"ok 2\b"), 30)
    terminal.wait_for("ended")
    assert known(fleet) == 2
    terminal.line(":failed")
    terminal.wait_for(lambda screen: "alpha1" in screen and "host key" in screen)


def test_giving_up_reaches_none_and_keeps_the_console(console: Open, fleet: Path) -> None:
    terminal = console()
    terminal.line("echo said-$((40+2))")
    asked(terminal)
    write(terminal, "alpha1,gamma1,other")
    terminal.key("Escape")
    terminal.wait_for("unreachable 3", 30)
    assert known(fleet) == 0
    terminal.line("!echo still-$((40+4))")
    terminal.wait_for("still-44")


def test_a_passphrase_is_asked_for_once_and_shown_nowhere(console: Open, fleet: Path) -> None:
    config = fleet.read_text().replace("StrictHostKeyChecking ask", "StrictHostKeyChecking accept-new")
    keys = re.findall(r"IdentityFile (\S+)", config)
    for key in keys:
        subprocess.run(
            ["ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", key],
            check=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
        )
    # One key for all three servers, so that it is one question.
    for key in keys[1:]:
        folder = Path(key).parent
        (folder / "authorized_keys").write_text(Path(f"{keys[0]}.pub").read_text())
        config = config.replace(key, keys[0])
    fleet.write_text(config)
    terminal = console()
    terminal.line("echo said-$((40+2))")
    terminal.wait_for(re.compile("[Pp]assphrase"), 30)

    sent = 0.0

    def heard(screen: str) -> bool:
        nonlocal sent
        if screen.count(DOT) != len("open sesame") and time.monotonic() - sent > PACE:
            sent = time.monotonic()
            terminal.key("End", "C-u")
            terminal.send("open sesame")
        return screen.count(DOT) == len("open sesame")

    terminal.wait_for(heard, 30)
    terminal.key("Enter")
    terminal.wait_for("ok 3", 30)
    assert "sesame" not in terminal.screen()
    terminal.line(":show 1")
    terminal.wait_for("said-42")
    folder = fleet.parent / "STATE"
    for path in folder.rglob("*"):
        if path.is_file():
            assert b"sesame" not in path.read_bytes(), path
