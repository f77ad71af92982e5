"""`config explain NODE`: what counts for a node, and where it was set."""

from __future__ import annotations

from pathlib import Path

import pytest
from ClusterShell.NodeSet import NodeSet

from clusterdeck.console.cli import main
from clusterdeck.console.exits import ExitCode
from clusterdeck.console.runs.options import RunOptions
from clusterdeck.console.session.launch import Launcher, RunSpec
from clusterdeck.console.session.node_sections import NodeSections
from clusterdeck.console.session.node_settings import NodeSettings
from clusterdeck.console.settings.config import load_settings
from clusterdeck.console.settings.sections import SECTIONS
from clusterdeck.console.settings.settings import Settings, means_node, setting_names
from clusterdeck.engine.events import EventHandler
from clusterdeck.engine.task import Task

CONFIG = """\
[run]
fanout = 7
user = "everybody"

[[nodes]]
match = "edge[1-3]"
user = "admin"
port = 2222
connect_timeout = 3
host_keys = "refuse"
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("STATE", "CONFIG", "CACHE"):
        monkeypatch.setenv(f"CLUSTERDECK_{name}_DIR", str(tmp_path / name.lower()))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    files = {"config/config.toml": CONFIG, ".ssh/config": "Host edge1 node7\n    HostName 10.0.0.7\n    Port 99\n"}
    for name, text in files.items():
        file = tmp_path / name
        file.parent.mkdir(mode=0o700)
        file.write_text(text)
        file.chmod(0o600)
    return tmp_path


def rows(settings: Settings, node: str) -> dict[str, tuple[str, str]]:
    return {name: (value, where) for name, value, where in NodeSettings(settings, NodeSet).explain(node)}


def test_every_value_is_told_with_its_place(home: Path) -> None:
    found = rows(load_settings(environment={}), "edge1")
    section = f"{home}/config/config.toml:5: [[nodes]] 'edge[1-3]'"
    assert found["run.user"] == ('"admin"', section)
    assert found["run.connect_timeout"] == ("3", section)
    assert found["run.fanout"] == ("7", f"{home}/config/config.toml")
    assert found["run.worker"] == ('"paramiko"', "default")
    assert found["hostname"] == ("10.0.0.7", f"{home}/.ssh/config:2")
    assert (found["port"], found["user"]) == (("2222", section), ("admin", section))
    assert found["stricthostkeychecking"] == ("yes", section)
    places = [where == "default" for _, where in found.values()]
    assert places == sorted(places)


def test_the_setting_counts_where_no_section_does(home: Path) -> None:
    found = rows(load_settings({"ssh.config": "none"}, {}), "node7")
    assert found["user"] == ("everybody", f"run.user: {home}/config/config.toml")
    assert found["hostname"] == ("node7", "default")
    assert rows(load_settings(environment={}), "node7")["port"] == ("99", f"{home}/.ssh/config:3")


@pytest.mark.parametrize("said", ["", " ServerAliveInterval 0\n"])
def test_the_keep_alive_is_told_once(home: Path, said: str) -> None:
    (home / ".ssh" / "config").write_text(f"Host node7\n ServerAliveInterval 7\nHost *\n Port 99\n{said}")
    found = rows(load_settings(environment={}), "node7")
    assert found["serveraliveinterval"] == ("7", f"{home}/.ssh/config:2")
    assert "ssh.keepalive" not in found
    other = rows(load_settings({"ssh.keepalive": "5"}, {}), "node8")
    assert other["ssh.keepalive"] == ("5", "flag")
    assert "serveraliveinterval" not in other


def test_what_is_told_is_what_runs_get(home: Path) -> None:
    settings = load_settings({"ssh.idle": "77"}, {})
    parts = NodeSections(settings.nodes, NodeSet).parts(["edge1", "node7"])
    spec = RunSpec("shell", "true", RunOptions(), parts=parts)
    task = Task()
    try:
        workers = Launcher(task, settings).launch(spec, EventHandler(), ["edge1", "node7"])
        by_node = {str(worker.nodes): worker for worker in workers}
        assert by_node["edge1"].infos["connect_timeout"] == 3
        assert by_node["edge1"].infos["ssh_user"] == "admin"
        assert by_node["edge1"].infos["ssh_host_keys"] == "refuse"
        assert "ssh_user" not in by_node["node7"].infos
        assert (task.info("ssh_idle"), task.info("ssh_keepalive")) == (77, 30)
    finally:
        task.abort(kill=True)


@pytest.mark.parametrize(("set_here", "expected"), [(None, None), ("10", "absent"), ("4", "absent")])
def test_the_time_to_connect_is_ssh_configs_where_nobody_set_ours(
    home: Path, set_here: str | None, expected: str | None
) -> None:
    (home / ".ssh" / "config").write_text("Host node7\n ConnectTimeout 33\n")
    settings = load_settings({} if set_here is None else {"run.connect_timeout": set_here}, environment={})
    found = rows(settings, "node7")
    if set_here is None:
        assert found["connecttimeout"] == ("33", f"{home}/.ssh/config:2")
        assert "run.connect_timeout" not in found
    else:
        assert float(found["run.connect_timeout"][0]) == float(set_here)
        assert "connecttimeout" not in found
    task = Task()
    try:
        spec = RunSpec("shell", "true", RunOptions())
        (worker,) = Launcher(task, settings).launch(spec, EventHandler(), ["node7"])
        assert worker.infos.get("connect_timeout", "absent") == expected
        handler = EventHandler()
        handler.ranks = {"node7": 0}  # type: ignore[attr-defined]
        spec = RunSpec("shell", "true", RunOptions(worker="ssh"))
        (worker,) = Launcher(task, settings).launch(spec, handler, ["node7"])
        assert "connect_timeout" not in worker.infos
    finally:
        task.abort(kill=True)


@pytest.mark.parametrize("word", ["node7", "web", "gw.example.org", "@web", "node[1-3]", "n1", "db", "run1", "host7"])
def test_names_of_nodes_are_nodes(word: str) -> None:
    assert means_node(word)


@pytest.mark.parametrize(
    "word", ["fanuot", "conect_timeout", "connect-timeout", "queeu", "run.fanuot", "limits.x", "conect-timeout"]
)
def test_mistyped_settings_are_no_nodes(word: str) -> None:
    assert not means_node(word)


def test_no_setting_is_a_node() -> None:
    names = setting_names()
    assert not any(map(means_node, [*names, *SECTIONS, *(name.rpartition(".")[2] for name in names)]))


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["node7"], ExitCode.OK, ["node7\n", "10.0.0.7", "/.ssh/config:2"]),
        (["edge[1-2]"], ExitCode.OK, ["edge1\n", "edge2\n"]),
        (["fanout", "node7"], ExitCode.OK, ["nodes at a time", "10.0.0.7"]),
        (["--node", "fanout"], ExitCode.OK, ["fanout\n", "stricthostkeychecking"]),
        (["fanuot"], ExitCode.CONFIGURATION, ["did you mean 'run.fanout'?"]),
        (["fanuot", "node7"], ExitCode.USAGE, ["did you mean 'run.fanout'?", "--node fanuot"]),
        (["bad;7"], ExitCode.USAGE, ["bad;7"]),
        (["--node", "x[1-"], ExitCode.USAGE, ["x[1-"]),
    ],
)
def test_from_a_shell(
    words: list[str], code: int, said: list[str], home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    returned = main(["config", "explain", *words])
    shown = "".join(capfd.readouterr())
    assert (returned, [part for part in said if part not in shown]) == (code, []), shown


def test_a_broken_ssh_config_is_told(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (home / ".ssh/config").write_text("Host x\n  Port nine\n")
    assert main(["config", "explain", "x1", "x"]) == ExitCode.CONFIGURATION
    assert "config:2" in capfd.readouterr().err
