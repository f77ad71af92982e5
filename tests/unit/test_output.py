"""Output of nodes: blocks, caps, spool, gap, digests, groups and the merged view."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterdeck.console.runs.events import Chunk
from clusterdeck.console.runs.excerpt import Excerpt
from clusterdeck.console.runs.groups import AnswerGroup, Grouping
from clusterdeck.console.runs.merged import MergedRing
from clusterdeck.console.runs.output import OutputLimits, OutputStore
from clusterdeck.console.runs.pages import Pages
from clusterdeck.console.runs.spool import Spool, SpoolBudget


def chunk(node: int, *lines: bytes, stream: int = 0) -> Chunk:
    return Chunk(node, stream, b"".join(line + b"\n" for line in lines), len(lines))


def store(tmp_path: Path, nodes: int = 2, quota: int = 10**9, **limits: int) -> OutputStore:
    spool = Spool(lambda: tmp_path, quota, SpoolBudget(quota))
    return OutputStore(nodes, OutputLimits(**limits), spool)


def numbered(count: int, start: int = 0) -> list[bytes]:
    return [b"line %06d of the node" % number for number in range(start, start + count)]


def test_lines_come_back_in_order_with_their_streams(tmp_path: Path) -> None:
    out = store(tmp_path)
    out.append(chunk(0, b"a", b"", b"b"))
    out.append(chunk(0, b"oops", stream=1))
    out.append(chunk(0, b"c"))
    assert out.lines(0, 0, 99) == [(0, b"a"), (0, b""), (0, b"b"), (1, b"oops"), (0, b"c")]
    assert out.lines(0, 2, 4) == [(0, b"b"), (1, b"oops")]
    assert out.line_count(0) == 5
    assert out.newest(0).raw() == [(0, b"c")]
    assert b"".join(out.pieces(0, 0)) == b"a\n\nb\nc\n"
    assert b"".join(out.pieces(0, 1)) == b"oops\n"
    assert (out.line_count(1), out.lines(1, 0, 9), out.newest(1).raw(), out.digest(1)) == (0, [], [], b"")


def test_above_the_cap_old_output_goes_to_disk_and_stays_readable(tmp_path: Path) -> None:
    out = store(tmp_path, node_memory=64 * 1024)
    lines = numbered(20_000)
    for start in range(0, len(lines), 100):
        out.append(chunk(0, *lines[start : start + 100]))
        assert out.memory <= 64 * 1024 + 100 * 30
    assert out.line_count(0) == 20_000
    assert [line for _, line in out.lines(0, 0, 20_000)] == lines
    assert out.lines(0, 12_345, 12_346) == [(0, lines[12_345])]
    assert out.newest(0).raw() == [(0, lines[-1])]
    assert b"".join(out.pieces(0)) == b"\n".join(lines) + b"\n"
    assert list(tmp_path.iterdir()) == [], "the spool file must have no name"


def test_above_the_quota_the_middle_is_cut_and_counted(tmp_path: Path) -> None:
    out = store(tmp_path, quota=100_000, node_memory=64 * 1024)
    lines = numbered(20_000)
    for start in range(0, len(lines), 100):
        out.append(chunk(0, *lines[start : start + 100]))
    lost_lines, lost_bytes = out.lost(0)
    assert lost_lines > 0
    assert lost_bytes == lost_lines * 24
    assert out.received(0) == 20_000
    assert out.line_count(0) == 20_000 - lost_lines + 1
    shown = [line for _, line in out.lines(0, 0, out.line_count(0))]
    mark = f"[{lost_lines} lines ({lost_bytes} bytes) not kept: output limits reached]".encode()
    place = shown.index(mark)
    assert shown[:place] == lines[:place]
    assert shown[place + 1 :] == lines[place + lost_lines :]
    assert out.memory <= 64 * 1024 + 3000


def test_equal_answers_have_equal_digests_however_they_arrived_and_though_they_were_cut(tmp_path: Path) -> None:
    out = store(tmp_path, nodes=3, quota=10_000, node_memory=64 * 1024)
    lines = numbered(10_000)
    for start in range(0, 10_000, 50):
        out.append(chunk(0, *lines[start : start + 50]))
    for start in range(0, 10_000, 400):
        out.append(chunk(1, *lines[start : start + 400]))
    out.append(chunk(2, *lines[:-1], b"other"))
    assert out.digest(0) == out.digest(1) != out.digest(2)
    out.seal()
    assert out.digest(0) == out.digest(1) != out.digest(2)


def test_the_cap_of_the_run_holds_over_many_nodes(tmp_path: Path) -> None:
    out = store(tmp_path, nodes=100, run_memory=1024 * 1024, node_memory=1024 * 1024)
    lines = numbered(20)
    for _ in range(60):
        for node in range(100):
            out.append(chunk(node, *lines))
            assert out.memory <= 1024 * 1024 + 1000
    assert all(out.line_count(node) == 1200 for node in range(100))
    assert [line for _, line in out.lines(50, 0, 1200)] == lines * 60


def test_a_node_that_is_tried_again_begins_anew(tmp_path: Path) -> None:
    out = store(tmp_path)
    out.append(chunk(0, b"first"))
    out.reset(0)
    assert out.line_count(0) == 0
    assert out.memory == 0
    out.append(chunk(0, b"second"))
    assert out.lines(0, 0, 9) == [(0, b"second")]


@pytest.mark.parametrize("quota", [0, 10**9])
def test_the_caps_hold_however_much_comes_at_once(quota: int, tmp_path: Path) -> None:
    """A reader that is behind gets all of it in one chunk."""
    out = store(tmp_path, quota=quota, node_memory=64 * 1024)
    lines = [b"before", *numbered(20_000), b"x" * 100_000, *numbered(20_000, 20_000)]
    out.append(chunk(0, *lines[:1]))
    out.append(chunk(0, *lines[1:]))
    assert out.memory <= 64 * 1024
    shown = [line for _, line in out.lines(0, 0, out.line_count(0))]
    lost, size = out.lost(0)
    if quota:
        assert (shown, lost) == (lines, 0)
    else:
        assert shown[0] == f"[{lost} lines ({size} bytes) not kept: output limits reached]".encode()
        assert lost + len(shown) - 1 == len(lines) == out.received(0)
        assert shown[1:] == lines[lost:]
        assert size + sum(len(line) + 1 for line in shown[1:]) == out.size(0)


def test_a_full_disk_is_told_once_and_cuts(tmp_path: Path) -> None:
    errors: list[OSError] = []
    spool = Spool(lambda: tmp_path / "nowhere", 10**9, SpoolBudget(10**9), errors.append)
    out = OutputStore(1, OutputLimits(node_memory=64 * 1024), spool)
    for start in range(0, 20_000, 100):
        out.append(chunk(0, *numbered(100, start)))
    assert len(errors) == 1
    assert out.lost(0)[0] > 0


def test_closing_gives_the_budget_back(tmp_path: Path) -> None:
    budget = SpoolBudget(10**6)
    out = OutputStore(1, OutputLimits(node_memory=64 * 1024), Spool(lambda: tmp_path, 10**6, budget))
    for start in range(0, 5000, 100):
        out.append(chunk(0, *numbered(100, start)))
    assert budget.used > 0
    out.release()
    assert out.memory == 0
    assert out.lines(0, 4999, 5000) == [(0, numbered(1, 4999)[0])]
    out.close()
    assert budget.used == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.lists(st.binary(max_size=40).map(lambda b: b.replace(b"\n", b"")),
                                                       min_size=1, max_size=30)), max_size=60))  # fmt: skip
def test_any_order_of_chunks_gives_what_went_in(tmp_path_factory: pytest.TempPathFactory, given_chunks) -> None:  # type: ignore[no-untyped-def]
    out = store(tmp_path_factory.mktemp("s"), nodes=1, node_memory=600, run_memory=900)
    expected: list[tuple[int, bytes]] = []
    for stream, lines in given_chunks:
        out.append(chunk(0, *lines, stream=stream))
        expected += [(stream, line) for line in lines]
    assert out.lines(0, 0, out.line_count(0)) == expected
    for start in range(0, len(expected), 7):
        assert out.lines(0, start, start + 3) == expected[start : start + 3]
    assert out.newest(0).raw() == expected[-1:]


def test_merged_ring_keeps_the_newest() -> None:
    ring = MergedRing(max_lines=10)
    for number in range(8):
        ring.append(chunk(number % 3, b"%d a" % number, b"%d b" % number))
    assert len(ring) == 10
    assert ring.forgotten == 6
    assert ring.lines(0, 3) == [(0, 0, b"3 a"), (0, 0, b"3 b"), (1, 0, b"4 a")]
    assert ring.lines(9, 99) == [(1, 0, b"7 b")]
    ring.clear()
    assert (len(ring), ring.forgotten, ring.lines(0, 9)) == (0, 16, [])
    ring.append(chunk(0, b"new"))
    assert ring.lines(0, 9) == [(0, 0, b"new")]


def test_merged_ring_survives_shortening_its_lists() -> None:
    ring = MergedRing(max_lines=20)
    for number in range(5000):
        ring.append(chunk(0, b"%d" % number))
    assert [line for _, _, line in ring.lines(0, 20)] == [b"%d" % n for n in range(4980, 5000)]


def test_groups_follow_the_answers_while_they_change() -> None:
    answers = {0: b"x", 1: b"x", 2: b"y", 3: b""}

    def make(key: bytes) -> AnswerGroup:
        return AnswerGroup(key, lambda nodes: ",".join(map(str, nodes)), lambda _node: 1, lambda *_: Excerpt(Pages()))

    grouping = Grouping(answers.__getitem__, make)
    for node in answers:
        grouping.touch(node)
    assert [group.folded for group in grouping.ordered()] == ["0,1", "2"]
    answers[1] = b"y"
    grouping.touch(1)
    assert [group.folded for group in grouping.ordered()] == ["1,2", "0"]
    answers[0] = b""
    grouping.touch(0)
    assert [list(group.members) for group in grouping.ordered()] == [[1, 2]]
