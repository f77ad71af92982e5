"""Names and paths that are commands, options or placeholders themselves: nothing is run that was not asked for.

Every attack makes the file `pwned` in the current folder if any shell or program takes it for more than a name.
"""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet

from clusterdeck.console.commands.catalogue import default_registry
from clusterdeck.console.language.language import parse
from clusterdeck.console.macros.substitution import SubstitutionError, fill
from clusterdeck.console.runs.options import RunOptions
from clusterdeck.console.runs.run_store import RunStore
from clusterdeck.console.session.launch import remote_command
from clusterdeck.console.session.node_expressions import DeckResolver, NodeExpressionError, parse_nodes
from clusterdeck.engine.names import file_name
from clusterdeck.engine.states import NodeState
from clusterdeck.engine.task import Task, task_self
from clusterdeck.engine.taskmanager.template import Template, TemplateError, Values
from clusterdeck.tests.hostile.injections import Ends, attacks

#: What a node, a user may be called; said here once more, so that these tests do not ask the check that they test.
HARMLESS_NODE = re.compile(r"(?!-|\.{1,2}\Z)[A-Za-z0-9._:-]{1,253}")
HARMLESS_USER = re.compile(r"(?![-@\\])[A-Za-z0-9._@\\-]{1,128}")

pytestmark = pytest.mark.usefixtures("scratch")


def node_sets() -> list[NodeSet]:
    """Those that ClusterShell's own parser takes for the name of a node."""
    found = []
    for text in attacks():
        try:
            nodes = NodeSet(text, resolver=RESOLVER_NOGROUP)
        except Exception:
            continue
        found += [NodeSet(node, resolver=RESOLVER_NOGROUP) for node in nodes if not HARMLESS_NODE.fullmatch(node)]
    assert len(found) >= 100
    return found


@pytest.fixture
def stand_in(tmp_path: Path) -> tuple[str, Path]:
    """A program in place of rsh and the like: notes its arguments, and gives the last one to a shell as they do."""
    log = tmp_path / "calls"
    log.write_text("")
    program = tmp_path / "stand-in"
    program.write_text(
        "#!/bin/sh\n"
        f'for word; do printf "[%s]" "$word" >> {log}; done; echo >> {log}\n'
        'while [ $# -gt 1 ]; do shift; done; exec sh -c "$1"\n'
    )
    program.chmod(0o755)
    return str(program), log


@pytest.fixture
def task(stand_in: tuple[str, Path]) -> Any:
    made = task_self()
    for key in ("rsh_path", "rcp_path", "pdsh_path", "pdcp_path", "scp_path"):
        made.set_info(key, stand_in[0])
    made.set_info("connect_timeout", 5)
    yield made
    made.abort(kill=True)


def test_enough_attacks_of_every_kind() -> None:
    assert len(set(attacks())) >= 300
    assert len({str(nodes) for nodes in node_sets()}) >= 100


def test_the_attacks_work_where_nobody_is_careful(scratch: Path) -> None:
    """A shell line put together from these strings does run a good part of them: the marker would tell."""
    working = 0
    for text in attacks()[:120]:
        if "\0" not in text:
            subprocess.run(
                ["sh", "-c", f"true {text}"], stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, check=False
            )
            working += (scratch / "pwned").exists()
            (scratch / "pwned").unlink(missing_ok=True)
    assert working > 40


@pytest.mark.parametrize("worker", ["exec", "ssh", "rsh", "pdsh", "paramiko"])
def test_node_names(worker: str, task: Task, scratch: Path, stand_in: tuple[str, Path]) -> None:
    """With every placeholder in the command; each worker refuses such names itself, whoever calls it."""
    task.set_default("distant_workername", worker)
    commands = ["true %h %host %n %rank %%", "true %hosts"] if worker == "exec" else ["true"]
    for command in commands:
        recorder = Ends()
        for nodes in node_sets():
            task.shell(command, nodes=nodes, handler=recorder)
        task.resume(60)
        assert len(recorder.ends) >= 100
        assert {end.state for end in recorder.ends.values()} <= {NodeState.FAILED, NodeState.UNREACHABLE}
    assert list(scratch.iterdir()) == []
    assert stand_in[1].read_text() == "", "a program was started"


