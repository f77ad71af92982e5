"""Plays a macro: line after line, each run waited for, stopped by what failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...engine.taskmanager.mapping import MapProgress
from ...engine.text import sanitize_text
from ..exits import ExitCode
from ..frontend import Document
from ..interpreter.context import CommandError, Context, Outcome, Script
from ..interpreter.targets import names_last_run, resolve
from ..language.conditions import NotEmpty, Tally, judge, read_condition
from ..language.language import parse, render
from ..session.selection import Selection
from .macros import Macro, MacroError, Step
from .plan import Plan

#: Macros within macros within macros.
MAX_DEPTH = 8
#: Lines that look at the run or map before them, and so decide themselves what its failures mean.
_JUDGES = frozenset({"macro.expect", "macro.if", "macro.on-failure"})
_JUDGES_OF_RUN = _JUDGES | {"run.retry"}
_JUDGES_OF_MAP = _JUDGES | {"queue.retry"}

#: Commands that know how to be shown in a dry run. Any other one is only named: what is not known to be harmless
#: must not be done.
_FORESEEABLE = frozenset(
    {
        "run.shell", "run.local", "run.retry", "run.again", "run.abort", "copy.out", "copy.back", "timer.start",
        "nodes.select", "nodes.add", "nodes.remove", "nodes.keep", "nodes.undo", "nodes.save", "macro.play",
        "macro.wait", "macro.until", "macro.expect", "macro.confirm", "macro.on-failure", "macro.say",
        "macro.fail",
    }
)  # fmt: skip


#: Commands whose own words are all that there is to tell.
_SPEAK = frozenset({"macro.say", "macro.fail"})


class _StopError(Exception):
    """Ends the macro with a code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class _Pending:
    """A run or a map that went wrong and that the next line, if it is one of the judges, may still judge."""

    what: str
    step: Step
    judges: frozenset[str]


class Player:
    """One playing of one macro; console thread only."""

    def __init__(self, context: Context, macro: Macro, given: Mapping[str, str], *, dry_run: bool = False) -> None:
        """Raises MacroError for parameters that are missing or unknown, CommandError for macros too deep."""
        outer = context.script
        depth = 1 if outer is None else outer.depth + 1
        if depth > MAX_DEPTH:
            raise CommandError(f"{macro.file}: macros play each other more than {MAX_DEPTH} deep")
        self._context = context
        self._macro = macro
        self._values = macro.values(given)
        self._script = Script(macro.file, dry_run or context.dry_run, depth)
        if self._script.dry_run:
            selection = context.selection
            self._script.selection = Selection(selection.current, selection.label)
        self._pending: _Pending | None = None
        self._runs: list[int] = []

    def play(self) -> Outcome:
        """Play it to its end or its stop; errors are shown. The code is the macro's exit code."""
        self._check_all()
        outer, self._context.script = self._context.script, self._script
        plan = self._plan(outer)
        try:
            self._block(self._macro.steps)
            self._judge_pending(None)
            self._await_background()
        except _StopError as stop:
            return self._outcome(stop.code)
        except MacroError as error:
            self._tell_error(*error.explain())
            return self._outcome(ExitCode.USAGE)
        except KeyboardInterrupt:
            self._interrupted()
            return self._outcome(ExitCode.INTERRUPTED)
        finally:
            self._context.script = outer
            if plan is not None:
                self._context.front_end = plan.front_end
                plan.finish()
        return self._outcome(ExitCode.EXPECTATION_FAILED if self._script.expectation_failed else ExitCode.OK)

    def _plan(self, outer: Script | None) -> Plan | None:
        """Puts a Plan before the front end, where a dry run begins."""
        if not self._script.dry_run or (outer is not None and outer.dry_run):
            return None
        plan = Plan(self._context.front_end, sanitize_text(f"dry run of {self._macro.file}"))
        self._context.front_end = plan
        return plan

    def _outcome(self, code: int) -> Outcome:
        return Outcome(code, tuple(self._runs), failed=code != ExitCode.OK)

    def _check_all(self) -> None:
        """Every line with its values, before the first is done. Raises MacroError."""
        for step in self._macro.steps:
            for one in step.walk():
                self._macro.expand(one, self._values)

    # -- steps

    def _block(self, steps: tuple[Step, ...]) -> None:
        for step in steps:
            if self._context.executor.stopping:
                self._interrupted()
                raise _StopError(ExitCode.INTERRUPTED)
            self._step(step)

    def _step(self, step: Step) -> None:
        command = self._macro.expand(step, self._values)
        self._judge_pending(command.spec.id)
        if command.spec.id == "macro.if":
            self._branch(step, command.get("condition"))
            return
        self._narrate(step, command.spec.id)
        if self._script.dry_run and command.spec.id not in _FORESEEABLE:
            self._context.front_end.show(Document.of(sanitize_text(f"would do {render(command)}")))
            return
        try:
            outcome = self._context.executor.perform(command)
        except CommandError as error:
            self._tell_error(f"{self._place(step)}: {error.text}")
            raise _StopError(error.code or ExitCode.ERROR) from None
        self._runs += outcome.runs
        if outcome.leave:
            raise _StopError(outcome.code)
        if outcome.map is not None:
            self._note_map(outcome, outcome.map, step)
            return
        if outcome.code and not outcome.runs:
            if self._script.stop_on_failure or outcome.code != ExitCode.EXPECTATION_FAILED:
                raise _StopError(outcome.code)
            self._script.expectation_failed = True
        for run in outcome.runs:
            self._script.last, self._script.map = run, None
            if run not in self._script.background and command.spec.id != "macro.play":
                self._await(run, step)

    def _branch(self, step: Step, condition: str) -> None:
        if self._script.dry_run:
            for name, steps in ((f"if {condition}", step.then), ("else", step.otherwise)):
                if steps:
                    self._context.front_end.show(Document.of(sanitize_text(f"-- {name}:")))
                    self._block(steps)
            self._context.front_end.show(Document.of("-- end"))
            return
        try:
            holds, reason = judge_now(self._context, condition)
        except CommandError as error:
            self._tell_error(f"{self._place(step)}: {error.text}")
            raise _StopError(error.code) from None
        self._context.front_end.show(Document.of(sanitize_text(f"{self._place(step)}: {condition}: {reason}")))
        self._block(step.then if holds else step.otherwise)

    # -- runs and maps

    def _note_map(self, outcome: Outcome, number: int, step: Step) -> None:
        """A map that was waited for: `:expect` and `:if` look at it now."""
        if outcome.code == ExitCode.INTERRUPTED:
            raise _StopError(outcome.code)
        self._script.map = number
        if outcome.failed:
            self._pending = _Pending(f"map {number} did not end well for every job", step, _JUDGES_OF_MAP)

    def _await(self, run: int, step: Step) -> None:
        if not self._context.executor.wait(run):
            self._interrupted()
            raise _StopError(ExitCode.INTERRUPTED)
        model = self._context.session.runs.get(run)
        if model is None:
            return
        if model.bad_nodes():
            self._pending = _Pending(f"run #{run} did not end well on every node", step, _JUDGES_OF_RUN)

    def _judge_pending(self, following: str | None) -> None:
        """A failed run or map stops the macro, unless the next line is one that judges it."""
        pending, self._pending = self._pending, None
        if pending is None or following in pending.judges or not self._script.stop_on_failure:
            return
        self._tell_error(f"{self._place(pending.step)}: {pending.what}")
        raise _StopError(ExitCode.EXPECTATION_FAILED)

    def _await_background(self) -> None:
        for run in sorted(self._script.background):
            if not self._context.executor.wait(run):
                self._interrupted()
                raise _StopError(ExitCode.INTERRUPTED)
            model = self._context.session.runs.get(run)
            if model is not None and self._script.stop_on_failure and model.bad_nodes():
                self._tell_error(f"{self._macro.file}: run #{run} did not end well on every node")
                raise _StopError(ExitCode.EXPECTATION_FAILED)
        for number in sorted(self._script.background_maps):
            outcome = self._context.executor.perform(parse(f":queue wait {number}", self._context.registry))
            if outcome.code == ExitCode.INTERRUPTED:
                self._interrupted()
            if outcome.failed and (self._script.stop_on_failure or outcome.code != ExitCode.EXPECTATION_FAILED):
                raise _StopError(outcome.code)

    def _interrupted(self) -> None:
        for run in self._runs:
            model = self._context.session.runs.get(run)
            if model is not None and model.ended is None:
                self._context.session.abort(run)
        self._tell_error(f"{self._macro.file}: interrupted; what was gathered stays")

    # -- words

    def _place(self, step: Step) -> str:
        return f"{self._macro.file}:{step.number}"

    def _narrate(self, step: Step, command: str) -> None:
        if not self._script.dry_run and command not in _SPEAK:
            first, _, more = step.text.partition("\n")
            shown = f"{self._place(step)}: {first}{' ...' if more else ''}"
            self._context.front_end.show(Document.of(sanitize_text(shown)))

    def _tell_error(self, *lines: str) -> None:
        self._context.front_end.show(error_document(lines))


