"""The filter's language: a line of words, every one of which a node must pass. Pure; no screen, no waiting.

`@web` `node[1-8]` `a,b` `@web!node7` `@a&@b` `@a^@b`  node sets        `node*` `n?`   globs
`state:failed` `state:ok,timeout` `state:bad`           states          `rc:2` `rc:>0` `rc:!0`   return codes
`out:word` `out:/regex/`                                output          `/regex/`      names
anything else                                           exact name, else part of a name, else its letters in order
`!` in front of any of them turns it round.
"""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass

from ..engine.states import NodeState
from .search import Search

_WORD = re.compile(r"!?(?:[a-z]+:)?/(?:\\.|[^/])*(?:/|$)|\S+")
_GLUE = re.compile(r"\s*([,&^])\s*|\s+(!)\s+")
_RC = re.compile(r"([<>=!]=?|)(-?\d+)$")
_WIDE = re.compile(r"(\d+)-(\d+)")
#: A node set that could name more than this is refused before anything tries to count it.
EXPRESSION_LIMIT = 1_000_000

#: How the terms begin that are no names.
OPENERS = ("state:", "rc:", "out:/")
#: Words behind `state:`, with what they stand for.
STATE_WORDS = {state.word: frozenset({state}) for state in NodeState} | {
    "bad": frozenset(state for state in NodeState if state.bad),
    "done": frozenset(state for state in NodeState if state.finished),
    "alive": frozenset(state for state in NodeState if not state.finished),
    "error": frozenset(state for state in NodeState if state.bad),
}


@dataclass(frozen=True, slots=True)
class Term:
    """One word of a filter. kind: "state", "rc", "out", "name", "glob", "nodes" or "text".

    states: for "state". compare, value: for "rc". search: for "out" and "name". pattern: for "glob".
    text: what was typed, without the `!`; an expression for "nodes", lower case for "text". error: why it cannot
    be used; such a term is passed by every node.
    """

    kind: str
    text: str
    negated: bool = False
    states: frozenset[NodeState] = frozenset()
    compare: str = ""
    value: int = 0
    search: Search | None = None
    pattern: re.Pattern[str] | None = None
    error: str = ""


def parse_filter(text: str) -> list[Term]:
    """The terms of a line; never raises, a word that cannot be used carries its error."""
    glued = _GLUE.sub(lambda found: found[1] or found[2], text) if "/" not in text else text
    return [_term(word) for word in _WORD.findall(glued)]


def _term(word: str) -> Term:
    negated = word.startswith("!") and len(word) > 1
    body = word[1:] if negated else word
    head, colon, rest = body.partition(":")
    if colon and head in _READERS:
        return _READERS[head](rest, body, negated)
    if body.startswith("/"):
        return _with_search("name", body, body, negated)
    if body.startswith("@") or any(character in body for character in ",!&^[]"):
        return _node_set(body, negated)
    if "*" in body or "?" in body:
        return Term("glob", body, negated, pattern=re.compile(fnmatch.translate(body.lower())))
    return Term("text", body.lower(), negated)


def _state(rest: str, body: str, negated: bool) -> Term:
    states: frozenset[NodeState] = frozenset()
    for word in filter(None, rest.lower().split(",")):
        known = [name for name in STATE_WORDS if name.startswith(word)]
        if not known:
            return Term("state", body, negated, error=f"no state begins with {word!a}")
        states |= STATE_WORDS[word] if word in STATE_WORDS else STATE_WORDS[known[0]]
    if not states:
        return Term("state", body, negated, error="state: wants one of " + " ".join(sorted(STATE_WORDS)))
    return Term("state", body, negated, states=states)


def _rc(rest: str, body: str, negated: bool) -> Term:
    found = _RC.match(rest)
    if found is None:
        return Term("rc", body, negated, error="rc: wants a number, with < > or ! in front if you like")
    compare = {"": "=", "!=": "!", "==": "="}.get(found[1], found[1])
    return Term("rc", body, negated, compare=compare, value=int(found[2]))


def _out(rest: str, body: str, negated: bool) -> Term:
    if not rest.strip("/"):
        return Term("out", body, negated, error="out: wants a word or a /regex/")
    return _with_search("out", rest, body, negated)


def _with_search(kind: str, expression: str, body: str, negated: bool) -> Term:
    if expression.startswith("/") and not (len(expression) > 1 and expression.endswith("/")):
        expression += "/"
    search = Search(expression)
    error = search.error or ("" if search else "an empty pattern")
    return Term(kind, body, negated, search=search, error=error)


def _node_set(body: str, negated: bool) -> Term:
    wide = 1
    for low, high in _WIDE.findall(body):
        wide *= max(1, int(high[:12]) - int(low[:12]) + 1)
    error = "that names too many nodes" if wide > EXPRESSION_LIMIT else ""
    if body.count("[") != body.count("]") or body[-1] in ",!&^@":
        error = "not finished"
    return Term("nodes", body, negated, error=error)


_READERS = {"state": _state, "rc": _rc, "out": _out}


def rc_passes(term: Term, rc: int | None) -> bool:
    """Whether a return code passes an "rc" term; a node without one passes none."""
    if rc is None:
        return False
    value = term.value
    match term.compare:
        case "=":
            return rc == value
        case "!":
            return rc != value
        case ">":
            return rc > value
        case "<":
            return rc < value
        case ">=":
            return rc >= value
        case _:
            return rc <= value
