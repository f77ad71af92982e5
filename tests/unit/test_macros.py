"""Macros: reading, parameters as data, playing, dry runs, recording, trust; and the examples that ship."""

from __future__ import annotations

import shlex
import subprocess
import threading
from pathlib import Path

import pytest
from ClusterShell.NodeSet import NodeSet
from hypothesis import given
from hypothesis import strategies as st

from clusterdeck.console.commands.catalogue import default_registry
from clusterdeck.console.exits import ExitCode
from clusterdeck.console.interpreter.interpreter import Interpreter
from clusterdeck.console.macros import store as macro_store
from clusterdeck.console.macros.macros import MacroError, parse_macro
from clusterdeck.console.macros.substitution import SubstitutionError, fill_shell
from clusterdeck.console.runs.options import RunOptions
from clusterdeck.console.runs.runs import Run
from clusterdeck.console.session.submission import Agree
from clusterdeck.engine.states import NodeState
from clusterdeck.tests.support.fake_session import Answered, FakeFrontEnd, FakeSession

REGISTRY = default_registry()


class Deck:
    """A place for macros, and a console to play them in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.own = folder / "config" / "macros"
        self.own.mkdir(parents=True)
        self.bad: dict[str, Answered] = {}
        self.session = FakeSession(lambda _command, node: self.bad.get(node, Answered(f"said {node[:2]}")))
        self.front_end = FakeFrontEnd()
        self.interpreter = Interpreter(self.session, REGISTRY, self.front_end)

    def write(self, text: str, name: str = "m") -> Path:
        file = self.own / f"{name}.deck"
        file.write_text(text)
        return file

    def play(self, text: str, *values: str, code: int = ExitCode.OK, dry: bool = False) -> str:
        self.write(text)
        return self.line(f":play {'--dry-run ' * dry}m {shlex.join(values)}", code)

    def line(self, line: str, code: int = ExitCode.OK) -> str:
        before = len(self.front_end.documents)
        outcome = self.interpreter.execute(line)
        shown = self.front_end.documents[before:]
        text = "\n".join("\n".join([document.title, *document.lines]) for document in shown)
        assert outcome.code == code, text
        return text

    @property
    def ran(self) -> list[tuple[str, str]]:
        """(command, nodes) of everything that ran on nodes."""
        return [(call[1], call[2]) for call in self.session.calls if call[0] == "shell"]


@pytest.fixture
def deck(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deck:
    for name in ("STATE", "CONFIG", "CACHE"):
        monkeypatch.setenv(f"CLUSTERDECK_{name}_DIR", str(tmp_path / name.lower()))
    monkeypatch.chdir(tmp_path)
    return Deck(tmp_path)


# -- reading


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        (":gathr", "m:1:2", ":gather"),
        ("uptime\n:shell -f x -- ls", "m:2:11", "not a count"),
        (":param a\nuptime\n:param b", "m:3", "before the first command"),
        (":param a\n:param a", "m:2", "twice"),
        (":param service\nrestart {servcie}", "m:2:9", "did you mean {service}"),
        (":if @failed\nuptime", "m:1", "no :end"),
        (":else", "m:1", "without :if"),
        (":end", "m:1", "without :if"),
        (":if @failed\n:else\n:else\n:end", "m:3", "second :else"),
        (":if\nls\n:end", "m:1:4", "needs a condition"),
        (":shell -- <<<\nls", "m:1:11", "never closed"),
        (":record x", "m:1", "cannot record"),
        (":if @failed\n" * 51 + ":end\n" * 51, "m:51", "blocks in each other"),
        (":copy 'a b", "m:1:7", "never closed"),
    ],
)
def test_what_is_wrong_in_a_file_has_its_place(text: str, place: str, message: str) -> None:
    with pytest.raises(MacroError) as caught:
        parse_macro(text, "m", REGISTRY)
    assert caught.value.text.startswith(f"{place}: ")
    assert message in caught.value.text


def test_a_macro_with_a_wrong_line_does_nothing_at_all(deck: Deck) -> None:
    shown = deck.play("@web uptime\n:gathr\n", code=ExitCode.USAGE)
    assert "m.deck:2:2" in shown
    assert deck.session.calls == []


def test_lines_comments_blocks_and_continuations() -> None:
    macro = parse_macro(
        "# What it does\r\n\r\n  uptime\n:shell -w a -- <<<<\n# not a comment\n>>>\n  x {y}\n>>>>\nls \\\n  -l\n",
        "m",
        REGISTRY,
    )
    assert macro.summary == "What it does"
    assert [step.command.get("command") for step in macro.steps] == [
        "uptime", "# not a comment\n>>>\n  x {y}", "ls \\\n  -l",
    ]  # fmt: skip
    assert [step.number for step in macro.steps] == [3, 4, 9]


# -- parameters


def test_parameters_are_filled_in_everywhere(deck: Deck) -> None:
    text = (
        ":param group\n:param n 3\n:param what\n:shell -w @{group} -f {n} -- run {what} --n={n}\n@{group} plain {{n}}\n"
    )
    deck.play(text, "group=web", "what=a b")
    assert deck.ran == [("run 'a b' --n=3", "web[1-4]"), ("plain {n}", "web[1-4]")]
    assert deck.session.calls[0][3].fanout == 3


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((), "a value is needed: what=..."),
        (("waht=1",), "did you mean what?"),
        (("what=1", "what=2"), "twice"),
        (("what=1", "n=x"), "not a count"),
        (("what=a\x00b",), "NUL"),
    ],
)
def test_wrong_parameters_run_nothing(deck: Deck, values: tuple[str, ...], message: str) -> None:
    text = ":param what\n:param n 2\n@web first\n:shell -w web1 -f {n} -- echo {what}\n"
    assert message in deck.play(text, *values, code=ExitCode.USAGE)
    assert deck.session.calls == []


def test_a_value_cannot_become_an_option_or_a_second_word(deck: Deck) -> None:
    deck.play(":param x\n:shell -w web1 -- echo {x}\n:copy {x} /tmp -w web1\n", "x=--sudo; reboot", code=ExitCode.USAGE)
    assert deck.ran == [("echo '--sudo; reboot'", "web1")]


@pytest.mark.parametrize(
    ("template", "value", "result"),
    [
        ("echo {x}", "a", "echo a"),
        ("echo {x}", "a b", "echo 'a b'"),
        ("echo {x}", "it's", "echo 'it'\"'\"'s'"),
        ("echo '{x}'", "a'b;c", "echo 'a'\\''b;c'"),
        ('echo "{x}"', 'a"$b`', None),
        ('echo "{x}"', 'a"$b', 'echo "a\\"\\$b"'),
        ("echo {x:raw}", "a; b", "echo a; b"),
        ("echo ${x} {x}", "1", "echo ${x} 1"),
        ("echo {{x}} {y}", "1", "echo {x} {y}"),
        ("awk '{print $1}' {x}", "1", "awk '{print $1}' 1"),
        ("echo {x}.bak", "a b", "echo 'a b'.bak"),
        ("echo {x}", "", "echo ''"),
    ],
)
def test_values_in_shell_commands(template: str, value: str, result: str | None) -> None:
    if result is not None:
        assert fill_shell(template, {"x": value}) == result
    else:
        assert fill_shell(template, {"x": value}) == 'echo "a\\"\\$b\\`"'


@pytest.mark.parametrize("template", ["x=$(echo {x})", "echo `echo {x}`", 'echo "$(echo "{x}")"', "cat <<E\n{x}\nE"])
def test_values_are_refused_where_quotes_cannot_be_told(template: str) -> None:
    assert fill_shell(template, {"x": "plain-word"}) == template.replace("{x}", "plain-word")
    with pytest.raises(SubstitutionError, match="raw"):
        fill_shell(template, {"x": "a; b"})


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12))
def test_a_real_shell_gets_exactly_the_value(value: str) -> None:
    for template in ("printf %s {x}", "printf %s '{x}'", 'printf %s "{x}"'):
        command = fill_shell(template, {"x": value})
        done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, check=True)
        assert done.stdout == value.encode()


# -- playing


def test_each_run_is_waited_for_and_a_failure_stops(deck: Deck) -> None:
    deck.bad["web2"] = Answered(rc=1)
    shown = deck.play("@web one\n@db two\n@web three\n@db four", code=ExitCode.EXPECTATION_FAILED)
    assert [command for command, _ in deck.ran] == ["one"]
    assert "m.deck:1: run #1 did not end well" in shown


def test_the_last_line_counts_too(deck: Deck) -> None:
    deck.bad["web2"] = Answered(rc=1)
    deck.play("@web one", code=ExitCode.EXPECTATION_FAILED)


def test_on_failure_continue(deck: Deck) -> None:
    deck.bad["web2"] = Answered(rc=1)
    deck.play(":on-failure continue\n@web one\n@web two")
    assert len(deck.ran) == 2


def test_expect_judges_the_line_before(deck: Deck) -> None:
    deck.bad["web2"] = Answered(rc=1)
    deck.play("@web one\n:expect ok>=75%\n@db two")
    assert len(deck.ran) == 2
    shown = deck.play("@web one\n:expect ok>=80%\n@db two", code=ExitCode.EXPECTATION_FAILED)
    assert "ok is 3 of 4" in shown
    assert len(deck.ran) == 3


def test_a_failed_expectation_is_remembered_when_going_on(deck: Deck) -> None:
    deck.play(":on-failure continue\n@web one\n:expect failed>0\n@db two", code=ExitCode.EXPECTATION_FAILED)
    assert len(deck.ran) == 2


def test_branches(deck: Deck) -> None:
    deck.bad["web2"] = Answered(rc=1)
    text = "@web one\n:if @failed\n  :shell -w @failed -- again\n  :expect bad<=1\n:else\n  @db other\n:end\n@db last"
    deck.play(text)
    assert deck.ran == [("one", "web[1-4]"), ("again", "web2"), ("last", "db[1-2]")]
    deck.session.calls.clear()
    deck.bad.clear()
    deck.play(text)
    assert deck.ran == [("one", "web[1-4]"), ("other", "db[1-2]"), ("last", "db[1-2]")]


def test_results_are_those_of_the_macros_own_last_run(deck: Deck) -> None:
    deck.bad["web2"] = Answered(rc=1)
    original = deck.session.shell

    def shell(command: str, nodes: NodeSet, options: RunOptions, agree: Agree | None = None) -> Run:
        run = original(command, nodes, options, agree)
        original("a timer's round", NodeSet("db1"), RunOptions())
        return run

    deck.session.shell = shell  # type: ignore[method-assign]
    deck.play("@web one\n:if @failed\n:shell -w @failed -- two\n:end\n:expect bad==1\n:nodes @bad")
    assert ("two", "web2") in deck.ran
    assert deck.session.selection.folded == "web2"


def test_retry_judges_too(deck: Deck) -> None:
    deck.bad["web2"] = Answered(rc=1)
    deck.play("@web one\n:retry failed\n:expect bad==1\n@db two")
    assert ("retry", 1, "web2") in deck.session.calls


def test_background_runs_are_waited_for_at_the_end(deck: Deck) -> None:
    deck.bad["db2"] = Answered(rc=1)
    deck.play("@web one\n:shell --background -w @db -- two\n@web three", code=ExitCode.EXPECTATION_FAILED)
    assert len(deck.ran) == 3


def test_confirm(deck: Deck) -> None:
    deck.front_end.agree = False
    shown = deck.play("@web\n:confirm reboot {these}?\nreboot", code=ExitCode.REFUSED)
    assert "not confirmed: reboot {these}?" in shown
    assert deck.ran == []
    deck.front_end.agree = True
    deck.front_end.confirmations.clear()
    deck.play("@web\n:confirm reboot?\nreboot")
    # The macro has asked: the dangerous verb is not asked about once more.
    assert [one.title for one in deck.front_end.confirmations] == ["reboot?"]


def test_a_dangerous_line_without_confirm_is_asked_about(deck: Deck) -> None:
    deck.front_end.agree = False
    deck.play("@web reboot", code=ExitCode.REFUSED)


def test_an_error_while_playing_has_its_place(deck: Deck) -> None:
    shown = deck.play("@web one\n@nosuch two\n@web three", code=ExitCode.REFUSED)
    assert "m.deck:2: there is no group @nosuch" in shown
    assert len(deck.ran) == 1


def test_macros_play_macros_but_not_for_ever(deck: Deck) -> None:
    deck.write(":param x\n@web inner {x}\n", "inner")
    deck.play(":param y\n:play inner x={y}\n@db outer", "y=1")
    assert [command for command, _ in deck.ran] == ["inner 1", "outer"]
    deck.write(":play loop\n", "loop")
    assert "deep" in deck.line(":play loop", ExitCode.ERROR)


def test_a_failing_inner_macro_stops_the_outer_one(deck: Deck) -> None:
    deck.write(":fail no good\n", "inner")
    deck.play(":play inner\n@db outer", code=ExitCode.EXPECTATION_FAILED)
    assert deck.ran == []


def test_stop_ends_a_macro_between_its_lines(deck: Deck) -> None:
    deck.session.hold = True
    deck.write("@web one\n@db two")
    begun = threading.Event()
    original = deck.session.shell

    def shell(command: str, nodes: NodeSet, options: RunOptions, agree: Agree | None = None) -> Run:
        run = original(command, nodes, options, agree)
        begun.set()
        return run

    deck.session.shell = shell  # type: ignore[method-assign]

    def stop() -> None:
        begun.wait(10)
        deck.interpreter.stop()

    thread = threading.Thread(target=stop)
    thread.start()
    deck.line(":play m", ExitCode.INTERRUPTED)
    thread.join()
    assert [command for command, _ in deck.ran] == ["one"]
    assert ("abort", 1, None) in deck.session.calls


# -- dry runs


def test_a_dry_run_shows_node_sets_and_touches_nothing(deck: Deck) -> None:
    deck.line("@db")
    text = """
