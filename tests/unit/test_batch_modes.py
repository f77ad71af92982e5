"""The output modes of batch runs, each without a terminal and without an engine."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from ClusterShell.NodeSet import NodeSet

from clusterdeck.console.batch.files import NodeFiles
from clusterdeck.console.batch.json_modes import JsonDocument, JsonLines
from clusterdeck.console.batch.modes import ByNode, Diff, Gathered, LineGathered, Live, Names, OutputMode
from clusterdeck.console.batch.writer import Writer, use_color
from clusterdeck.console.runs.events import (
    Chunk,
    NodeChange,
    NodesChanged,
    NodesRestarted,
    OutputArrived,
    RunFinished,
    SessionEvent,
)
from clusterdeck.console.runs.options import RunOptions
from clusterdeck.console.runs.output import OutputLimits
from clusterdeck.console.runs.runs import Run
from clusterdeck.console.runs.spool import Spool, SpoolBudget
from clusterdeck.engine.states import Failure, FailureKind, NodeState


class Stage:
    """A run of three nodes and what is printed of it."""

    def __init__(self, tmp_path: Path, nodes: str = "n[1-3]", *, labels: bool = True, color: bool = False) -> None:
        spool = Spool(lambda: tmp_path, 10**9, SpoolBudget(10**9))
        self.run = Run(1, "cmd", "shell", NodeSet(nodes), RunOptions(), OutputLimits(), spool)
        self.stdout, self.stderr = io.BytesIO(), io.BytesIO()
        self.writer = Writer(self.stdout, self.stderr, labels=labels, out_color=color, err_color=color)
        self.mode: OutputMode = Live(self.run, self.writer)

    def tell(self, event: SessionEvent) -> None:
        self.run.apply(event)  # type: ignore[arg-type]
        self.mode.shown(event)

    def say(self, node: int, text: str, stream: int = 0) -> None:
        data = text.encode()
        self.tell(OutputArrived(1, (Chunk(node, stream, data, data.count(b"\n")),)))

    def end(self, *codes: int | None) -> None:
        for node, rc in enumerate(codes):
            state = NodeState.TIMEOUT if rc is None else NodeState.FAILED if rc else NodeState.OK
            self.tell(NodesChanged(1, (NodeChange(node, state, 2.0, rc),)))
        self.tell(RunFinished(1, 3.0))
        self.mode.finished()

    @property
    def out(self) -> str:
        return self.stdout.getvalue().decode()

    @property
    def err(self) -> str:
        return self.stderr.getvalue().decode()


@pytest.fixture
def stage(tmp_path: Path) -> Callable[..., Stage]:
    return lambda *args, **kwargs: Stage(tmp_path, *args, **kwargs)


def test_live_prints_both_streams_at_once(stage: Callable[..., Stage]) -> None:
    it = stage()
    it.say(1, "a\nb\n")
    it.say(0, "oops\n", stream=1)
    assert (it.out, it.err) == ("n2: a\nn2: b\n", "n1: oops\n")


def test_a_node_cannot_forge_another_ones_label(stage: Callable[..., Stage]) -> None:
    it = stage()
    it.say(0, "x\rn2: forged\n")
    it.say(0, "y\x1b[2K\x1b[1Gn2: forged\n")
    assert [line[:4] for line in it.out.splitlines()] == ["n1: ", "n1: "]
    assert not set(it.out) & {"\r", "\x1b"}


def test_gathering_separates_return_codes_and_sorts_by_size(stage: Callable[..., Stage]) -> None:
    it = stage("n[1-5]")
    it.mode = Gathered(it.run, it.writer, Names(it.run))
    for node, text in enumerate(("x\n", "y\n", "x\n", "x\n", "")):
        if text:
            it.say(node, text)
    it.say(0, "err\n", stream=1)
    assert it.err == "n1: err\n"
    it.end(0, 0, 0, 1, 0)
    rule = "-" * 15
    assert it.out.splitlines() == [
        rule, "n[1,3] (2)", rule, "x", rule, "n2", rule, "y", rule, "n4", rule, "x",
    ]  # fmt: skip


def test_gathering_without_labels_and_with_colours(stage: Callable[..., Stage]) -> None:
    bare = stage(labels=False)
    bare.mode = Gathered(bare.run, bare.writer, Names(bare.run))
    bare.say(0, "x\n")
    bare.end(0, 0, 0)
    assert bare.out == "x\n"
    colored = stage(color=True)
    colored.mode = Gathered(colored.run, colored.writer, Names(colored.run, count=False))
    colored.say(0, "x\n")
    colored.say(1, "x\n")
    colored.end(0, 0, 0)
    assert colored.out == f"\x1b[94m{'-' * 15}\nn[1-2]\n{'-' * 15}\x1b[0m\nx\n"


def test_line_mode_is_ordered_by_code_and_node(stage: Callable[..., Stage]) -> None:
    it = stage()
    it.mode = ByNode(it.run, it.writer)
    it.say(2, "c\n")
    it.say(0, "a1\na2\n")
    it.say(1, "b\n")
    assert it.out == ""
    it.end(1, 0, 0)
    assert it.out == "n2: b\nn3: c\nn1: a1\nn1: a2\n"


def test_gathered_lines_come_as_soon_as_every_node_has_sent_them(stage: Callable[..., Stage]) -> None:
    it = stage()
    it.mode = LineGathered(it.run, it.writer, Names(it.run))
    it.say(0, "same\nonly1\n")
    it.say(1, "same\n")
    assert it.out == ""
    it.say(2, "same\n")
    assert it.out == "n[1-3]: same\n"
    it.say(1, "late\n")
    it.tell(NodesChanged(1, (NodeChange(2, NodeState.OK, 1.0, 0),)))
    assert it.out == "n[1-3]: same\nn1: only1\nn2: late\n"
    it.say(0, "rest\n")
    it.end(0, 0, 0)
    assert it.out.endswith("n1: rest\n")


def test_diff_is_against_the_largest_group_of_the_lowest_code(stage: Callable[..., Stage]) -> None:
    it = stage("n[1-4]")
    it.mode = Diff(it.run, it.writer, Names(it.run))
    for node, text in enumerate(("a\n", "b\n", "b\n", "b\nc\n")):
        it.say(node, text)
    it.end(0, 0, 0, 0)
    assert it.out.splitlines() == [
        "--- n[2-3] (2)", "+++ n1", "@@ -1 +1 @@", "-b", "+a",
        "--- n[2-3] (2)", "+++ n4", "@@ -1 +1,2 @@", " b", "+c",
    ]  # fmt: skip


def test_equal_answers_have_no_diff(stage: Callable[..., Stage]) -> None:
    it = stage()
    it.mode = Diff(it.run, it.writer, Names(it.run))
    for node in range(3):
        it.say(node, "a\n")
    it.end(0, 0, 0)
    assert it.out == ""


def test_json_is_one_document(stage: Callable[..., Stage]) -> None:
    it = stage()
    it.mode = JsonDocument(it.run, it.writer)
    it.say(0, "a\x1b[31m\n")
    it.end(0, 3, None)
    found = json.loads(it.out)
    assert found["counts"] == {"ok": 1, "failed": 1, "timeout": 1}
    assert [(node["node"], node["state"], node["rc"]) for node in found["nodes"]] == [
        ("n1", "ok", 0),
        ("n2", "failed", 3),
        ("n3", "timeout", None),
    ]
    assert "\x1b" not in it.out


def test_json_lines_are_printed_as_they_happen(stage: Callable[..., Stage]) -> None:
    it = stage()
    it.mode = JsonLines(it.run, it.writer)
    it.say(0, "a\nb\n")
    assert len(it.out.splitlines()) == 2
    failure = Failure(FailureKind.REFUSED, "refused")
    it.tell(NodesChanged(1, (NodeChange(1, NodeState.UNREACHABLE, 1.0, None, failure),)))
    it.tell(NodesRestarted(1, (1,), 2))
    it.end(0, 0, 0)
    events = [json.loads(line) for line in it.out.splitlines()]
    assert events[1] == {"event": "output", "node": "n1", "stream": "stdout", "line": "b"}
    assert events[2]["reason"] == "refused"
    assert events[3] == {"event": "retry", "node": "n2", "attempt": 2}
    assert events[-1]["event"] == "finish"


def test_files_hold_the_bytes_and_begin_anew_with_a_retry(stage: Callable[..., Stage], tmp_path: Path) -> None:
    it = stage()
    it.mode = NodeFiles(it.run, tmp_path / "out", 0)
    it.say(0, "raw \x1b[31m\n")
    it.say(1, "first\n")
    it.tell(NodesRestarted(1, (1,), 2))
    it.say(1, "second\n")
    it.end(0, 0, 0)
    assert (tmp_path / "out" / "n1").read_bytes() == b"raw \x1b[31m\n"
    assert (tmp_path / "out" / "n2").read_bytes() == b"second\n"
    assert (tmp_path / "out" / "n3").read_bytes() == b""


def test_files_of_many_nodes_need_few_descriptors(stage: Callable[..., Stage], tmp_path: Path) -> None:
    it = stage("n[1-400]")
    files = NodeFiles(it.run, tmp_path / "out", 0)
    it.mode = files
    for round_number in range(2):
        for node in range(400):
            it.say(node, f"{round_number}\n")
            assert len(files._open) <= 128
    it.mode.finished()
    assert {file.read_text() for file in (tmp_path / "out").iterdir()} == {"0\n1\n"}


class Terminal(io.BytesIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("flag", "setting", "environment", "terminal", "expected"),
    [
        (None, "auto", {}, True, True),
        (None, "auto", {}, False, False),
        (None, "auto", {"NO_COLOR": "1"}, True, False),
        (None, "auto", {"NO_COLOR": "1", "CLICOLOR_FORCE": "1"}, True, False),
        (None, "auto", {"CLICOLOR_FORCE": "1"}, False, True),
        (None, "auto", {"CLICOLOR": "0"}, True, False),
        (None, "always", {"NO_COLOR": "1"}, True, False),
        (None, "always", {}, False, True),
        (None, "never", {}, True, False),
        ("always", "never", {"NO_COLOR": "1"}, False, True),
        ("never", "always", {}, True, False),
        ("auto", "never", {"NO_COLOR": "1"}, True, False),
    ],
)
def test_the_ladder_of_colours(
    flag: str | None, setting: str, environment: dict[str, str], terminal: bool, expected: bool
) -> None:
    stream = Terminal() if terminal else io.BytesIO()
    assert use_color(flag, setting, stream, environment) is expected


def test_raw_output_never_goes_to_a_terminal() -> None:
    with pytest.raises(ValueError, match="terminal"):
        Writer(Terminal(), io.BytesIO(), raw=True)
    out = io.BytesIO()
    Writer(out, io.BytesIO(), raw=True, labels=False).data(b"\x1b[31m\n")
    assert out.getvalue() == b"\x1b[31m\n"


def test_progress_is_wiped_before_output() -> None:
    out, err = Terminal(), Terminal()
    writer = Writer(out, err)
    writer.progress("1/3")
    writer.lines("n1", b"x\n")
    writer.progress("2/3")
    writer.progress("")
    assert err.getvalue() == b"\r\x1b[K1/3\r\x1b[K\r\x1b[K2/3\r\x1b[K"
