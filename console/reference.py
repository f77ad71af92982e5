"""Help and manuals, made from the registry."""

from __future__ import annotations

from collections.abc import Iterator

from .commands.registry import Registry
from .commands.spec import Argument, CommandSpec, Option


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
    yield f"  {spec.usage}"
    yield from (f"  {hand}" for hand in spec.hands)
    if spec.aliases:
        yield f"  also called {', '.join(f':{alias}' for alias in spec.aliases)}"
    if spec.help:
        yield ""
        yield spec.help
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


def part_label(part: Argument | Option) -> str:
    """How help names an argument or an option."""
    if isinstance(part, Argument):
        return part.name.upper().replace("_", "-")
    value = f" {part.metavar or part.name.upper()}" if part.takes_value else ""
    return ", ".join(part.flags) + value
