"""Every command through the interpreter, on a session without an engine."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from ClusterShell.NodeSet import NodeSet

from clusterdeck.console.commands.catalogue import default_registry
from clusterdeck.console.exits import ExitCode
from clusterdeck.console.interpreter.interpreter import Interpreter
from clusterdeck.console.language.language import parse
from clusterdeck.console.language.registry import Registry
from clusterdeck.console.language.spec import Argument, CommandSpec, Danger, Option
from clusterdeck.console.records.audit import AuditError
from clusterdeck.console.runs.options import RunOptions
from clusterdeck.console.runs.runs import Run
from clusterdeck.console.session.submission import Agree
from clusterdeck.console.settings import paths
from clusterdeck.console.settings.sections import AT_FIRST_USE
from clusterdeck.console.settings.settings import read_when, setting_names
from clusterdeck.engine.states import NodeState
from clusterdeck.tests.support.fake_session import Answered, FakeFrontEnd, FakeSession

REGISTRY = default_registry()


class Console:
    """An interpreter with its fake session and front end."""

    def __init__(self, session: FakeSession | None = None) -> None:
        self.session = session or FakeSession()
        self.front_end = FakeFrontEnd()
        self.interpreter = Interpreter(self.session, REGISTRY, self.front_end)

    def __call__(self, line: str, code: int = ExitCode.OK) -> str:
        before = len(self.front_end.documents)
        outcome = self.interpreter.execute(line)
        shown = self.front_end.documents[before:]
        text = "\n".join("\n".join([document.title, *document.lines]) for document in shown)
        assert outcome.code == code, text
        return text


@pytest.fixture
def console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Console:
    for name in ("STATE", "CONFIG", "CACHE"):
        monkeypatch.setenv(f"CLUSTERDECK_{name}_DIR", str(tmp_path / name.lower()))
    return Console()


# -- the registry itself


@pytest.mark.parametrize("spec", list(REGISTRY), ids=lambda spec: spec.id)
def test_every_command_is_complete(spec: CommandSpec) -> None:
    assert spec.summary
    assert not spec.summary.endswith(".")
    assert spec.title.count(": ") == 1
    assert spec.id.count(".") == 1
    parts: list[Argument | Option] = [*spec.arguments, *spec.options]
    assert all(part.help for part in parts)
    for option in spec.options:
        # A value of `--` can only be written with a long flag.
        assert any(flag.startswith("--") for flag in option.flags)
    assert spec.examples or spec.hidden or not (spec.arguments or spec.options), "what takes words shows how"
    for line, _meaning in spec.examples:
        found = parse(line, REGISTRY)
        assert found.spec is spec or line.startswith(("@", "uname")), line
    if spec.danger >= Danger.TOUCHES:
        assert spec.help or spec.examples or spec.arguments


def test_flags_and_keys_are_given_out_once() -> None:
    keys = [key for spec in REGISTRY for key in spec.keys]
    assert len(keys) == len(set(keys))
    for spec in REGISTRY:
        flags = [flag for option in spec.options for flag in option.flags]
        assert len(flags) == len(set(flags)), spec.id
        names = [option.name for option in spec.options] + [argument.name for argument in spec.arguments]
        assert len(names) == len(set(names)), spec.id


def test_a_registry_refuses_what_would_be_ambiguous() -> None:
    one = REGISTRY.by_id("run.shell")
    with pytest.raises(ValueError, match="two commands"):
        Registry([one, one])
    lonely = CommandSpec("x.y", "shell odd", "x: Y", "y", one.handler)
    with pytest.raises(ValueError, match="sub-command"):
        Registry([one, lonely])


# -- running


def test_a_bare_line_runs_on_the_selection(console: Console) -> None:
    console("@web")
    outcome = console.interpreter.execute("echo  'a  b'|cat")
    assert outcome.runs == (1,)
    assert console.session.calls[-1][:3] == ("shell", "echo  'a  b'|cat", "web[1-4]")


def test_a_group_in_front_runs_once_and_selects_nothing(console: Console) -> None:
    console("@web")
    console("@db uptime")
    assert console.session.calls[-1][2] == "db[1-2]"
    assert console.session.selection.label == "@web"


def test_a_selection_of_results_keeps_a_name_that_stays_true(console: Console) -> None:
    """`@ok` means other nodes after the next run; what was selected is still that of the run before."""
    selection = console.session.selection
    console("@web uptime")
    console("@ok")
    console("uptime")
    assert (selection.label, selection.folded) == ("@run:1:ok", "web[1-4]")
    console(":nodes @run:1:ok,@db")
    assert selection.label == "db[1-2],web[1-4]"
    console.session.hold = True
    console("uptime")
    console(":nodes @run:3")
    assert selection.label == selection.folded


def test_nodes_after_an_at_sign_as_in_clush(console: Console) -> None:
    console("@Node[1-2],x3 uptime")
    assert console.session.calls[-1][2] == "Node[1-2],x3"
    console("@@web uptime")
    assert console.session.calls[-1][2] == "web[1-4]"
    assert "did you mean @web?" in console("@wbe uptime", ExitCode.REFUSED)


def test_a_group_that_is_not_there_is_never_taken_for_an_empty_one(console: Console) -> None:
    assert "there is no group @wbe" in console(":shell -w @all -x @wbe -- uptime", ExitCode.REFUSED)
    shown = console(":shell -w @all!@wbe -- uptime", ExitCode.REFUSED)
    assert shown.splitlines()[2].index("^") == len(":shell -w @all!")
    console("@web,@nosuch7 uptime", ExitCode.REFUSED)
    assert console.session.calls == []
    console("@web uptime")
    console(":shell -w @web -x @failed -- uptime")
    assert console.session.calls[-1][2] == "web[1-4]"


def test_options_reach_the_session(console: Console) -> None:
    console(":shell -w web[1-9] -x web[2-3],db1 -f 3 -t 1m -R ssh -l me --sudo --batch 1,rest --stop-at 5% "
            "--retries 2 -E --pty -e A=1 -e B='x y' --connect-timeout 2 -- ls")  # fmt: skip
    _, command, nodes, options = console.session.calls[-1]
    assert (command, nodes) == ("ls", "web[1,4-9]")
    assert (options.fanout, options.timeout, options.connect_timeout) == (3, 60.0, 2.0)
    assert (options.worker, options.user, options.sudo, options.pty, options.stderr) == ("ssh", "me", True, True, True)
    assert (options.batch, options.stop_at, options.retries) == ("1,rest", "5%", 2)
    assert options.environment == (("A", "1"), ("B", "x y"))


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("uptime", ExitCode.REFUSED, "no nodes are selected"),
        ("@nosuch", ExitCode.REFUSED, "no group @nosuch"),
        ("@nosuch uptime", ExitCode.REFUSED, "no group @nosuch"),
        (":shell -w web1 -x web1 -- ls", ExitCode.REFUSED, "leaves no node"),
        (":shell -w web[1- -- ls", ExitCode.USAGE, "web[1-"),
        (":shell -w '-oProxyCommand=x' -- ls", ExitCode.USAGE, "refused"),
        (":shell -w 'a;b' -- ls", ExitCode.USAGE, "refused"),
        (":retry", ExitCode.ERROR, "no run yet"),
        (":gather 7", ExitCode.USAGE, "no run #7"),
        (":copy /no/such/file /tmp -w web1", ExitCode.USAGE, "there is no"),
        (":set fanuot 3", ExitCode.USAGE, "fanout"),
        (":set fanout x", ExitCode.USAGE, "number"),
        (":abort 3", ExitCode.USAGE, "no run #3"),
        (":timer 0.01s -w web1 ls", ExitCode.USAGE, "too short"),
        (":timer --once --count 2 5s ls", ExitCode.USAGE, "--once"),
        (":timer cancel 9", ExitCode.USAGE, "no active timer"),
        (":if @failed", ExitCode.USAGE, "macro only"),
        (":help gathr", ExitCode.USAGE, ":gather"),
        (":view panes", ExitCode.USAGE, "full-screen"),
        (":play nosuch", ExitCode.USAGE, "no macro"),
        (":nodes forget x", ExitCode.USAGE, "no saved set"),
        (":stop", ExitCode.USAGE, "nothing is being recorded"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_runs(console: Console, line: str, code: int, message: str) -> None:
    assert message in console(line, code)
    assert console.front_end.documents[-1].level == "error"
    assert not [call for call in console.session.calls if call[0] in ("shell", "copy", "timer")]


def test_the_caret_of_a_wrong_node_set_stands_under_it(console: Console) -> None:
    shown = console(":shell -w web1,@run:9:ok -- ls", ExitCode.USAGE).splitlines()
    assert shown[2].index("^") in range(10, 24)


def test_what_cannot_be_recorded_is_not_run(console: Console) -> None:
    def refuse(*_: object) -> None:
        raise AuditError("no space")

    console.session.shell = refuse  # type: ignore[method-assign, assignment]
    assert "no space" in console("@web ls", ExitCode.AUDIT_FAILED)


def test_an_error_inside_a_command_does_not_end_the_console(console: Console) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("boom \x1b[2J")

    console.session.shell = broken  # type: ignore[method-assign, assignment]
    shown = console("@web ls", ExitCode.ERROR)
    assert "internal error" in shown
    assert "\x1b" not in shown


# -- safety


def test_many_nodes_are_asked_about_and_no_means_no(console: Console) -> None:
    console.front_end.agree = False
    console(":shell -w n[1-51] -- uptime", ExitCode.REFUSED)
    asked = console.front_end.confirmations[-1]
    assert asked.nodes == 51
    assert "n[1-51] (51)" in asked.lines[0]
    assert "uptime" in asked.lines[1]
    assert asked.typed is None
    assert console.session.calls == []
    console(":shell -w n[1-50] -- uptime")
    assert len(console.front_end.confirmations) == 1


@pytest.mark.parametrize("line", [
    ":shell -w n1 -- sudo reboot", ":timer -w n1 5s rm -rf /x", ":until -w n1 -- mkfs /dev/x", "@web reboot",
])  # fmt: skip
def test_dangerous_verbs_are_asked_about(console: Console, line: str) -> None:
    console.front_end.agree = False
    console(line, ExitCode.REFUSED)
    assert console.session.calls == []


def test_a_dangerous_verb_on_many_nodes_wants_their_number_typed(console: Console) -> None:
    console(":shell -w n[1-60] -- reboot")
    assert console.front_end.confirmations[-1].typed == "60"


def test_own_dangerous_verbs(console: Console) -> None:
    console(":set safety.dangerous 'drop-db, wipe *'")
    console.front_end.agree = False
    console("@web drop-db now", ExitCode.REFUSED)


def test_protected_nodes_are_asked_about_everywhere(console: Console) -> None:
    console.session.settings.set("safety.protected", "@db")
    console.front_end.agree = False
    console.front_end.interactive = False
    console("@db uptime", ExitCode.REFUSED)
    console(":copy /etc/hostname /tmp -w db1", ExitCode.REFUSED)
    assert console.front_end.confirmations[0].typed == "2"
    assert console.front_end.confirmations[0].required
    console("@web uptime")


def test_a_rail_that_cannot_be_read_lets_nothing_through(console: Console) -> None:
    for expression in ("n[1-", "@typo", "@all!@typo"):
        console.session.settings.set("safety.protected", expression)
        assert "safety.protected" in console("@web uptime", ExitCode.REFUSED)


def test_scripts_are_not_asked_about_their_size(console: Console) -> None:
    console.front_end.interactive = False
    console.front_end.agree = False
    console(":shell -w n[1-500] -- reboot")
    assert console.front_end.confirmations == []


def test_read_only_mode(console: Console) -> None:
    console(":set read_only on")
    console("@web")
    for line in ("uptime", ":copy /etc/hostname /tmp", ":timer 5s ls", ":until -- true"):
        assert "read-only" in console(line, ExitCode.REFUSED)
    assert console.session.calls == []


@pytest.mark.parametrize("line", [
    ":shell --dry-run -w n[1-99] -- reboot", ":copy --dry-run /etc/hostname /tmp -w n[1-99]",
    ":rcopy --dry-run /etc/hostname /tmp -w n[1-99]", ":queue map --dry-run -- x ::: a",
])  # fmt: skip
def test_dry_runs_touch_and_ask_nothing(console: Console, line: str) -> None:
    assert "dry run" in console(line)
    assert console.session.calls == []
    assert console.front_end.confirmations == []


# -- the editor


class EditingFrontEnd(FakeFrontEnd):
    """A front end with an editor that types what a test says."""

    typed: str | None = None
    begun = ""

    def __init__(self) -> None:
        super().__init__()
        self.remembered: list[str] = []

    def edit(self, text: str, suffix: str) -> str | None:
        self.begun = text
        return self.typed

    def remember(self, line: str) -> None:
        self.remembered.append(line)


@pytest.fixture
def editing(console: Console) -> tuple[Console, EditingFrontEnd]:
    console.front_end = front_end = EditingFrontEnd()
    console.interpreter = Interpreter(console.session, REGISTRY, front_end)
    return console, front_end


def test_edit_and_run(editing: tuple[Console, EditingFrontEnd]) -> None:
    console, front_end = editing
    console("@web uptime")
    front_end.typed = "one\ntwo\n"
    console("@web")
    console(":edit")
    assert front_end.begun == "@web uptime", "as it was typed, with its nodes"
    assert console.session.calls[-1][1:3] == ("one\ntwo", "web[1-4]")
    console(":record edited")
    console(":edit")
    console(":stop")
    assert (paths.macros_dir() / "edited.deck").read_text().splitlines()[1:] == [":shell -- <<<", "one", "two", ">>>"]
    front_end.typed = ":gathr\n"
    assert ":gather" in console(":edit -- x", ExitCode.USAGE)
    assert front_end.begun == "x"
    console(":failed")
    for nothing in ("", None):
        front_end.typed = nothing
        assert "nothing is run" in console(":edit")
        assert front_end.begun == ":gathr", "what was not understood is not lost"
    assert front_end.remembered == ["one\ntwo", "one\ntwo", ":gathr"], "what ran or was wrong can be recalled"
    console(":edit -r 1")
    assert front_end.begun == "uptime"
    assert "no run #9" in console(":edit -r 9", ExitCode.USAGE)


def test_editing_macros(editing: tuple[Console, EditingFrontEnd]) -> None:
    console, front_end = editing
    front_end.typed = "# mine\n:gathr\n"
    assert "does not play yet" in console(":macros edit mine")
    front_end.typed = "# mine\nuptime\n"
    console(":macros edit mine")
    assert front_end.begun == "# mine\n:gathr\n"
    assert "nothing was changed" in console(":macros edit mine")
    console("@web")
    console(":play mine")
    front_end.typed = "# changed\nuptime\n"
    console(":macros edit kernel-audit")
    assert "Which kernel" in front_end.begun
    assert "changed" in console(":macros")


def test_without_an_editor(console: Console) -> None:
    console(":edit", ExitCode.USAGE)
    console(":macros edit x", ExitCode.USAGE)


# -- looking at runs


def _mixed() -> FakeSession:
    ends = {
        "web2": Answered("other", rc=3),
        "web3": Answered(rc=None, state=NodeState.TIMEOUT, reason="30 s are over"),
        "web4": Answered(rc=None, state=NodeState.UNREACHABLE, reason="no route\x1b[2J"),
    }
    return FakeSession(lambda _command, node: ends.get(node, Answered("one\ntwo")))


def test_results_as_documents(console: Console) -> None:
    console = Console(_mixed())
    console("@all uptime")
    gathered = console(":gather")
    assert "db[1-2],web1 (3)\n---------------\none\ntwo" in gathered
    assert gathered.index("one") < gathered.index("other")
    failed = console(":failed")
    assert "web[2-4] (3)" in failed
    assert "rc 3" in failed
    assert "30 s are over" in failed
    assert "web3 (1)" in console(":timeouts")
    assert "web2" not in console(":timeouts")
    assert "+two" in console(":diff web2 web1")
    assert "-two" in console(":diff")
    assert "web4" in console(":show")
    assert "rc 3" in console(":out web2")
    assert "#1" in console(":runs")
    assert "\x1b" not in console.front_end.text


def test_nodes_that_failed_alike_share_a_line_whatever_their_addresses(console: Console) -> None:
    addresses = {"web1": "10.0.0.1", "web2": "10.0.0.2:2222"}
    console = Console(FakeSession(lambda _command, node: Answered(
        rc=None, state=NodeState.UNREACHABLE, reason=f"{node} ({addresses[node]}): no connection within 5 s"
    )))  # fmt: skip
    console(":shell -w web[1-2] uptime")
    assert console(":failed").splitlines()[1:] == ["web[1-2] (2): ! unreachable: no connection within 5 s"]


def test_views_come_first_where_there_are_any(console: Console) -> None:
    console("@web uptime")
    console.front_end.views = ("gathered", "diff", "failures", "output", "runs", "run", "timeouts", "queue", "help")
    before = len(console.front_end.documents)
    for line in (
        ":gather",
        ":diff",
        ":diff 1 1",
        ":failed",
        ":out web1",
        ":runs",
        ":show",
        ":timeouts",
        ":queue",
        ":help",
    ):
        console(line)
    assert len(console.front_end.documents) == before
    assert console.front_end.opened[:3] == [
        ("gathered", 1, None, None), ("diff", 1, None, None), ("diff", 1, None, 1),
    ]  # fmt: skip
    assert ("output", 1, "web1", None) in console.front_end.opened


def test_failed_sets_feed_the_next_command(console: Console) -> None:
    console = Console(_mixed())
    console("@web uptime")
    console("@timeout,@unreachable")
    assert console.session.selection.folded == "web[3-4]"
    console(":retry failed")
    assert console.session.calls[-1] == ("retry", 1, "web2")
    console(":retry --run 1 timeout unreachable")
    assert console.session.calls[-1] == ("retry", 1, "web[3-4]")
    console("@run:1:rc:3 ls")
    assert console.session.calls[-1][2] == "web2"


def test_runs_of_earlier_sessions_are_reached_by_number(console: Console) -> None:
    console("@web uptime")
    run = console.session.runs.get(1)
    assert run is not None
    run.restored = True
    assert "earlier sessions" in console(":gather", ExitCode.ERROR)
    assert "uptime" in console(":gather 1")


def test_settings_in_seconds_take_durations(console: Console) -> None:
    assert console(":set timeout 1m30s") == "run.timeout = 90"
    assert console(":set connect_timeout 0.5") == "run.connect_timeout = 0.5"
    assert "number" in console(":set timeout soon", ExitCode.USAGE)


def test_again(console: Console) -> None:
    console("@web uptime")
    console("!ls")
    console(":again 1")
    console(":again 1 -w db1")
    console(":again 2")
    calls = [call[:3] for call in console.session.calls]
    assert calls[2:] == [("again", 1, "web[1-4]"), ("again", 1, "db1"), ("again", 2, "")]


def test_what_cannot_be_repeated_says_why(console: Console) -> None:
    console = Console(_mixed())
    console("@web uptime")
    run = console.session.runs.get(1)
    assert run is not None
    run.unrepeatable = "its line held something secret, which is not kept"
    for line in (":again 1", ":retry --run 1"):
        assert "cannot be repeated, its line held something secret" in console(line, ExitCode.REFUSED)
    assert len(console.session.calls) == 1


def test_diff_of_runs(console: Console) -> None:
    answers = {"one": "a", "two": "b"}
    console = Console(FakeSession(lambda command, node: Answered("same" if node == "web1" else answers[command])))
    console("@web one")
    console("@web two")
    shown = console(":diff 1 2")
    assert "web[2-4] (3)" in shown
    assert "-a\n+b" in shown


def test_export_and_save(console: Console, tmp_path: Path) -> None:
    console = Console(FakeSession(lambda _command, node: Answered(f"=cmd {node}\x1b[31m", "err", 1)))
    console("@web uptime")
    file = tmp_path / "x.json"
    console(f":export json {file}")
    data = json.loads(file.read_text())
    assert data["counts"] == {"failed": 4}
    assert data["nodes"][0]["stdout"] == "=cmd web1\x1b[31m"
    assert "\x1b" not in file.read_text()
    assert "already" in console(f":export json {file}", ExitCode.ERROR)
    console(f":export json --overwrite {file}")
    rows = [json.loads(line) for line in console(":export jsonl").splitlines()[1:]]
    assert [row["node"] for row in rows] == ["web1", "web2", "web3", "web4"]
    assert "'=cmd" in console(":export csv")
    assert "**`web1`** (1)" in console(":export md")
    folder = tmp_path / "out"
    console(f":save {folder}")
    assert sorted(path.name for path in folder.iterdir())[:2] == ["web1.err", "web1.out"]
    assert b"\x1b" not in (folder / "web1.out").read_bytes()
    console(f":save --raw --overwrite {folder}")
    assert b"\x1b" in (folder / "web1.out").read_bytes()


def test_save_does_not_write_through_links(console: Console, tmp_path: Path) -> None:
    console("@web uptime")
    folder = tmp_path / "out"
    folder.mkdir()
    target = tmp_path / "target"
    target.write_text("mine")
    (folder / "web1.out").symlink_to(target)
    console(f":save {folder}", ExitCode.ERROR)
    console(f":save --overwrite {folder}")
    assert target.read_text() == "mine"


def test_each_node_has_a_file_of_its_own(tmp_path: Path) -> None:
    console = Console(FakeSession(lambda _command, node: Answered(node), groups={"alike": "a:b,a_b,.y"}))
    console("@alike uptime")
    console(f":save {tmp_path}/out")
    files = {path.name: path.read_text() for path in (tmp_path / "out").iterdir()}
    assert files == {"a%3Ab.out": "a:b\n", "a_b.out": "a_b\n", "%2Ey.out": ".y\n"}


# -- timers, abort, selection, settings, leaving


def test_timers(console: Console) -> None:
    console("@web")
    console(":timer 30s uptime")
    console(":timer --once 5m -w db1 -- ls")
    console(":timer -n 3 --until @failed 1h x")
    assert [call[1:4] for call in console.session.calls] == [
        (0.0, 30.0, "uptime"), (300.0, None, "ls"), (0.0, 3600.0, "x"),
    ]  # fmt: skip
    assert console.session.calls[-1][5:] == (3, "@failed")
    shown = console(":timers")
    assert "every 30s" in shown
    assert "once, after 5m" in shown
    console(":timer cancel 2")
    console(":timer cancel all")
    assert [call for call in console.session.calls if call[0] == "cancel_timer"] == [
        ("cancel_timer", 2), ("cancel_timer", 1), ("cancel_timer", 3),
    ]  # fmt: skip


def test_abort(console: Console) -> None:
    console.session.hold = True
    console("@web sleep 9")
    console("@db sleep 9")
    calls = len(console.session.calls)
    assert "nothing runs on these nodes" in console(":abort 1 -w db1")
    assert len(console.session.calls) == calls
    console(":abort 1 -w web3")
    assert console.session.calls[-1] == ("abort", 1, "web3")
    console(":abort")
    assert console.session.calls[-1][:2] == ("abort", 2)
    assert "nothing runs" in console(":abort all")


def test_a_change_of_the_selection_that_changes_nothing_is_told(console: Console) -> None:
    console("@web")
    assert "-zz9 changes nothing" in console("-zz9")
    assert "+web1 changes nothing" in console("+web1")
    assert "changes nothing" not in console("-web1")


def test_the_selection_by_hand(console: Console) -> None:
    console("@Web", ExitCode.REFUSED)
    console(":nodes Node5,Node[7-8]")
    console("+@db")
    console("-db2")
    console("&Node[1-7],db1")
    assert console.session.selection.folded == "Node[5,7],db1"
    assert "3 nodes" in console("?")
    console(":nodes save mine")
    console(":nodes undo")
    assert "4 nodes" in console("?")
    console("@mine")
    assert console.session.selection.label == "@mine"
    for typed, called in (("@@web", "@web"), ("@Node[1-2]", "Node[1-2]"), ("@web!web2", "@web!web2")):
        console(typed)
        assert console.session.selection.label == called
    assert "Node" in console(":nodes saved")


def test_groups(console: Console) -> None:
    assert "@web  web[1-4] (4)" in console(":groups")
    assert "@db" not in console(":groups we")
    assert "no group has" in console(":groups zz")


def test_settings_that_are_read_once_say_so(console: Console) -> None:
    def said(name: str) -> str:
        value = console.session.settings.get(name)
        return console(f":set {name} {shlex.quote(str(value).lower() if isinstance(value, bool) else str(value))}")

    told = {name for name in setting_names() if "it belongs into the configuration" in said(name)}
    once = {name for name in setting_names() if read_when(name)}
    at_first_use = {name for name in once if read_when(name) == AT_FIRST_USE}
    assert told == once - at_first_use
    assert {"screen.theme", "records.audit", "groups.default", "limits.runs", "batch.max_rc"} <= told
    assert not {"screen.output", "run.fanout", "ssh.host_keys", "safety.read_only", "queue.slots"} & told
    assert "now: :theme NAME" in said("screen.theme")
    assert "read at the start" in console(":config explain records.audit")
    console(":queue add -- x")
    assert {name for name in at_first_use if "read when the queue is first used" in said(name)} == at_first_use


def test_settings(console: Console) -> None:
    console(":set fanout 128")
    console(":set connect_timeout=5")
    assert console.session.settings.run.fanout == 128
    assert console.session.settings.run.connect_timeout == 5.0
    assert "128" in console(":set fanout")
    assert "session" in console(":config")
    assert "default" in console(":config --all")
    assert "nodes at a time" in console(":config explain fanout")
    console("=")
    assert console.session.settings.get("screen.output") == "gathered"
    console("=")
    assert console.session.settings.get("screen.output") == "live"


def test_leaving_asks_while_runs_are_alive(console: Console) -> None:
    console.session.hold = True
    console("@web sleep 9")
    console.front_end.agree = False
    assert not console.interpreter.execute("quit").leave
    assert console.front_end.left is None
    console.front_end.agree = True
    assert console.interpreter.execute("quit").leave
    assert console.front_end.left == 0


def test_wait_and_until(console: Console) -> None:
    tries = iter([{"web1", "web2"}, {"web2"}, set()])
    bad: set[str] = set()

    def answer(_command: str, node: str) -> Answered:
        return Answered(rc=int(node in bad))

    console = Console(FakeSession(answer))
    original = console.session.shell

    def shell(command: str, nodes: NodeSet, options: RunOptions, agree: Agree | None = None) -> Run:
        bad.clear()
        bad.update(next(tries))
        return original(command, nodes, options, agree)

    console.session.shell = shell  # type: ignore[method-assign]
    console(":until -w @web --every 10ms -- probe")
    assert [call[2] for call in console.session.calls] == ["web[1-4]", "web[1-2]", "web2"]
    console(":wait")
    console(":wait 1ms")
    assert "no run #77" in console(":wait 77", ExitCode.USAGE)


def test_until_gives_up(console: Console) -> None:
    console = Console(FakeSession(lambda _command, node: Answered(rc=int(node == "web2"))))
    shown = console(":until -w @web --every 10ms --within 50ms -- probe", ExitCode.EXPECTATION_FAILED)
    assert "web2 (1) not ok" in shown


def test_wait_has_a_limit(console: Console) -> None:
    console.session.hold = True
    console("@web sleep 9")
    assert "still runs" in console(":wait --timeout 20ms", ExitCode.EXPECTATION_FAILED)


# -- help


def test_help_names_every_command(console: Console) -> None:
    shown = console(":help")
    for spec in REGISTRY:
        if not spec.hidden:
            assert f":{spec.word}" in shown
            assert spec.summary in console(f":help {spec.word}")
