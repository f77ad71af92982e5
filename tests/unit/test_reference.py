"""What is made from the program's own tables is up to date, and works where it is meant for."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from clusterdeck.console.cli import make_parser
from clusterdeck.console.commands.catalogue import default_registry
from clusterdeck.console.language.spec import CommandSpec, Danger
from clusterdeck.console.manuals.manuals import completion, man_page, read_program
from clusterdeck.console.manuals.reference import command_help, markdown
from clusterdeck.docs import make_commands
from clusterdeck.tests.support.tree import ROOT

REGISTRY = default_registry()
PROGRAM = read_program(make_parser(manual=True), "clusterdeck")


@pytest.mark.parametrize(("file", "text"), make_commands.files().items(), ids=lambda value: getattr(value, "name", ""))
def test_generated_files_are_up_to_date(file: Path, text: str) -> None:
    assert file.read_text() == text, "run: python docs/make_commands.py"


def test_the_reference_has_every_command_option_and_example() -> None:
    text = markdown(REGISTRY)
    for spec in REGISTRY:
        if spec.hidden:
            continue
        assert f"### `:{spec.word}`\n" in text
        section = text.partition(f"### `:{spec.word}`\n")[2].partition("\n### ")[0]
        for option in spec.options:
            assert all(flag in section for flag in option.flags)
            assert option.help.replace("|", "\\|") in section
        for line, _meaning in spec.examples:
            assert line in section


def test_a_new_command_makes_the_page_out_of_date() -> None:
    spec = REGISTRY.by_id("run.shell")
    more = CommandSpec("run.odd", "odd", "run: Odd", "do something odd", spec.handler, danger=Danger.LOOKS)
    assert markdown(type(REGISTRY)([*REGISTRY, more])) != markdown(REGISTRY)


@pytest.mark.parametrize("spec", list(REGISTRY), ids=lambda spec: spec.id)
def test_help_fits_a_terminal(spec: CommandSpec) -> None:
    lines = list(command_help(spec))
    # The tables of options may run over the edge of a narrow terminal; the text does not.
    assert all(len(line) <= 80 for line in lines[:4])
    assert all(len(line) <= 120 for line in lines)


def test_the_parser_is_read_as_a_whole() -> None:
    names = {command.name for command in PROGRAM.commands}
    assert {"run", "repl", "play", "demo", "doctor", "config", "queue", "help"} <= names
    run = next(command for command in PROGRAM.commands if command.name == "run")
    flags = {name for flag in run.flags for name in flag.names}
    assert {"-w", "-x", "-a", "-g", "-b", "-f", "-t", "-u", "-R", "--json", "--dry-run"} <= flags


def test_the_manual_page_is_good_roff(tmp_path: Path) -> None:
    page = man_page(PROGRAM, REGISTRY, "1.0")
    for spec in REGISTRY:
        assert spec.hidden or f".SS :{spec.word}".replace("-", "\\-") in page
    groff = shutil.which("groff")
    if groff is not None:
        file = tmp_path / "x.1"
        file.write_text(page)
        done = subprocess.run(
            [groff, "-ww", "-man", "-Tascii", "-z", str(file)], capture_output=True, text=True, check=True, timeout=60
        )
        assert done.stderr == ""


def _bash(line: str, tmp_path: Path) -> list[str]:
    script = tmp_path / "completion.bash"
    script.write_text(completion("bash", PROGRAM))
    words = line.split(" ")
    ask = (
        f"source {script}; COMP_WORDS=({' '.join(repr(word) for word in words)}); COMP_CWORD={len(words) - 1}; "
        "_clusterdeck; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True, timeout=30, cwd=tmp_path)
    assert done.stderr == ""
    return [word for word in done.stdout.split("\n") if word]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("clusterdeck re", ["repl"]),
        ("clusterdeck --ver", ["--version"]),
        ("clusterdeck run --dry", ["--dry-run"]),
        ("clusterdeck run -w x -R para", ["paramiko"]),
        ("clusterdeck run --color ne", ["never"]),
        ("clusterdeck config exp", ["explain"]),
        ("clusterdeck play x.d", ["x.deck"]),
        ("clusterdeck run --outdir fol", ["folder"]),
    ],
)
def test_bash_completes(line: str, expected: list[str], tmp_path: Path) -> None:
    (tmp_path / "x.deck").touch()
    (tmp_path / "folder").mkdir()
    assert _bash(line, tmp_path) == expected


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_take_their_scripts(shell: str, tmp_path: Path) -> None:
    script = completion(shell, PROGRAM)
    assert "rolling restart" not in script
    for command in PROGRAM.commands:
        assert command.name in script
    program = shutil.which(shell)
    if program is not None:
        file = tmp_path / "script"
        file.write_text(script)
        subprocess.run([program, "-n", str(file)], check=True, timeout=30)


def test_macros_are_explained_as_they_are() -> None:
    text = (ROOT / "docs" / "macros.md").read_text()
    for spec in REGISTRY:
        if spec.family == "macro" and spec.id not in ("macro.edit",):
            assert f":{spec.word}" in text, spec.word
    for example in (ROOT / "console" / "examples").glob("*.deck"):
        assert f"`{example.stem}`" in text
