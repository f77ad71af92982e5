"""What the widgets stand on, without a screen: boards, answers as rows, diffs, plots, searching, measuring."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.style import Style

from clusterdeck.engine.states import FailureKind, NodeState
from clusterdeck.engine.text import clean_line
from clusterdeck.tests.support.fake_run import FakeSession, finish, mixed, out, states
from clusterdeck.widgets import reasons
from clusterdeck.widgets.actions import ACTIONS
from clusterdeck.widgets.answers import AnswerRows, blocks_of
from clusterdeck.widgets.board import IDLE, Board, ordered
from clusterdeck.widgets.cells import Row, clock, fit, fit_name, folds, quantity, safe, width_of
from clusterdeck.widgets.diff import compare, normalise
from clusterdeck.widgets.failures import reasons_of
from clusterdeck.widgets.heat_map import HeatMap
from clusterdeck.widgets.look import make_look
from clusterdeck.widgets.numbers import Series, number_in
from clusterdeck.widgets.painted import painted
from clusterdeck.widgets.plot import Summary, edges_told, heat_edges, histogram, levels, sparkline, told
from clusterdeck.widgets.search import Search, around
from clusterdeck.widgets.status_bar import eta, slowest
from clusterdeck.widgets.views import OutputLine


@given(st.text(), st.integers(0, 60))
def test_fit_is_exact(text: str, width: int) -> None:
    assert width_of(fit(safe(text), width)) == width


@given(st.lists(st.text(max_size=30), max_size=6), st.integers(0, 50))
def test_a_row_is_never_wider_than_it_may_be(texts: list[str], width: int) -> None:
    row = Row(width, Style.null())
    for text in texts:
        row.add(text)
    strip = row.strip()
    assert sum(width_of(segment.text) for segment in strip) == width
    assert not any(ord(character) < 32 or 0x7F <= ord(character) < 0xA0 for character in strip.text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "40ms"),
        (0.9994, "999ms"),
        (0.9996, "1.0s"),
        (9.94, "9.9s"),
        (9.96, "9s"),
        (41, "41s"),
        (125, "2:05"),
        (3725, "1:02:05"),
        (None, ""),
    ],
)
def test_clock(seconds: float | None, text: str) -> None:
    assert clock(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(820, "820 B"), (1500, "1.5 kB"), (123_000_000, "123 MB"), (5e12, "5.0 TB")]
)
def test_quantity(count: float, text: str) -> None:
    assert quantity(count) == text


def test_board_orders() -> None:
    session = FakeSession("node[1-12]")
    run = mixed(session)
    session.drain(10)
    board = Board(run, ["node1", "extra9"])
    names = [board.names[node] for node in ordered(board, range(13), "name", 0.0)]
    assert names == ["extra9", *(f"node{number}" for number in range(1, 13))]
    ranks = [board.state(node) for node in ordered(board, range(13), "state", 0.0)]
    assert ranks[-1] == IDLE
    assert ranks.index(NodeState.FAILED) < ranks.index(NodeState.OK)
    assert list(ordered(board, range(13), "given", 0.0)) == list(range(13))
    assert len(ordered(board, range(13), "time", 0.0)) == 13


def test_answers_find_every_row() -> None:
    session = FakeSession("node[1-5]")
    run = session.make_run()
    session.push(*(out(run, node, *map(str, range(40))) for node in (0, 1, 2)), out(run, 3, "x"), out(run, 4, "y", "z"))
    session.push(finish(run))
    session.drain(10)
    blocks = blocks_of(run.groups(), None, run.fold, {4}, {0})
    rows = AnswerRows(blocks)
    kinds = [rows.place(row).kind for row in range(rows.total)]
    assert kinds[:5] == ["heading", "member", "member", "member", "line"]
    assert kinds.count("heading") == 2
    assert kinds.count("compact") == 1  # one node, one line
    assert kinds.count("more") == 1
    assert rows.total == sum(block.rows for block in blocks)
    for number in range(3):
        assert rows.block_at(rows.start_of(number)) == number
    narrowed = blocks_of(run.groups(), frozenset({1, 3}), run.fold, set(), set())
    assert [(block.folded, len(block.members)) for block in narrowed] == [("node2", 1), ("node4", 1)]
    rare = blocks_of(run.groups(), None, run.fold, set(), set(), outliers=True)
    assert [len(block.members) for block in rare] == [1, 1, 3]


def test_reasons_meet_though_the_node_is_named_in_them() -> None:
    session = FakeSession("node[1-4]")
    run = session.make_run()
    session.push(*(states(run, [n], NodeState.UNREACHABLE, 255, f"node{n + 1}: no route") for n in (0, 1)))
    session.push(states(run, [2], NodeState.FAILED, 7))
    session.drain(10)
    reasons = reasons_of(run)
    assert [(reason.state, reason.text, reason.nodes) for reason in reasons] == [
        (NodeState.FAILED, "rc 7", (2,)),
        (NodeState.UNREACHABLE, "no answer", (0, 1)),
    ]


def test_eta_only_while_nodes_wait_for_their_turn() -> None:
    session = FakeSession("node[1-100]")
    run = session.make_run()
    run.started = 0.0
    assert eta(run, 10.0) is None
    run.apply(states(run, range(20), NodeState.OK, 0))
    assert eta(run, 10.0) == pytest.approx(40.0)
    run.apply(states(run, range(20, 100), NodeState.RUNNING))
    assert eta(run, 20.0) is None
    assert len(slowest(run, 1e9)) == 3


# -- diff


def test_compare_marks_both_sides_and_leaves_out_what_is_equal() -> None:
    base = [str(number) for number in range(20)]
    other = [*base[:10], "new", *base[11:]]
    lines = compare(base, other)
    assert [(line.mark, line.text) for line in lines] == [
        (" ", "8"), (" ", "9"), ("-", "10"), ("+", "new"), (" ", "11"), (" ", "12"),
    ]  # fmt: skip
    assert compare(base, base) == []


def test_answers_with_nothing_in_common_are_cut() -> None:
    lines = compare([f"a{n}" for n in range(3000)], [f"b{n}" for n in range(3000)])
    assert len(lines) == 301
    assert lines[-1].text == "... 4000 lines differ in all"


def test_normalised_lines_are_equal() -> None:
    one, two = "node1.example: 42 ms, id 0xdeadbeef00", "node27.example: 7 ms, id 0xfeedbeef01"
    assert normalise(one, ("node1.example",)) == normalise(two, ("node27.example",))
    assert normalise("up 3 days node1", ("node1.example",)) == "up N days NODE"


# -- plot


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.42 0.1", 0.42), ("load: -3", -3.0), ("1,5 GB", 1.5), ("v2x", None), ("none", None), ("1e3", 1000.0)],
)
def test_number_in(text: str, value: float | None) -> None:
    assert number_in(text) == value


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=50))
def test_pictures_take_any_numbers(values: list[float]) -> None:
    summary = Summary.of(values)
    assert summary is not None
    assert summary.low <= summary.median <= summary.high
    assert sum(count for _, _, count in histogram(values, 12)) == len(values)
    edges = heat_edges(values, 5)
    assert edges == sorted(edges)
    assert edges[0] == min(values)
    assert set(levels(dict(enumerate(values)), edges).values()) <= set(range(5))
    assert len(sparkline([*values, None])) == len(values) + 1
    assert all(told(value) for value in values)


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e308", "-1e308", "9" * 400, "1e999"])
def test_what_cannot_be_measured_is_no_number(text: str) -> None:
    assert number_in(text) is None


@given(st.lists(st.floats(-1e200, 1e200), min_size=1, max_size=20))
def test_pictures_take_the_largest_numbers(values: list[float]) -> None:
    assert sum(count for _, _, count in histogram(values, 12)) == len(values)
    assert set(levels(dict(enumerate(values)), heat_edges(values, 5)).values()) <= set(range(5))
    assert len(sparkline(list(values))) == len(values)
    assert Summary.of(values) is not None


@pytest.mark.parametrize(
    ("values", "steps"),
    [
        ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4]),
        ([*range(8), 10_000], [0, 0, 1, 1, 2, 2, 3, 3, 4]),  # one far above does not flatten the rest
        ([-500, *range(8), 10_000], [0, 1, 1, 1, 2, 2, 3, 3, 3, 4]),
        ([1] * 20 + [2] * 3 + [500], [0] * 20 + [1] * 3 + [2]),  # most are equal: the different numbers are the steps
        ([7, 7], [0, 0]),
    ],
)
def test_a_few_far_numbers_leave_the_others_their_steps(values: list[float], steps: list[int]) -> None:
    found = levels(dict(enumerate(values)), heat_edges(values, 5))
    assert [found[node] for node in range(len(values))] == steps


def test_a_heat_map_tells_the_lowest_and_the_highest_number() -> None:
    values = {node: float(node) for node in range(8)} | {8: 10_000.0}
    told_steps = HeatMap([f"n{node}" for node in range(9)], range(9), values, (80, 24), 4).legend()
    text = "".join(piece for piece, _ in told_steps)
    assert text.split()[:2] == ["\u2581", "0.00+"]
    assert text.endswith("10000.00+  to 10000.00")
    assert "".join(piece for piece, _ in HeatMap(["n1"], [0], {0: 3.0}, (80, 24), 4).legend()) == "all 3"


def test_a_histogram_has_round_edges() -> None:
    bins = histogram([0.3, 1.1, 2.9, 11.4, 11.5], 12)
    assert [low for low, _, _ in bins] == list(range(12))
    assert [count for _, _, count in bins] == [1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2]
    assert edges_told([low for low, _, _ in histogram([-1, 1], 8)]) == ["-1.00", "-0.75", "-0.50", "-0.25", "0.00",
                                                                       "0.25", "0.50", "0.75", "1.00"]  # fmt: skip
    assert histogram([5.0, 5.0], 12) == [(5.0, 5.0, 2)]


def test_numbers_over_rounds() -> None:
    session = FakeSession("node[1-3]")
    rounds = []
    for number in range(3):
        run = session.make_run("cat /proc/loadavg")
        answered = [node for node in range(3) if node != number]
        session.push(*(out(run, node, f"{node}.{number}") for node in answered))
        if number < 2:
            session.push(finish(run))
        rounds.append(run)
    session.drain(10)
    series = Series()
    series.set_rounds(rounds, rounds[-1].names)
    while series.step(math.inf):
        pass
    assert [series.of(node) for node in range(3)] == [[None, 0.1, 0.2], [1.0, None, 1.2], [2.0, 2.1, None]]
    series.set_rounds(rounds[1:], rounds[-1].names)
    assert series.of(2) == [2.1, None]
    session.close()


def test_no_numbers_no_picture() -> None:
    assert Summary.of([]) is None
    assert histogram([], 5) == []
    assert heat_edges([], 5) == []
    assert levels({}, []) == {}
    assert sparkline([None]) == ""
    assert number_in("nan inf " + "9" * 400) is None or math.isfinite(number_in("9" * 400) or 0.0)


# -- reasons


@pytest.mark.parametrize(
    ("kind", "reason", "common", "own"),
    [
        ("refused", "n1: 10.0.0.1:22 refused the connection: is sshd running there?", "refused",
         "refused: 10.0.0.1:22 refused the connection: is sshd running there?"),
        ("connect timeout", "n1 (10.0.0.1:2201): no connection within 4 s: is it up?", "no answer within 4 s",
         "no connection within 4 s: is it up?"),
        ("command timeout", "n1: stopped here", "stopped here", "stopped here"),
        ("", "n1: no way to 10.0.0.1 port 22", "no way to ADDRESS", "no way to 10.0.0.1 port 22"),
        ("", "", "", ""),
        ("no route", "n1 has no route", "no route", "no route: n1 has no route"),
        ("authentication", "n1: login as x failed: 1 key", "login refused", "login as x failed: 1 key"),
    ],
)  # fmt: skip
def test_the_kind_of_failure_comes_first(kind: str, reason: str, common: str, own: str) -> None:
    assert reasons.heading(kind, reason, "n1") == common
    assert reasons.told(kind, reason, "n1") == own


def test_every_kind_has_a_short_word() -> None:
    untold = {FailureKind.COMMAND_TIMEOUT, FailureKind.INTERNAL}  # the state says the one, nothing says the other
    assert all(0 < len(reasons.short_kind(kind.value)) <= 9 for kind in FailureKind if kind not in untold)


@given(st.text(max_size=40), st.integers(0, 40))
def test_a_cut_name_keeps_its_end(text: str, width: int) -> None:
    assert width_of(fit_name(safe(text), width)) == width
    assert fit_name("gpu-a100-rack07-node01", 10) == "gpu-\N{HORIZONTAL ELLIPSIS}ode01"


# -- search


def test_search_words_and_patterns() -> None:
    assert Search("Abc").found_in("xAbc")
    assert not Search("Abc").found_in("xabc")
    assert Search("abc").found_in("xABC")
    assert Search("/a.c/").spans("abc axc") == [(0, 3), (4, 7)]
    assert Search("a.c").spans("abc a.c") == [(4, 7)]
    assert not Search("/(/")
    assert Search("/(/").error
    assert not Search("")
    assert Search("/x*/").spans("aaa") == []


@pytest.mark.parametrize("step", [1, -1])
@pytest.mark.parametrize(("at", "rows"), [(0, 1), (0, 2500), (1200, 2500), (2499, 2500)])
def test_a_search_goes_around_all_rows_once(at: int, rows: int, step: int) -> None:
    visited = [row for start, stop in around(at, rows, step) for row in range(start, stop)[::step]]
    assert visited[-1] == at
    assert visited == [(at + step * distance) % rows for distance in range(1, rows + 1)]


@given(st.text(max_size=60), st.integers(2, 30), st.integers(0, 10))
def test_folded_lines_keep_every_character_but_blanks_between(text: str, width: int, hang: int) -> None:
    at = 0
    for number, (start, end) in enumerate(folds(text, width, hang)):
        assert text[at:start] in ("", " ")
        room = max(1, width - (hang if number else 0))
        assert width_of(text[start:end]) <= room or end - start == 1
        at = end
    assert at == len(text)


# -- painted lines

_LINE = st.lists(
    st.sampled_from(["error", "日本", "\t", "e\u0301", "\x1b[31m", "\x1b[1;44m", "\x1b[m", "\x07", "[bold]", "\u202e"]),
    max_size=20,
).map(lambda parts: "".join(parts).encode())


@given(_LINE, st.sampled_from(["", "err", "/o|日/", "x"]), st.integers(0, 30), st.integers(1, 60), st.booleans())
def test_a_painted_line_is_its_text_whatever_its_colours_and_matches(
    data: bytes, searched: str, shift: int, room: int, changed: bool
) -> None:
    line = OutputLine(clean_line(data), "stdout", data if b"\x1b[" in data else b"")
    hit = Style(italic=True)
    pieces = painted(line, make_look({}), Search(searched), hit, shift, room, changed=changed)
    assert "".join(piece.text for piece in pieces) == line.text[shift : shift + room + 1]
    row = Row(room, Style.null())
    for piece in pieces:
        row.add(piece.text, piece.style)
    assert sum(width_of(segment.text) for segment in row.strip()) == room
    if not shift and room > 55:
        matched = "".join(piece.text for piece in pieces if piece.style is hit)
        wanted = "".join(line.text[start:end] for start, end in Search(searched).spans(line.text))
        assert wanted.startswith(matched)


# -- actions


def test_every_action_is_told() -> None:
    for action in ACTIONS.values():
        assert action.help.endswith(".")
        assert action.label
        assert action.key
