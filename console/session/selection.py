"""The nodes that bare lines run on: the current selection, the way back, and sets kept under a name."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path

from ClusterShell.NodeSet import NodeSet

from ...engine.text import sanitize_text
from ..language.values import read_name
from ..settings.paths import read_private, write_private

_UNDO_DEPTH = 100


class Selection:
    """The current node set, an undo stack, and saved sets. Every method may be called from any thread.

    Node sets handed out are copies or must not be changed. `label` is how the selection was written, if it was
    written in one piece (`@web`), else the folded set.
    """

    def __init__(self, nodes: NodeSet | None = None, label: str = "") -> None:
        self._lock = threading.RLock()
        self._nodes: NodeSet = NodeSet() if nodes is None else nodes.copy()
        self._label = label
        self._folded: str | None = None
        self._undo: list[tuple[NodeSet, str]] = []
        self._saved: dict[str, str] = {}
        self._version = 0

    # -- what is selected

    @property
    def current(self) -> NodeSet:
        """A copy of the current node set."""
        with self._lock:
            return self._nodes.copy()

    @property
    def version(self) -> int:
        """Grows with every change of the selection or of the saved sets."""
        return self._version

    @property
    def folded(self) -> str:
        """The current set, folded and clean; empty when nothing is selected."""
        with self._lock:
            if self._folded is None:
                self._folded = sanitize_text(str(self._nodes))
            return self._folded

    @property
    def label(self) -> str:
        """How the selection is called in prompts: `@web`, or the folded set; clean."""
        with self._lock:
            return sanitize_text(self._label) or self.folded

    def __len__(self) -> int:
        return len(self._nodes)

    def __bool__(self) -> bool:
        return len(self._nodes) > 0

    # -- changes

    def replace(self, nodes: NodeSet, label: str = "") -> bool:
        """Select exactly these nodes. Returns whether anything changed."""
        return self._put(nodes.copy(), label)

    def add(self, nodes: NodeSet) -> bool:
        """Select these nodes too. Returns whether anything changed."""
        with self._lock:
            return self._put(self._nodes | nodes, "")

    def remove(self, nodes: NodeSet) -> bool:
        """Take these nodes out. Returns whether anything changed."""
        with self._lock:
            return self._put(self._nodes - nodes, "")

    def keep(self, nodes: NodeSet) -> bool:
        """Keep only those of the selected nodes that are in `nodes`. Returns whether anything changed."""
        with self._lock:
            return self._put(self._nodes & nodes, "")

    def undo(self) -> bool:
        """Back to the selection before the last change; doing it again goes further back. False: no way back."""
        with self._lock:
            if not self._undo:
                return False
            self._nodes, self._label = self._undo.pop()
            self._changed()
            return True

    def _put(self, nodes: NodeSet, label: str) -> bool:
        with self._lock:
            if nodes == self._nodes:
                if label and label != self._label:
                    self._label = label
                    self._changed()
                return False
            self._undo.append((self._nodes, self._label))
            del self._undo[:-_UNDO_DEPTH]
            self._nodes, self._label = nodes, label
            self._changed()
            return True

    def _changed(self) -> None:
        self._folded = None
        self._version += 1

    # -- saved sets

    @property
    def saved(self) -> Mapping[str, str]:
        """Saved sets: name -> folded node set."""
        with self._lock:
            return dict(self._saved)

    def find_saved(self, name: str) -> NodeSet | None:
        """A copy of a saved set, None where there is none of that name."""
        with self._lock:
            text = self._saved.get(name)
        # Only folded node names are ever stored, so no group is looked up here.
        return None if text is None else NodeSet(text)

    def save(self, name: str, nodes: NodeSet | None = None) -> bool:
        """Keep a set (the current one) under a name, for `@name`. Returns whether another one was replaced.

        Raises ValueError for a name that is none.
        """
        with self._lock:
            text = str(self._nodes if nodes is None else nodes)
            replaced = self._saved.get(read_name(name), text) != text
            self._saved[name] = text
            self._version += 1
            return replaced

    def forget(self, name: str) -> bool:
        """Drop a saved set. Returns whether there was one."""
        with self._lock:
            self._version += 1
            return self._saved.pop(name, None) is not None

    def load(self, file: Path) -> None:
        """Take the saved sets of a file; a missing one holds none. Raises OSError and ValueError (a broken file)."""
        try:
            content = json.loads(read_private(file))
        except FileNotFoundError:
            return
        if not isinstance(content, dict) or not all(isinstance(text, str) for text in content.values()):
            raise ValueError(f"{file} does not hold saved node sets: remove it to begin anew")
        with self._lock:
            for name, text in content.items():
                # Checked, because a saved set is written into command lines; an `@` would call a group program.
                if "@" not in text:
                    self._saved[read_name(name)] = text
            self._version += 1

    def store(self, file: Path) -> None:
        """Write the saved sets, mode 0600, in one step. Raises OSError."""
        content = json.dumps(dict(self.saved), indent=1, sort_keys=True)
        write_private(file, content + "\n")
