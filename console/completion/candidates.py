"""Candidates for each kind of value; see completion.py."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Iterator
from importlib import resources
from itertools import chain

from ...engine.taskmanager.slots import DEFAULT_TAG
from ...engine.text import clean_text_line
from ..interpreter.context import CommandError
from ..language.spec import Kind
from ..language.tokens import Token
from ..macros import store as macro_store
from ..macros.macros import SUFFIX, MacroError
from ..settings import paths
from ..settings.settings import SettingsError, choices, describe, setting_names, split_key
from .candidate import Candidate, Sources, plain
from .file_candidates import ending_in, local_paths, programs, remote_paths
from .node_candidates import RESULTS, groups, node_sets, run_nodes, saved_sets

WORKERS = ("paramiko", "ssh", "exec", "pdsh", "rsh")
_DURATIONS = {"10s": "ten seconds", "30s": "half a minute", "5m": "five minutes", "1h30m": "an hour and a half"}
_BATCHES = {"1,10%,rest": "one, then a tenth, then the rest", "10%": "in tenths"}
_SHARES = {"1": "the first one", "2%": "of the nodes", "10%": "of the nodes"}
#: What may be typed for settings whose type alone does not tell it.
_SETTING_KINDS = {
    "run.worker": Kind.WORKER,
    "run.user": Kind.USER,
    "ssh.config": Kind.LOCAL_PATH,
    "ssh.known_hosts": Kind.LOCAL_PATH,
    "safety.protected": Kind.NODES,
    "screen.theme": Kind.THEME,
    "queue.socket": Kind.LOCAL_PATH,
    "groups.default": Kind.NODES,
    "groups.file": Kind.LOCAL_PATH,
}
#: Words that settings know where others are told and passed over, and not refused.
_KNOWN = {"screen.keymap": ("default", "emacs", "vi", "tmux-safe")}


def offers(
    kind: Kind, token: Token, sources: Sources, allowed: tuple[str, ...] = (), before: str = ""
) -> Iterator[Candidate]:
    """Candidates of a kind for the word `token`, which ends at the cursor.

    allowed: words that are allowed beside those of the kind. before: the command's first word, on which some depend.
    """
    yield from plain(((text, "") for text in allowed), token)
    if kind in _SOURCES:
        yield from _SOURCES[kind](token, sources)
    elif kind in _DEPENDENT and before:
        yield from _DEPENDENT[kind](before, token, sources)


# -- runs, timers, the queue


def _runs(token: Token, sources: Sources) -> Iterator[Candidate]:
    for run in reversed(list(sources.session.runs)):
        if str(run.id).startswith(token.text.removeprefix("#")):
            yield Candidate(str(run.id), token.start, f"#{run.id}", run.line)


def _timers(token: Token, sources: Sources) -> Iterator[Candidate]:
    yield from plain(((str(info.id), info.command) for info in sources.session.timers() if info.active), token)


def _waits(token: Token, sources: Sources) -> Iterator[Candidate]:
    yield from _runs(token, sources)
    yield from _durations(token, sources)


def _maps(token: Token, sources: Sources) -> Iterator[Candidate]:
    known = sources.queue.maps.all() if sources.queue is not None else []
    yield from plain(((str(job.number), job.template) for job in reversed(known)), token)


def _tasks(token: Token, sources: Sources) -> Iterator[Candidate]:
    """Tasks of this console's queue. One that is elsewhere is not asked: it may take its time."""
    queue = sources.queue
    if queue is None or not queue.used or queue.is_shared:
        return
    yield from plain(((one.task, f"{one.state.value}: {one.command}") for one in reversed(queue.ended())), token)
    rows = ((row.info.id, f"{row.info.state.value}: {row.command}") for row in queue.tasks())
    yield from plain(rows, token)


def _tags(token: Token, sources: Sources) -> Iterator[Candidate]:
    queue = sources.queue
    known = {DEFAULT_TAG: "unless it is said"}
    if queue is not None and queue.used and not queue.is_shared:
        known |= {row.info.tag: "" for row in queue.tasks() if row.info.tag not in known}
    yield from plain(known.items(), token)


# -- words


def _settings(token: Token, _sources: Sources) -> Iterator[Candidate]:
    rows = [(name, describe(name)) for name in setting_names()]
    yield from plain(rows, token)
    yield from plain(((name.partition(".")[2], text) for name, text in rows if token.text), token)


def _setting_values(key: str, token: Token, sources: Sources) -> Iterator[Candidate]:
    """Values that a setting may have; for one that may have any, the one it has."""
    try:
        name = ".".join(split_key(key))
        value = sources.session.settings.get(name)
    except SettingsError:
        return
    now = str(value).lower() if isinstance(value, bool) else str(value)
    allowed = (
        choices(name) or _KNOWN.get(name) or (("true", "false") if isinstance(value, bool) else (now,) if now else ())
    )
    yield from plain(((text, "now" if text == now else "") for text in allowed), token)
    if name in _SETTING_KINDS:
        yield from offers(_SETTING_KINDS[name], token, sources)


def _themes(token: Token, _sources: Sources) -> Iterator[Candidate]:
    """The themes that come with the program, and the operator's own."""
    packaged = [entry.name for entry in resources.files("clusterdeck.themes").iterdir()]
    own = [entry.name for entry in (paths.config_dir() / "themes").glob("*.toml")]
    names = {name.removesuffix(".toml") for name in (*packaged, *own) if name.endswith(".toml")}
    yield from plain(((name, "") for name in sorted(names)), token)


