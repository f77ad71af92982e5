"""Completion: what is offered at each place of a line, without a node, a group program or a session of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdeck.console.commands.catalogue import default_registry
from clusterdeck.console.completion.candidates import FREE
from clusterdeck.console.completion.completion import LIMIT, Candidate, complete
from clusterdeck.console.completion.names import NameCache, Names
from clusterdeck.console.completion.remote_files import RemoteFiles
from clusterdeck.console.language.spec import Argument, CommandSpec, Kind, Option
from clusterdeck.console.queue.queue import QueueService
from clusterdeck.console.runs.options import RunOptions
from clusterdeck.console.tui.keymap import PRESETS
from clusterdeck.engine.states import NodeState
from clusterdeck.engine.taskmanager.jobs import CommandEnd
from clusterdeck.engine.taskmanager.mapping import MapOptions
from clusterdeck.tests.support.answering_runner import AnsweringRunner
from clusterdeck.tests.support.fake_session import Answered, FakeSession

REGISTRY = default_registry()
NAMES = Names(tuple(f"node{number}" for number in range(1, 301)), (("web", "64 nodes"), ("rack:a", "")))


def _session() -> FakeSession:
    session = FakeSession(lambda _command, node: Answered(rc=int(node == "web2")))
    session.shell("uptime -p", session.resolve("@web"), RunOptions())
    session.selection.save("canary", session.resolve("web1"))
    session.timer(1.0, 1.0, "date", session.resolve("web1"), RunOptions())
    return session


SESSION = _session()


def offered(text: str, names: Names = NAMES) -> list[Candidate]:
    return complete(text, len(text), SESSION, REGISTRY, names)


def texts(text: str) -> list[str]:
    return [candidate.text for candidate in offered(text)]


@pytest.mark.parametrize(
    ("text", "start", "some"),
    [
        ("", 0, {":shell", ":copy", ":help"}),
        (":", 1, {"shell", "timer cancel", "queue map"}),
        (":ga", 1, {"gather"}),
        ("  :ga", 3, {"gather"}),
        (":gthr", 1, {"gather"}),
        (":timer ", 7, {"cancel", "30s", "--once"}),
        (":timer can", 7, {"cancel"}),
        (":timer --u", 7, {"--until"}),
        (":timer --until @f", 15, {"@failed"}),
        (":timer --until=@f", 15, {"@failed"}),
        (":timer cancel ", 14, {"1", "all"}),
        (":shell -w ", 10, {"@web", "@*", "node1", "@canary", "@failed"}),
        (":shell -w node29", 10, {"node29", "node299"}),
        (":shell -w node1,no", 16, {"node1"}),
        (":shell -w @web!@ra", 15, {"@rack:a"}),
        (":shell -w node[1,2],we", 20, {"web1"}),
        (":shell -x @run", 10, {"@run:1:"}),
        (":shell -R s", 10, {"ssh"}),
        (":shell --wor", 7, {"--worker"}),
        (":shell -w a -- upt", 15, {"uptime"}),
        ("upt", 0, {"uptime"}),
        ("@w", 0, {"@web"}),
        ("@web upt", 5, {"uptime"}),
        ("+node30", 1, {"node30", "node300"}),
        ("-@c", 1, {"@canary"}),
        ("& @w", 2, {"@web"}),
        (":nodes @w", 7, {"@web"}),
        (":nodes sa", 7, {"save", "saved"}),
        (":nodes forget ", 14, {"canary"}),
        (":retry f", 7, {"failed"}),
        (":retry failed t", 14, {"timeout"}),
        (":show ", 6, {"1"}),
        (":out we", 5, {"web1", "web4"}),
        (":diff web1 ", 11, {"web2"}),
        (":abort ", 7, {"all", "1"}),
        (":set fan", 5, {"fanout"}),
        (":set run.f", 5, {"run.fanout"}),
        (":set screen.editing ", 20, {"emacs", "vi"}),
        (":set read_only ", 15, {"true", "false"}),
        (":config ", 8, {"explain", "--all"}),
        (":help ti", 6, {"timer", "timers"}),
        (":view ", 6, {"panes", "gathered"}),
        (":export ", 8, {"json", "csv", "md"}),
        (":theme ", 7, {"dark", "light"}),
        (":set screen.theme ", 18, {"dark", "light"}),
        (":set screen.keymap ", 19, set(PRESETS)),
        (":set run.worker p", 16, {"paramiko", "pdsh"}),
        (":set safety.protected @w", 22, {"@web"}),
        (":filter @web state:f", 13, {"state:failed"}),
        (":groups w", 8, {"web"}),
        (":shell -l ro", 10, {"root"}),
        (":play roll", 6, {"rolling-restart"}),
        (":play rolling-restart se", 22, {"service=", "settle="}),
        (":expect o", 8, {"ok>="}),
        (":queue ", 7, {"add", "map", "results"}),
    ],
)
def test_what_is_offered(text: str, start: int, some: set[str]) -> None:
    found = {candidate.text: candidate for candidate in offered(text)}
    assert some <= set(found)
    assert {found[word].start for word in some} == {start}


@pytest.mark.parametrize("text", ["# comment ", ":nosuch ", ":shell -f ", ":gather 1 ", "@web ls | ", ":say "])
def test_where_nothing_is_known_nothing_is_made_up(text: str) -> None:
    assert [word for word in texts(text) if not word.startswith("-") and word != "uptime"] == []


def test_options_are_offered_once_and_not_after_the_dashes() -> None:
    assert "--fanout" not in texts(":shell -f 3 --")
    assert "--nodes" in texts(":shell -w a --")
    assert all(not word.startswith("-") for word in texts(":copy -- "))


def test_commands_and_options_are_described() -> None:
    assert all(candidate.description for candidate in offered(":"))
    assert all(candidate.description for candidate in offered(":shell --"))
    assert all(candidate.description for candidate in offered(":set "))
    saved = next(candidate for candidate in offered("@can"))
    assert saved.description == "saved: web1"


def test_local_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain").touch()
    (tmp_path / "with blank").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / ".hidden").touch()
    (tmp_path / "x.deck").touch()
    assert texts(":copy ")[:4] == ["folder/", "plain", "'with blank'", "x.deck"]
    assert ".hidden" in texts(":copy .h")
    assert texts(f":copy {tmp_path}/pl") == [f"{tmp_path}/plain"]
    assert texts(":copy 'with b") == ["'with blank'"]
    assert "x.deck" in texts(":play ")
    assert "plain" not in texts(":play ")
    assert texts("!cat pl") == ["plain"]


def test_only_the_text_before_the_cursor_counts() -> None:
    text = ":shell -w @web uptime"
    assert [candidate.text for candidate in complete(text, 4, SESSION, REGISTRY, NAMES)] == ["shell"]


def test_candidates_are_bounded_and_different() -> None:
    names = Names(tuple(f"n{number}" for number in range(5000)))
    found = offered(":shell -w n", names)
    assert len(found) == LIMIT
    assert len({candidate.text for candidate in found}) == LIMIT


def test_hostile_names_are_displayed_clean() -> None:
    names = Names(("node\x1b]0;x\x07", "node\nx"), (("g\x1b[2J", "d\x1b[2J"),))
    for candidate in [*offered(":shell -w ", names), *offered("@g", names)]:
        assert candidate.display.isprintable()
        assert candidate.description.isprintable()


@given(
    st.text(max_size=30),
    st.sampled_from(["", ":", ":shell ", ":copy ", ":shell -w ", "@", "!", "+", ":set ", ":timer "]),
)
def test_any_line_can_be_completed(text: str, head: str) -> None:
    for candidate in offered(head + text):
        assert 0 <= candidate.start <= len(head + text)


def test_completion_never_waits_for_a_group_program() -> None:
    session = _session()
    release = threading.Event()

    class Slow:
        def grouplist(self) -> list[str]:
            release.wait(60)
            return ["late"]

    session.resolver = Slow()
    begun = time.perf_counter()
    assert "@*" in [candidate.text for candidate in complete("@", 1, session, REGISTRY)]
    assert time.perf_counter() - begun < 20.0  # the program takes 60 s
    release.set()
    assert NameCache.of(session).wait(30)
    assert "@late" in [candidate.text for candidate in complete("@", 1, session, REGISTRY)]


def test_names_are_gathered_from_the_session() -> None:
    session = _session()
    cache = NameCache.of(session)
    cache.snapshot()
    assert cache.wait(30)
    assert NameCache.of(session) is cache
    assert set(cache.snapshot().nodes) == {"web1", "web2", "web3", "web4", "db1", "db2"}
    assert {name for name, _ in cache.snapshot().groups} == {"web", "db", "all"}
    cache.put(["a"], [("g", "")])
    assert cache.snapshot().nodes == ("a",)


def test_results_are_offered_only_after_a_run() -> None:
    session = FakeSession()
    assert "@failed" not in [candidate.text for candidate in complete("@", 1, session, REGISTRY, NAMES)]
    session.answer = lambda _command, _node: Answered(rc=None, state=NodeState.LOST)
    session.shell("x", session.resolve("web1"), RunOptions())
    assert "@lost" in [candidate.text for candidate in complete("@", 1, session, REGISTRY, NAMES)]


class _Listing:
    """A runner that answers `ls`, when it is let."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.answers: list[Callable[[CommandEnd], None]] = []

    def run(self, node: str, _slot: int, command: str, on_done: Callable[[CommandEnd], None]) -> None:
        self.asked.append((node, command))
        self.answers.append(on_done)


