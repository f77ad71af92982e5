"""Commands on settings: change one, show them, tell where each comes from."""

from __future__ import annotations

from contextlib import suppress

from ...engine.text import sanitize_text
from ..exits import ExitCode
from ..frontend import Document
from ..interpreter.context import CommandError, Context, Outcome
from ..interpreter.targets import resolve
from ..language.spec import Argument, Command, CommandSpec, Danger, Kind, Option
from ..language.values import read_duration
from ..session.checks import UnknownWorkerError, check_worker
from ..settings.sections import AT_FIRST_USE, SECTIONS
from ..settings.settings import (
    SettingsError,
    as_toml,
    describe,
    meaning,
    means_node,
    read_when,
    setting_names,
    split_key,
)
from . import documents

_LESS_SAFE = {"safety.read_only", "safety.protected", "safety.confirm_above", "safety.dangerous", "ssh.host_keys"}
#: Settings of the start for which a command does the same at once.
_AT_ONCE = {"screen.theme": ":theme NAME"}


def _full(key: str) -> str:
    try:
        return ".".join(split_key(key))
    except SettingsError as error:
        raise CommandError(sanitize_text(str(error)), code=ExitCode.USAGE, argument="key") from None


def _in_seconds(name: str, value: str) -> str:
    """A duration such as `1m` as the number of seconds, where the setting is one; anything else as it is."""
    if describe(name).startswith("seconds"):
        with suppress(ValueError):
            return f"{read_duration(value):g}"
    return value


def set_value(context: Context, command: Command) -> Outcome:
    """`:set KEY [VALUE]`; `:set KEY=VALUE` too."""
    key, value = command.get("key"), command.get("value") if command.has("value") else None
    if value is None and "=" in key:
        key, _, value = key.partition("=")
    name = _full(key)
    settings = context.session.settings
    if value is None:
        return context.tell(f"{name} = {as_toml(settings.get(name))}  ({settings.source(name)}; {meaning(name)})")
    if context.dry_run:
        return context.tell(sanitize_text(f"would set {name} to {value}"))
    try:
        if name == "run.worker":
            check_worker(value)
        context.session.set_option(name, _in_seconds(name, value))
    except UnknownWorkerError as error:
        raise CommandError(sanitize_text(str(error)), code=ExitCode.USAGE, argument="value") from None
    except SettingsError as error:
        raise CommandError(sanitize_text(str(error)), code=ExitCode.USAGE, argument="value") from None
    level = "warning" if name in _LESS_SAFE else "info"
    return context.tell(f"{name} = {as_toml(settings.get(name))}{_when(context, name)}", level=level)


def _when(context: Context, name: str) -> str:
    """A setting that is not read again changes nothing that the operator sees: say so."""
    when = read_when(name)
    if not when or (when == AT_FIRST_USE and not context.queue.used):
        return ""
    now = f"; now: {_AT_ONCE[name]}" if name in _AT_ONCE else ""
    return f"  (read {when}: it belongs into the configuration{now})"


def show(context: Context, command: Command) -> Outcome:
    """`:config`: what differs from the defaults, or everything with --all."""
    settings = context.session.settings
    rows = [
        (name, value, source)
        for name, value, source, _ in settings.explain()
        if source != "default" or command.has("all")
    ]
    if not rows:
        return context.tell("every setting has its default; :config --all lists them")
    lines = documents.table([[sanitize_text(cell) for cell in row] for row in rows])
    return context.show(Document("settings", documents.bounded(lines), data=True))


def explain(context: Context, command: Command) -> Outcome:
    """`:config explain [--node NODES] [KEY...]`: settings, sections of them, or nodes."""
    words = command.many("key")
    expressions = command.many("node") + [word for word in words if means_node(word)]
    lines: list[str] = []
    if len(words) + len(command.many("node")) > len(expressions) or not expressions:
        wanted = {name for word in words if not means_node(word) for name in _meant(word)}
        rows = [row for row in context.session.settings.explain() if not wanted or row[0] in wanted]
        lines += documents.table([[sanitize_text(cell) for cell in row] for row in rows])
    for expression in expressions:
        lines += _of_nodes(context, expression)
    return context.show(Document("settings", documents.bounded(lines), data=True))


def _meant(word: str) -> list[str]:
    """The settings that a word stands for: one, or all of a section."""
    if word in SECTIONS:
        return [name for name in setting_names() if name.startswith(f"{word}.")]
    try:
        return [".".join(split_key(word))]
    except SettingsError as error:
        remedy = f"a node of that name: --node {word}"
        message = sanitize_text(f"{error}; {remedy}")
        raise CommandError(message, code=ExitCode.USAGE, argument="key") from None


def _of_nodes(context: Context, expression: str) -> list[str]:
    """What counts for nodes and where it was set, node after node."""
    from ..session.node_settings import NodeSettings  # brings the SSH layer with it

    nodes = resolve(context, expression, "node")
    settings = NodeSettings(context.session.settings, context.session.resolve)
    lines: list[str] = []
    try:
        for node in nodes:
            rows = [[sanitize_text(cell) for cell in row] for row in settings.explain(node)]
            lines += [sanitize_text(node), *(f"  {line}" for line in documents.table(rows))]
            if len(lines) > documents.MAX_LINES:
                break
    except SettingsError as error:
        raise CommandError(sanitize_text(str(error)), code=ExitCode.CONFIGURATION) from None
    except ValueError as error:
        raise CommandError(sanitize_text(str(error)), code=ExitCode.USAGE, argument="node") from None
    for warning in settings.warnings:
        context.tell(sanitize_text(warning), level="warning")
    return lines


SPECS = (
    CommandSpec(
        "settings.set", "set", "settings: Set", "change a setting for this session, or show it", set_value,
        arguments=(
            Argument("key", Kind.SETTING, "section.key, or the key alone where it is unique"),
            Argument("value", Kind.VALUE, "shown if left out", required=False),
        ),
        examples=(
            (":set fanout 128", ""),
            (":set timeout 1m30s", "one that counts seconds takes 90 as well"),
            (":set read_only on", "only look"),
        ),
        danger=Danger.CHANGES,
    ),
    CommandSpec(
        "settings.show", "config", "settings: Show", "show the settings that are not the default", show,
        options=(Option("all", ("-a", "--all"), Kind.FLAG, "defaults too"),),
        examples=((":config --all", ""),),
        subwords=("explain",),
    ),
    CommandSpec(
        "settings.explain", "config explain", "settings: Explain", "tell where each setting comes from", explain,
        arguments=(
            Argument("key", Kind.SETTING, "only this setting, section or node", required=False, repeat=True),
        ),
        options=(Option("node", ("--node",), Kind.NODES, "these nodes, whatever they are called", "NODES", True),),
        examples=(
            (":config explain fanout", "value, source, meaning"),
            (":config explain node7", "what counts for node7: settings, [[nodes]], ssh_config with file and line"),
        ),
    ),
)  # fmt: skip
