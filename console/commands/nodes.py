"""The selection: which nodes bare lines run on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ClusterShell.NodeSet import NodeSet

from ...engine.text import sanitize_text
from ..exits import ExitCode
from ..frontend import Document
from ..interpreter.context import CommandError, Context, Outcome
from ..interpreter.targets import lasting_label, only_known_later, resolve
from ..language.spec import Argument, Command, CommandSpec, Danger, Kind
from ..settings.paths import state_dir
from .documents import bounded, table

_EXPRESSION = Argument("expression", Kind.NODES, "node[1-4], @group, @failed, @run:12:timeout, a saved set")
_SUBWORDS = ("add", "remove", "keep", "undo", "save", "forget", "saved", "show")


def _told(context: Context) -> Outcome:
    selection = context.selection
    count = len(selection)
    if not count:
        return context.tell("no nodes are selected", level="warning")
    if context.dry_run:
        return context.tell(f"would select {selection.folded} ({count})")
    return context.tell(f"{count} node{'s' * (count != 1)}: {selection.folded}")


def select(context: Context, command: Command) -> Outcome:
    """`:nodes EXPR`, `@group`."""
    expression = command.nodes("expression")
    if expression is None:
        return show(context, command)
    if _later(context, expression):
        return context.tell(sanitize_text(f"would select {expression} (known when it plays)"))
    nodes = resolve(context, expression, "expression")
    if not nodes:
        message = f"{sanitize_text(expression)} stands for no node"
        remedy = "the selection stays as it was"
        raise CommandError(message, remedy, code=ExitCode.REFUSED, argument="expression")
    context.selection.replace(nodes, lasting_label(context, expression))
    return _told(context)


def _later(context: Context, expression: str) -> bool:
    """In a dry run: whether the selection is from here on one that only the real run will know; remembers it."""
    script = context.script
    if script is None or not only_known_later(context, expression):
        if script is not None:
            script.unknown = ""
        return False
    script.unknown = expression
    return True


def _change(context: Context, command: Command, sign: str, change: Callable[[NodeSet], bool]) -> Outcome:
    expression = command.nodes("expression") or ""
    script = context.script
    if script is not None and (script.unknown or only_known_later(context, expression)):
        script.unknown = f"{script.unknown or context.selection.label} {sign} {expression}"
        return context.tell(sanitize_text(f"would select {script.unknown} (known when it plays)"))
    if not change(resolve(context, expression, "expression")):
        context.tell(sanitize_text(f"{sign}{expression} changes nothing"), level="warning")
    return _told(context)


def add(context: Context, command: Command) -> Outcome:
    """`+EXPR`."""
    return _change(context, command, "+", context.selection.add)


def remove(context: Context, command: Command) -> Outcome:
    """`-EXPR`."""
    return _change(context, command, "-", context.selection.remove)


def keep(context: Context, command: Command) -> Outcome:
    """`&EXPR`."""
    return _change(context, command, "&", context.selection.keep)


def undo(context: Context, _command: Command) -> Outcome:
    """`:nodes undo`."""
    if not context.selection.undo():
        return context.tell("there is no earlier selection", level="warning")
    return _told(context)


def show(context: Context, _command: Command) -> Outcome:
    """`?`."""
    selection = context.selection
    if not selection:
        return context.tell("no nodes are selected: :nodes EXPR or @GROUP selects some")
    return context.show(Document.of(f"{len(selection)} nodes", selection.folded, data=True))


def _file() -> Path:
    return state_dir() / "node_sets.json"


def _store(context: Context) -> None:
    try:
        context.selection.store(_file())
    except OSError as error:
        raise CommandError(f"kept for this session only: {sanitize_text(str(error))}") from error


def save(context: Context, command: Command) -> Outcome:
    """`:nodes save NAME [EXPR]`."""
    name = command.get("name")
    expression = command.nodes("expression")
    selection = context.selection
    if context.dry_run:
        return context.tell(f"would save @{name}")
    nodes = selection.current if expression is None else resolve(context, expression, "expression")
    if not nodes:
        raise CommandError("an empty set is not saved", "select nodes first", code=ExitCode.REFUSED)
    replaced = selection.save(name, nodes)
    _store(context)
    return context.tell(f"@{name} {'now is' if replaced else 'is'} {sanitize_text(str(nodes))} ({len(nodes)})")


def forget(context: Context, command: Command) -> Outcome:
    """`:nodes forget NAME`."""
    name = command.get("name")
    if context.dry_run:
        return context.tell(f"would forget @{name}")
    if not context.selection.forget(name):
        message = f"there is no saved set {name!a}"
        raise CommandError(message, ":nodes saved lists them", code=ExitCode.USAGE, argument="name")
    _store(context)
    return context.tell(f"@{name} is forgotten")


def saved(context: Context, _command: Command) -> Outcome:
    """`:nodes saved`."""
    rows = [(f"@{name}", sanitize_text(text)) for name, text in sorted(context.selection.saved.items())]
    if not rows:
        return context.tell("no saved sets: :nodes save NAME keeps the selection under a name")
    return context.show(Document("saved node sets", bounded(table(rows)), data=True))


def groups(context: Context, command: Command) -> Outcome:
    """`:groups [NAME]`: groups with their nodes; asks the group programs."""
    word = command.get("text").lstrip("@")
    try:
        listed = [str(name) for name in context.session.resolver.grouplist()]
    except Exception as error:  # group sources fail in ways of their own; what they said is what helps
        raise CommandError(sanitize_text(f"groups cannot be listed: {error}").replace("\n", " ")) from error
    names = sorted({*listed, *context.session.settings.group_sets})
    rows = [(f"@{name}", _nodes_of(context, name)) for name in names if word in name]
    if not rows:
        text = f"no group has {word!a} in its name" if word and names else "no groups are known"
        return context.tell(f"{text}: ClusterShell's groups.conf, or [groups.sets] of the configuration")
    return context.show(Document("groups", bounded(table(rows)), data=True))


def _nodes_of(context: Context, group: str) -> str:
    try:
        nodes = context.session.resolve(f"@{group}")
    except (ValueError, LookupError, OSError) as error:
        return sanitize_text(f"cannot be resolved: {error}").replace("\n", " ")
    return sanitize_text(f"{nodes} ({len(nodes)})")


SPECS = (
    CommandSpec(
        "nodes.select",
        "nodes",
        "nodes: Select",
        "select nodes; without an expression, show the selection",
        select,
        help=(
            "Node-set syntax with groups: node[1-4,7], @web, @web&@rack1, @all!node7. Every run leaves the sets @ok, "
            "@failed, @timeout, @unreachable and @rc:N; @run:12:failed is that of run 12, @NAME a saved set."
        ),
        aliases=("select",),
        arguments=(Argument("expression", Kind.NODES, _EXPRESSION.help, required=False, repeat=True),),
        examples=((":nodes node[1-16]", ""), ("@web", "the same as :nodes @web"), ("@failed", "where it failed")),
        danger=Danger.CHANGES,
        hands=("@NODES",),
        subwords=_SUBWORDS,
    ),
    CommandSpec(
        "nodes.add", "nodes add", "nodes: Add", "select these nodes too", add,
        arguments=(_EXPRESSION,), examples=(("+@new", "select the group new, too"),),
        danger=Danger.CHANGES, hands=("+NODES",),
    ),
    CommandSpec(
        "nodes.remove", "nodes remove", "nodes: Remove", "take nodes out of the selection", remove,
        arguments=(_EXPRESSION,), examples=(("-node3", ""),),
        danger=Danger.CHANGES, hands=("-NODES",),
    ),
    CommandSpec(
        "nodes.keep", "nodes keep", "nodes: Keep", "keep only those of the selected nodes that are in the set", keep,
        arguments=(_EXPRESSION,), examples=(("&@compute", "of the selected nodes, those that are also in compute"),),
        danger=Danger.CHANGES, hands=("&NODES",),
    ),
    CommandSpec(
        "nodes.undo", "nodes undo", "nodes: Undo", "back to the selection before the last change", undo,
        danger=Danger.CHANGES, keys=("u",),
    ),
    CommandSpec("nodes.show", "nodes show", "nodes: Show", "show the selected nodes", show, hands=("?",)),
    CommandSpec(
        "nodes.save", "nodes save", "nodes: Save", "keep the selection, or a set, under a name for @NAME", save,
        arguments=(
            Argument("name", Kind.SAVED, "how it is called"),
            Argument("expression", Kind.NODES, "the selection if left out", required=False),
        ),
        examples=((":nodes save canary node[1-3]", "later: @canary uptime"),),
        danger=Danger.CHANGES,
    ),
    CommandSpec(
        "nodes.forget", "nodes forget", "nodes: Forget", "drop a saved set", forget,
        arguments=(Argument("name", Kind.SAVED, "its name"),), examples=((":nodes forget rack1", ""),),
        danger=Danger.ENDS,
    ),
    CommandSpec("nodes.saved", "nodes saved", "nodes: Saved sets", "list saved sets", saved),
    CommandSpec(
        "nodes.groups", "groups", "nodes: Groups", "list groups", groups,
        arguments=(Argument("text", Kind.GROUP, "only those with this in their name", required=False),),
        examples=((":groups", ""), (":groups web", "")),
    ),
)  # fmt: skip
