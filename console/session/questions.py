"""Questions of the SSH layer made into events, and answers brought back to it."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet, NodeSetException

from ...engine.ssh.questions import HostKeyQuestion, SecretQuestion, UnknownKey
from ...engine.text import clean_text_line
from ..runs.events import QuestionAsked, QuestionSettled, SessionEvent

ACCEPT = "accept"
IMPORT = "import"
REFUSE = "refuse"


class QuestionDesk:
    """Open questions of a session. `ask` is called in the engine's thread, everything else in any.

    tell: puts an event on the way to the front end; any thread. on_trusted: hears which host keys were accepted.
    """

    def __init__(
        self, tell: Callable[[SessionEvent], None], on_trusted: Callable[[Sequence[Any]], None] | None = None
    ) -> None:
        self._tell = tell
        self._on_trusted = on_trusted
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._open: dict[int, tuple[QuestionAsked, Callable[[Any], None]]] = {}

    def ask(self, question: HostKeyQuestion | SecretQuestion) -> None:
        """Take a question of the SSH layer; returns at once."""
        if isinstance(question, HostKeyQuestion):
            self._ask_host_keys(question)
        else:
            self._ask_secret(question, [])

    def open(self) -> list[QuestionAsked]:
        """Questions that wait for an answer, oldest first."""
        with self._lock:
            return [asked for asked, _ in self._open.values()]

    def answer(self, number: int, answer: Any) -> bool:
        """One of the choices, `accept NODES`, a text for a secret, or None to give up. False when it is settled.

        `import FILE`, `import !PROGRAM` and `import` (DNS) accept the keys that the source has, and ask for the rest.
        """
        with self._lock:
            found = self._open.pop(number, None)
        if found is None:
            return False
        self._tell(QuestionSettled(number))
        found[1](answer)
        return True

    def settle_all(self) -> None:
        """Give up what is open: the engine has ended."""
        with self._lock:
            numbers = list(self._open)
            self._open.clear()
        for number in numbers:
            self._tell(QuestionSettled(number))

    def _put(
        self,
        kind: str,
        title: str,
        rows: Sequence[tuple[str, ...]],
        choices: tuple[str, ...],
        settle: Callable[[Any], None],
    ) -> None:
        clean = tuple(tuple(map(clean_text_line, row)) for row in rows)
        asked = QuestionAsked(next(self._numbers), kind, clean_text_line(title), clean, choices)
        with self._lock:
            self._open[asked.question] = (asked, settle)
        self._tell(asked)

    def _ask_host_keys(self, question: HostKeyQuestion) -> None:
        self._ask_keys(question, list(question.keys), [], {}, "")

    def _ask_keys(
        self,
        question: HostKeyQuestion,
        left: list[UnknownKey],
        taken: list[UnknownKey],
        notes: Mapping[UnknownKey, str],
        said: str,
    ) -> None:
        """Ask for the keys that are left; `taken` were found in a source. said: what came of looking there."""

        def settle(answer: Any) -> None:
            word, _, rest = str(answer or REFUSE).strip().partition(" ")
            if word == IMPORT:
                thread = threading.Thread(target=look, args=(rest.strip() or "dns",), name="host-keys", daemon=True)
                thread.start()
                return
            chosen = [*taken, *_chosen(left, answer)]
            if chosen:
                if self._on_trusted is not None:
                    self._on_trusted(chosen)
                question.accept(chosen)
            else:
                question.refuse()

        def look(source: str) -> None:
            from ...engine.ssh.key_sources import KeySourceError, look_up  # what it stands on takes long to import

            try:
                found = look_up(source, left)
            except KeySourceError as error:
                self._ask_keys(question, left, taken, notes, f"; nothing was imported: {error}")
                return
            more = [*taken, *found.confirmed]
            others = [key for key in left if key not in found.confirmed]
            if not others:
                left.clear()
                taken[:] = more
                settle(REFUSE)
                return
            wrong = dict.fromkeys(found.contradicted, f"{found.source} has ANOTHER key")
            text = f"; {len(found.confirmed)} found in {found.source}, these were not"
            self._ask_keys(question, others, more, {**notes, **wrong}, text)

        count = len(left)
        hosts = f"host{'s' * (count != 1)}"
        remarks = {key: "; ".join(filter(None, (notes.get(key, ""), key.note))) for key in left}
        rows = [(k.node, k.address, k.type, k.fingerprint, *([remarks[k]] if remarks[k] else [])) for k in left]
        title = f"unknown keys of {count} {hosts}: trust them?{said}"
        self._put("host-keys", title, rows, (ACCEPT, IMPORT, REFUSE), settle)

    def _ask_secret(self, question: SecretQuestion, given: list[str]) -> None:
        """Ask the prompts one after the other; an answer of None gives up."""
        if len(given) == len(question.prompts):
            question.answer(*given)
            return

        def settle(answer: Any) -> None:
            if answer is None:
                question.refuse()
            else:
                self._ask_secret(question, [*given, str(answer)])

        nodes = str(NodeSet.fromlist(list(question.nodes))) if question.nodes else ""
        text = question.prompts[len(given)][0].rstrip().rstrip(":")
        title = f"{text} (again: the last one was wrong)" if question.again and not given else text
        self._put("secret", title, [(question.subject, nodes)], (), settle)


def _chosen(keys: Sequence[UnknownKey], answer: Any) -> list[UnknownKey]:
    """The keys that an answer accepts."""
    word, _, nodes = str(answer or REFUSE).strip().partition(" ")
    if word != ACCEPT:
        return []
    if not nodes.strip():
        return list(keys)
    try:
        wanted = NodeSet(nodes, resolver=RESOLVER_NOGROUP)
    except NodeSetException:
        return []
    return [key for key in keys if key.node in wanted]