@pytest.mark.parametrize("worker", ["exec", "ssh", "rsh", "pdsh", "paramiko"])
def test_node_names_in_copies(
    worker: str, task: Task, scratch: Path, stand_in: tuple[str, Path], tmp_path: Path
) -> None:
    task.set_default("distant_workername", worker)
    source = tmp_path / "source"
    source.write_text("x")
    recorder = Ends()
    for nodes in node_sets():
        task.copy(str(source), str(tmp_path / "there"), nodes, handler=recorder)
        task.rcopy(str(source), str(tmp_path), nodes, handler=recorder)
    task.resume(60)
    assert len(recorder.ends) >= 100
    assert list(scratch.iterdir()) == []
    assert stand_in[1].read_text() == ""
    assert {end.state for end in recorder.ends.values()} <= {NodeState.FAILED, NodeState.UNREACHABLE}


def _users() -> list[str]:
    hostile = [text for text in attacks() if not HARMLESS_USER.fullmatch(text)]
    assert len(hostile) >= 100
    return hostile


@pytest.mark.parametrize("worker", ["ssh", "rsh", "paramiko"])
def test_user_names(worker: str, task: Task, scratch: Path, stand_in: tuple[str, Path], tmp_path: Path) -> None:
    config = tmp_path / "ssh_config"
    config.write_text('Match exec "true %r"\n  Port 1\nHost *\n HostName 127.0.0.1\n ProxyCommand echo %r %h %n\n')
    task.set_info("ssh_config", str(config))
    task.set_default("distant_workername", worker)
    ends: list[Any] = []
    for user in _users():
        recorder = Ends()
        for key in ("ssh_user", "rsh_user"):
            task.set_info(key, user)
        task.shell("true", nodes="n1", handler=recorder)
        if worker != "paramiko":
            task.copy(str(config), "/there", "n2", handler=recorder)
        task.resume(60)
        ends += recorder.ends.values()
    assert len(ends) >= 100
    assert {end.state for end in ends} <= {NodeState.FAILED, NodeState.UNREACHABLE}
    assert list(scratch.iterdir()) == []
    assert stand_in[1].read_text() == ""


@pytest.mark.parametrize("worker", ["exec", "ssh", "rsh", "pdsh"])
def test_paths_of_copies(worker: str, task: Task, scratch: Path, stand_in: tuple[str, Path], tmp_path: Path) -> None:
    """A file may be called anything: it is never an option, and never another host's file."""
    task.set_default("distant_workername", worker)
    there = tmp_path / "there"
    there.mkdir()
    copied = set()
    for text in attacks():
        if "\0" in text or "/" in text or "%" in text:
            continue
        (scratch / text).write_text("mine")
        recorder = Ends()
        task.copy(text, str(there), "n1", handler=recorder)
        task.resume(60)
        (scratch / text).unlink()
        copied.add(text)
        assert list(scratch.iterdir()) == [], repr(text)
    assert len(copied) >= 100
    if worker == "exec":
        assert {path.name for path in there.iterdir()} == copied
        return
    for line in stand_in[1].read_text().splitlines():
        if "[n1]:" in line or "n1:" in line:
            assert "][-oProxy" not in line


def shells(make: Callable[[str], str | None], scratch: Path) -> int:
    """Run what `make` makes of each attack in one shell; how many there were. All values must come through."""
    made = [(text, line) for text in attacks() if "\0" not in text and (line := make(text)) is not None]
    script = "\n".join(line for _, line in made)
    done = subprocess.run(["sh", "-c", script], capture_output=True, stdin=subprocess.DEVNULL, check=False)
    assert list(scratch.iterdir()) == []
    assert done.stderr == b""
    expected = "".join(f"<{text}>\n" for text, _ in made)
    assert done.stdout.decode() == expected
    return len(made)


