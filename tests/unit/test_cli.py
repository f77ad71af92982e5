"""How words become arguments: before anything of them is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusterdeck.console.batch.read import read_flags
from clusterdeck.console.cli import main, make_parser


@pytest.mark.parametrize("command", [["repl"], ["play", "x.deck"]])
def test_what_stands_before_the_command_counts(command: list[str]) -> None:
    before = make_parser().parse_args(["-w", "n1", "-O", "fanout=3", *command])
    assert (before.nodes, before.overrides) == ("n1", ["fanout=3"])
    behind = make_parser().parse_args(["-w", "n1", command[0], "-w", "n2", "-O", "fanout=4", *command[1:]])
    assert (behind.nodes, behind.overrides) == ("n2", ["fanout=4"])
    assert make_parser().parse_args(command).nodes is None


@pytest.mark.parametrize(
    ("words", "field", "value", "command"),
    [
        (["-o", "-oPort=22", "-w", "n1", "x"], "ssh_options", "-oPort=22", ["x"]),
        (["--options", "-4", "x"], "ssh_options", "-4", ["x"]),
        (["--option", "a=b", "x"], "overrides", ["a=b"], ["x"]),
        (["--opti=-4", "x"], "ssh_options", None, None),
        (["-bo", "-4", "x"], "ssh_options", "-4", ["x"]),
        (["-bo-4", "x"], "ssh_options", "-4", ["x"]),
        (["-u", "-1", "x"], "timeout", -1.0, ["x"]),
        (["-w", "n1", "ls", "-o", "-l"], "ssh_options", None, ["ls", "-o", "-l"]),
        (["-w", "n1", "--", "-o", "-l"], "ssh_options", None, ["--", "-o", "-l"]),
        (["-w", "-x"], "nodes", ["-x"], []),
    ],
)
def test_values_may_begin_with_a_dash(
    words: list[str], field: str, value: object, command: list[str] | None, capsys: pytest.CaptureFixture[str]
) -> None:
    if command is None:
        with pytest.raises(SystemExit):
            make_parser("run").parse_args(["run", *words])
        assert "ambiguous" in capsys.readouterr().err
        return
    arguments = make_parser("run").parse_args(["run", *words])
    assert (getattr(arguments, field), arguments.command) == (value, command)


def test_an_unknown_option_is_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        make_parser("run").parse_args(["run", "-w", "n1", "--dry-rnu", "x"])
    assert leaving.value.code == 2
    assert capsys.readouterr().err.splitlines() == [
        "clusterdeck run: unknown option '--dry-rnu'; did you mean '--dry-run'?",
        "try: clusterdeck run --help",
    ]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["rnu", "-w", "n1"], 2, "clusterdeck: 'rnu' is no command; did you mean 'run'?"),
        (["config", "frob"], 2, "clusterdeck config: 'frob' is no action: use show, explain, init, trust"),
        (["play"], 2, "clusterdeck play: the following arguments are required: FILE"),
        (["demo", "-n", "0"], 2, "clusterdeck demo: a demo cluster has 1 to 500 nodes, not 0"),
        (["worker", "--stdio"], 2, "clusterdeck worker: the following arguments are required: MODULE"),
        (["repl", "-w", "@nogroup"], 2, "clusterdeck: there is no group @nogroup"),
        (["queue", "join", "n1"], 1, "clusterdeck: the queue of this process would end with it: "),
        (["run", "-w", "n1", "--batch", "1,x", "true"], 2, "clusterdeck run: --batch: 'x'"),
        (["run", "-w", "n1", "--stop-at", "200%", "true"], 2, "clusterdeck run: --stop-at: '200%' is neither"),
        (["run", "-w", "n1", ""], 2, "clusterdeck run: the command is empty: is a variable"),
        (["run", "-w", "n1", "--", " ", ""], 2, "clusterdeck run: the command is empty: is a variable"),
        (["run", "--hostfile", "/no/file", "true"], 1, "clusterdeck: /no/file: No such file or directory"),
    ],
)
def test_what_is_wrong_is_one_line_with_the_value_and_what_would_be_right(
    words: list[str], code: int, said: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:  # fmt: skip
    for name in ("STATE", "CONFIG", "CACHE"):
        monkeypatch.setenv(f"CLUSTERDECK_{name}_DIR", str(tmp_path / name.lower()))
    try:
        returned = main(words)
    except SystemExit as leaving:
        returned = int(str(leaving.code))
    lines = capfd.readouterr().err.splitlines()
    assert (returned, lines[0][: len(said)]) == (code, said)
    assert lines[1:] in ([], [f"try: {lines[0].partition(':')[0]} --help"])


@pytest.mark.parametrize(
    ("words", "level"), [([], None), (["-q"], 0), (["-v"], 2), (["-vv"], 3), (["-d"], 3), (["-q", "-v"], 2)]
)
def test_the_loudest_counts(words: list[str], level: int | None) -> None:
    flags = read_flags(make_parser("run").parse_args(["run", *words, "x"]))
    assert flags.get("batch.verbosity") == level
    assert (
        read_flags(make_parser("run").parse_args(["run", *words, "-O", "verbosity=1", "x"]))["batch.verbosity"] == "1"
    )
