"""MsgTree against a simple model (a dict of lists), and what its elements promise."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from clusterdeck.engine.gather import MODE_DEFER, MODE_SHIFT, MODE_TRACE, MsgTree, MsgTreeElem

KEYS = st.sampled_from(["n1", "n2", "n3", "n4", ("w", 5)])
#: Few different lines, so that messages begin alike.
LINES = st.sampled_from([b"", b"a", b"b", b"c"])
CHUNKS = st.lists(LINES, max_size=6)


class TreeMachine(RuleBasedStateMachine):
    """Every operation on the tree and on the model, in any order; after each, everything that can be read agrees."""

    def __init__(self) -> None:
        super().__init__()
        self.tree = MsgTree()
        self.model: dict[Any, list[bytes]] = {}
        self.kept: list[tuple[MsgTreeElem, list[bytes]]] = []

    @initialize(mode=st.sampled_from([MODE_DEFER, MODE_SHIFT]))
    def make(self, mode: int) -> None:
        self.tree = MsgTree(mode)

    @rule(key=KEYS, line=LINES)
    def add(self, key: Any, line: bytes) -> None:
        self.tree.add(key, line)
        self.model.setdefault(key, []).append(line)

    @rule(key=KEYS, lines=CHUNKS)
    def add_each(self, key: Any, lines: list[bytes]) -> None:
        for line in lines:
            self.add(key, line)

    @rule(key=KEYS, lines=CHUNKS)
    def extend(self, key: Any, lines: list[bytes]) -> None:
        self.tree.extend(key, lines)
        if lines:
            self.model.setdefault(key, []).extend(lines)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def keep(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.model, key=str)))
        self.kept.append((self.tree[key], list(self.model[key])))

    @rule(gone=st.sets(KEYS, max_size=2))
    def remove(self, gone: set[Any]) -> None:
        self.tree.remove(lambda key: key in gone)
        for key in gone:
            self.model.pop(key, None)

    @rule(key=KEYS)
    def discard(self, key: Any) -> None:
        self.tree.discard(key)
        self.model.pop(key, None)

    @rule()
    def clear(self) -> None:
        self.tree.clear()
        self.model.clear()

    @rule()
    def walk(self) -> None:
        groups: dict[bytes, list[Any]] = {}
        for elem, keys in self.tree.walk():
            assert bytes(elem) not in groups or not bytes(elem), "one message came twice"
            groups.setdefault(bytes(elem), []).extend(keys)
        expected: dict[bytes, list[Any]] = {}
        for key, lines in self.model.items():
            expected.setdefault(b"\n".join(lines), []).append(key)
        assert {text: set(keys) for text, keys in groups.items()} == {t: set(k) for t, k in expected.items()}
        assert self.tree.mode == MODE_SHIFT

    @rule(wanted=st.sets(KEYS))
    def walk_some(self, wanted: set[Any]) -> None:
        found = [key for _, keys in self.tree.walk(match=lambda key: key in wanted, mapper=str) for key in keys]
        assert sorted(found) == sorted(str(key) for key in self.model if key in wanted)

    # Reading is a rule and no invariant: it ends the growing in place of what it hands out.
    @rule()
    def read_all(self) -> None:
        assert len(self.tree) == len(self.model)
        assert set(self.tree) == set(self.tree.keys()) == set(self.model)
        items = dict(self.tree.items())
        assert {key: elem.splitlines() for key, elem in items.items()} == self.model
        for key, lines in self.model.items():
            assert key in self.tree
            assert self.tree[key] == b"\n".join(lines)
            assert list(self.tree.get(key)) == lines

    def teardown(self) -> None:
        self.elements_stay()
        self.read_all()

    @invariant()
    def elements_stay(self) -> None:
        for elem, lines in self.kept:
            assert elem.splitlines() == lines


TestTree = TreeMachine.TestCase
TestTree.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


@settings(max_examples=150, deadline=None)
@given(steps=st.lists(st.tuples(KEYS, CHUNKS), max_size=20))
def test_trace_mode(steps: list[tuple[Any, list[bytes]]]) -> None:
    """Every beginning of a message is an element that holds the keys which went through it."""
    tree = MsgTree(MODE_TRACE)
    model: dict[Any, list[bytes]] = {}
    for key, lines in steps:
        if len(lines) % 2:
            tree.extend(key, lines)
        else:
            for line in lines:
                tree.add(key, line)
        if lines:
            model.setdefault(key, []).extend(lines)
    passed: dict[tuple[bytes, ...], set[Any]] = {}
    for key, lines in model.items():
        for end in range(1, len(lines) + 1):
            passed.setdefault(tuple(lines[:end]), set()).add(key)
    walked = {tuple(elem.splitlines()): set(keys) for elem, keys in tree.walk()}
    assert walked == passed
    traced = list(tree.walk_trace(mapper=str))
    assert sorted((line, sorted(keys), depth) for line, keys, depth, _ in traced) == sorted(
        (place[-1], sorted(map(str, keys)), len(place)) for place, keys in passed.items()
    )
    assert sum(children for _, _, _, children in traced) == sum(len(place) > 1 for place in passed)
    gone = {"n1", "n2"}
    tree.remove(lambda key: key in gone)
    left = {place: keys - gone for place, keys in passed.items() if keys - gone}
    assert {tuple(elem.splitlines()): set(keys) for elem, keys in tree.walk()} == left


def test_elements() -> None:
    tree = MsgTree()
    for line in (b"one", b"", b"three"):
        tree.add("k", line)
    elem = tree["k"]
    assert (bytes(elem), elem.message(), len(elem)) == (b"one\n\nthree", b"one\n\nthree", 10)
    assert (list(elem), list(elem.lines()), elem.splitlines(), elem[2]) == (*[[b"one", b"", b"three"]] * 3, b"three")
    assert elem == b"one\n\nthree"
    assert b"one\n\nthree" == elem  # noqa: SIM300  (both directions)
    assert elem != b"one"
    assert elem == bytearray(b"one\n\nthree")
    assert elem != "one\n\nthree"
    with pytest.raises(TypeError):
        str(elem)
    with pytest.raises(IndexError):
        _ = elem[3]
    empty = MsgTreeElem()
    assert (len(empty), list(empty), bytes(empty)) == (0, [], b"")


def test_modes() -> None:
    tree = MsgTree()
    tree.add("k", b"x")
    list(tree.items())
    tree.get("k")
    tree.remove(lambda key: False)
    assert tree.mode == MODE_DEFER
    list(tree.messages())
    assert tree.mode == MODE_SHIFT
    with pytest.raises(AssertionError, match="MODE_TRACE"):
        tree.walk_trace()
    with pytest.raises(ValueError, match="7"):
        MsgTree(7)
    with pytest.raises(KeyError, match="nosuch"):
        _ = tree["nosuch"]
    assert tree.get("nosuch", 3) == 3


def test_inner_elements_in_trace_mode_only() -> None:
    """Two keys part after one line, one stops there: 3 messages in SHIFT, 4 elements in TRACE (engine-api)."""
    counts = {}
    for mode in (MODE_SHIFT, MODE_TRACE):
        tree = MsgTree(mode)
        for key, lines in (("a", [b"1", b"2"]), ("b", [b"1", b"3"]), ("c", [b"4"])):
            for line in lines:
                tree.add(key, line)
        counts[mode] = len(list(tree.walk()))
    assert counts == {MODE_SHIFT: 3, MODE_TRACE: 4}


@pytest.mark.parametrize("by_chunks", [True, False])
def test_a_deep_tree_is_walked_and_freed_without_recursion(by_chunks: bool) -> None:
    lines = [b"%d" % number for number in range(30_000)]
    for mode in (MODE_DEFER, MODE_TRACE):
        tree = MsgTree(mode)
        for key in ("a", "b"):
            if by_chunks:
                tree.extend(key, lines)
            else:
                for line in lines:
                    tree.add(key, line)
        groups = list(tree.walk())
        assert max(len(elem) for elem, _ in groups[-1:]) == len(b"\n".join(lines))
        tree.clear()
        assert len(tree) == 0
        del tree


def test_equal_outputs_share_their_lines() -> None:
    """1,000 keys with the same 1,000 lines, each key's made anew: the lines are kept once."""
    tree = MsgTree()
    for key in range(1000):
        tree.extend(key, [b"line %d" % number for number in range(1000)])
    first, second = tree[0].splitlines(), tree[999].splitlines()
    assert all(one is other for one, other in zip(first, second, strict=True))
    assert len(list(tree.messages())) == 1
