"""The one builder of the prompt: the plain REPL and the full-screen console make their PromptSession here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from prompt_toolkit import PromptSession
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import History
from prompt_toolkit.input.base import Input
from prompt_toolkit.output.base import Output

from ...engine.states import NodeState
from ...engine.text import clean_text_line
from ..language.registry import Registry
from ..queue.queue import QueueService
from ..runs.runs import Run
from ..session.service import Service
from .completer import DeckCompleter, Suggested
from .history import DeckSuggest
from .keys import deck_keys
from .lexer import DeckLexer
from .style import color_depth, prompt_style
from .visible import VisibleProcessor

#: Cells of the selection's name in the prompt; a longer one is cut.
LABEL_WIDTH = 32
#: Rows kept free for the completion menu.
MENU_ROWS = 7


@dataclass(frozen=True)
class PromptParts:
    """What a prompt is made of.

    stop_run: stops the current run; False where none is running (called by Ctrl-C, must not block).
    say: shows one line to the operator. recording: name of the macro being recorded, or "".
    hosted: the prompt lives in a widget: no toolbar, no suspending, no editor of its own. queue: whose maps and tasks
    are completed.
    """

    session: Service
    registry: Registry
    history: History
    stop_run: Callable[[], bool]
    say: Callable[[str], None]
    recording: Callable[[], str] = lambda: ""
    color: bool = True
    hosted: bool = False
    queue: QueueService | None = None


def build_prompt(parts: PromptParts, input: Input | None = None, output: Output | None = None) -> PromptSession[str]:  # noqa: A002
    """The prompt over these parts, on this input and output (None: the terminal's)."""
    vi = parts.session.settings.screen.editing == "vi"
    prompt: PromptSession[str] = PromptSession(
        lambda: prompt_text(parts),
        input=input,
        output=output,
        editing_mode=EditingMode.VI if vi else EditingMode.EMACS,
        lexer=DeckLexer(parts.registry),
        completer=DeckCompleter(_completion(parts), lambda error: parts.say(f"completion failed: {error}")),
        complete_while_typing=True,
        reserve_space_for_menu=MENU_ROWS,
        auto_suggest=DeckSuggest(),
        history=parts.history,
        search_ignore_case=True,
        key_bindings=deck_keys(parts.stop_run, parts.say, own_terminal=not parts.hosted),
        input_processors=[VisibleProcessor()],
        prompt_continuation=_continuation,
        style=prompt_style(color=parts.color),
        include_default_pygments_style=False,
        color_depth=None if parts.hosted else color_depth(color=parts.color),
        bottom_toolbar=None if parts.hosted else (lambda: _toolbar(parts, prompt)),
        enable_suspend=False,  # prompt_toolkit's way can hang the terminal: see suspend.py
        enable_open_in_editor=False,  # nor is its way to the editor: see keys.py
        tempfile_suffix=".sh",
        mouse_support=False,
    )
    # A single ESC of vi must act soon; in emacs mode ESC and a key, one after the other, stand for Alt.
    prompt.app.timeoutlen = 0.3 if vi else 1.0
    prompt.app.ttimeoutlen = 0.05
    return prompt


def _completion(parts: PromptParts) -> Callable[[str, int], Sequence[Suggested]]:
    def complete(text: str, cursor: int) -> Sequence[Suggested]:
        from ..completion.completion import complete as candidates  # the first prompt need not wait for it

        return candidates(text, cursor, parts.session, parts.registry, queue=parts.queue)

    return complete


def prompt_text(parts: PromptParts) -> StyleAndTextTuples:
    """`deck @web[128] 2 running 96/256 x3> `: selection, count, running runs with their progress, bad nodes."""
    selection = parts.session.selection
    fragments: StyleAndTextTuples = [("class:prompt.name", "deck ")]
    count = len(selection)
    if count:
        label = clean_text_line(selection.label)
        if len(label) > LABEL_WIDTH:
            label = label[: LABEL_WIDTH - 3] + "..."
        # `@web[128]`; behind a folded set another bracket would be read as a part of it.
        counted = f" ({count})" if "[" in label else f"[{count}]"
        fragments += [("class:prompt.nodes", label), ("class:prompt.count", counted)]
    else:
        fragments.append(("class:prompt.none", "no nodes"))
    fragments += _runs_text(parts)
    name = parts.recording()
    if name:
        fragments.append(("class:prompt.recording", f" rec {clean_text_line(name)}"))
    fragments.append(("class:prompt.sign", "> "))
    return fragments


def _runs_text(parts: PromptParts) -> Iterable[tuple[str, str]]:
    """What runs and how far it is; when nothing runs, how many nodes of the last run ended badly."""
    running = parts.session.runs.running
    if running:
        total = sum(len(run.names) for run in running)
        done = sum(finished(run) for run in running)
        yield "class:prompt.running", f" {len(running)} running {done}/{total}"
    run = running[-1] if running else parts.session.runs.last
    bad = 0 if run is None else sum(run.count(state) for state in NodeState if state.bad)
    if bad:
        yield "class:prompt.bad", f" x{bad}"


def finished(run: Run) -> int:
    """Nodes of the run that have ended."""
    return sum(run.count(state) for state in NodeState if state.finished)


def _continuation(width: int, number: int, wrapped: int) -> StyleAndTextTuples:
    return [("class:prompt.more", "" if wrapped else "> ".rjust(width))]


_KEYS = (("Tab", "complete"), ("^R", "search"), ("^C", "stop run"), ("M-Enter", "new line"), ("^D", "leave"))


def _toolbar(parts: PromptParts, prompt: PromptSession[str]) -> StyleAndTextTuples:
    """The keys; while a `:` command is typed, its usage."""
    usage = _usage(prompt.default_buffer.text, parts.registry)
    if usage:
        width = max(10, prompt.output.get_size().columns - 2)
        return [("class:toolbar.usage", f" {usage[:width]}")]
    fragments: StyleAndTextTuples = []
    for key, meaning in (*_KEYS, (":help", "commands")):
        fragments += [("", " "), ("class:toolbar.key", key), ("", f" {meaning} ")]
    return fragments


def _usage(text: str, registry: Registry) -> str:
    words = text.lstrip().removeprefix(":").split(None, 2) if text.lstrip().startswith(":") else []
    spec = registry.find(words) if words else None
    return "" if spec is None else f"{spec.usage}   {spec.summary}"
