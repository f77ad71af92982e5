"""Commands on settings: change one, show them, tell where each comes from."""

from __future__ import annotations

from contextlib import suppress

from ...engine.text import sanitize_text
from ..exits import ExitCode
from ..frontend import Document
from ..interpreter.context import CommandError, Context, Outcome
from ..language.spec import Argument, Command, CommandSpec, Danger, Kind, Option
from ..language.values import read_duration
from ..settings.settings import SettingsError, as_toml, describe, split_key
from . import documents

_LESS_SAFE = {"safety.read_only", "safety.protected", "safety.confirm_above", "safety.dangerous", "ssh.host_keys"}


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
        return context.tell(f"{name} = {as_toml(settings.get(name))}  ({settings.source(name)}; {describe(name)})")
    if context.dry_run:
        return context.tell(sanitize_text(f"would set {name} to {value}"))
    try:
        context.session.set_option(name, _in_seconds(name, value))
    except SettingsError as error:
        raise CommandError(sanitize_text(str(error)), code=ExitCode.USAGE, argument="value") from None
    level = "warning" if name in _LESS_SAFE else "info"
    return context.tell(f"{name} = {as_toml(settings.get(name))}", level=level)


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
    """`:config explain [KEY]`."""
    wanted = _full(command.get("key")) if command.has("key") else None
    rows = context.session.settings.explain()
    chosen = [row for row in rows if wanted in (None, row[0])]
    lines = documents.table([[sanitize_text(cell) for cell in row] for row in chosen])
    return context.show(Document("settings", documents.bounded(lines), data=True))


SPECS = (
    CommandSpec(
        "settings.set", "set", "settings: Set", "change a setting for this session, or show it", set_value,
        arguments=(
            Argument("key", Kind.SETTING, "section.key, or the key alone where it is unique"),
            Argument("value", Kind.TEXT, "shown if left out", required=False),
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
        subwords=("explain",),
    ),
    CommandSpec(
        "settings.explain", "config explain", "settings: Explain", "tell where each setting comes from", explain,
        arguments=(Argument("key", Kind.SETTING, "only this one", required=False),),
        examples=((":config explain fanout", "value, source, meaning"),),
    ),
)  # fmt: skip
