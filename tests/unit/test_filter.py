"""The filter's language and its evaluation, without a screen."""

from __future__ import annotations

import math
import time
from collections import Counter

import pytest

from clusterdeck.console.runs.events import NodesRestarted
from clusterdeck.engine.states import NodeState
from clusterdeck.tests.support.fake_run import FakeSession, out, states
from clusterdeck.widgets.board import Board
from clusterdeck.widgets.filter_completion import completions
from clusterdeck.widgets.filter_model import FilterModel, Resolution
from clusterdeck.widgets.filter_terms import parse_filter
from clusterdeck.widgets.numbers import Numbers
from clusterdeck.widgets.run_filter import RunFilter, text_filter

NAMES = [f"node{number}" for number in range(1, 21)] + ["web1", "web2", "db-main"]
GROUPS = {"@web": {"web1", "web2"}, "@low": {f"node{number}" for number in range(1, 11)}}


def resolve(expression: str) -> Resolution:
    from ClusterShell.NodeSet import NodeSet

    if expression == "@slow":
        return Resolution(None, pending=True)
    if expression == "@wrong":
        return Resolution(None, error="no such group")
    for group, members in GROUPS.items():
        expression = expression.replace(group, ",".join(members))
    return Resolution(frozenset(str(node) for node in NodeSet(expression, resolver=None)))


@pytest.fixture
def board() -> Board:
    session = FakeSession(",".join(NAMES))
    run = session.make_run()
    names = list(run.names)
    session.push(states(run, range(len(names)), NodeState.OK, 0))
    session.push(states(run, [names.index("node3")], NodeState.FAILED, 2))
    session.push(states(run, [names.index("node4")], NodeState.FAILED, 3))
    session.push(states(run, [names.index("node5")], NodeState.TIMEOUT))
    session.push(out(run, names.index("node6"), "kernel panic at 0x12", "more"), out(run, names.index("web1"), "fine"))
    session.drain(10)
    return Board(run, NAMES)


def passing(board: Board, text: str) -> list[str]:
    model = FilterModel(resolve)
    model.set_board(board)
    model.set_text(text)
    for _ in range(100):
        if not model.update(0.05):
            break
    nodes = model.result.nodes
    return [] if nodes is None else [board.names[node] for node in nodes]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("node[3-5]", ["node3", "node4", "node5"]),
        ("node3,web1", ["node3", "web1"]),
        ("@web", ["web1", "web2"]),
        ("@web!web1", ["web2"]),
        ("@web ! web1", ["web2"]),
        ("@low & node[9-12]", ["node10", "node9"]),
        ("!@web !node* ", ["db-main"]),
        ("node*9", ["node19", "node9"]),
        ("node1?", [f"node{number}" for number in range(10, 20)]),
        ("state:failed", ["node3", "node4"]),
        ("state:timeout,failed", ["node3", "node4", "node5"]),
        ("state:f", ["node3", "node4"]),
        ("state:bad !rc:3", ["node3", "node5"]),
        ("rc:2", ["node3"]),
        ("rc:>1", ["node3", "node4"]),
        ("rc:>=3", ["node4"]),
        ("rc:<3 rc:!0", ["node3"]),
        ("out:panic", ["node6"]),
        ("out:/0x[0-9]+$/", ["node6"]),
        ("!out:/./ web", ["web2"]),
        ("/^db/", ["db-main"]),
        ("/b1$", ["web1"]),
        ("web1", ["web1"]),
        ("eb", ["web1", "web2"]),
        ("dmn", ["db-main"]),
        ("WEB1", ["web1"]),
        ("nothing-like-it", []),
    ],
)
def test_what_passes(board: Board, text: str, expected: list[str]) -> None:
    assert sorted(passing(board, text)) == sorted(expected)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("state:nonsense", "no state begins"),
        ("rc:x", "rc: wants a number"),
        ("/(a+)+/", "for ever"),
        ("/(/", "missing"),
        ("node[1-", "not finished"),
        ("@wrong", "no such group"),
        ("node[1-999999999]", "too many nodes"),
        ("a[1-9999]b[1-9999]", "too many nodes"),
    ],
)
def test_what_cannot_be_used_is_told_and_what_passed_before_stays(board: Board, text: str, told: str) -> None:
    model = FilterModel(resolve)
    model.set_board(board)
    result = model.set_text(text)
    assert told in result.error
    assert result.nodes is None
    passed = model.set_text(NAMES[2]).nodes
    result = model.set_text(f"{NAMES[2]} {text}")
    assert told in result.error
    assert result.nodes == passed
    model.set_text("")
    assert model.set_text(text).nodes is None