@pytest.mark.parametrize(
    "text", ["printf '<%s>\\n' {}", 'printf "<%s>\\n" "{}"', "printf '<{}>\\n'", "printf '<%s>\\n' {} # x"]
)
def test_arguments_of_queued_commands(text: str, scratch: Path) -> None:
    if text == "printf '<{}>\\n'":
        text = "printf '%s\\n' '<{}>'"
    template = Template(text)
    assert shells(lambda value: template.render(Values(value, 1, 1, "n1")), scratch) >= 100


@pytest.mark.parametrize("place", ["{node}", "{.}", "{/}", "{//}", "{/.}"])
def test_other_places_of_queued_commands(place: str, scratch: Path) -> None:
    template = Template(f"printf '<%s>\\n' {place} >&2; true {{}}")
    for value in attacks():
        try:
            line = template.render(Values(value, 1, 1, value))
        except TemplateError:
            assert "\0" in value
            continue
        if "\0" in line:
            continue
        subprocess.run(["sh", "-c", line], capture_output=True, stdin=subprocess.DEVNULL, check=False)
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(
    "line",
    [
        ":shell -- printf '<%s>\\n' {name}",
        ":shell -- printf '%s\\n' \"<{name}>\"",
        ":shell -- printf '%s\\n' '<{name}>'",
    ],
)
def test_parameters_of_macros(line: str, scratch: Path) -> None:
    command = parse(line, default_registry())

    def make(value: str) -> str | None:
        try:
            return fill(command, {"name": value}).get("command")
        except SubstitutionError:
            return None

    assert shells(make, scratch) >= 100


def test_parameters_of_macros_are_never_options() -> None:
    """In other commands a value is one value."""
    command = parse(":nodes {name}", default_registry())
    for value in attacks():
        filled = fill(command, {"name": value})
        assert filled.options == command.options
        assert len(filled.arguments) == len(command.arguments)


def test_values_of_the_environment(scratch: Path) -> None:
    def make(value: str) -> str:
        return remote_command("printf '<%s>\\n' \"$V\"", RunOptions(environment=(("V", value),)), sudo=False)

    assert shells(make, scratch) >= 100
    for name in attacks():
        with pytest.raises(ValueError, match="variable"):
            remote_command("true", RunOptions(environment=((name, "x"),)), sudo=False)


def test_expressions_of_nodes_and_groups(scratch: Path, folders: dict[str, str], tmp_path: Path) -> None:
    """What is typed as nodes is refused, or names harmless nodes; group programs of the operator get harmless words."""
    from ClusterShell.NodeUtils import GroupResolver, UpcallGroupSource

    source = UpcallGroupSource("s", "echo n1 $GROUP >/dev/null; echo n1", "echo n1", "echo g", "echo g $NODE", None)
    groups = GroupResolver(source)
    resolver = DeckResolver(RunStore(), lambda name: None, lambda name: None, lambda: groups)
    for text in attacks():
        for expression in (text, f"@{text}", f"@s:{text}", f"n[1-3]!@{text}", f"@*&{text}"):
            try:
                nodes = parse_nodes(expression, resolver)
            except NodeExpressionError:
                continue
            for node in nodes:
                assert HARMLESS_NODE.fullmatch(node), node
        assert list(scratch.iterdir()) == [], repr(text)


@pytest.mark.parametrize("worker", ["exec", "ssh", "rsh", "pdsh", "paramiko"])
def test_words_of_the_command_line(worker: str, scratch: Path, folders: dict[str, str]) -> None:
    """The program itself: everything at once, as a script might hand it over."""
    hostile = [text for text in attacks() if "\0" not in text]
    for start in range(0, len(hostile), 170):
        words = list(itertools.chain.from_iterable(("-w", text) for text in hostile[start : start + 170]))
        argv = [sys.executable, "-m", "clusterdeck", "run", "-R", worker, *words, "true %h"]
        done = subprocess.run(argv, env=folders, capture_output=True, stdin=subprocess.DEVNULL, check=False)
        assert done.returncode != 0, done.stdout
        assert b"Traceback" not in done.stderr
    assert list(scratch.iterdir()) == []


def test_file_names_made_of_names(tmp_path: Path) -> None:
    for text in attacks():
        made = file_name(text)
        assert "/" not in made
        assert "\0" not in made
        assert made not in ("", ".", "..")
        assert os.path.dirname(made) == ""
