"""Every key of the screen in one table: footer, help, palette and keymap files are all read from it.

An action's id names it in keymap files. Commands of the language (`:retry`, `:abort`) are not here: they are in the
console's registry, and the actions below that lead to one only say so with their line.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from textual.binding import Binding, BindingType


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that a key does.

    id: name in keymap files. key: default keys, comma separated. action: the Textual action. label: the footer's
    word. help: one sentence. show: whether the footer offers it where it has room. priority: seen before the focus.
    """

    id: str
    key: str
    action: str
    label: str
    help: str
    show: bool = False
    priority: bool = False


_TABLE = (
    # everywhere
    Action("app.focus-swap", "ctrl+o,f6", "focus_swap", "Prompt/view", "Move between the prompt and the view.",
           priority=True),
    Action("app.palette", "ctrl+p", "command_palette", "Palette", "Find any command by its name.", show=True,
           priority=True),
    Action("app.quit", "ctrl+q", "leave", "Quit", "Leave; asks first if runs are alive.", priority=True),
    Action("app.interrupt", "ctrl+c", "copy_or_interrupt", "Stop",
           "Stop the run and keep its results; again: all runs; a third time asks to leave."),
    Action("app.suspend", "ctrl+z", "suspend_process", "Suspend", "Put the console into the background.",
           priority=True),
    Action("app.help", "f1", "help", "Help", "What the keys do here.", priority=True),
    Action("app.theme", "f9", "next_theme", "Theme", "Change to the next colour theme.", priority=True),
    # in any view
    Action("view.help", "question_mark", "app.help", "Help", "What the keys do here.", show=True),
    Action("view.quit", "q", "app.leave", "Quit", "Leave; asks first if runs are alive."),
    Action("view.prompt", "colon", "prompt(':')", "Command", "Type a console command.", show=False),
    Action("view.escape", "escape", "back", "Back", "Close what is open, clear the filter, go to the prompt."),
    Action("view.filter", "slash", "filter", "Filter", "Narrow every view by nodes; runs by command, too.", show=True),
    Action("view.list", "0", "focus_list", "Nodes", "Move to the node list."),
    Action("view.panes", "1", "view('panes')", "Panes", "Live output, node by node."),
    Action("view.gathered", "2", "view('gathered')", "Gathered", "Equal answers folded together."),
    Action("view.failures", "3", "view('failures')", "Failures", "What failed, and why."),
    Action("view.queue", "4", "view('queue')", "Queue", "The task manager's queue."),
    Action("view.runs", "5", "view('runs')", "Runs", "Runs of this and earlier sessions."),
    Action("view.log", "6", "view('log')", "Log", "What the console did and said."),
    Action("view.diff", "d", "view('diff')", "Diff", "Compare answers with the majority."),
    Action("view.plot", "p", "view('plot')", "Plot", "Numbers as a heat map, a histogram and sparklines."),
    Action("view.gathered-too", "g", "view('gathered')", "Gathered", "Equal answers folded together."),
    Action("view.next", "tab", "app.focus_next", "Next", "Move to the next part of the screen."),
    Action("view.previous", "shift+tab", "app.focus_previous", "Previous", "Move to the previous part of the screen."),
    # lists of rows
    Action("row.up", "up", "cursor(-1)", "Up", "One row up."),
    Action("row.down", "down", "cursor(1)", "Down", "One row down."),
    Action("row.page-up", "pageup", "page(-1)", "Page up", "One page up."),
    Action("row.page-down", "pagedown", "page(1)", "Page down", "One page down."),
    Action("row.first", "home", "first", "First", "To the first row."),
    Action("row.last", "end", "last", "Last", "To the last row; output is followed again."),
    Action("row.left", "left", "shift(-8)", "Left", "Show what is further left."),
    Action("row.right", "right", "shift(8)", "Right", "Show what is further right."),
    Action("row.open", "enter", "open", "Open", "Open what the cursor is on.", show=True),
    Action("row.copy", "y", "copy_row", "Copy", "Copy the row to the clipboard.", show=True),
    Action("row.copy-all", "Y", "copy_all", "Copy all", "Copy everything in this view to the clipboard."),
    Action("row.pager", "v", "pager", "Pager", "Open everything in this view in $PAGER."),
    Action("row.editor", "V", "editor", "Editor", "Open everything in this view in $EDITOR."),
    Action("row.colours", "a", "colours", "Colours", "Show the colours of nodes' output, or not."),
    Action("row.search", "ctrl+f", "screen.search", "Search", "Search in the view; a /regex/ is one.", show=True,
           priority=True),
    Action("row.match", "n", "match(1)", "Next match", "To the next match."),
    Action("row.match-back", "N", "match(-1)", "Previous match", "To the previous match."),
    # node list
    Action("nodes.sort", "o", "sort", "Order", "Sort by state, name, time, and back.", show=True),
    Action("nodes.mark", "space", "mark", "Mark", "Mark the node.", show=True),
    Action("nodes.select", "s", "select", "Select", "Make the marked nodes the selection.", show=True),
    Action("nodes.tree", "t", "tree", "Tree", "Show the nodes under their groups."),
    Action("nodes.groups", "R,f5", "read_groups", "Groups", "Read the node groups again."),
    Action("nodes.abort", "k", "abort_node", "Abort", "Stop the run on this node only."),
    # panes
    Action("pane.follow", "f", "follow", "Follow", "Follow the output, or hold it where it is.", show=True),
    Action("pane.zoom", "z", "zoom", "Zoom", "One pane over the whole view, and back.", show=True),
    Action("pane.next", "right_square_bracket", "pane(1)", "Next pane", "To the next pane."),
    Action("pane.previous", "left_square_bracket", "pane(-1)", "Previous pane", "To the previous pane."),
    Action("pane.merged", "m", "merged", "Merged", "All nodes in one pane, in the order of arrival, and back."),
    # gathered and diff
    Action("gather.outliers", "o", "outliers", "Outliers", "Rare answers first, and back.", show=True),
    Action("gather.members", "m", "members", "Nodes", "List the nodes of this answer, and back.", show=True),
    Action("gather.select", "s", "select", "Select", "Make this group's nodes the selection.", show=True),
    Action("diff.base", "b", "base", "Base", "Compare with this answer instead."),
    Action("diff.run", "c", "other_run", "Other run", "Compare with the run before, and back.", show=True),
    Action("diff.normalise", "i", "normalise", "Ignore", "Ignore host names and numbers, and back.", show=True),
    # failures
    Action("failures.retry", "r", "retry", "Retry", "Run again on exactly these nodes.", show=True),
    Action("failures.exclude", "x", "exclude", "Exclude", "Take these nodes out of the selection.", show=True),
    Action("failures.select", "s", "select", "Select", "Make these nodes the selection."),
    Action("failures.abort", "k", "abort_node", "Abort", "Stop the run on this node only."),
    # runs and queue
    Action("runs.again", "r", "again", "Run again", "Run the same line on the same nodes.", show=True),
    Action("runs.compare", "c", "compare", "Compare", "Compare with the run that is shown.", show=True),
    Action("runs.export", "e", "export", "Export", "Write the run's results to files.", show=True),
    Action("queue.cancel", "x", "cancel", "Cancel", "Take the task out of the queue.", show=True),
    Action("queue.retry", "r", "retry", "Retry", "Put the task back into the queue.", show=True),
    # documents
    Action("document.close", "q", "screen.back", "Close", "Close the text.", show=True),
    # plot
    Action("plot.next", "space", "next_picture", "Picture", "Heat map, histogram, sparklines.", show=True),
)  # fmt: skip

ACTIONS: dict[str, Action] = {action.id: action for action in _TABLE}


def bindings(*ids: str, show: Iterable[str] = ()) -> list[BindingType]:
    """Textual bindings of the named actions; `show` overrules which of them the footer offers."""
    shown = set(show)
    return [
        Binding(
            action.key,
            action.action,
            action.label,
            show=action.id in shown if shown else action.show,
            priority=action.priority,
            tooltip=action.help,
            id=action.id,
        )
        for action in (ACTIONS[identifier] for identifier in ids)
    ]