def test_no_text_is_no_filter(board: Board) -> None:
    model = FilterModel(resolve)
    model.set_board(board)
    assert model.set_text("   ").nodes is None


def test_a_group_that_is_being_asked_keeps_the_last_good_answer(board: Board) -> None:
    answers = {"@x": Resolution(frozenset({"node1"}))}
    model = FilterModel(lambda expression: answers[expression])
    model.set_board(board)
    assert [board.names[node] for node in model.set_text("@x").nodes or ()] == ["node1"]
    answers["@x"] = Resolution(None, pending=True)
    result = model.evaluate()
    assert result.pending
    assert [board.names[node] for node in result.nodes or ()] == ["node1"]


def test_pending_counts_are_marked(board: Board) -> None:
    model = FilterModel(resolve)
    model.set_board(board)
    assert model.set_text("@slow").told.endswith("...")


def test_a_state_filter_follows_the_run(board: Board) -> None:
    model = FilterModel(resolve)
    model.set_board(board)
    model.set_text("state:failed")
    run = board.run
    assert run is not None
    before = len(model.result.nodes or ())
    run.apply(states(run, [0], NodeState.FAILED, 1))  # type: ignore[attr-defined, arg-type]
    assert model.update()
    assert len(model.result.nodes or ()) == before + 1


def test_an_output_filter_follows_the_output(board: Board) -> None:
    model = FilterModel(resolve)
    model.set_board(board)
    model.set_text("out:late")
    while model.update(0.05):
        pass
    assert list(model.result.nodes or ()) == []
    run = board.run
    run.apply(out(run, 2, "it came late"))  # type: ignore[union-attr, arg-type]
    assert model.update(0.05)
    assert list(model.result.nodes or ()) == [2]


def test_slashes_keep_blanks_together() -> None:
    (term,) = parse_filter("out:/a b/")
    assert term.search is not None
    assert term.search.found_in("xa by")


def test_every_prefix_of_a_filter_can_be_typed() -> None:
    text = "@web!node[1-3],x&@db state:failed rc:>2 out:/a|b/ !/^n/ *x* free"
    for length in range(len(text)):
        parse_filter(text[:length])


@pytest.mark.parametrize(
    ("text", "passing"),
    [
        ("uname state:ok", ["#3 UNAME -r", "node12: uname"]),
        ("!uname", ["web1: slow", "x"]),
        ("node*", ["node12: uname"]),
        ("node?", ["node12: uname"]),
        ("/^web|^#/", ["#3 UNAME -r", "web1: slow"]),
        ("@web", ["web1: slow"]),
        ("node[1-20] uname", ["node12: uname"]),
        ("!@web !node[1-20]", ["#3 UNAME -r", "x"]),
        ("@slow x", ["x"]),
    ],
)
def test_views_without_nodes_use_words_patterns_and_names(text: str, passing: list[str]) -> None:
    matches = text_filter(parse_filter(text), lambda expression: resolve(expression).names)
    assert matches is not None
    assert [line for line in ("#3 UNAME -r", "node12: uname", "web1: slow", "x") if matches(line)] == passing


def test_without_words_all_lines_pass() -> None:
    assert text_filter(parse_filter("state:failed rc:2 out:x"), lambda _: None) is None
    assert not RunFilter(parse_filter("out:x state:nonsense"), lambda _: None)


