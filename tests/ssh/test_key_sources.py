"""Unknown host keys looked up in a file, a program's output and DNS before they are trusted."""

from __future__ import annotations

import base64
import hashlib
import struct
import subprocess
from pathlib import Path

import pytest

from clusterdeck.console.runs.events import QuestionAsked, SessionEvent
from clusterdeck.console.session.questions import QuestionDesk
from clusterdeck.engine.ssh.key_sources import KeySourceError, from_dns, look_up, records
from clusterdeck.engine.ssh.questions import UnknownKey
from clusterdeck.engine.states import FailureKind
from clusterdeck.engine.task import Task
from clusterdeck.engine.workers.paramiko import pool_of
from clusterdeck.tests.ssh.conftest import Recorder
from clusterdeck.tests.support.sshd import Sshd


def _blob(number: int, kind: bytes = b"ssh-ed25519") -> bytes:
    body = bytes([number]) * 32
    return struct.pack(">I", len(kind)) + kind + struct.pack(">I", 32) + body


def _key(name: str, number: int) -> UnknownKey:
    return UnknownKey(name.strip("[").partition("]")[0], name, "127.0.0.1", "ssh-ed25519", "SHA256:x", _blob(number))


def _line(name: str, number: int, marker: str = "") -> str:
    return f"{marker}{name} ssh-ed25519 {base64.b64encode(_blob(number)).decode()}\n"


KEYS = [_key("a", 1), _key("b", 2), _key("c", 3), _key("[d]:2222", 4), _key("e", 5)]
TEXT = (
    "# of the CMDB\nnonsense\n"
    + _line("a", 1)
    + _line("b", 9)
    + _line("[d]:2222", 4)
    + _line("e", 5, marker="@revoked ")
)


def _said(evidence: object) -> tuple[list[str], list[str]]:
    return [k.node for k in evidence.confirmed], [k.node for k in evidence.contradicted]  # type: ignore[attr-defined]


def test_a_file(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(TEXT)
    assert _said(look_up(str(file), KEYS)) == (["a", "d"], ["b", "e"])
    file.write_text(TEXT.replace("nonsense\n", ""))
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(file)], check=True, capture_output=True)
    assert "|1|" in file.read_text()
    assert _said(look_up(f" {file} ", KEYS)) == (["a", "d"], ["b", "e"])


def test_a_program(tmp_path: Path) -> None:
    program = tmp_path / "cmdb"
    program.write_text(f"#!/bin/sh\nprintf '%s' '{TEXT}'\n")
    program.chmod(0o755)
    assert _said(look_up(f"!{program}", KEYS)) == (["a", "d"], ["b", "e"])
    assert _said(look_up(f"!{program} '; touch {tmp_path}/pwned'", KEYS))[0] == ["a", "d"]
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("/no/such/file", "is not a file"),
        ("/", "is not a file"),
        ("!/no/such/program", "No such file"),
        ("!false", "ended with 1"),
        ("!", "no program"),
        ("!'", "No closing quotation"),
    ],
)
def test_sources_that_cannot_be_used(source: str, why: str) -> None:
    with pytest.raises(KeySourceError, match=why):
        look_up(source, KEYS)


def _answer(name: str, *found: tuple[int, int, bytes], flags: int = 0x81A0) -> bytes:
    question = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0" + b"\0\x2c\0\1"
    answer = struct.pack(">HHHHHH", 1, flags, 1, len(found) + 1, 0, 0) + question
    # An alias first: other records are passed over.
    answer += b"\xc0\x0c" + struct.pack(">HHIH", 5, 1, 60, 2) + b"\xc0\x0c"
    for kind, digest_kind, digest in found:
        answer += b"\xc0\x0c" + struct.pack(">HHIH", 44, 1, 60, 2 + len(digest)) + bytes([kind, digest_kind]) + digest
    return answer


def test_records_of_dns() -> None:
    right = {key.name: hashlib.sha256(key.key).digest() for key in KEYS}
    answers = {
        "a": _answer("a", (4, 2, bytes(32)), (4, 2, right["a"])),
        "b": _answer("b", (4, 2, bytes(32))),
        "c": _answer("c", (1, 2, right["c"]), (4, 1, bytes(20))),  # of another type, and SHA-1
        "d": _answer("d", (4, 2, right["[d]:2222"])),
        "e": _answer("e", (4, 2, right["e"]), flags=0x8180),  # nobody verified it
    }
    assert _said(from_dns(KEYS, answers.get)) == (["a", "d"], ["b"])
    assert _said(from_dns(KEYS, lambda _name: None)) == ([], [])


def test_answers_of_dns_that_are_cut_or_hostile() -> None:
    whole = _answer("host.example", (4, 2, b"x" * 32))
    assert records(whole) == [(4, b"x" * 32)]
    for end in range(len(whole)):
        assert records(whole[:end]) == []
    for place in range(len(whole)):
        records(whole[:place] + b"\xff" + whole[place + 1 :])
    assert records(_answer("a", (4, 2, b"x" * 32), flags=0x81A3)) == [], "an error"
    assert records(_answer("a", (4, 2, b"x" * 32), flags=0x01A0)) == [], "no reply"


def test_the_system_resolver_can_be_asked() -> None:
    """Whatever it says of a name that does not exist, it is no evidence; no network is needed for that."""
    assert _said(look_up("dns", [_key("host-key-test.invalid", 1)])) == ([], [])


def test_import_in_the_question(ssh_task: Task, sshd: Sshd, tmp_path: Path, recorder: Recorder) -> None:
    """Keys of a fleet: the ones that the file has are taken, the wrong one is named, and the rest is asked for."""
    public = sshd.host_key.read_text().split()
    other = _line("new3", 7)
    source = tmp_path / "from cmdb"
    source.write_text(f"new1 {public[0]} {public[1]}\nnew2 {public[0]} {public[1]}\n{other}")
    text = "".join(f"Host new{n}\n HostKeyAlias new{n}\n" for n in range(1, 6))
    text += f"Host new*\n HostName 127.0.0.1\n Port {sshd.port}\n IdentityFile {sshd.key}\n IdentityAgent none\n"
    text += f" UserKnownHostsFile {tmp_path}/known\n GlobalKnownHostsFile none\n StrictHostKeyChecking ask\n"
    config = tmp_path / "config"
    config.write_text(text)
    events: list[QuestionAsked] = []
    replies = iter(["import /no/such/file", f"import {source}", "accept new5"])

    def tell(event: SessionEvent) -> None:
        if isinstance(event, QuestionAsked):
            events.append(event)
            desk.answer(event.question, next(replies))

    desk = QuestionDesk(tell)
    ssh_task.set_info("ssh_config", str(config))
    ssh_task.set_info("ssh_ask", desk.ask)
    ssh_task.run("true", nodes="new[1-5]", handler=recorder)
    assert {node: end.state.name for node, end in recorder.ends.items()} == {
        "new1": "OK",
        "new2": "OK",
        "new3": "UNREACHABLE",
        "new4": "UNREACHABLE",
        "new5": "OK",
    }
    assert recorder.kind("new3") is FailureKind.HOST_KEY_UNKNOWN
    assert [len(event.rows) for event in events] == [5, 5, 3]
    assert "nothing was imported" in events[1].title
    assert {row[0]: row[4:] for row in events[2].rows} == {
        "new3": (f"{source} has ANOTHER key",),
        "new4": (),
        "new5": (),
    }
    assert sorted(line.split()[0] for line in (tmp_path / "known").read_text().splitlines()) == ["new1", "new2", "new5"]
    assert pool_of(ssh_task).live_count == 3
