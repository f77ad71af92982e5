"""The command language: tables of lines, and the property that every command survives being written down."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdeck.console.commands.catalogue import default_registry
from clusterdeck.console.language.language import LanguageError, is_bare, parse, render
from clusterdeck.console.language.spec import Argument, Command, CommandSpec, Kind, Option
from clusterdeck.console.language.tokens import quote, tokens

REGISTRY = default_registry()


def said(line: str) -> tuple[str, tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
    command = parse(line, REGISTRY)
    return command.id, command.options, command.arguments


@pytest.mark.parametrize(
    "line",
    [
        "uptime",
        "  indented and trailing  ",
        "echo 'a  b' \"$HOME\" \\ | sed s/x/y/ # not a comment",
        "echo it's unbalanced \"",
        "ls\nuptime",
        "# a pasted script\nuptime",
        "echo \u00e9\u4e2d\u6587 \x1b[31m",
        "a=1 b=2 env",
        "quit now",
        "quitter",
        "=x",
        "/bin/true --help",
    ],
)
def test_a_bare_line_is_kept_byte_for_byte(line: str) -> None:
    assert said(line) == ("run.shell", (), (("command", line),))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", ("session.note", (), ())),
        ("   ", ("session.note", (), ())),
        ("# a note", ("session.note", (), (("text", "# a note"),))),
        ("?", ("nodes.show", (), ())),
        (" ? ", ("nodes.show", (), ())),
        ("?x y", ("nodes.show", (), ())),
        ("Quit", ("session.quit", (), ())),
        ("@ Node3", ("nodes.select", (), (("expression", "Node3"),))),
        ("@ @web", ("nodes.select", (), (("expression", "@web"),))),
        ("=", ("view.output", (), ())),
        ("quit", ("session.quit", (), ())),
        (" exit ", ("session.quit", (), ())),
        ("!ls  -l", ("run.local", (), (("command", "ls  -l"),))),
        ("@Web", ("nodes.select", (), (("expression", "@Web"),))),
        ("@Node[1-3],x uptime -p", ("run.shell", (("nodes", "@Node[1-3],x"),), (("command", "uptime -p"),))),
        ("@web  echo  'a", ("run.shell", (("nodes", "@web"),), (("command", "echo  'a"),))),
        ("+Node5", ("nodes.add", (), (("expression", "Node5"),))),
        ("- Node5", ("nodes.remove", (), (("expression", "Node5"),))),
        ("&@rack1", ("nodes.keep", (), (("expression", "@rack1"),))),
        (":nodes @web", ("nodes.select", (), (("expression", "@web"),))),
        (":nodes a b", ("nodes.select", (), (("expression", "a"), ("expression", "b")))),
        (":nodes undo", ("nodes.undo", (), ())),
        (":nodes -- undo", ("nodes.select", (), (("expression", "undo"),))),
        (":nodes save x a,b", ("nodes.save", (), (("name", "x"), ("expression", "a,b")))),
        (":shell uptime -p", ("run.shell", (), (("command", "uptime -p"),))),
        (":shell --   uptime", ("run.shell", (), (("command", "  uptime"),))),
        (":shell -- --version", ("run.shell", (), (("command", "--version"),))),
        (
            ":shell -wnode1 -x node2 -f3 --timeout=1m --sudo -- 'a' | b",
            (
                "run.shell",
                (("nodes", "node1"), ("exclude", "node2"), ("fanout", "3"), ("timeout", "1m"), ("sudo", "")),
                (("command", "'a' | b"),),
            ),
        ),
        (
            ":shell -E -f 3 -w a ls",
            ("run.shell", (("nodes", "a"), ("fanout", "3"), ("stderr", "")), (("command", "ls"),)),
        ),
        (":shell -w a -w b -- ls", ("run.shell", (("nodes", "a"), ("nodes", "b")), (("command", "ls"),))),
        (":timer 30s df -h", ("timer.start", (), (("interval", "30s"), ("command", "df -h")))),
        (
            ":timer --once 5m --sudo -- ' x",
            ("timer.start", (("once", ""), ("sudo", "")), (("interval", "5m"), ("command", "' x"))),
        ),
        (":timer cancel 3", ("timer.cancel", (), (("timer", "3"),))),
        (":timer cancel all", ("timer.cancel", (), (("timer", "all"),))),
        (
            ':copy a \'b c\' "d\\"e" /tmp',
            ("copy.out", (), (("source", "a"), ("source", "b c"), ("source", 'd"e'), ("dest", "/tmp"))),
        ),
        (":copy -p -- -a dest", ("copy.out", (("preserve", ""),), (("source", "-a"), ("dest", "dest")))),
        (":abort", ("run.abort", (), ())),
        (":abort all -w n1", ("run.abort", (("nodes", "n1"),), (("run", "all"),))),
        (":abort #12", ("run.abort", (), (("run", "#12"),))),
        (":retry failed timeout", ("run.retry", (), (("states", "failed"), ("states", "timeout")))),
        (":expect ok>=95% and failed==0", ("macro.expect", (), (("condition", "ok>=95% and failed==0"),))),
        (":config explain fanout", ("settings.explain", (), (("key", "fanout"),))),
        (":play x a=1 b=", ("macro.play", (), (("file", "x"), ("values", "a=1"), ("values", "b=")))),
        (":run -- ls", ("run.shell", (), (("command", "ls"),))),
        (":diff", ("runs.diff", (), ())),
        (":diff 1 2", ("runs.diff", (), (("a", "1"), ("b", "2")))),
    ],
)
def test_lines(line: str, expected: object) -> None:
    assert said(line) == expected


@pytest.mark.parametrize(
    ("line", "column", "message", "remedy"),
    [
        (":", 1, "a command is missing", ":help"),
        (": ls", 1, "a command is missing", ":shell -- :"),
        (":gathr", 1, "no command :gathr", ":gather"),
        (":copi a b", 1, "no command :copi", ":copy"),
        (":'a\nb'", 1, "no command :'a\\nb'", ":help"),
        (":zzzzzzzz", 1, "no command :zzzzzzzz", ":help"),
        (":config expl", 8, "one word too many", ":config explain"),
        (":shell --fanuot 3 -- ls", 7, "no option --fanuot", "--fanout"),
        (":shell -q ls", 7, "no option -q", "-w"),
        (":retry --help", 7, "no option --help", ":help retry"),
        (":shell -f x -- ls", 10, "not a count", ""),
        (":shell -f 0 -- ls", 10, "not a count", ""),
        (":shell -t 5x ls", 10, "not a duration", ""),
        (":shell -w -- ls", 9, "needs a value", "NODES"),
        (":shell -w", 9, "needs a value", "NODES"),
        (":shell -f 1 -f 2 -- ls", 12, "given twice", ""),
        (":shell --sudo=yes -- ls", 7, "takes no value", ""),
        (":shell --batch 1,x -- ls", 15, "neither a number", ""),
        (":shell", 6, "needs a command", ":shell [options] -- COMMAND"),
        (":shell --  ", 9, "needs a command", ""),
        (":copy a", 7, "needs a dest", ":copy [options] SOURCE... DEST"),
        (":copy", 5, "needs a source", ""),
        (":copy 'a b", 6, "single quote is never closed", ""),
        (':copy a "b', 8, "double quote is never closed", ""),
        (":copy a b\\", 9, "backslash", ""),
        (":timer", 6, "needs an interval", ""),
        (":timer 30q ls", 7, "not a duration", ""),
        (":timer 30s", 10, "needs a command", ""),
        (":timer --until @filed 3s ls", 15, "no result of a round", "@failed"),
        (":timer --until out:/(/ 3s ls", 15, "cannot be looked for", ""),
        (":timer --until 'out:/(a+)+/' 3s ls", 15, "for ever", ""),
        (":timer --until @web 3s ls", 15, "no result of a round", "@rc:N"),
        (":shell -e 1A=x -- ls", 10, "sets no variable", ""),
        (":shell -l 'a b' -- ls", 10, "user name", ""),
        (":retry faild", 7, "none of", "failed"),
        (":show x", 6, "not a number", ""),
        (":save a b", 8, "one word too many", ""),
        (":set", 4, "needs a key", ""),
        (":expect ok>=5%%", 8, "not a condition", ""),
        (":expect good>1", 8, "cannot be counted", ""),
        (":expect ok>=950%", 8, "more than all nodes", ""),
        (":play x y", 8, "gives no value", "NAME=VALUE"),
        ("!", 1, "nothing to run", "!COMMAND"),
        ("@", 1, "group name is missing", "@GROUP"),
        ("@ web uptime", 1, "group name is missing", "@GROUP"),
        ("+", 1, "node set is missing", "+node"),
        ("+a uptime", 3, "one node set is enough", ":shell -w"),
        ("--help", 1, "do not begin with -", ""),
        ("a\0b", 1, "NUL", ""),
    ],
)
def test_what_is_wrong_is_named_and_placed(line: str, column: int, message: str, remedy: str) -> None:
    with pytest.raises(LanguageError) as caught:
        parse(line, REGISTRY)
    error = caught.value
    shown = f"{error.message}: {error.remedy}"
    assert message in error.message
    assert remedy in shown
    assert error.column == column
    assert "\n" not in shown
    assert error.explain(line)[1] == " " * column + "^"


def test_the_caret_stands_under_the_line_it_is_about() -> None:
    line = ":shell -w a \\\n  -q x"
    with pytest.raises(LanguageError) as caught:
        parse(line, REGISTRY)
    shown, caret, _text = caught.value.explain(line)
    assert shown == "  -q x"
    assert caret == "  ^"
    assert LanguageError("x", 2).explain("\u4e2d\u6587x")[1] == "    ^"


@pytest.mark.parametrize(("line", "written"), [
    ("uptime", "uptime"),
    ("@web uptime", ":shell -w @web -- uptime"),
    (":shell   --  :x", ":shell --  :x"),
    (":shell -- quit", ":shell -- quit"),
    (":nodes node[1-3],a", ":nodes node[1-3],a"),
    (":nodes -- undo", ":nodes -- undo"),
    (":copy 'a b' c", ":copy 'a b' c"),
    ("!ls", ":local -- ls"),
    ("+a", ":nodes add a"),
])  # fmt: skip
def test_how_commands_are_written(line: str, written: str) -> None:
    assert render(parse(line, REGISTRY)) == written


# -- properties

_CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
_TEXT = st.text(_CHARACTERS, max_size=20)
_AWKWARD = st.sampled_from(
    ["", "-", "--", "-x", "undo", "add", "cancel", "'", '"', "\\", "a b", "\n", "#", ":x", "--x=y", "$(x)", "`"]
)
_RAW = st.one_of(
    _TEXT, st.sampled_from([" x", "-- x", "--x", ":x", "@x", "!x", "#x", "x\n y ", "?", "=", "quit", "+a", "x\\"])
)


def _value(part: Argument | Option) -> st.SearchStrategy[str]:
    if part.kind is Kind.FLAG:
        return st.just("")
    if part.kind is Kind.CHOICE:
        return st.sampled_from(part.choices)
    if isinstance(part, Argument) and part.raw and part.kind is not Kind.CONDITION:
        return _RAW.filter(lambda text: text.strip(" \t\r\n") != "")
    known: dict[Kind, list[str]] = {
        Kind.DURATION: ["30s", "5m", "1h30m", "0.5s", "7"],
        Kind.COUNT: ["1", "128"],
        Kind.MAP: ["0", "12"],
        Kind.RUN: ["1", "#12"],
        Kind.TIMER: ["1"],
        Kind.WAIT: ["3", "30s"],
        Kind.SHARE: ["3", "2%"],
        Kind.BATCHES: ["1,10%,rest", "5"],
        Kind.NAME: ["x", "a-b"],
        Kind.TAG: ["x", "a-b"],
        Kind.MACRO_NAME: ["x", "a-b"],
        Kind.SAVED: ["x", "undo"],
        Kind.PARAMETER: ["x", "a_b"],
        Kind.ASSIGNMENT: ["a=", "a=b c", "a='\"\\"],
        Kind.USER: ["root", "a.b-c"],
        Kind.VARIABLE: ["A=", "A=b c", "_a1='\"\\"],
        Kind.CONDITION: ["@failed", "ok>=95%", "not @failed and groups==1", "out:/a and b/==all"],
        Kind.UNTIL: ["@rc:2", "timeout>=3", "out:/it's \\/done/ and ok==all"],
    }
    if part.kind in known:
        return st.sampled_from(known[part.kind])
    texts = st.one_of(_TEXT, _AWKWARD)
    return texts if part.kind in (Kind.TEXT, Kind.VALUE) else texts.filter(lambda text: text.strip() != "")


@st.composite
def _commands(draw: st.DrawFn) -> Command:
    spec: CommandSpec = draw(st.sampled_from([spec for spec in REGISTRY if spec.id != "session.note"]))
    options: list[tuple[str, str]] = []
    for option in spec.options:
        for _ in range(draw(st.integers(0, 2 if option.repeat else 1))):
            options.append((option.name, draw(_value(option))))
    arguments: list[tuple[str, str]] = []
    skipped = False
    for argument in spec.arguments:
        low = int(argument.required)
        high = 3 if argument.repeat else 1
        # Words are given out in order: after an optional one that is missing there can be no other, but a raw one.
        count = 0 if skipped and not argument.raw else draw(st.integers(low, high))
        skipped = skipped or count == 0
        arguments += [(argument.name, draw(_value(argument))) for _ in range(count)]
    return Command(spec, tuple(options), tuple(arguments))


@given(_commands())
def test_every_command_survives_being_written_down(command: Command) -> None:
    line = render(command)
    assert parse(line, REGISTRY) == command


@given(
    st.one_of(
        st.text(_CHARACTERS, max_size=60),
        st.builds("{}{}".format, st.sampled_from([":", ":'", ":nodes ", ":copy ", ":timer 3s "]), _TEXT),
    )
)
def test_any_line_is_a_command_or_one_clear_error(line: str) -> None:
    command, error = None, None
    try:
        command = parse(line, REGISTRY)
    except LanguageError as caught:
        error = caught
    if error is not None or command is None:
        assert error is not None
        assert 0 <= error.column <= len(line)
        assert "\n" not in error.message + error.remedy
        return
    assert parse(render(command), REGISTRY) == command
    if is_bare(line):
        assert command.get("command") == line


@given(st.lists(_TEXT.map(str) | _AWKWARD, max_size=6))
def test_quoted_words_come_back(words: list[str]) -> None:
    assert [token.text for token in tokens(" ".join(quote(word) for word in words))] == words


def test_a_command_is_named_once_among_the_nearest() -> None:
    assert REGISTRY.nearest("copi") == ["copy", "rcopy"]  # and not :cp, which is :copy
    assert REGISTRY.nearest("zzzzzz") == []
