"""Names from outside are checked at the border."""

from __future__ import annotations

import itertools
from urllib.parse import unquote

import pytest

from clusterdeck.engine.names import NameRefusedError, check_node, check_user, file_name


@pytest.mark.parametrize("name", ["node1", "rack-1.cluster.example", "fe80::1", "127.0.0.1", "N_1", "a" * 253])
def test_node_names_that_pass(name: str) -> None:
    assert check_node(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "-oProxyCommand=id",
        "-Fconfig",
        "--",
        "n1;id",
        "n1 n2",
        "$(id)",
        "`id`",
        "n1\nn2",
        "n/../x",
        "..",
        "n%h",
        "n\x00",
        "né",
        "a" * 254,
    ],
)
def test_node_names_that_do_not(name: str) -> None:
    with pytest.raises(NameRefusedError, match="refused"):
        check_node(name)


@pytest.mark.parametrize("name", ["root", "j.doe", "DOMAIN\\joe", "joe@example.org"])
def test_user_names_that_pass(name: str) -> None:
    assert check_user(name) == name


@pytest.mark.parametrize("name", ["", "-l", "\\joe", "a b", "a;b", "@x", "a\n"])
def test_user_names_that_do_not(name: str) -> None:
    with pytest.raises(NameRefusedError):
        check_user(name)


def test_file_names_hold_no_separator_and_are_not_hidden() -> None:
    assert file_name("fe80::1") == "fe80%3A%3A1"
    assert file_name(".profile") == "%2Eprofile"
    assert file_name("node1.example") == "node1.example"


def test_no_two_nodes_have_one_file_name() -> None:
    alphabet = ".:_-aA0"
    nodes = ["".join(letters) for length in (1, 2, 3, 4) for letters in itertools.product(alphabet, repeat=length)]
    made = {file_name(node) for node in nodes}
    assert len(made) == len(nodes)
    assert not [name for name in made if name.startswith(".") or "/" in name or ":" in name]
    assert {unquote(name) for name in made} == set(nodes)