def _macro_names(token: Token, _sources: Sources) -> Iterator[Candidate]:
    yield from plain(((name, str(file.parent)) for name, file in macro_store.known().items()), token)


def _macros(token: Token, sources: Sources) -> Iterator[Candidate]:
    if "/" not in token.text:
        yield from _macro_names(token, sources)
    yield from ending_in(SUFFIX, token, sources)


def _macro_parameters(name: str, token: Token, sources: Sources) -> Iterator[Candidate]:
    """`name=` for each parameter of a macro."""
    try:
        macro, _ = macro_store.load(name, sources.registry)
    except (CommandError, MacroError):
        return
    for parameter in macro.parameters:
        hint = parameter.help or ("needed" if parameter.default is None else f"{parameter.default} if left out")
        if parameter.name.startswith(token.text):
            yield Candidate(f"{parameter.name}=", token.start, f"{parameter.name}=", clean_text_line(hint))


def _words(token: Token, sources: Sources) -> Iterator[Candidate]:
    for spec in sources.registry:
        if not spec.hidden and spec.word.startswith(token.text):
            yield Candidate(spec.word, token.start, spec.word, spec.summary)


def _conditions(token: Token, _sources: Sources) -> Iterator[Candidate]:
    yield from plain(((f"@{word}", f"some nodes {text}") for word, text in RESULTS.items()), token)
    yield from plain(((f"{word}>=", f"how many nodes {text}") for word, text in RESULTS.items()), token)
    others = (("groups==", "different answers"), ("nodes>=", "nodes of the run"), ("out:/", "a line of the output"))
    yield from plain(others, token)


def _filter(token: Token, sources: Sources) -> Iterator[Candidate]:
    from ...widgets.filter_terms import OPENERS, STATE_WORDS  # only where there is a screen to filter

    openers = (opener for opener in OPENERS if opener != "state:")
    yield from plain(((word, "") for word in chain((f"state:{state}" for state in STATE_WORDS), openers)), token)
    yield from node_sets(token, sources)


def _workers(token: Token, _sources: Sources) -> Iterator[Candidate]:
    yield from plain(((name, "") for name in WORKERS), token)


def _users(token: Token, sources: Sources) -> Iterator[Candidate]:
    settings = sources.session.settings
    chosen = (str(value) for part in settings.nodes for key, value in part.values if key == "user")
    rows = [(settings.run.user, "run.user"), *((name, "[[nodes]]") for name in chosen), (_own_name(), "your own name")]
    yield from plain([row for row in rows if row[0]] + [("root", "")], token)


def _own_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may have no name for its user
        return ""


def _variables(token: Token, _sources: Sources) -> Iterator[Candidate]:
    for name in sorted(os.environ):
        if name.startswith(token.text) and name.isprintable():
            yield Candidate(f"{name}=", token.start, f"{name}=", "as it is called here")


def _modules(token: Token, sources: Sources) -> Iterator[Candidate]:
    yield from ending_in(".py", token, sources)


def _durations(token: Token, _sources: Sources) -> Iterator[Candidate]:
    yield from plain(_DURATIONS.items(), token)


def _batches(token: Token, _sources: Sources) -> Iterator[Candidate]:
    yield from plain(_BATCHES.items(), token)


def _shares(token: Token, _sources: Sources) -> Iterator[Candidate]:
    yield from plain(_SHARES.items(), token)


_SOURCES: dict[Kind, Callable[[Token, Sources], Iterator[Candidate]]] = {
    Kind.NODES: node_sets,
    Kind.NODE: run_nodes,
    Kind.GROUP: groups,
    Kind.SAVED: saved_sets,
    Kind.FILTER: _filter,
    Kind.RUN: _runs,
    Kind.WAIT: _waits,
    Kind.TIMER: _timers,
    Kind.MAP: _maps,
    Kind.TASK: _tasks,
    Kind.TAG: _tags,
    Kind.LOCAL_PATH: local_paths,
    Kind.REMOTE_PATH: remote_paths,
    Kind.MODULE: _modules,
    Kind.COMMAND: programs,
    Kind.LOCAL_COMMAND: programs,
    Kind.SETTING: _settings,
    Kind.THEME: _themes,
    Kind.MACRO: _macros,
    Kind.MACRO_NAME: _macro_names,
    Kind.WORD: _words,
    Kind.CONDITION: _conditions,
    Kind.UNTIL: _conditions,
    Kind.WORKER: _workers,
    Kind.USER: _users,
    Kind.VARIABLE: _variables,
    Kind.DURATION: _durations,
    Kind.BATCHES: _batches,
    Kind.SHARE: _shares,
}
#: Kinds whose candidates depend on the command's first word.
_DEPENDENT: dict[Kind, Callable[[str, Token, Sources], Iterator[Candidate]]] = {
    Kind.VALUE: _setting_values,
    Kind.ASSIGNMENT: _macro_parameters,
}
#: Kinds of what is any text, a number or a new name: nothing can be offered for them beside what they allow.
FREE = frozenset({Kind.TEXT, Kind.LINE, Kind.COUNT, Kind.NAME, Kind.PARAMETER})
