"""Help and manuals, made from the registry."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from ..language.registry import Registry
from ..language.spec import Argument, CommandSpec, Option

#: Help fits a terminal of 80 columns.
_WIDTH = 78


def overview(registry: Registry) -> Iterator[str]:
    """All commands in short, family by family."""
    width = max(len(spec.word) for spec in registry) + 2
    yield "A line without a colon runs on the selected nodes; !CMD runs here; @NODES CMD runs there once."
    for family, specs in registry.families().items():
        yield ""
        yield family
        for spec in specs:
            hands = f"  ({', '.join(spec.hands)})" if spec.hands else ""
            yield f"  :{spec.word.ljust(width)}{spec.summary}{hands}"
    yield ""
    yield ":help COMMAND tells more about one of them."


def command_help(spec: CommandSpec) -> Iterator[str]:
    """All about one command."""
    yield f":{spec.word} - {spec.summary}"
    yield ""
    yield from _wrapped(spec.usage, "      ")
    yield from (f"  {hand}" for hand in spec.hands)
    if spec.aliases:
        yield f"  also called {', '.join(f':{alias}' for alias in spec.aliases)}"
    if spec.help:
        yield ""
        yield from textwrap.wrap(spec.help, _WIDTH, break_on_hyphens=False)
    parts: list[Argument | Option] = [*spec.arguments, *spec.options]
    if parts:
        labels = [part_label(part) for part in parts]
        width = max(map(len, labels)) + 2
        yield ""
        for label, part in zip(labels, parts, strict=True):
            choices = f" ({', '.join(part.choices)})" if part.choices else ""
            yield f"  {label.ljust(width)}{part.help}{choices}"
    if spec.examples:
        yield ""
        width = max(len(line) for line, _ in spec.examples) + 2
        for line, meaning in spec.examples:
            yield f"  {line.ljust(width)}{meaning}".rstrip()


def _wrapped(usage: str, indent: str) -> list[str]:
    return textwrap.wrap(usage, _WIDTH, initial_indent="  ", subsequent_indent=indent, break_on_hyphens=False)


def part_label(part: Argument | Option) -> str:
    """How help names an argument or an option."""
    if isinstance(part, Argument):
        return part.name.upper().replace("_", "-")
    value = f" {part.metavar or part.name.upper()}" if part.takes_value else ""
    return ", ".join(part.flags) + value


# -- the manual


_FAMILY_TITLES = {
    "run": "Running commands",
    "copy": "Copying files",
    "timer": "Timers",
    "nodes": "Choosing nodes",
    "runs": "Looking at results",
    "view": "Views",
    "queue": "The task queue",
    "macro": "Macros",
    "settings": "Settings",
    "help": "Help",
    "session": "Leaving",
}

_HEAD = """\
# Command reference

*This page is made from the registry of commands by `docs/make_commands.py`; a test compares the two.*

Every line below works in the full-screen console, in `clusterdeck repl`, in macros and as a line of
`clusterdeck play`.

| a line that begins with | does |
|---|---|
| anything else | runs on the selected nodes, byte for byte |
| `:` | is one of the commands below |
| `!` | runs on this host |
| `@NODES COMMAND` | runs on these nodes, once; the selection stays |
| `@NODES` alone, `+NODES`, `-NODES`, `&NODES` | selects nodes: exactly these, these too, without these, only these |
| `?`, `=`, `quit` | shows the selection, switches between gathered and live output, leaves: as in clush |
| `#` | is a comment |

Words of `:` commands are quoted as in a shell: `'...'`, `"..."` and `\\`. Options come before a shell command; `--`
ends them, and what follows it is the command exactly as it stands.
"""


def markdown(registry: Registry) -> str:
    """docs/commands.md."""
    lines = [_HEAD]
    for family, specs in registry.families().items():
        lines += [f"## {_FAMILY_TITLES[family]}", ""]
        for spec in specs:
            lines += _section(spec)
    return "\n".join(lines).rstrip("\n") + "\n"


def _section(spec: CommandSpec) -> list[str]:
    lines = [f"### `:{spec.word}`", "", f"{spec.summary[0].upper()}{spec.summary[1:]}.", ""]
    if spec.macro_only:
        lines += ["Only in macros.", ""]
    usage = textwrap.wrap(spec.usage, 100, subsequent_indent="    ", break_on_hyphens=False)
    lines += ["```text", *usage, *spec.hands, "```", ""]
    if spec.aliases:
        lines += [f"Also called {', '.join(f'`:{alias}`' for alias in spec.aliases)}.", ""]
    if spec.help:
        lines += [spec.help, ""]
    parts: list[Argument | Option] = [*spec.arguments, *spec.options]
    if parts:
        lines += ["| | | |", "|---|---|---|"]
        for part in parts:
            choices = ", ".join(f"`{_cell(choice)}`" for choice in part.choices)
            kind = "" if part.kind.value in ("flag", "choice", "text", "line") else part.kind.value
            meaning = f"{_cell(part.help)}: {choices}" if choices else _cell(part.help)
            lines.append(f"| `{_cell(part_label(part))}` | {kind} | {meaning} |")
        lines.append("")
    if spec.examples:
        lines += ["```text"]
        width = max(len(line) for line, _ in spec.examples) + 2
        lines += [f"{line.ljust(width)}{meaning}".rstrip() for line, meaning in spec.examples]
        lines += ["```", ""]
    if spec.keys:
        lines += [f"Key: {', '.join(f'`{key}`' for key in spec.keys)}.", ""]
    return lines


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