@pytest.mark.parametrize(
    ("text", "passing"),
    [
        ("uname", [1]),
        ("df", [2]),
        ("node1", [1]),  # exactly that node; no run but the first has it
        ("node*", [1, 2]),
        ("node2? df", [2]),
        ("node2[0-9]", [2]),
        ("@web", [3]),
        ("@web uname", []),
        ("uname state:failed", [1]),
        ("state:failed", [1, 2]),
        ("state:failed node3", [1]),
        ("state:failed node4", []),  # that node went well
        ("rc:2", [1]),
        ("rc:>2", [2]),
        ("rc:0", [1, 2]),
        ("!node*", [3]),
        ("!uname", [2, 3]),
        ("!state:ok", [1, 2, 3]),
        ("!rc:0 state:ok", []),
        ("/^web1$/", [3]),
        ("@slow", [1, 2, 3]),
        ("u*e", [1, 3]),  # of the commands
        ("nothing-has-this", []),
    ],
)
def test_a_run_passes_by_its_command_or_by_one_of_its_nodes(text: str, passing: list[int]) -> None:
    session = FakeSession("node[1-5]")
    first = session.make_run("uname -r")
    second = session.make_run("df", "node[20-22]")
    session.make_run("uptime -e", "web[1-2]")
    for run, bad, rc in ((first, 2, 2), (second, 0, 7)):
        session.push(states(run, range(len(run.names)), NodeState.OK, 0), states(run, [bad], NodeState.FAILED, rc))
    session.drain(10)
    passes = RunFilter(parse_filter(text), lambda expression: resolve(expression).names)
    assert [run.id for run in session.runs if passes(run)] == passing
    session.close()


@pytest.mark.parametrize("lines", [1, 3])
def test_output_of_a_node_that_was_tried_again_is_looked_at_again(lines: int) -> None:
    session = FakeSession("node[1-3]")
    run = session.make_run()
    session.push(*(out(run, node, "panic") for node in range(3)))
    session.drain(10)
    model = FilterModel(resolve)
    model.set_board(Board(run, list(run.names)))
    model.set_text("out:panic")
    while model.update(0.05):
        pass
    assert model.result.nodes == [0, 1, 2]
    session.push(NodesRestarted(run.id, (0, 1), 2), out(run, 0, *["fine"] * lines), out(run, 1, *["panic"] * lines))
    session.drain(10)
    while model.update(0.05):
        pass
    assert model.result.nodes == [1, 2]
    numbers = Numbers(run)
    numbers.step(math.inf)
    assert numbers.values == {}
    session.push(NodesRestarted(run.id, (0,), 3), out(run, 0, *["7"] * lines))
    session.drain(10)
    numbers.step(math.inf)
    session.push(NodesRestarted(run.id, (0,), 4), out(run, 0, *["8"] * lines))
    session.drain(10)
    numbers.step(math.inf)
    assert numbers.values == {0: 8.0}
    session.close()


def test_ten_thousand_nodes_pass_in_milliseconds() -> None:
    session = FakeSession("node[00001-10000]")
    board = Board(session.make_run(), [])
    model = FilterModel(resolve)
    model.set_board(board)
    _ = board.index
    for text in ("node0", "n99", "node*7", "state:pending", "/7$/", "node[00100-00200]"):
        begun = time.process_time()
        model.set_text(text)
        assert time.process_time() - begun < 1.0, text


@pytest.mark.parametrize(
    ("line", "best"),
    [
        ("sta", "state:"),
        ("node5 sta", "node5 state:"),
        ("state:f", "state:failed"),
        ("!state:ok,t", "!state:ok,timeout"),
        ("@w", "@web"),
        ("@web!node1", "@web!node10"),
        ("@web&@d", "@web&@db"),
        ("node2,NODE1", "node2,node1"),
        ("r", "rc:"),
        ("out:x", None),
        ("/no", None),
        ("", None),
        ("nothing-like-it", None),
    ],
)
def test_the_end_of_a_line_is_completed(line: str, best: str | None) -> None:
    board = Board(None, ["node1", "node10", "node11", "node2"])
    found = completions(line, board, ["web", "db"])
    assert (found[0] if found else None) == best


def test_return_codes_of_the_run_are_offered_most_frequent_first(board: Board) -> None:
    codes = [int(line.removeprefix("rc:")) for line in completions("rc:", board, ())]
    counted = Counter(rc for node in range(board.size) if (rc := board.rc(node)) is not None)
    assert sorted(codes) == sorted(counted)
    assert [counted[code] for code in codes] == sorted(counted.values(), reverse=True)
