"""Writes what is made from the program's own tables: `python docs/make_commands.py`.

docs/commands.md from the registry of commands; docs/man/clusterdeck.1 and docs/completions/ from the argument parser.
A test fails when a file is not what this would write.
"""

from __future__ import annotations

from pathlib import Path

from clusterdeck import __version__
from clusterdeck.console.cli import make_parser
from clusterdeck.console.commands.catalogue import default_registry
from clusterdeck.console.manuals.manuals import completion, man_page, read_program
from clusterdeck.console.manuals.reference import markdown

_HERE = Path(__file__).parent


def files() -> dict[Path, str]:
    """Each file with its text."""
    program = read_program(make_parser(manual=True), "clusterdeck")
    registry = default_registry()
    return {
        _HERE / "commands.md": markdown(registry),
        _HERE / "man" / "clusterdeck.1": man_page(program, registry, __version__),
        _HERE / "completions" / "clusterdeck.bash": completion("bash", program),
        _HERE / "completions" / "_clusterdeck": completion("zsh", program),
        _HERE / "completions" / "clusterdeck.fish": completion("fish", program),
    }


if __name__ == "__main__":
    for file, text in files().items():
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