def error_document(lines: Sequence[str]) -> Document:
    """What is wrong with a macro: one line, or that line with the macro's and a caret."""
    clean = tuple(sanitize_text(line) for line in lines)
    return Document("error", clean, "error") if len(clean) > 1 else Document.of(clean[0], level="error")


def judge_now(context: Context, condition: str, run: int | None = None) -> tuple[bool, str]:
    """Whether a condition holds for a run, by default the macro's (or the session's) newest. Raises CommandError.

    In a macro whose newest step was a map, for that.
    """
    if run is None and context.script is not None and context.script.map is not None:
        return _judge_map(context, condition, context.script.map)
    runs = context.session.runs
    number = run if run is not None or context.script is None else context.script.last
    model = runs.last if number is None else runs.get(number)

    def empty(expression: str) -> bool:
        return not resolve(context, expression)

    compared = any(not isinstance(part, NotEmpty) for part in read_condition(condition))
    if model is not None and model.ended is None and compared:
        context.executor.wait(model.id)
    try:
        return judge(condition, model, empty)
    except ValueError as error:
        raise CommandError(str(error), code=ExitCode.USAGE) from error


def _judge_map(context: Context, condition: str, number: int) -> tuple[bool, str]:
    def empty(expression: str) -> bool:
        if names_last_run(expression):
            message = f"{expression} are nodes of a run, and the step before was map {number}"
            raise CommandError(message, "count its jobs: failed==0", code=ExitCode.USAGE)
        return not resolve(context, expression)

    try:
        return judge(condition, tally(context.queue.maps.find(number).run.progress()), empty)
    except ValueError as error:
        raise CommandError(str(error), code=ExitCode.USAGE) from error


def tally(progress: MapProgress) -> Tally:
    """A map's jobs by the words of conditions."""
    jobs = {
        "ok": progress.done,
        "failed": progress.failed,
        "timeout": progress.timeout,
        "lost": progress.lost,
        "aborted": progress.cancelled,
    }
    return Tally(progress.total, {**jobs, "bad": sum(jobs.values()) - progress.done})
