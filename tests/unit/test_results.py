"""Results against a simple model."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from clusterdeck.engine.errors import TaskMsgTreeError
from clusterdeck.engine.results import Results

WORKERS = st.sampled_from(["w1", "w2", "w3"])
KEYS = st.sampled_from(["a", "b", "c"])
STREAMS = st.sampled_from(["stdout", "stderr"])
LINES = st.lists(st.sampled_from([b"x", b"y", b""]), min_size=1, max_size=4)


class ResultsMachine(RuleBasedStateMachine):
    """Lines, codes and timeouts of three workers that share keys."""

    def __init__(self) -> None:
        super().__init__()
        self.recorded = {"stdout", "stderr"}
        self.results = Results(lambda sname: sname in self.recorded)
        self.lines: dict[tuple[str, str, str], list[bytes]] = {}
        self.codes: dict[tuple[str, str], int] = {}
        self.timeouts: set[tuple[str, str]] = set()

    @rule(worker=WORKERS, key=KEYS, sname=STREAMS, lines=LINES)
    def add_lines(self, worker: str, key: str, sname: str, lines: list[bytes]) -> None:
        self.results.add_lines(worker, key, sname, lines)
        if sname in self.recorded:
            self.lines.setdefault((sname, worker, key), []).extend(lines)

    @rule(worker=WORKERS, key=KEYS, rc=st.integers(0, 3))
    def set_retcode(self, worker: str, key: str, rc: int) -> None:
        self.results.set_retcode(worker, key, rc)
        self.codes[worker, key] = rc

    @rule(worker=WORKERS, key=KEYS)
    def add_timeout(self, worker: str, key: str) -> None:
        self.results.add_timeout(worker, key)
        self.timeouts.add((worker, key))

    @rule(sname=STREAMS)
    def flush(self, sname: str) -> None:
        self.results.flush(sname)
        self.lines = {place: lines for place, lines in self.lines.items() if place[0] != sname}

    @rule(worker=WORKERS, sname=STREAMS, keys=st.sets(KEYS))
    def flush_worker(self, worker: str, sname: str, keys: set[str]) -> None:
        self.results.flush_worker(worker, keys, sname)
        for key in keys:
            self.lines.pop((sname, worker, key), None)

    @rule()
    def clear(self) -> None:
        self.results.clear()
        self.lines.clear()
        self.codes.clear()
        self.timeouts.clear()

    @invariant()
    def messages_agree(self) -> None:
        for sname in ("stdout", "stderr"):
            groups: dict[bytes, list[Any]] = {}
            for elem, keys in self.results.groups(sname):
                groups.setdefault(bytes(elem), []).extend(keys)
            expected: dict[bytes, list[Any]] = {}
            for (name, _, key), lines in self.lines.items():
                if name == sname:
                    expected.setdefault(b"\n".join(lines), []).append(key)
            assert {text: sorted(keys) for text, keys in groups.items()} == {
                text: sorted(keys) for text, keys in expected.items()
            }
            for key in "abc":
                parts = [b"\n".join(lines) for (name, _, k), lines in self.lines.items() if name == sname and k == key]
                assert sorted(self.results.key_message(key, sname)) == sorted(b"".join(parts))

    @invariant()
    def codes_agree(self) -> None:
        assert self.results.max_retcode() == max(self.codes.values(), default=None)
        found = {rc: sorted(keys) for rc, keys in self.results.retcodes().items()}
        expected: dict[int, list[str]] = {}
        for (_, key), rc in self.codes.items():
            expected.setdefault(rc, []).append(key)
        assert found == {rc: sorted(keys) for rc, keys in expected.items()}
        for key in "abc":
            codes = [rc for (_, k), rc in self.codes.items() if k == key]
            if codes:
                assert self.results.key_retcode(key) == max(codes)
            else:
                with pytest.raises(KeyError):
                    self.results.key_retcode(key)
        for worker in ("w1", "w2", "w3"):
            own = {key: rc for (w, key), rc in self.codes.items() if w == worker}
            assert dict(self.results.worker_retcodes(worker, "abc")) == own

    @invariant()
    def timeouts_agree(self) -> None:
        assert sorted(self.results.timeouts()) == sorted(key for _, key in self.timeouts)
        for worker in ("w1", "w2", "w3"):
            own = sorted(key for w, key in self.timeouts if w == worker)
            assert sorted(self.results.worker_timeouts(worker, "abc")) == own


TestResults = ResultsMachine.TestCase
TestResults.settings = settings(max_examples=80, stateful_step_count=25, deadline=None)


def test_streams_that_are_not_recorded() -> None:
    recorded: set[str] = set()
    results = Results(lambda sname: sname in recorded)
    results.add_lines("w", "k", "stdout", [b"lost"])
    with pytest.raises(TaskMsgTreeError, match="stdout_msgtree"):
        results.groups("stdout")
    recorded.add("stdout")
    assert results.groups("stdout") == []
    results.add_lines("w", "k", "stdout", [b"kept"])
    recorded.clear()
    results.add_lines("w", "k", "stdout", [b"lost too"])
    assert results.key_message("k", "stdout") == b"kept"


@given(st.lists(st.lists(st.sampled_from([b"", b"x", b"long line"]), max_size=4), max_size=6), st.integers(0, 40))
def test_a_limit_keeps_a_prefix_and_counts_the_rest(chunks: list[list[bytes]], limit: int) -> None:
    results = Results(lambda sname: True, lambda: limit)
    for chunk in chunks:
        results.add_lines("w", "k", "stdout", chunk)
    lines = [line for chunk in chunks for line in chunk]
    whole, size = b"\n".join(lines), sum(len(line) + 1 for line in lines)
    elem = results.message("w", "k", "stdout")
    kept = None if elem is None else elem.message()
    assert whole.startswith(kept or b"")
    assert len(kept or b"") <= limit
    assert dict(results.cut()).get("k", 0) == size - (0 if kept is None else len(kept) + 1)
    assert size <= limit or not lines or len(kept or b"") >= min(limit, len(whole)) - 1
    results.flush("stdout")
    results.add_lines("w", "k", "stdout", [b"x" * limit])
    assert bytes(results.message("w", "k", "stdout") or b"") == b"x" * limit
