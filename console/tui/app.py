"""The full-screen console: a Textual app around one session. Composes, routes, drains; knows no commands."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from typing import Any, ClassVar, TypeVar

from textual import events, on
from textual.app import App
from textual.binding import Binding, BindingType
from textual.filter import LineFilter
from textual.screen import ModalScreen

from ...engine.text import sanitize_text
from ...widgets.actions import bindings
from ...widgets.cells import use_ascii
from ...widgets.log_view import LogBook
from ...widgets.messages import GroupsWanted, PagerRequested, TextCopied, Told
from ...widgets.node_colours import use_node_colours
from ...widgets.prompt import PromptHost
from ...widgets.terminal_filters import PlainSigns
from ..language.registry import Registry
from ..language.spec import CommandSpec, Danger
from ..settings import paths
from .alt_keys import tell_alt_apart
from .clipboard import copy_native
from .deck import Deck
from .errands import Errand, known_groups
from .folding import Folding
from .frontend import TuiFrontEnd
from .key_order import KeyOrder
from .keymap import keys_of, load_keymap, normal, shown_key
from .messages import LineAsked, LineOffered
from .news import Newsreader
from .palette import DeckCommands
from .programs import Programs
from .pump import Pump
from .resolver import ExpressionResolver
from .screens.dialogs import Dialog
from .screens.main import MainScreen
from .screens.too_small import TooSmallScreen, too_small
from .shelf import Shelf
from .stopping import Stopping
from .ticks import Ticks
from .wardrobe import Wardrobe

T = TypeVar("T")


class ClusterdeckApp(App[int]):
    """One operator's console. Ends with the exit code in `return_value`.

    session: a started or unstarted Session. execute: runs a line, called in the prompt's thread. interrupt: ends a
    macro or a wait under way. make_prompt: builds the PromptSession on the input and output it is given.
    """

    TITLE = "clusterdeck"
    COMMANDS: ClassVar[set[Any]] = {DeckCommands}
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "ctrl+p"
    BINDINGS: ClassVar[list[BindingType]] = bindings(
        "app.focus-swap", "app.palette", "app.quit", "app.suspend", "app.help", "app.theme"
    )

    def __init__(
        self,
        session: Any,
        front_end: TuiFrontEnd,
        registry: Registry,
        execute: Callable[[str], Any],
        make_prompt: Callable[..., Any],
        *,
        interrupt: Callable[[], None] = lambda: None,
        groups: Callable[[], Mapping[str, Sequence[str]]] = dict,
    ) -> None:
        colour = session.settings.screen.color
        self._colourless = colour == "never" or (colour == "auto" and bool(os.environ.get("NO_COLOR")))
        with resources.as_file(resources.files("clusterdeck.themes") / "layout.tcss") as layout:
            # Without colours, the terminal's own two are used as they are: no shade is computed from them.
            super().__init__(css_path=layout, ansi_color=True if self._colourless else None)
        self._signs: tuple[LineFilter, ...] = ()
        self.session = session
        self.registry = registry
        self.book = LogBook()
        self._front_end = front_end
        self._execute = execute
        self._make_prompt = make_prompt
        self._interrupt_line = interrupt
        self._resolver = ExpressionResolver(lambda expression: [str(name) for name in session.resolve(expression)])
        self._chosen_keys = load_keymap(session.settings.screen.keymap, paths.config_dir() / "keys.toml")
        self.deck = Deck(session, self._resolver, self._resolver.forget)
        self.main = MainScreen(self.deck, self.book, self._prompt_host)
        self.wardrobe = Wardrobe(self, self.tell)
        self.programs = Programs(self)
        self._shelf = Shelf(self)
        self._folding = Folding(self.main, self.deck)
        news = Newsreader(self, self._shown_ended)
        self._ticks = Ticks(self, news, self._folding, self.call_soon)
        self._pump = Pump(session, session.settings.screen.refresh, self._ticks.tick, self._tick_failed)
        self._stopping = Stopping(self)
        self._key_order = KeyOrder(self, self._give, lambda: self.main.filter_awaited)
        self._groups_errand = Errand(lambda: known_groups(groups), self._groups_seen, self.call_soon)
        #: The task queue (console.queue.QueueService), where there is one.
        self.queue: Any = None

    # -- life

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), *self._signs]

    def get_default_screen(self) -> MainScreen:
        return self.main

    def on_mount(self) -> None:
        screen = self.session.settings.screen
        tell_alt_apart()
        use_ascii(screen.ascii)
        self._signs = (PlainSigns(),) if screen.ascii else ()
        use_node_colours(screen.node_colors)
        problems = self.wardrobe.open(screen.theme, colour=not self._colourless)
        if screen.animation == "none" or (screen.animation == "auto" and "SSH_CONNECTION" in os.environ):
            self.animation_level = "none"
        if self._chosen_keys.keys:
            self.set_keymap(dict(self._chosen_keys.keys))
        self._tell_problems([*problems, *self._chosen_keys.problems])
        for spec in self.registry:
            self._bind(spec)
        # After Ctrl-Z and fg the terminal is empty, and Textual would paint only what changes.
        self.app_resume_signal.subscribe(self, lambda _app: self.screen.refresh())
        self._front_end.attach(self._shelf, self.call_soon)
        self._groups_errand.maybe(time.monotonic(), 0.0)
        self._ticks.collector.start(time.monotonic())
        self.session.runs.pages.spared_thread = threading.get_ident()
        self._pump.start()

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Key | events.Paste) and not event.is_forwarded:
            await self._key_order.take(event)
        else:
            await self._give(event)

    async def _give(self, event: events.Event) -> None:
        # What was typed before a question could be read must reach no part of it: no button, and no line for a secret.
        if isinstance(event, events.Key | events.Paste) and self._precedes_a_question(event):
            return
        await super().on_event(event)

    def _precedes_a_question(self, event: events.Event) -> bool:
        screen = self.screen
        return isinstance(screen, Dialog) and screen.precedes(event.time)

    def on_resize(self, event: events.Resize) -> None:
        """Nothing but the reason while the terminal is too small; everything as it was when it is larger again."""
        shown = isinstance(self.screen, TooSmallScreen)
        if too_small(event.size) and not shown:
            self.push_screen(TooSmallScreen())
        elif shown and not too_small(event.size):
            self.pop_screen()

    def _bind(self, spec: CommandSpec) -> None:
        """The registry's own default keys; what the screen already uses them for goes first.

        What reaches nodes is only put into the prompt: a key meant for the prompt must not start it from a view.
        """
        if spec.keys and not spec.screen:
            self.bind(
                ",".join(normal(key) for key in spec.keys),
                f"{'offer' if spec.danger >= Danger.TOUCHES else 'ask'}(':{spec.word}')",
                description=spec.title,
                show=False,
            )

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Run something in the UI thread, from any thread, without waiting; nothing happens when the app has ended."""
        self.main.call_later(callback)

    def _fatal_error(self) -> None:
        """A mistake ends the screen, and whoever runs it reports `_exception`. Textual's own report would show the
        values of variables, and so what nodes sent and what was typed.
        """
        if os.environ.get("CLUSTERDECK_DEBUG"):
            super()._fatal_error()
        else:
            self._close_messages_no_wait()

    async def on_unmount(self) -> None:
        self._pump.stop()
        self.session.runs.pages.spared_thread = None
        self._ticks.collector.stop()
        self._front_end.detach()
        self._resolver.close()

    # -- the pump

    def _shown_ended(self) -> None:
        self.main.painter.touch()
        self._folding.run_ended()

    def _groups_seen(self, groups: Any) -> None:
        self.main.nodes.set_groups(groups)

    @on(GroupsWanted)
    def _groups_wanted(self) -> None:
        self._groups_errand.maybe(time.monotonic(), 0.0)
        self._resolver.forget()  # what the filter line knows of groups

    def _tick_failed(self, error: Exception) -> None:
        """End like any app that fails: the terminal restored, the traceback shown."""

        def fail() -> None:
            raise error

        self.main.call_later(fail)

    # -- the prompt

    def _prompt_host(self) -> PromptHost:
        vi = self.session.settings.screen.editing == "vi"  # where Escape has a meaning on an empty line, too
        return PromptHost(
            self._make_prompt,
            self._execute,
            on_interrupt=self.action_interrupt,
            # Ctrl-C has a meaning of its own in a line: the prompt hands it on when it has no use for it.
            leave_keys=set(keys_of("app.", self._chosen_keys.keys)) - {"ctrl+c"},
            empty_leave_keys=("pageup", "pagedown") if vi else ("escape", "pageup", "pagedown"),
        )

    def ask_line(self, line: str) -> None:
        """Run a line in the prompt's thread."""
        self.main.prompt.submit(line)

    def offer_line(self, line: str) -> None:
        """Put a line into the prompt for the operator to finish."""
        self.main.set_focus(self.main.prompt)
        self.main.prompt.replace(line)

    action_offer = offer_line
    action_ask = ask_line

    @on(LineAsked)
    def _line_asked(self, message: LineAsked) -> None:
        self.ask_line(message.line)

    @on(LineOffered)
    def _line_offered(self, message: LineOffered) -> None:
        self.offer_line(message.line)

    @on(PromptHost.Interrupted)
    def _prompt_interrupted(self) -> None:
        self.action_interrupt()

    @on(PromptHost.EndRequested)
    def _prompt_ended(self) -> None:
        self.action_leave()

    @on(PromptHost.Failed)
    def _prompt_failed(self, message: PromptHost.Failed) -> None:
        self.tell(f"the prompt failed: {type(message.error).__name__}: {message.error}", "error")

    # -- stopping

    def action_interrupt(self) -> None:
        if self.main.prompt.busy:
            self._interrupt_line()
        self._stopping.interrupt()

    def action_leave(self) -> None:
        self._stopping.leave()

    def action_suspend_process(self) -> None:
        self._stopping.suspend()

    def end(self, code: int) -> None:
        """Leave with this exit code; a line that waits for something is not waited for."""
        self._interrupt_line()
        self._pump.stop()
        self._front_end.detach()
        self.exit(code, return_code=code)

    # -- small things

    def tell(self, text: str, level: str = "information") -> None:
        """One line for the operator: a toast now, the log for later."""
        clean = sanitize_text(text)
        self.book.write(clean, {"information": "info"}.get(level, level))
        severity: Any = level if level in ("information", "warning", "error") else "information"
        self.notify(clean, severity=severity, markup=False, timeout=4 if level == "information" else 8)

    def _tell_problems(self, problems: Sequence[str]) -> None:
        """What is wrong in the operator's files: one toast, however much it is; all of it is in the log."""
        if problems:
            more = f"\n{len(problems) - 1} more are in the log." if len(problems) > 1 else ""
            self.tell(f"{problems[0]}{more}", "warning")
            self.book.write("\n".join(sanitize_text(line) for line in problems[1:]), "warning")

    @on(Told)
    def _told(self, message: Told) -> None:
        self.tell(message.text, message.level)

    @on(TextCopied)
    def _text_copied(self, message: TextCopied) -> None:
        """To the clipboard: through the terminal, and with a native tool beside it."""
        self.copy_to_clipboard(message.text)
        self.tell(f"Copied {message.what}.")
        self.run_worker(lambda: copy_native(message.text), thread=True, exit_on_error=False, group="clipboard")

    @on(PagerRequested)
    def _pager_requested(self, message: PagerRequested) -> None:
        self.run_worker(self.programs.show(message.texts, message.program), exclusive=True, group="program")

    def get_key_display(self, binding: Binding) -> str:
        """Keys as people write them."""
        return shown_key(binding.key, super().get_key_display(binding))

    def action_next_theme(self) -> None:
        self.wardrobe.next()

    def action_focus_swap(self) -> None:
        if self.screen is self.main:
            self.main.action_focus_swap()

    async def action_help(self) -> None:
        self._shelf.show_help()

    def open_dialog(self, dialog: ModalScreen[T], answered: Callable[[T | None], None]) -> None:
        """Ask; what was typed before the question was there must not answer it."""
        self.main.prompt.drop_typeahead()
        self.push_screen(dialog, answered)
