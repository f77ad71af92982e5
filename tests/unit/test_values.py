"""Durations, conditions, redaction and dangerous verbs: small functions with sharp edges."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdeck.console.interpreter.danger import dangerous
from clusterdeck.console.language import values
from clusterdeck.console.language.conditions import judge, read_condition
from clusterdeck.console.language.redact import _PATTERNS, find_secrets, redact
from clusterdeck.console.runs.options import RunOptions
from clusterdeck.engine.states import NodeState
from clusterdeck.tests.support.fake_session import Answered, FakeSession


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("5m", 300), ("1h30m", 5400), ("0.5s", 0.5), ("250ms", 0.25), ("2d", 172800), ("7", 7), ("0", 0)],
)
def test_durations(text: str, seconds: float) -> None:
    assert values.read_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "s", "5x", "-1s", "1h 30m", "5s5", "1.s", "nan", "inf", "1e3", "\u0663s", "9" * 20 + "d"]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|too long"):
        values.read_duration(text)


@given(st.integers(0, 10_000_000))
def test_shown_durations_are_read_back(seconds: int) -> None:
    assert values.read_duration(values.show_duration(seconds)) == seconds


@pytest.mark.parametrize("text", ["1,10%,rest", "5", "100%", "rest"])
def test_batches(text: str) -> None:
    assert values.read_batches(text) == text


@pytest.mark.parametrize("text", ["", "0", "0%", "rest,1", "101%", "1,,2", "1;2", "all"])
def test_what_are_no_batches(text: str) -> None:
    with pytest.raises(ValueError, match=r"batch|share"):
        values.read_batches(text)


# -- conditions


def _session() -> FakeSession:
    """Ten nodes: eight ok, one returned 2, one timed out; two different answers."""
    ends = {"n9": Answered("x", rc=2), "n10": Answered(rc=None, state=NodeState.TIMEOUT)}
    session = FakeSession(lambda _command, node: ends.get(node, Answered("same")))
    session.shell("x", session.resolve("n[1-10]"), RunOptions())
    return session


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("ok>=80%", True),
        ("ok>=81%", False),
        ("ok==8", True),
        ("ok=8", True),
        ("ok==all", False),
        ("nodes==all", True),
        ("bad<=2", True),
        ("bad<2", False),
        ("bad != 2", False),
        ("timeout==1 and failed==1", True),
        ("timeout==1, failed==2", False),
        ("rc:2==1", True),
        ("rc:0==8", True),
        ("groups==2", True),
        ("lines>9", False),
        ("unreachable==0", True),
        ("@failed", True),
        ("not @failed", False),
        ("@unreachable", False),
        ("not @unreachable and ok>0", True),
    ],
)
def test_conditions(condition: str, holds: bool) -> None:
    session = _session()
    verdict, reason = judge(condition, session.runs.last, lambda expression: not session.resolve(expression))
    assert verdict is holds
    assert reason


@pytest.mark.parametrize(
    "text", ["", "ok", "ok>", ">1", "ok>=a", "fine>1", "not ok>1", "ok>=1 or bad>1", "groups>=5%", "web1"]
)
def test_what_is_no_condition(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a condition|cannot be counted|share"):
        read_condition(text)


def test_a_share_is_not_rounded_in_favour() -> None:
    session = _session()
    # 85% of ten nodes are 8.5: eight are not enough.
    assert judge("ok>=85%", session.runs.last, lambda _: True)[0] is False


# -- secrets


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("mysql --password=tiger -e x", "mysql --password=*** -e x"),
        ("mysql -ptiger db", "mysql -p*** db"),
        ("export DB_PASSWORD='a b' && run", "export DB_PASSWORD=*** && run"),
        ("curl -u me:tiger https://x", "curl -u me:*** https://x"),
        ("curl https://me:tiger@host/x", "curl https://me:***@host/x"),
        ("curl -H 'Authorization: Bearer abc.def' x", "curl -H 'Authorization: Bearer ***' x"),
        ("sshpass -p tiger ssh x", "sshpass -p *** ssh x"),
        ("echo tiger | sudo -S ls", "echo *** | sudo -S ls"),
        ("echo 'root:tiger' | chpasswd", "echo *** | chpasswd"),
        ("vault login token=abc", "vault login token=***"),
        ("aws configure set aws_secret_access_key=AKIA", "aws configure set aws_secret_access_key=***"),
        ("app --api-key abc --verbose", "app --api-key *** --verbose"),
        ('{"password": "tiger"}', '{"password": ***}'),
    ],
)
def test_secrets_are_taken_out(line: str, shown: str) -> None:
    assert redact(line) == shown


@pytest.mark.parametrize(
    "line",
    ["uptime", "passwd --status root", "grep -r password /etc", "mysql -p db", "x --password=$PW", "x token={token}",
     "ls -p /tmp", "systemctl status sshd", "cat /etc/passwd", "curl https://host:8080/x"],
)  # fmt: skip
def test_lines_without_secrets_stay(line: str) -> None:
    assert redact(line) == line


def test_no_line_can_make_the_search_for_secrets_take_long() -> None:
    for pattern in _PATTERNS:
        outside = re.sub(r"\\.|\[(?:[^\]\\]|\\.)*\]", "x", pattern.pattern)
        assert not re.search(r"[*+]", outside), "an unbounded repetition in " + pattern.pattern


@given(st.text(max_size=80))
def test_places_of_secrets_are_in_order(line: str) -> None:
    places = find_secrets(line)
    assert all(start < end for start, end in places)
    assert all(one[1] <= two[0] for one, two in itertools.pairwise(places))


# -- dangerous verbs


@pytest.mark.parametrize(
    ("command", "verb"),
    [
        ("reboot", "reboot"),
        ("sudo -u root /sbin/reboot", "reboot"),
        ("env A=1 timeout 5 shutdown -r now", "shutdown"),
        ("uptime; reboot", "reboot"),
        ("a && b || halt &", "halt"),
        ("if true; then poweroff; fi", "poweroff"),
        ("sh -c 'rm -rf /'", "rm -r"),
        ('bash -lc "cd / && rm -fr x"', "rm -r"),
        ("ssh other reboot", "reboot"),
        ("echo `reboot`", "reboot"),
        ('x="$(mkfs.xfs /dev/sda1)"', "mkfs.xfs"),
        ("rm --recursive x", "rm -r"),
        ("find / -delete", "find -delete"),
        ("find / -exec rm -rf {} +", "rm -r"),
        ("ls | xargs -n 1 rm -r", "rm -r"),
        ("dd if=/dev/zero of=/dev/sda", "dd of=/dev/sda"),
        ("cat x > /dev/nvme0n1", "> /dev/..."),
        ("systemctl --now reboot", "systemctl reboot"),
        ("systemctl stop sshd", "systemctl stop sshd"),
        ("init 6", "init 6"),
        ("kill -9 -1", "kill -1"),
        (":(){ :|:& };:", ":(){ ... }"),
        ("uptime\nreboot", "reboot"),
        ("drop-db now", "drop-db"),
        ("reboot 'unclosed", "reboot"),
    ],
)
def test_dangerous_commands(command: str, verb: str) -> None:
    assert dangerous(command, ["drop-db"]) == verb


@pytest.mark.parametrize(
    "command",
    ["uptime", "grep reboot /var/log/messages", "last reboot", "echo 'rm -rf /'", "rm file", "rm -f file",
     "systemctl status sshd", "dd if=/dev/sda of=/tmp/x", "crontab -l", "echo x > /dev/null", "find / -name reboot",
     "ip link", "kill -15 1234", "man shutdown", "", "'"],
)  # fmt: skip
def test_harmless_commands(command: str) -> None:
    assert dangerous(command) is None


@given(st.text(max_size=60))
def test_any_command_can_be_judged(command: str) -> None:
    dangerous(command)
