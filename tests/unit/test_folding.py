"""Folding of node numbers: what ClusterShell would write, whatever the names."""

from __future__ import annotations

import pytest
from ClusterShell.NodeSet import NodeSet
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterdeck.console.runs.folding import Folder

EXPRESSIONS = [
    "n[1-20]",
    "n[001-020]",
    "n[98-103]",
    "n[098-103]",
    "node[1-5]-ib",
    "n[1-3]x[1-4]",
    "a,b,c",
    "n5",
    "n05",
    "localhost",
    "n[1-3],m[1-3]",
    "n[1-3],n[01-03]",
    "10.0.0.[1-9]",
    "n[0-9]",
    "[1-9]",
    "n[1-9],n",
    "n[8-12],n[008-012]",
]


@pytest.mark.parametrize("expression", EXPRESSIONS)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_any_subset_is_written_as_clustershell_writes_it(expression: str, data: st.DataObject) -> None:
    names = list(NodeSet(expression))
    folder = Folder(names)
    numbers = sorted(data.draw(st.sets(st.integers(0, len(names) - 1))))
    expected = NodeSet.fromlist([names[number] for number in numbers])
    assert folder.fold(numbers) == str(expected)
    assert folder.fold([*reversed(numbers), *numbers[:1]]) == str(expected)
    assert folder.node_set(numbers) == expected
