"""Places in commands: filled in so that no argument becomes shell text, whatever it holds and wherever it stands."""

from __future__ import annotations

import shlex
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterdeck.engine.taskmanager.template import Template, TemplateError, Values, render

NASTY = [
    "plain", "two words", "it's", '"quoted"', "$(touch /tmp/never)", "`id`", "$HOME", "a;b|c&d", "-rf", "*", "~", "\\",
    "a\\", "new\nline", "#x", "{}", "{#}", "!!", "tab\there", "\u00fc\u4e2d", "'\"'\"'", "${IFS}", "<in >out", "a\rb",
]  # fmt: skip
SPOTS = [
    ("printf %s {}", "{}"),
    ("printf %s '{}'", "{}"),
    ('printf %s "{}"', "{}"),
    ('printf %s "<{}>"', "<{}>"),
    ("printf %s '<{}>'", "<{}>"),
    ('printf %s "$(printf %s {})"', "{}"),
    ('printf %s "$(printf %s "{}")"', "{}"),
    ('printf %s \\"{}', '"{}'),
    ("printf %s 'a'{}\"b\"", "a{}b"),
    ("(printf %s {})", "{}"),
    ('X={}; printf %s "$X"', "{}"),
    ("printf %s a#{}", "a#{}"),
    ("printf %s \"'{}'\"", "'{}'"),
    ("printf %s '\"{}\"'", '"{}"'),
]


def fill(template: str, argument: str, number: int = 1, slot: int = 1, node: str = "n1") -> str:
    return Template(template).render(Values(argument, number, slot, node))


def shell(command: str) -> str:
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, check=False, timeout=10)
    assert done.stderr == b""
    return done.stdout.decode("utf-8", "surrogateescape")


@pytest.mark.parametrize(("template", "expected"), SPOTS)
def test_a_real_shell_sees_the_argument_and_nothing_else(template: str, expected: str) -> None:
    for argument in NASTY:
        got = shell(fill(template, argument))
        wanted = expected.replace("{}", argument)
        if "$(" in template:
            wanted = wanted.rstrip("\n")
        assert got == wanted


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=12))
def test_any_text_survives_bare_and_in_quotes(argument: str) -> None:
    words = shlex.split(fill("x {} '{}'", argument))
    assert words == ["x", argument, argument]
    assert shell(fill('printf %s "{}"', argument)) == argument


@pytest.mark.parametrize(
    ("place", "argument", "expected"),
    [
        ("{}", "/d/f.tar.gz", "/d/f.tar.gz"),
        ("{.}", "/d/f.tar.gz", "/d/f.tar"),
        ("{/}", "/d/f.tar.gz", "f.tar.gz"),
        ("{//}", "/d/f.tar.gz", "/d"),
        ("{/.}", "/d/f.tar.gz", "f.tar"),
        ("{//}", "f.c", "."),
        ("{.}", ".bashrc", ".bashrc"),
        ("{/}", "dir/", "''"),
        ("{#}", "x", "7"),
        ("{%}", "x", "3"),
        ("{node}", "x", "n1"),
    ],
)
def test_places(place: str, argument: str, expected: str) -> None:
    assert fill(f"c {place} {{}}", argument, 7, 3) == f"c {expected} {argument if argument != 'dir/' else 'dir/'}"


def test_without_a_place_the_argument_goes_to_the_end() -> None:
    assert fill("gzip -9", "a b") == "gzip -9 'a b'"
    assert fill("echo {#}", "a b", 4) == "echo 4 'a b'"
    assert fill("echo {node}", "a") == "echo n1 a"
    assert fill("gzip -9 {}", "a") == "gzip -9 a"


def test_the_shells_own_braces_stay() -> None:
    assert fill("echo ${node} ${#} {}", "a") == "echo ${node} ${#} a"
    assert fill("awk '{print $1}' {}", "a") == "awk '{print $1}' a"
    assert fill("echo {a,b} {}", "c") == "echo {a,b} c"


@pytest.mark.parametrize(
    "template",
    [
        "echo `ls {}`", "echo $'{}'", "echo ${X:-{}}", 'echo "${X:-{}}"', "echo $(( {} + 1 ))", "ls # {}",
        "cat <<EOF\n{}\nEOF", "cat <<-'EOF'\n{}\nEOF", "echo `echo '{}'`", 'echo "`ls {}`"', "a\0{}",
    ],
)  # fmt: skip
def test_where_no_quoting_is_safe_the_template_is_refused(template: str) -> None:
    with pytest.raises(TemplateError):
        Template(template)


def test_numbers_may_stand_in_arithmetic() -> None:
    assert shell(fill("echo $(( {%} - 1 )) {}", "x", 7, 3)) == "2 x\n"


def test_arguments_with_nul_are_refused() -> None:
    with pytest.raises(TemplateError):
        fill("echo {}", "a\0b")


def test_node_names_are_quoted_too() -> None:
    assert fill("echo {node} {}", "x", node="n1;id") == "echo 'n1;id' x"


@pytest.mark.parametrize(
    "parameters",
    [
        None,
        [],
        "id",
        {},
        {"command": 1},
        {"command": "a", "argument": 1},
        {"command": "a", "argument": "x", "number": "1"},
    ],
)
def test_tasks_that_are_no_commands(parameters: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        render(parameters, 1, "n1")


def test_a_task_without_argument_is_run_as_it_is() -> None:
    assert render({"command": "awk '{}' {#}"}, 1, "n1") == "awk '{}' {#}"
    assert render({"command": "echo {}", "argument": "a b", "number": 2}, 1, "n1") == "echo 'a b'"
