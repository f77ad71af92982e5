"""Every key of every view: what must be true after it was pressed. A key that has no row here fails the test."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
from textual.pilot import Pilot

from clusterdeck.console.repl import suspend
from clusterdeck.console.tui import keymap
from clusterdeck.engine.states import NodeState
from clusterdeck.tests.support.fake_run import FakeSession, finish, mixed, out, states
from clusterdeck.tests.support.tui import Deck, settled, until, whole
from clusterdeck.widgets.actions import ACTIONS
from clusterdeck.widgets.cells import Row
from clusterdeck.widgets.diff_view import DiffView
from clusterdeck.widgets.line_entry import FilterBar, SearchBar
from clusterdeck.widgets.line_view import LineView
from clusterdeck.widgets.look import Look
from clusterdeck.widgets.node_colours import node_colours
from clusterdeck.widgets.plot_view import PICTURES
from clusterdeck.widgets.queue_snapshot import QueueProcess, QueueSnapshot, QueueTask
from clusterdeck.widgets.texts import Texts

VIEWS = ("nodes", "panes", "gathered", "failures", "queue", "runs", "log", "diff", "plot", "document")
#: Textual's own, which every scrolling widget has; here they have nothing to do, and must do no harm.
IDLE = {"scroll_left", "scroll_right", "page_left", "page_right"}
#: Keys that several bindings share for good: Textual's copy of a mouse selection.
COPIES = {"super+c"}


class Stage:
    """One console with a view of it on show, brought back to the same state before every key."""

    def __init__(self, deck: Deck, pilot: Pilot[int], view: str) -> None:
        self.deck, self.pilot, self.view = deck, pilot, view
        self.app, self.main = deck.app, deck.app.main
        self.session: Any = deck.session
        self.opened: list[tuple[list[str], str]] = []
        self.ended: list[int] = []
        self.suspended: list[list[int]] = []
        #: What is found when the node groups are read.
        self.groups: dict[str, list[str]] = {}
        errand: Any = self.app._groups_errand
        errand._look = lambda: self.groups
        programs: Any = self.app.programs
        programs.show = self._opened
        end: Any = self.ended.append
        self.app.end = end  # type: ignore[method-assign]

    @property
    def widget(self) -> Any:
        """What has the keys."""
        return self.main.nodes if self.view == "nodes" else self.main.focus_target()

    @property
    def at(self) -> int:
        """The row of the cursor."""
        return int(self.widget.cursor_row)

    async def _opened(self, read: Callable[[], Iterable[Texts]], program: str) -> None:
        self.opened.append(([text for texts in read() for text in texts()], program))

    @property
    def rows(self) -> int:
        return int(self.widget.row_count())

    @property
    def page(self) -> int:
        """How far a page goes."""
        return max(1, int(self.widget.size.height) - 1)

    def go(self, row: int) -> None:
        """Put the cursor on a row; in a text, which has none, scroll there."""
        self.widget.move_cursor(row)
        if self.view == "document":
            self.widget.scroll_to(y=row, animate=False, immediate=True)
            self.widget.cursor_row = row

    async def press(self, key: str) -> None:
        await self.pilot.press(key)
        await self.pilot.pause()

    async def until(self, true: Callable[[], bool], told: str = "") -> None:
        await until(self.pilot, true, lambda: told or self.deck.screen_text())

    async def reset(self) -> None:
        """The view on show with the keys, nothing open over it, the cursor in the first row."""
        main = self.main
        while self.app.screen is not main:
            await self.app.pop_screen()
        main.close_search()
        main.query_one("#filter", FilterBar).close()
        main.set_filter("")
        while main.panes.unzoom():
            pass
        if main.prompt.text:
            main.set_focus(main.prompt)
            await self.press("ctrl+u")
            await self.until(lambda: not main.prompt.text)
        if self.view == "nodes":
            main.open_view("panes")
            main.action_focus_list()
        else:
            if self.view == "panes":
                main.panes.choose([0, 1])
            main.open_view(self.view, focus=True)
        await self.pilot.pause()
        # A filter that went away has the answers compared anew, in a thread: rows come until that is over.
        await self.until(lambda: not main.query_one("#diff", DiffView).comparing)
        for taken in (self.deck.lines, self.opened, self.ended, self.suspended, self.session.aborted):
            taken.clear()
        self.go(0)
        assert main.focused is self.widget


Check = Callable[[Stage, str], Awaitable[None]]
CHECKS: dict[tuple[str, str], Check] = {}


def key_of(identifier: str, *views: str) -> Callable[[Check], Check]:
    """The check of an action in some views; without views in all."""

    def put(check: Check) -> Check:
        for view in views or ("*",):
            CHECKS[view, identifier] = check
        return check

    return put


# -- rows


@key_of("row.up")
async def _up(s: Stage, key: str) -> None:
    s.go(2)
    await s.press(key)
    assert s.at == 1


@key_of("row.down")
async def _down(s: Stage, key: str) -> None:
    await s.press(key)
    assert s.at == 1


@key_of("row.page-up")
async def _page_up(s: Stage, key: str) -> None:
    s.go(s.rows - 2)
    await s.press(key)
    assert s.at == max(0, s.rows - 2 - s.page)


@key_of("row.page-up", "document")
async def _text_page_up(s: Stage, key: str) -> None:
    s.go(s.rows)
    top = s.widget.scroll_offset.y
    await s.press(key)
    assert s.widget.scroll_offset.y == s.at == top - s.page


@key_of("row.page-down")
async def _page_down(s: Stage, key: str) -> None:
    await s.press(key)
    assert s.at == min(s.rows - 1, s.page)


@key_of("row.first")
async def _first(s: Stage, key: str) -> None:
    s.go(2)
    await s.press(key)
    assert s.at == 0


@key_of("row.last")
async def _last(s: Stage, key: str) -> None:
    await s.press(key)
    assert s.at == s.rows - 1
    if s.view == "panes":
        assert s.widget.following


@contextmanager
def _longer_rows(widget: Any) -> Iterator[None]:
    """Every row goes on beyond the right edge."""
    paint = widget.paint

    def longer(row: int, line: Row, look: Look) -> None:
        paint(row, line, look)
        line.add(widget.shifted("x" * 500))

    widget.paint = longer
    try:
        widget.refresh()
        yield
    finally:
        del widget.paint
        widget.action_shift(-100)


@key_of("row.left")
async def _left(s: Stage, key: str) -> None:
    with _longer_rows(s.widget):
        await s.pilot.pause()
        s.widget.action_shift(16)
        await s.press(key)
        assert s.widget._shift == 8


@key_of("row.right")
async def _right(s: Stage, key: str) -> None:
    with _longer_rows(s.widget):
        await s.pilot.pause()
        await s.press(key)
        assert s.widget._shift == 8


@key_of("row.left", "plot")
async def _node_before(s: Stage, key: str) -> None:
    s.widget.action_shift(1)
    before = s.widget._cell
    await s.press(key)
    assert s.widget._cell == before - 1


@key_of("row.right", "plot")
async def _node_behind(s: Stage, key: str) -> None:
    s.widget.action_shift(-1)
    before = s.widget._cell
    await s.press(key)
    assert s.widget._cell == before + 1


@key_of("row.colours")
async def _colours(s: Stage, key: str) -> None:
    before = node_colours()
    await s.press(key)
    assert node_colours() is not before
    await s.press(key)
    assert node_colours() is before


@key_of("row.copy")
async def _copy(s: Stage, key: str) -> None:
    s.go(1)
    await s.press(key)
    assert s.app.clipboard == s.widget.row_text(1)


@key_of("row.copy-all")
async def _copy_all(s: Stage, key: str) -> None:
    text = "\n".join(whole(s.widget))
    await s.press(key)
    assert s.app.clipboard == text


@key_of("row.copy-all", "nodes")
async def _copy_nodes(s: Stage, key: str) -> None:
    await s.press(key)
    assert s.app.clipboard == "node[1-60]"


@key_of("row.pager")
async def _pager(s: Stage, key: str) -> None:
    await s.press(key)
    assert s.opened == [(whole(s.widget), "pager")]


@key_of("row.editor")
async def _editor(s: Stage, key: str) -> None:
    await s.press(key)
    assert s.opened == [(whole(s.widget), "editor")]


@key_of("row.search")
async def _search(s: Stage, key: str) -> None:
    await s.press(key)
    bar = s.main.query_one("#search", SearchBar)
    view: Any = s.widget
    assert bar.display
    assert bar.input.has_focus
    wanted = view.row_text(2).strip()
    bar.input.value = wanted
    await s.pilot.pause()
    await s.press("enter")
    assert view.has_focus
    assert wanted in view.row_text(s.at)


def _matches(s: Stage) -> list[int]:
    s.widget.set_search(s.widget.row_text(2).strip()[:4])
    found = [row for row in range(s.rows) if s.widget.search.found_in(s.widget.row_text(row))]
    assert found
    s.go(0)
    return found


@key_of("row.match")
async def _match(s: Stage, key: str) -> None:
    found = _matches(s)
    await s.press(key)
    assert s.at == next((row for row in found if row > 0), 0)
    s.widget.set_search("")


@key_of("row.match-back")
async def _match_back(s: Stage, key: str) -> None:
    found = _matches(s)
    await s.press(key)
    assert s.at == found[-1]
    s.widget.set_search("")


# -- Enter


async def _opens_the_node(s: Stage, key: str) -> None:
    s.go(1)
    name = s.widget.row_text(1).partition(":")[0].split()[0]
    await s.press(key)
    assert s.main.view == "panes"
    await s.until(lambda: s.main.focused is s.main.panes.panes[0])
    source = s.main.panes.panes[0].source
    assert source is not None
    assert source.node is not None
    assert source.run.names[source.node] == name


for _view in ("nodes", "failures"):
    CHECKS[_view, "row.open"] = _opens_the_node


@key_of("row.open", "plot", "diff")
async def _open_plot(s: Stage, key: str) -> None:
    s.go(s.rows - 1)
    await s.press(key)
    assert s.main.view == "panes"
    assert s.main.panes.zoomed


@key_of("row.open", "gathered")
async def _unfold(s: Stage, key: str) -> None:
    before = s.rows
    await s.press(key)
    assert s.rows != before
    await s.press(key)
    assert s.rows == before


@key_of("row.open", "queue")
async def _way(s: Stage, key: str) -> None:
    s.go(task_row(s))
    before = s.rows
    await s.press(key)
    assert s.rows == before + 2
    assert "given back" in s.widget.row_text(s.at + 2)
    await s.press(key)


@key_of("row.open", "runs")
async def _show_run(s: Stage, key: str) -> None:
    s.go(1)
    run = s.widget.listed[1]
    shown = s.main.deck.run
    await s.press(key)
    assert s.main.deck.run is run
    assert s.main.view == "gathered"
    s.main.deck.show_run(shown)


# -- the node list


@key_of("nodes.sort")
async def _sort(s: Stage, key: str) -> None:
    before = s.widget.order
    name = s.widget.cursor_name
    await s.press(key)
    assert s.widget.order != before
    assert s.widget.cursor_name == name
    while s.widget.order != before:
        s.widget.action_sort()


@key_of("nodes.mark")
async def _mark(s: Stage, key: str) -> None:
    name = s.widget.cursor_name
    await s.press(key)
    assert s.widget.marks == {name}
    s.go(0)
    await s.press(key)
    assert s.widget.marks == set()


@key_of("nodes.select")
async def _select_node(s: Stage, key: str) -> None:
    s.go(3)
    name = s.widget.cursor_name
    await s.press(key)
    await s.deck.wait_line(s.pilot, f":nodes {name}")


@key_of("nodes.tree")
async def _tree(s: Stage, key: str) -> None:
    s.groups = {"first": ["node1", "node2"]}  # they are read when the tree is opened
    await s.press(key)
    await s.until(lambda: "first" in s.widget.row_text(0))
    assert s.rows == 62
    await s.press(key)
    assert s.rows == 60


@key_of("nodes.groups")
async def _groups(s: Stage, key: str) -> None:
    s.groups = {"second": ["node7"]}
    s.widget.action_tree()
    await s.until(lambda: s.rows == 62)
    s.groups = {"third": ["node7"], "fourth": ["node8"]}
    await s.press(key)
    await s.until(lambda: "third" in s.widget.row_text(0))
    s.widget.action_tree()
    s.groups = {}
    await s.press(key)
    await s.until(lambda: not s.widget.groups)


@key_of("nodes.abort", "nodes")
async def _abort_node(s: Stage, key: str) -> None:
    name, run = s.widget.cursor_name, s.main.deck.run
    assert run is not None
    await s.press(key)
    await s.deck.wait_line(s.pilot, f":abort {run.id} -w {name}")


@key_of("nodes.abort", "runs")
async def _abort_run(s: Stage, key: str) -> None:
    row = next(row for row, run in enumerate(s.widget.listed) if run.ended is None)
    s.go(row)
    await s.press(key)
    await s.deck.wait_line(s.pilot, f":abort {s.widget.listed[row].id}")


# -- panes


@key_of("pane.follow")
async def _follow(s: Stage, key: str) -> None:
    s.widget.action_last()
    await s.press(key)
    assert not s.widget.following
    await s.press(key)
    assert s.widget.following


@key_of("pane.zoom")
async def _zoom(s: Stage, key: str) -> None:
    await s.press(key)
    assert len(s.main.panes.panes) == 1
    await s.press(key)
    assert len(s.main.panes.panes) == 2


@key_of("pane.next")
@key_of("pane.previous")
async def _next_pane(s: Stage, key: str) -> None:
    first, second = s.main.panes.panes
    await s.press(key)
    assert s.main.focused is second
    await s.press(key)
    assert s.main.focused is first


@key_of("pane.merged")
async def _merged(s: Stage, key: str) -> None:
    await s.press(key)
    (only,) = s.main.panes.panes
    assert only.source is not None
    assert only.source.node is None
    await s.press(key)
    assert len(s.main.panes.panes) == 2


# -- gathered and diff


@key_of("gather.outliers")
async def _outliers(s: Stage, key: str) -> None:
    before = s.widget.row_text(0)
    await s.press(key)
    assert s.widget.outliers
    assert s.widget.row_text(0) != before
    await s.press(key)
    assert s.widget.row_text(0) == before


@key_of("gather.members")
async def _members(s: Stage, key: str) -> None:
    before = whole(s.widget), s.rows
    await s.press(key)
    shown = [s.widget.row_text(row) for row in range(s.rows)]
    assert any(text in ("node1", "node2", "node3") for text in shown), shown
    await s.press(key)
    assert (whole(s.widget), s.rows) == before


@key_of("gather.select", "gathered", "diff")
async def _select_group(s: Stage, key: str) -> None:
    run = s.main.deck.run
    assert run is not None
    largest = max(run.groups(), key=lambda group: len(group.members))
    await s.press(key)
    await s.deck.wait_line(s.pilot, f":nodes {run.fold(largest.members)}")


@key_of("diff.base")
async def _base(s: Stage, key: str) -> None:
    rows = [s.widget.row_text(row) for row in range(s.rows)]
    other = next(row for row, text in enumerate(rows) if row and not text.startswith(("+", "-", "=", "base")))
    s.go(other)
    await s.press(key)
    assert s.widget.row_text(0) == f"base: {rows[other]}"
    s.widget._base = None
    s.widget._compare()
    await s.until(lambda: not s.widget.comparing)


@key_of("diff.run")
async def _other_run(s: Stage, key: str) -> None:
    await s.press(key)
    assert s.widget.other is not None
    assert s.widget.row_text(0).startswith(f"base: #{s.widget.other.id} ")
    await s.press(key)
    assert s.widget.other is None
    await s.until(lambda: not s.widget.comparing)


@key_of("diff.normalise")
async def _normalise(s: Stage, key: str) -> None:
    await s.press(key)
    assert s.widget.normalising
    await s.until(lambda: any("names and numbers" in s.widget.row_text(row) for row in range(s.rows)))
    await s.press(key)
    assert not s.widget.normalising
    await s.until(lambda: not s.widget.comparing)


# -- failures


def _failed(s: Stage) -> tuple[Any, str]:
    run = s.main.deck.run
    assert run is not None
    return run, run.fold(s.widget.current_nodes())


@key_of("failures.retry")
async def _retry(s: Stage, key: str) -> None:
    run, _ = _failed(s)
    await s.press(key)
    await s.deck.wait_line(s.pilot, f":retry --run {run.id}")


@key_of("failures.exclude")
async def _exclude(s: Stage, key: str) -> None:
    _, nodes = _failed(s)
    await s.press(key)
    await s.deck.wait_line(s.pilot, f":nodes remove {nodes}")


@key_of("failures.select")
async def _select_failed(s: Stage, key: str) -> None:
    _, nodes = _failed(s)
    await s.press(key)
    await s.deck.wait_line(s.pilot, f":nodes {nodes}")


@key_of("failures.abort")
async def _abort_failed(s: Stage, key: str) -> None:
    run, nodes = _failed(s)
    await s.press(key)
    await s.deck.wait_line(s.pilot, f":abort {run.id} -w {nodes}")


# -- runs, queue, plot, documents


@key_of("runs.again")
async def _again(s: Stage, key: str) -> None:
    s.go(1)
    await s.press(key)
    await s.deck.wait_line(s.pilot, f":again {s.widget.listed[1].id}")


@key_of("runs.compare")
async def _compare(s: Stage, key: str) -> None:
    s.go(2)
    await s.press(key)
    await s.deck.wait_line(s.pilot, f":diff {s.widget.listed[2].id} {s.widget.shown.id}")


@key_of("runs.export")
async def _export(s: Stage, key: str) -> None:
    s.go(1)
    await s.press(key)
    await s.deck.wait_prompt(s.pilot, f":save --run {s.widget.listed[1].id} ")


def task_row(s: Stage) -> int:
    return next(row for row in range(s.rows) if s.widget.row_text(row).startswith("job_1 "))


@key_of("queue.cancel")
async def _cancel_task(s: Stage, key: str) -> None:
    s.go(task_row(s))
    await s.press(key)
    await s.deck.wait_line(s.pilot, ":queue cancel job_1")


@key_of("queue.retry")
async def _retry_task(s: Stage, key: str) -> None:
    s.go(task_row(s))
    await s.press(key)
    await s.deck.wait_line(s.pilot, ":queue retry job_1")


@key_of("plot.next")
async def _next_picture(s: Stage, key: str) -> None:
    seen = []
    for _ in PICTURES:
        seen.append(s.widget.picture)
        await s.press(key)
    assert sorted(seen) == sorted(PICTURES)
    assert s.widget.picture == seen[0]


@key_of("document.close")
async def _close(s: Stage, key: str) -> None:
    await s.press(key)
    assert s.main.view != "document"
    assert s.ended == []


# -- from any view


def _view_key(view: str) -> Check:
    async def check(s: Stage, key: str) -> None:
        await s.press(key)
        assert s.main.view == view
        assert s.main.focused is s.main.focus_target()

    return check


for _name in ("panes", "gathered", "failures", "queue", "runs", "log", "diff", "plot"):
    CHECKS["*", f"view.{_name}"] = _view_key(_name)
CHECKS["*", "view.gathered-too"] = _view_key("gathered")


@key_of("view.help")
@key_of("app.help")
async def _help(s: Stage, key: str) -> None:
    told = s.widget.HELP_TEXT
    await s.press(key)
    assert s.main.view == "document"
    shown = s.main.query_one("#document")
    assert s.main.focused is shown
    lines = list(getattr(shown, "lines", ()))
    assert lines[0] == told
    assert any("Stop the run" in line for line in lines)
    if s.view == "document":
        s.main.show_document("text", TEXT, "info")


@key_of("view.quit")
@key_of("app.quit")
async def _quit(s: Stage, key: str) -> None:
    alive = bool(s.session.runs.running)
    await s.press(key)
    assert s.ended == ([] if alive else [0])
    assert (s.app.screen is not s.main) == alive  # asked first


@key_of("view.prompt")
async def _colon(s: Stage, key: str) -> None:
    await s.press(key)
    assert s.main.focused is s.main.prompt
    await s.deck.wait_prompt(s.pilot, ":")


@key_of("view.escape")
async def _escape(s: Stage, key: str) -> None:
    await s.press(key)
    if s.view == "document":
        assert s.main.view != "document"
    elif s.view == "panes":
        assert s.main.panes._chosen is None
    else:
        assert s.main.focused is s.main.prompt


@key_of("view.filter")
async def _filter(s: Stage, key: str) -> None:
    await s.press(key)
    bar = s.main.query_one("#filter", FilterBar)
    assert bar.display
    assert s.main.focused is bar.input


@key_of("view.list")
async def _list(s: Stage, key: str) -> None:
    await s.press(key)
    assert s.main.focused is s.main.nodes


@key_of("view.next")
@key_of("view.previous")
async def _next(s: Stage, key: str) -> None:
    before = s.main.focused
    await s.press(key)
    assert s.main.focused is not before
    assert isinstance(s.main.focused, LineView) or s.main.focused is s.main.prompt


@key_of("app.focus-swap")
async def _swap(s: Stage, key: str) -> None:
    await s.press(key)
    assert s.main.focused is s.main.prompt
    await s.press(key)
    assert isinstance(s.main.focused, LineView)


@key_of("app.palette")
async def _palette(s: Stage, key: str) -> None:
    await s.press(key)
    assert type(s.app.screen).__name__ == "CommandPalette"
    await s.press("escape")
    assert s.app.screen is s.main


@key_of("app.interrupt")
async def _interrupt(s: Stage, key: str) -> None:
    await s.press(key)
    running = s.session.runs.running
    if running:
        assert s.session.aborted == [(running[-1].id, None)]
    else:
        assert s.app.book.entries[-1].text == "Nothing runs. Ctrl-Q leaves."
    assert s.app.is_running


@key_of("app.suspend")
async def _suspend(s: Stage, key: str) -> None:
    await s.press(key)
    assert s.suspended == [[1, 2]]


@key_of("app.theme")
async def _theme(s: Stage, key: str) -> None:
    before = s.app.theme
    await s.press(key)
    assert s.app.theme != before
    s.app.wardrobe.wear(before)


# -- the stages

TEXT = [f"line {number} of a text" for number in range(200)]


def _session(view: str) -> FakeSession:
    session = FakeSession("node[1-60]")
    mixed(session, "uname -r", seed=2)
    if view == "panes":
        run = session.make_run("seq 99")
        for node in range(60):
            session.push(out(run, node, *(f"row {number}" for number in range(100))))
        session.push(states(run, range(60), NodeState.OK, 0), finish(run))
    elif view == "gathered":
        run = session.make_run("seq 60")
        for node in range(60):
            session.push(out(run, node, *(f"row {number} of {node // 40}" for number in range(60))))
        session.push(states(run, range(60), NodeState.OK, 0), finish(run))
    elif view == "plot":
        for _round in range(2):
            run = session.make_run("cat /proc/loadavg")
            for node in range(60):
                session.push(out(run, node, f"{node}.5"))
            session.push(states(run, range(60), NodeState.OK, 0), finish(run))
    else:
        mixed(session, "uname -r")
    if view in ("nodes", "failures", "runs"):
        run = session.make_run("sleep 100")
        session.push(states(run, range(60), NodeState.RUNNING))
        session.push(states(run, range(20, 60), NodeState.FAILED, 2))
    return session


def _fill(deck: Deck, view: str) -> None:
    if view == "log":
        for number in range(60):
            deck.app.book.write(f"entry {number}")
    elif view == "document":
        deck.app.main.show_document("text", TEXT, "info")
    elif view == "queue":
        tasks = [
            QueueTask("job_1", "job", "running", "node1", 2.0, 1, "make", ("added 3 s ago", "given back 1 times")),
            *(QueueTask(f"job_{number}", "job", "waiting", text="make") for number in range(2, 40)),
        ]
        counts = {"job": {"waiting": 38, "running": 1}}
        deck.app.main.painter.queue = QueueSnapshot(1, tasks, [QueueProcess("1", "node1 slot 0", 1.0)], counts)


def _check_for(view: str, key: str, active: Any) -> Check | None:
    """The row of the table for a key; keys of commands are checked by what the registry says of them."""
    identifier = active.binding.id
    if identifier is not None:
        return CHECKS.get((view, identifier)) or CHECKS.get(("*", identifier))
    verb, _, rest = active.binding.action.partition("('")
    line = rest.removesuffix("')")
    if verb == "offer":

        async def offered(s: Stage, pressed: str) -> None:
            await s.press(pressed)
            await s.deck.wait_prompt(s.pilot, line)
            assert s.deck.lines == []

        return offered
    if verb == "ask":

        async def asked(s: Stage, pressed: str) -> None:
            await s.press(pressed)
            await s.deck.wait_line(s.pilot, line)

        return asked
    if verb in IDLE or key in COPIES:

        async def idle(s: Stage, pressed: str) -> None:
            await s.press(pressed)
            assert (s.at, s.main.focused, s.deck.lines) == (0, s.widget, [])

        return idle
    return None


@pytest.mark.parametrize("view", VIEWS)
async def test_every_key(view: str, monkeypatch: pytest.MonkeyPatch) -> None:
    session = _session(view)
    deck = Deck(session)
    monkeypatch.setattr(suspend, "wrappers", lambda: [1, 2])
    async with deck.app.run_test(size=(120, 30)) as pilot:
        await settled(deck, pilot)
        stage = Stage(deck, pilot, view)
        monkeypatch.setattr(suspend, "stop", stage.suspended.append)
        monkeypatch.setattr(deck.app, "suspend", nullcontext)
        _fill(deck, view)
        await stage.reset()
        await settled(deck, pilot)
        table = {key: _check_for(view, key, active) for key, active in deck.app.main.active_bindings.items()}
        assert [key for key, check in table.items() if check is None] == []
        assert "ctrl+c" in table
        for key, check in table.items():
            assert check is not None
            if view == "document":
                _fill(deck, view)
            await stage.reset()
            try:
                await check(stage, key)
            except AssertionError as error:
                error.add_note(f"the key was {key!r} in {view}")
                raise
        await stage.reset()
    session.close()


async def test_no_action_is_without_a_key_somewhere_and_none_without_a_check() -> None:
    """What the table of actions offers is heard in some view, and has its row above."""
    deck = Deck()
    async with deck.app.run_test(size=(120, 30)) as pilot:
        await settled(deck, pilot)
        main = deck.app.main
        heard: set[str] = set()
        for view in VIEWS:
            if view == "nodes":
                main.action_focus_list()
            else:
                main.open_view(view, focus=True)
            await pilot.pause()
            heard |= {active.binding.id or "" for active in main.active_bindings.values()}
        assert set(ACTIONS) - heard == set()
        assert {identifier for _, identifier in CHECKS} == set(ACTIONS)
        bound = set(main.active_bindings)
        assert {keymap.normal(key) for spec in deck.registry for key in spec.keys} <= bound