def _with_files(session: FakeSession) -> _Listing:
    listing = _Listing()
    RemoteFiles.of(session)._runner = listing
    return listing


def test_remote_files_come_from_a_node_that_answered() -> None:
    session = _session()
    session.selection.replace(session.resolve("@web"))
    listing = _with_files(session)

    def ask(text: str) -> list[str]:
        return [candidate.text for candidate in complete(text, len(text), session, REGISTRY, NAMES)]

    assert ask("cat /etc/ho") == []
    assert listing.asked == [("web1", "ls -1Ap -- /etc/ 2>/dev/null")]
    assert ask("cat /etc/ho") == []
    listing.answers[0](CommandEnd(NodeState.OK, 0, b"hosts\nhost name\npasswd\nhome/\n.hidden\nho\x1bst\n"))
    assert ask("cat /etc/ho") == ["/etc/home/", "'/etc/host name'", "/etc/hosts"]
    assert ask(":rcopy /etc/pa") == ["/etc/passwd"]
    assert len(listing.asked) == 1
    ask("cat ~/$(reboot)/x")
    assert listing.asked[-1][1] == "ls -1Ap -- ~/'$(reboot)'/ 2>/dev/null"


def test_nobody_is_asked_for_files_who_did_not_answer_or_in_read_only_mode() -> None:
    session = FakeSession()
    listing = _with_files(session)
    session.selection.replace(session.resolve("@web"))
    complete("cat /etc/h", 10, session, REGISTRY, NAMES)
    session.answer = lambda _command, _node: Answered(rc=None, state=NodeState.UNREACHABLE)
    session.shell("x", session.resolve("@web"), RunOptions())
    complete("cat /etc/h", 10, session, REGISTRY, NAMES)
    session.answer = lambda _command, _node: Answered()
    session.shell("x", session.resolve("@db"), RunOptions())
    complete("cat /etc/h", 10, session, REGISTRY, NAMES)
    session.shell("x", session.resolve("@web"), RunOptions())
    session.settings.set("safety.read_only", "on")
    complete("cat /etc/h", 10, session, REGISTRY, NAMES)
    assert listing.asked == []


