"""The filter over runs: a run passes when its command or one of its nodes does. And over lines without any node.

Every word that is a name, a pattern or a node set may be met by the command (words and patterns only) or by a node;
states and return codes are the nodes' alone. One node has to pass all that the command does not. Output is not looked
at here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from ..engine.states import NodeState
from .filter_terms import Term, rc_passes
from .views import RunView

#: The names that a node set stands for; None while that is not known.
NamesOf = Callable[[str], frozenset[str] | None]
_WORD = re.compile(r"[^\s:,;()]+")
_BAD = bytes(value in {state for state in NodeState if state.bad} for value in range(256))


def text_filter(terms: Sequence[Term], names_of: NamesOf) -> Callable[[str], bool] | None:
    """For views without nodes (log, queue): passes texts that have all words, patterns and node sets; None: all."""
    wanted = [
        (term.negated, meets)
        for term in terms
        if not term.error and (meets := _met_by_text(term) or _met_by_names(term, names_of)) is not None
    ]
    if not wanted:
        return None
    return lambda text: all(meets(text.lower()) is not negated for negated, meets in wanted)


def _met_by_text(term: Term) -> Callable[[str], bool] | None:
    """Whether a text in lower case has a word or a pattern; None for what no text can have."""
    search, text = term.search, term.text
    if term.kind == "text":
        return lambda line: text in line
    if term.kind == "glob":
        anywhere = re.compile("".join({"*": r"\S*", "?": r"\S"}.get(sign, re.escape(sign)) for sign in text.lower()))
        return lambda line: anywhere.search(line) is not None
    if term.kind == "name" and search is not None:
        return search.found_in
    return None


def _met_by_names(term: Term, names_of: NamesOf) -> Callable[[str], bool] | None:
    """Whether a text in lower case names a node of a set."""
    names = names_of(term.text) if term.kind == "nodes" else None
    if names is None:
        return None
    lower = {name.lower() for name in names}
    return lambda line: any(word in lower for word in _WORD.findall(line))


class RunFilter:
    """Passes runs. Runs over the same nodes share what was found out about their names."""

    def __init__(self, terms: Sequence[Term], names_of: NamesOf) -> None:
        self._terms = [term for term in terms if not term.error and term.kind != "out"]
        self._names_of = names_of
        #: Node numbers that pass the words about names, by these words and all names.
        self._passing: dict[tuple[tuple[str, ...], str], Sequence[int]] = {}

    def __bool__(self) -> bool:
        return bool(self._terms)

    def __call__(self, run: RunView) -> bool:
        """Whether a run passes."""
        line = run.line.lower()
        left: list[Term] = []
        for term in self._terms:
            meets = _met_by_text(term)
            found = meets is not None and meets(line)
            if found and term.negated:
                return False
            if not found:
                left.append(term)
        return not left or self._has_node(run, left)

    def _has_node(self, run: RunView, terms: Sequence[Term]) -> bool:
        """Whether one node passes all of these."""
        states = [term for term in terms if term.kind in ("state", "rc")]
        nodes = self._named(run, tuple(term for term in terms if term not in states))
        for term in states:
            if term.kind == "state":
                mask = bytes((value in term.states) is not term.negated for value in range(256))
            elif rc_passes(term, 0) is not term.negated:
                mask = bytes([1]) * 256
            else:
                mask = _BAD  # what ended well returned 0: so many need not be asked one by one
            passed = bytes(run.states).translate(mask)
            if 1 not in passed:
                return False
            nodes = [node for node in nodes if passed[node]]
            if term.kind == "rc":
                nodes = [node for node in nodes if rc_passes(term, run.rc(node)) is not term.negated]
        return len(nodes) > 0

    def _named(self, run: RunView, terms: tuple[Term, ...]) -> Sequence[int]:
        """The nodes whose names pass."""
        if not terms:
            return range(len(run.names))
        key = (tuple(f"{term.negated} {term.kind} {term.text}" for term in terms), "\n".join(run.names))
        found = self._passing.get(key)
        if found is None:
            checks = [(term.negated, self._met_by_name(term, run.names)) for term in terms]
            found = self._passing[key] = [
                node for node, name in enumerate(run.names) if all(met(name) is not no for no, met in checks)
            ]
        return found

    def _met_by_name(self, term: Term, every: Sequence[str]) -> Callable[[str], bool]:
        search, pattern, text = term.search, term.pattern, term.text
        match term.kind:
            case "name" if search is not None:
                return search.found_in
            case "glob" if pattern is not None:
                return lambda name: pattern.match(name.lower()) is not None
            case "nodes":
                names = self._names_of(text)
                return (lambda _name: not term.negated) if names is None else names.__contains__
            case _ if any(name.lower() == text for name in every):
                return lambda name: name.lower() == text
            case _:
                return lambda name: text in name.lower()
