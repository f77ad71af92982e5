"""Settings for some nodes: the first section that matches, and what SSH is told."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from ClusterShell.NodeSet import NodeSet

from clusterdeck.console.runs.options import RunOptions
from clusterdeck.console.runs.runs import Run
from clusterdeck.console.session.checks import UnknownWorkerError
from clusterdeck.console.session.node_sections import NodeSections
from clusterdeck.console.session.session import Session
from clusterdeck.console.settings.settings import NodeSection, Settings, SettingsError
from clusterdeck.engine.states import NodeState


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLUSTERDECK_STATE_DIR", str(tmp_path / "state"))
    return tmp_path


def section(match: str, **values: object) -> NodeSection:
    return NodeSection(match, tuple(values.items()), "config.toml")


def test_a_node_belongs_to_the_first_section_that_matches() -> None:
    sections = NodeSections([section("n[1-2]", timeout=1.0), section("n[2-3]", timeout=2.0)], NodeSet)
    assert sections.parts(["n1", "n2", "n3", "n4"]) == (
        ({}, ("n4",)),
        ({"timeout": 1.0}, ("n1", "n2")),
        ({"timeout": 2.0}, ("n3",)),
    )
    assert sections.parts(["x1", "x2"]) == ()


def test_ssh_reads_what_sections_say(state: Path) -> None:
    own = state / "own"
    own.write_text("Host n4\n    User other\n    Port 99\nHost *\n    User everybody\n")
    sections = NodeSections(
        [
            section("n[1-2]", user="admin", port=2222, proxy_jump="gate", host_keys="refuse", agent_forwarding=False),
            section("n[2-3]", port=44, connect_timeout=2.4),
        ],
        NodeSet,
    )
    file = sections.ssh_config(str(own))
    assert file is not None
    assert Path(file).stat().st_mode & 0o777 == 0o600

    def told(node: str) -> dict[str, str]:
        text = subprocess.run(["ssh", "-G", "-F", file, node], capture_output=True, text=True, check=True).stdout
        return dict(line.split(" ", 1) for line in text.splitlines() if " " in line)

    assert (told("n2")["user"], told("n2")["port"], told("n2")["proxyjump"]) == ("admin", "2222", "gate")
    assert told("n1")["stricthostkeychecking"] in ("true", "yes")
    assert (told("n3")["user"], told("n3")["port"], told("n3")["connecttimeout"]) == ("everybody", "44", "2")
    assert (told("n4")["user"], told("n4")["port"]) == ("other", "99")


def test_sections_that_do_not_concern_ssh_make_no_file() -> None:
    assert NodeSections([section("n1", timeout=3.0)], NodeSet).ssh_config("none") is None


@pytest.mark.parametrize(
    "values",
    [
        {"user": "-oProxyCommand=id"},
        {"user": "x\nProxyCommand id"},
        {"port": 0},
        {"port": 70000},
        {"proxy_jump": "x\n  ProxyCommand id"},
        {"proxy_jump": "-x y"},
        {"host_keys": "no"},
    ],
)
def test_values_that_could_be_more_than_they_are_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match=r"config\.toml"):
        NodeSections([section("n1", **values)], NodeSet).parts(["n1"])


def test_a_run_follows_the_sections() -> None:
    settings = Settings()
    settings.set("worker", "exec")
    settings.nodes.append(section("n[1-2]", timeout=0.3))
    settings.nodes.append(section("n4", worker="nosuch"))
    with Session(settings) as session:

        def ended(run: Run) -> list[str]:
            deadline = time.monotonic() + 20
            while not run.done.is_set() and time.monotonic() < deadline:
                session.wait_batch(0.1)
                session.drain()
            return [NodeState(state).word for state in run.states]

        assert ended(session.shell("sleep 1.2", NodeSet("n[1-3]"), RunOptions())) == ["timeout", "timeout", "ok"]
        assert ended(session.shell("sleep 0.6", NodeSet("n[1-3]"), RunOptions(timeout=60))) == ["ok", "ok", "ok"]
        with pytest.raises(UnknownWorkerError, match=r"nosuch.*ssh"):
            session.shell("true", NodeSet("n[3-4]"), RunOptions())
        assert ended(session.shell("true", NodeSet("n3"), RunOptions())) == ["ok"]


def test_sessions_with_other_sections_have_files_of_their_own(state: Path) -> None:
    one, two = NodeSections([section("n1", port=22)], NodeSet), NodeSections([section("n1", port=2222)], NodeSet)
    first, second = one.ssh_config("none"), two.ssh_config("none")
    assert first is not None
    assert second is not None
    assert "Port 22\n" in Path(first).read_text()
    assert "Port 2222\n" in Path(second).read_text()
    assert NodeSections([section("n1", port=22)], NodeSet).ssh_config("none") == first
    own = one.ssh_config("/etc/own")  # set anew within the session
    assert own != first
    Path(first).unlink()
    assert one.ssh_config("none") == first
    assert Path(first).exists()


def test_files_that_no_session_has_taken_up_for_long_go(state: Path) -> None:
    (folder := state / "state").mkdir()
    for name in ("nodes.ssh_config", "nodes-0123456789abcdef.ssh_config"):
        (folder / name).write_text("Host *\n")
        os.utime(folder / name, (1, 1))
    file = NodeSections([section("n1", port=22)], NodeSet).ssh_config("none")
    assert [str(found) for found in folder.iterdir()] == [file]