@pytest.mark.parametrize("spec", [spec for spec in REGISTRY if not spec.hidden], ids=lambda spec: spec.id)
def test_every_option_and_every_word_that_is_allowed_is_offered(spec: CommandSpec) -> None:
    session = _session()

    def offered(line: str) -> set[str]:
        return {candidate.text.strip() for candidate in complete(line, len(line), session, REGISTRY, NAMES)}

    assert {flag for option in spec.options for flag in option.flags if flag.startswith("--")} <= offered(
        f":{spec.word} -"
    )
    for option in spec.options:
        assert set(option.choices) <= offered(f":{spec.word} {option.flags[-1]} ")
    first = next(iter(spec.arguments), None)
    assert first is None or set(first.choices) <= offered(f":{spec.word} ")


def _parts() -> list[tuple[str, Argument | Option]]:
    """Every argument and option that takes a value, with the line before it."""
    found: list[tuple[str, Argument | Option]] = []
    for spec in REGISTRY:
        found += [(f":{spec.word} {option.flags[-1]} ", option) for option in spec.options if option.takes_value]
        earlier = {"macro.play": "rolling-restart ", "settings.set": "fanout ", "runs.diff": "web1 "}.get(spec.id, "x ")
        found += [(f":{spec.word} {earlier * n}", argument) for n, argument in enumerate(spec.arguments)]
    return found


