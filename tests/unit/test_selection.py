"""The selection: algebra, the way back, saved sets and their file."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from ClusterShell.NodeSet import NodeSet
from hypothesis import given
from hypothesis import strategies as st

from clusterdeck.console.session.selection import Selection


def test_algebra_and_undo() -> None:
    selection = Selection()
    assert not selection
    assert selection.replace(NodeSet("node[1-4]"), "@web")
    assert (selection.label, selection.folded, len(selection)) == ("@web", "node[1-4]", 4)
    assert selection.add(NodeSet("node[5-6]"))
    assert selection.label == "node[1-6]"
    assert selection.remove(NodeSet("node1"))
    assert selection.keep(NodeSet("node[2-3,9]"))
    assert selection.folded == "node[2-3]"
    assert not selection.add(NodeSet("node2"))
    for folded in ("node[2-6]", "node[1-6]", "node[1-4]", ""):
        assert selection.undo()
        assert selection.folded == folded
    assert not selection.undo()


def test_undo_brings_the_label_back() -> None:
    selection = Selection()
    selection.replace(NodeSet("a,b"), "@web")
    selection.add(NodeSet("c"))
    selection.undo()
    assert selection.label == "@web"


def test_what_is_handed_out_cannot_change_the_selection() -> None:
    selection = Selection(NodeSet("a,b"))
    selection.current.add("c")
    given_set = NodeSet("x")
    selection.replace(given_set)
    given_set.add("y")
    assert selection.folded == "x"


def test_every_change_has_a_version() -> None:
    selection = Selection()
    seen = {selection.version}
    selection.replace(NodeSet("a"))
    seen.add(selection.version)
    selection.save("x")
    seen.add(selection.version)
    selection.undo()
    seen.add(selection.version)
    assert len(seen) == 4


def test_hostile_names_are_shown_clean() -> None:
    assert "\x1b" not in Selection(NodeSet("a\x1b(0")).folded
    assert "\x1b" not in Selection(NodeSet("a"), "@\x1b[2J").label


def test_saved_sets(tmp_path: Path) -> None:
    file = tmp_path / "sets.json"
    selection = Selection(NodeSet("Node[1-3]"))
    assert not selection.save("canary")
    assert selection.save("canary", NodeSet("Node1"))
    selection.store(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    other = Selection()
    other.load(file)
    assert dict(other.saved) == {"canary": "Node1"}
    assert str(other.find_saved("canary")) == "Node1"
    assert other.find_saved("nothing") is None
    assert other.forget("canary")
    assert not other.forget("canary")
    with pytest.raises(ValueError, match="not a name"):
        other.save("a b")


def test_a_broken_file_of_saved_sets_is_told(tmp_path: Path) -> None:
    file = tmp_path / "sets.json"
    selection = Selection()
    selection.load(file)
    file.write_text("[1]")
    with pytest.raises(ValueError, match="remove it"):
        selection.load(file)
    # A group in the file would run a group program when the set is used.
    file.write_text('{"x": "@evil", "y": "n1"}')
    selection.load(file)
    assert dict(selection.saved) == {"y": "n1"}


_SETS = st.lists(st.integers(1, 20), max_size=8).map(lambda numbers: {f"n{number}" for number in numbers})
_CHANGES = st.lists(st.tuples(st.sampled_from(["replace", "add", "remove", "keep", "undo"]), _SETS), max_size=12)


@given(_CHANGES)
def test_against_python_sets(changes: list[tuple[str, set[str]]]) -> None:
    selection = Selection()
    model: set[str] = set()
    history: list[set[str]] = []
    for what, nodes in changes:
        if what == "undo":
            assert selection.undo() == bool(history)
            model = history.pop() if history else model
        else:
            after = {"replace": nodes, "add": model | nodes, "remove": model - nodes, "keep": model & nodes}[what]
            changed = getattr(selection, what)(NodeSet.fromlist(sorted(nodes)))
            assert changed == (after != model)
            if changed:
                history.append(model)
            model = after
        assert set(selection.current) == model
