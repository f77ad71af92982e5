"""The safety rail: what must be asked, and what is refused, before nodes are touched."""

from __future__ import annotations

from ClusterShell.NodeSet import NodeSet

from ...engine.text import sanitize_text
from ..exits import ExitCode
from ..frontend import Confirmation
from ..settings.settings import SettingsError
from .context import CommandError, Context
from .danger import dangerous
from .targets import resolve


def check(context: Context, action: str, nodes: NodeSet, command: str = "") -> None:
    """Let an action on nodes pass, or raise CommandError (REFUSED); may ask the operator.

    action: what is to be done, for the dialog ("run", "copy to"). command: the shell command, if it is one.

    - read-only mode refuses everything that reaches nodes;
    - protected nodes need the number of nodes typed, in scripts too (a front end without an operator must have been
      told so explicitly);
    - dangerous verbs are asked about; more than `confirm_above` nodes too. Scripts are not asked: whoever started
      one has agreed to its lines, and a macro can ask with `:confirm`.
    """
    settings = context.session.settings
    if settings.safety.read_only:
        raise CommandError(
            "read-only mode: nothing reaches nodes", ":set read_only false ends it", code=ExitCode.REFUSED
        )
    count = len(nodes)
    shown = sanitize_text(command)
    lines = (sanitize_text(f"nodes   {nodes} ({count})"), *(f"        {line}" for line in shown.splitlines()))
    protected = _protected(context, nodes)
    if protected:
        title = f"{action} {len(protected)} protected of {count} nodes" if count else action
        lines = (sanitize_text(f"protected   {protected} ({len(protected)})"), *lines)
        _ask(context, Confirmation(title, lines, count, typed=str(count), required=True))
        return
    if not context.front_end.interactive or (context.script is not None and context.script.agreed):
        return
    limit = settings.safety.confirm_above
    many = 0 < limit < count
    verb = dangerous(command, _own_verbs(context)) if command else None
    if verb is not None:
        title = f"{verb!r} on {count} node{'s' * (count != 1)}"
        _ask(context, Confirmation(title, lines, count, typed=str(count) if many else None))
    elif many and context.script is None:
        _ask(context, Confirmation(f"{action} {count} nodes", lines, count))


def _ask(context: Context, confirmation: Confirmation) -> None:
    if not context.front_end.confirm(confirmation):
        raise CommandError(f"not done: {confirmation.title}", "it was not confirmed", code=ExitCode.REFUSED)


def _protected(context: Context, nodes: NodeSet) -> NodeSet:
    expression = context.session.settings.safety.protected
    if not expression.strip():
        return NodeSet()
    try:
        return resolve(context, expression) & nodes
    except CommandError as error:
        # Fails closed: a rail that cannot be read must not let anything through.
        message = f"safety.protected ({sanitize_text(expression)}): {error.message}"
        raise CommandError(message, "set it right, or to nothing", code=ExitCode.REFUSED) from error


def _own_verbs(context: Context) -> list[str]:
    try:
        value = context.session.settings.get("safety.dangerous")
    except SettingsError:
        return []
    return [verb.strip() for verb in str(value).split(",")]