def test_every_argument_has_its_candidates_or_is_free_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTERDECK_CONFIG_DIR", str(tmp_path / "config"))
    (tmp_path / "module.py").touch()
    monkeypatch.chdir(tmp_path)
    session = _session()
    queue = QueueService(session, lambda _name: AnsweringRunner())
    try:
        queue.add(["sleep 1"], tag="night")
        queue.maps.begin("gzip {}", ["a", "b"], {"web1": 1}, MapOptions())
        session.selection.replace(session.resolve("@web"))
        listing = _with_files(session)
        complete("cat /srv/", 9, session, REGISTRY, NAMES)
        listing.answers[0](CommandEnd(NodeState.OK, 0, b"data\n"))
        for line, part in _parts():
            if part.kind in FREE:
                continue
            typed = {Kind.REMOTE_PATH: "/srv/", Kind.COMMAND: "sl", Kind.LOCAL_COMMAND: "sl"}.get(part.kind, "")
            assert complete(line + typed, len(line + typed), session, REGISTRY, NAMES, queue), line + typed
        assert {part.kind for _, part in _parts()} >= FREE  # none is called free in vain
    finally:
        queue.close()


@pytest.mark.parametrize(
    ("line", "some"),
    [
        (":queue wait ", {"1"}),
        (":queue retry --map ", {"1"}),
        (":queue cancel --map=", {"1"}),
        (":queue add --tag ", {"shell", "night"}),
    ],
)
def test_the_queue_is_completed(line: str, some: set[str]) -> None:
    session = _session()
    queue = QueueService(session, lambda _name: AnsweringRunner())
    try:
        (task,) = queue.add(["sleep 1"], tag="night")
        queue.maps.begin("gzip {}", ["a", "b"], {"web1": 1}, MapOptions())

        def offered(line: str) -> dict[str, str]:
            found = complete(line, len(line), session, REGISTRY, NAMES, queue)
            return {candidate.text: candidate.description for candidate in found}

        assert some <= set(offered(line))
        assert "sleep 1" in offered(":queue cancel ")[task]
        session.settings.set("queue.store", "redis://127.0.0.1:1/")  # elsewhere: never asked while somebody types
        assert task not in offered(":queue cancel ")
    finally:
        queue.close()


def test_a_queue_that_nobody_uses_is_not_opened_for_a_completion() -> None:
    queue = QueueService(_session())
    for line in (":queue cancel ", ":queue retry ", ":queue add --tag ", ":queue wait "):
        complete(line, len(line), SESSION, REGISTRY, NAMES, queue)
    assert not queue.used


def test_macros_edit_offers_the_macros() -> None:
    line = ":macros edit rolling"
    found = complete(line, len(line), _session(), REGISTRY, NAMES)
    assert [candidate.text.strip() for candidate in found] == ["rolling-restart"]