:param service
@web
+db1
systemctl restart {service}
:if @failed
  :shell -w @failed -- journalctl
  @failed
  uptime
:else
  !echo local
:end
:copy /etc/hostname /tmp
:set fanout 3
:timer 5s date
:nodes save x
:confirm sure?
:wait 9h
:gather
:queue add -- job
:abort all
:until -- true
:retry
:say done
:quit
"""
    before = deck.session.calls[:]
    shown = deck.play(text, "service=nginx", dry=True)
    (plan,) = [document for document in deck.front_end.documents if document.data]  # all of it can be read at once
    assert shown.startswith(f"{plan.title}\n{plan.lines[0]}")
    assert plan.lines[0] == "would select web[1-4] (4)"
    assert "nodes    db1,web[1-4] (5)\nrun      systemctl restart nginx" in shown
    assert "nodes    @failed (known when it plays)\nrun      journalctl" in shown
    assert "nodes    @failed (known when it plays)\nrun      uptime" in shown
    assert "if @failed" in shown
    assert "would do :gather" in shown
    assert "would say: done" in shown
    assert shown.index("-- else:") < shown.index("-- end") < shown.index("/etc/hostname")
    assert deck.session.calls == before
    assert deck.session.selection.folded == "db[1-2]"
    assert deck.session.settings.run.fanout == 64
    assert deck.front_end.confirmations == []
    assert deck.front_end.left is None
    assert not deck.interpreter.context.queue.used
    assert not (deck.folder / "state" / "node_sets.json").exists()


def test_a_dry_run_shows_the_waves(deck: Deck) -> None:
    text = "@web\n:shell --batch 1,rest --stop-at 1 -- a\n:shell -w @failed --batch 50% -- b\n"
    text += "@failed\n:shell --batch 2 -- c\n"
    plan = deck.play(text, dry=True)
    assert "waves    1, then 3 of 4; none begins after 1 bad ones\nrun      a" in plan
    assert "nodes    @failed (known when it plays)\nwaves    50%\nrun      b" in plan
    assert "nodes    @failed (known when it plays)\nwaves    2\nrun      c" in plan
    deck.line("@web")
    assert "waves    1, then 3 of 4\nrun      d" in deck.line(":shell --dry-run --batch 1,rest -- d")


def test_a_dry_run_that_fails_shows_how_far_it_came(deck: Deck) -> None:
    deck.write("@web\nuptime\n:nodes @nosuch\nid\n")
    shown = deck.line(":play --dry-run m", ExitCode.REFUSED)
    assert "web[1-4] (4)" in shown
    assert shown.index("uptime") < shown.index("nosuch")
    assert [document.level for document in deck.front_end.documents] == ["info", "error"]
    assert deck.interpreter.context.front_end is deck.front_end


def test_the_end_of_a_run_is_told_by_the_front_end_alone(deck: Deck) -> None:
    deck.line("@web")
    assert deck.play("uptime\n:expect ok==all\n").count("#1") == 0


# -- recording


def test_recording(deck: Deck) -> None:
    deck.line(":record mine")
    deck.line("@web")
    deck.line("uptime")
    deck.line(":gathr", ExitCode.USAGE)
    deck.line("mysql --password=tiger -e 'select 1'")
    deck.line(":shell -w db1 -- a\nb")
    deck.line(":help")
    shown = deck.line(":stop")
    assert "1 value that looked secret" in shown
    file = deck.own / "mine.deck"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_text().splitlines() == [
        "# mine: recorded in clusterdeck",
        ":param secret1",
        "@web",
        "uptime",
        "mysql --password={secret1} -e 'select 1'",
        ":shell -w db1 -- <<<",
        "a",
        "b",
        ">>>",
    ]
    deck.session.calls.clear()
    deck.line(":play mine secret1=lion")
    assert [command for command, _ in deck.ran] == ["uptime", "mysql --password=lion -e 'select 1'", "a\nb"]


def test_a_recording_goes_on_where_the_operator_did(deck: Deck) -> None:
    deck.session.answer = lambda command, node: Answered(rc=1 if command == "check" and node == "web2" else 0)
    deck.line("@web")
    deck.line(":record mine")
    for line in ("check", "@failed repair", "check"):
        deck.line(line)
    deck.line(":stop")
    lines = (deck.own / "mine.deck").read_text().splitlines()
    assert lines[0] == "# mine: recorded in clusterdeck on web[1-4] (4)"
    assert lines[2:] == [":on-failure continue", "check", "@failed repair", "check"]
    played = list(deck.ran)
    deck.session.calls.clear()
    deck.line(":play mine")
    assert deck.ran == played
    deck.line(":record last")
    deck.line("check")
    deck.line(":stop")
    assert ":on-failure" not in (deck.own / "last.deck").read_text(), "nothing was typed after the failure"


def test_numbers_of_runs_are_marked_in_a_recording(deck: Deck) -> None:
    deck.line("@web")
    deck.line("check")
    deck.line(":record mine")
    for line in ("@run:1:ok repair", ":again 1", ":again", "echo @run:1"):
        deck.line(line)
    assert "4 lines" in deck.line(":stop")
    lines = (deck.own / "mine.deck").read_text().splitlines()[1:]
    assert [line if line[0] != "#" else "#" for line in lines] == [
        "#", "@run:1:ok repair", "#", ":again 1", ":again", "echo @run:1",
    ]  # fmt: skip
    assert "the session that was recorded" in lines[0]


def test_recordings_do_not_overwrite(deck: Deck) -> None:
    deck.write("uptime", "mine")
    assert "already" in deck.line(":record mine", ExitCode.USAGE)
    deck.line(":record other")
    assert "being recorded" in deck.line(":record third", ExitCode.USAGE)


# -- trust


def test_a_macro_from_elsewhere_is_shown_and_asked_about_once(deck: Deck) -> None:
    file = deck.folder / "theirs.deck"
    file.write_text("# theirs\n@web one\n")
    deck.front_end.agree = False
    deck.line(":play ./theirs.deck", ExitCode.REFUSED)
    assert "@web one" in deck.front_end.confirmations[-1].lines
    assert deck.front_end.confirmations[-1].required
    deck.front_end.agree = True
    deck.line(":play ./theirs.deck")
    deck.line(":play ./theirs.deck")
    assert len(deck.front_end.confirmations) == 2
    file.write_text("# theirs\n@web two\n")
    deck.line(":play ./theirs.deck")
    changed = deck.front_end.confirmations[-1]
    assert "has changed" in changed.title
    assert "-@web one" in changed.lines
    assert "+@web two" in changed.lines


def test_looking_at_a_macro_needs_no_trust(deck: Deck) -> None:
    (deck.folder / "theirs.deck").write_text("@web one\n")
    deck.front_end.agree = False
    deck.line(":play --dry-run ./theirs.deck")
    assert deck.front_end.confirmations == []


@pytest.mark.parametrize("mode", [0o666, 0o660, 0o622])
def test_a_macro_that_others_may_write_is_not_played(deck: Deck, mode: int) -> None:
    file = deck.write("@web one")
    file.chmod(mode)
    assert "others may write" in deck.line(":play m", ExitCode.REFUSED)
    assert deck.session.calls == []


def test_hostile_macros_are_shown_clean(deck: Deck) -> None:
    (deck.folder / "x.deck").write_text("# \x1b]0;owned\x07\n@web echo \x1b[2J\n")
    deck.line(":play ./x.deck")
    shown = deck.front_end.text + "\n".join(line for one in deck.front_end.confirmations for line in one.lines)
    assert "\x1b" not in shown
    assert "\x07" not in shown


# -- the examples


EXAMPLES = sorted(macro_store.EXAMPLES.glob("*.deck"))


def test_there_are_six_examples() -> None:
    assert [file.stem for file in EXAMPLES] == [
        "collect-logs", "config-push", "disk-full", "kernel-audit", "reboot-and-wait", "rolling-restart",
    ]  # fmt: skip


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_examples_are_right_explained_and_can_be_shown(deck: Deck, file: Path) -> None:
    macro = parse_macro(file.read_text(), file.name, REGISTRY)
    assert macro.summary
    assert all(parameter.help for parameter in macro.parameters)
    given_values = [f"{one.name}=/tmp/x" for one in macro.parameters if one.default is None]
    deck.line("@web")
    shown = deck.line(f":play --dry-run {file.stem} {' '.join(given_values)}")
    assert "web[1-4] (4)" in shown
    assert deck.session.calls == []
    listed = deck.line(":macros")
    assert f"{file.stem}: {macro.summary}" in listed
    assert all(one.help in listed for one in macro.parameters)


def test_config_push_takes_the_file_back(deck: Deck) -> None:
    deck.bad["web2"] = Answered(rc=1)
    deck.line("@web")
    source = deck.folder / "new.conf"
    source.write_text("x")
    deck.session.answer = lambda command, node: Answered(rc=int("nginx -t" in command and node == "web2"))
    deck.line(f":play config-push file={source} dest=/etc/x.conf check='nginx -t'", ExitCode.EXPECTATION_FAILED)
    command, nodes = deck.ran[-1]
    assert command.startswith("if test -e /etc/x.conf.deck-before; then mv -f /etc/x.conf.deck-before /etc/x.conf;")
    assert nodes == "web[1-4]"
    deck.session.calls.clear()
    deck.session.answer = lambda _command, _node: Answered()
    deck.line(f":play config-push file={source} dest=/etc/x.conf check='nginx -t' reload='systemctl reload nginx'")
    assert [command for command, _ in deck.ran][-2:] == ["systemctl reload nginx", "rm -f /etc/x.conf.deck-before"]


def test_disk_full_looks_only_where_it_is_full(deck: Deck) -> None:
    deck.line("@web")
    deck.session.answer = lambda command, node: Answered("95% /", rc=int(node == "web3" and "exit full" in command))
    deck.line(":play disk-full limit=80")
    assert deck.ran[1][1] == "web3"
    assert "limit=80" in deck.ran[1][0]


def test_unreachable_nodes_stop_a_macro_like_failed_ones(deck: Deck) -> None:
    deck.bad["web1"] = Answered(rc=None, state=NodeState.UNREACHABLE)
    deck.play("@web one\n@db two", code=ExitCode.EXPECTATION_FAILED)
