"""The plain REPL on a real terminal (tmux), its nodes played by local processes."""

from __future__ import annotations

import os
import re
import signal
import stat
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from clusterdeck.tests.support.tmux import Tmux

KEYS = "^C stop run"  # the toolbar: the prompt is up


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, str]:
    return {f"CLUSTERDECK_{kind}_DIR": str(tmp_path / kind.lower()) for kind in ("CONFIG", "STATE", "CACHE")}


def start(folders: dict[str, str], *options: str, nodes: str = "node[1-4]", rows: int = 24, **more: str) -> Tmux:
    command = [sys.executable, "-m", "clusterdeck", "repl", "-w", nodes, "-O", "run.worker=exec", *options]
    return Tmux(command, columns=240, rows=rows, environment={**folders, "PYTHONPATH": "", **more}, cwd=Path("/"))


@pytest.fixture
def repl(folders: dict[str, str]) -> Iterator[Tmux]:
    with start(folders) as tmux:
        tmux.wait_for(KEYS)
        yield tmux


def prompt_line(screen: str) -> str:
    """The prompt, "" while none is drawn; without the ^C that a terminal shows where it makes a signal of the key."""
    rows = [re.sub(r"^(\^C)+", "", row) for row in reversed(screen.splitlines())]
    return next((row for row in rows if row.startswith("deck ")), "")


def ends_with(text: str, screen: str) -> bool:
    return prompt_line(screen).endswith(text)


def test_a_command_gives_live_lines_and_then_gathered_answers(repl: Tmux) -> None:
    repl.line("test %n -lt 1 && exit 3; echo same")
    screen = repl.wait_for(
        re.compile(r"#1 .*ok 3, failed 1.*\n.*node1 \(1\): x failed: rc 3\n.*deck node\[1-4\] \(4\) x1> ?")
    )
    assert re.search(r"-{15}\nnode\[2-4\] \(3\)\n-{15}\nsame\n", screen)
    assert {f"node{n}: same" for n in (2, 3, 4)} <= set(screen.splitlines())


def test_lines_can_be_typed_and_run_while_another_command_runs(folders: dict[str, str], tmp_path: Path) -> None:
    go = tmp_path / "go"
    with start(folders, "-O", "screen.output=live", rows=100) as repl:
        repl.wait_for(KEYS)
        repl.line(f"i=0; while ! test -e {go}; do i=$((i+1)); echo tick %h $i end; sleep 0.05; done; echo over")
        repl.wait_for("tick node4 3 end")
        for part in ("echo se", "cond ", "answer"):
            repl.send(part)
            repl.wait_for(partial(ends_with, part.rstrip()))
        repl.wait_for(re.compile(r"deck node\[1-4\] \(4\) 1 running 0/4> echo second answer$", re.MULTILINE))
        repl.key("Enter")
        repl.wait_for("#2 echo second answer   ok 4")
        go.touch()
        screen = repl.wait_for(re.compile(r"#1 i=0.* ok 4"))
    rows = screen.splitlines()
    allowed = re.compile(
        r"(#\d )?node\d: (tick node\d \d+ end|over|second answer)|#\d .*|deck node.*|  node.*|go in.*|.*\^C stop run.*|"
    )
    assert [row for row in rows if not allowed.fullmatch(row)] == [], screen
    for node in range(1, 5):
        ticks = [int(n) for n in re.findall(rf"^(?:#\d )?node{node}: tick node{node} (\d+) end$", screen, re.MULTILINE)]
        assert ticks == list(range(ticks[0], ticks[0] + len(ticks))), "a line is missing or twice"


def test_ctrl_c_stops_the_run_and_keeps_what_was_typed_and_gathered(repl: Tmux) -> None:
    repl.line("echo begun; sleep 60")
    repl.wait_for("node4: begun")
    repl.send("half typed")
    repl.wait_for("running 0/4> half typed")
    repl.key("C-c")
    screen = repl.wait_for(re.compile(r"#1 echo begun; sleep 60   aborted 4"))
    assert "node[1-4] (4)\n---------------\nbegun" in screen
    repl.wait_for("x4> half typed")
    repl.key("C-c")
    repl.wait_for(re.compile(r"x4>$", re.MULTILINE))
    repl.key("C-c")
    repl.wait_for("Ctrl-D or :quit leaves")
    assert repl.exit_status is None


def test_ctrl_c_ends_a_line_that_waits(repl: Tmux) -> None:
    repl.line("sleep 60")
    repl.wait_for("1 running")
    repl.line(":confirm sure?")  # it can be seen that this line waits
    repl.wait_for("go on? [y/N]")
    repl.key("C-c")
    repl.wait_for(re.compile(r"running 0/4>$", re.MULTILINE))
    repl.line("!sleep 0.2; echo now; sleep 60")
    repl.line(":wait")
    repl.wait_for(re.compile(r"^(#2 )?now$", re.MULTILINE))
    repl.key("C-c")
    repl.wait_for(re.compile(r"#2 !sleep .*aborted 1"))
    repl.wait_for(re.compile(r"1 running 0/4( x\d)?>$", re.MULTILINE))


def test_ctrl_c_right_behind_enter_is_never_lost(repl: Tmux) -> None:
    for _ in range(8):
        repl.line("sleep 60")
        repl.key("C-c")  # before, while or after the line begins
        # Either it was not begun at all, or it is stopped: an empty prompt with nothing running.
        repl.wait_for(lambda screen: re.fullmatch(r"deck node\[1-4\] \(4\)( x\d)?>", prompt_line(screen)))
    repl.line("echo fine")
    repl.wait_for(re.compile(r"echo fine   ok 4"))


def test_ctrl_d_leaves_and_asks_first_where_runs_are_alive(repl: Tmux) -> None:
    repl.line("sleep 60")
    repl.wait_for("1 running")
    repl.key("C-d")
    repl.wait_for("go on? [y/N]")
    repl.key("Enter")
    repl.wait_for("staying")
    repl.wait_for(KEYS)
    repl.key("C-d")
    repl.wait_for(lambda screen: screen.count("go on? [y/N]") == 2)
    repl.line("y")
    assert repl.wait_exit() == 0


def test_ctrl_d_with_nothing_running_leaves_at_once(repl: Tmux) -> None:
    repl.key("C-d")
    assert repl.wait_exit() == 0


def test_what_was_typed_before_a_question_does_not_answer_it(folders: dict[str, str], tmp_path: Path) -> None:
    marker = tmp_path / "done"
    with start(folders, "-O", "safety.confirm_above=2") as repl:
        repl.wait_for(KEYS)
        # In one go, as from a key that repeats or a slow terminal: the answer is there before the question.
        repl.send(f"touch {marker}\r".replace("\r", ""))
        repl.key("Enter", "y", "Enter")
        repl.wait_for("go on? [y/N]")
        repl.wait_for(lambda screen: screen.rstrip().endswith("go on? [y/N]"))
        repl.key("Enter")
        repl.wait_for("not done")
        assert not marker.exists()


def test_completion_history_and_search(repl: Tmux) -> None:
    repl.send(":set fan")
    repl.wait_for(re.compile(r"fanout\s+nodes at a time"))
    repl.key("Tab")
    repl.wait_for(re.compile(r"> :set (run\.)?fanout"))
    repl.key("C-u")
    repl.line("echo one")
    repl.wait_for("#1 echo one   ok 4")
    repl.line("echo two")
    repl.wait_for("#2 echo two   ok 4")
    repl.key("Up", "Up")
    repl.wait_for(re.compile(r"> echo one$", re.MULTILINE))
    repl.key("C-c", "C-r")  # the search goes back from the line that is shown: from the newest again
    repl.send("tw")
    typed = time.monotonic()

    def found(screen: str) -> bool:
        nonlocal typed
        if time.monotonic() - typed > 1:  # the history was not there yet: look again
            typed = time.monotonic()
            repl.key("BSpace", "w")
        return re.search(r"reverse-i-search\)`tw'.*echo two", screen) is not None

    repl.wait_for(found)
    repl.key("Enter")
    repl.wait_for(re.compile(r"> echo two$", re.MULTILINE))
    repl.key("C-e", "C-u")
    repl.send("echo o")
    repl.wait_for(re.compile(r"> echo one$", re.MULTILINE))  # suggested
    repl.key("Right", "Enter")
    repl.wait_for("#3 echo one   ok 4")
    repl.send("echo t")
    repl.wait_for(re.compile(r"> echo two$", re.MULTILINE))
    repl.key("End", "Enter")
    repl.wait_for("#4 echo two   ok 4")


def test_history_is_private_persistent_and_without_secrets(folders: dict[str, str]) -> None:
    file = Path(folders["CLUSTERDECK_STATE_DIR"]) / "history"
    with start(folders) as repl:
        repl.wait_for(KEYS)
        for number, line in enumerate(("echo kept", "echo kept", "mysql --password=canary1 -e x", " echo blank"), 1):
            repl.line(line)
            repl.wait_for(re.compile(rf"#{number} .*\d+s\b"))
        repl.key("C-d")
        repl.wait_exit()
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
    assert file.read_text() == '"echo kept"\n'
    with start(folders) as repl:
        repl.wait_for(KEYS)
        repl.key("Up")
        repl.wait_for("> echo kept")


def test_several_lines_are_one_command(repl: Tmux) -> None:
    repl.send("echo one \\")
    repl.key("Enter")
    repl.send("two")
    repl.key("Enter")
    repl.wait_for("node4: one two")
    repl.send("echo three")
    repl.key("M-Enter")
    repl.send("echo four")
    repl.key("Enter")
    repl.wait_for(re.compile(r"node4: three\n(.*\n)*node4: four"))


def test_vi_keys(folders: dict[str, str]) -> None:
    with start(folders, "-O", "screen.editing=vi") as repl:
        repl.wait_for(KEYS)
        repl.send("hello echo vi")
        repl.key("Escape")
        repl.send("0dw")
        repl.wait_for(re.compile(r"> echo vi$", re.MULTILINE))
        repl.key("Enter")
        repl.wait_for("node4: vi")


def test_no_color_leaves_no_colour(folders: dict[str, str]) -> None:
    colour = re.compile(r"\x1b\[(?:[0-9;]*;)?(?:3[0-7]|4[0-7]|9[0-7]|10[0-7]|[34]8;[0-9;]+)m")
    with start(folders) as repl:
        repl.wait_for(KEYS)
        repl.line("echo out; false")
        repl.wait_for("failed 4")
        assert colour.search(repl.coloured_screen())
    with start(folders, NO_COLOR="1") as repl:
        repl.wait_for(KEYS)
        repl.line("echo out; false")
        repl.wait_for("failed 4")
        assert not colour.search(repl.coloured_screen())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_a_sane_terminal(folders: dict[str, str], tmp_path: Path, number: signal.Signals) -> None:
    foreground = f"set -m; {sys.executable} -m clusterdeck repl -w n1 -O run.worker=exec; echo rc=$?; stty -a; sleep 20"
    with Tmux(["/bin/bash", "-c", foreground], environment=folders, cwd=tmp_path, rows=40) as repl:
        repl.wait_for(KEYS)
        children = Path(f"/proc/{repl.pid}/task/{repl.pid}/children").read_text().split()
        os.kill(int(children[0]), number)
        screen = repl.wait_for(re.compile(r"rc=\d+(.|\n)* echo "))
        assert f"rc={128 + number}" in screen
        assert re.search(r"(?<!-)\bisig icanon\b", screen)


def test_output_of_nodes_cannot_drive_the_terminal(repl: Tmux) -> None:
    repl.line(r"""printf 'a\033]0;stolen\007b\033[2Jc\rnode9: forged\n'""")
    screen = repl.wait_for("#1 printf")
    repl.wait_for(KEYS)
    assert not re.search(r"^node9: forged", screen, re.MULTILINE)
    assert "node4: abc\N{SYMBOL FOR CARRIAGE RETURN}node9: forged" in screen


def test_an_editor_can_finish_the_line(folders: dict[str, str], tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i "s/before/after/" "$1"\n')
    editor.chmod(0o755)
    with start(folders, EDITOR=str(editor), VISUAL="") as repl:
        repl.wait_for(KEYS)
        repl.send("echo before")
        repl.key("C-x", "C-e")
        repl.wait_for(re.compile(r"> echo after$", re.MULTILINE))
        repl.key("C-u")
        repl.line(":edit !echo before it")
        repl.wait_for("after it")
        repl.wait_for(KEYS)
        repl.key("Up")
        repl.wait_for(re.compile(r"> !echo after it$", re.MULTILINE))


def test_answers_can_go_to_a_file_while_the_prompt_stays(folders: dict[str, str], tmp_path: Path) -> None:
    command = f"{sys.executable} -m clusterdeck repl -w node[1-2] -O run.worker=exec > answers"
    with Tmux(["/bin/sh", "-c", command], columns=120, environment=folders, cwd=tmp_path) as repl:
        repl.wait_for(KEYS)
        repl.line("echo out")
        screen = repl.wait_for("#1 echo out   ok 2")
        assert "node1: out" not in screen
        repl.key("C-d")
        repl.wait_exit()
    assert sorted((tmp_path / "answers").read_text().splitlines()) == ["node1: out", "node2: out"]


def test_it_can_be_suspended_and_taken_up_again(folders: dict[str, str]) -> None:
    with Tmux(["/bin/bash", "--norc", "-i"], columns=120, environment=folders) as shell:
        shell.wait_for("bash-")
        shell.line(f"{sys.executable} -m clusterdeck repl -w node[1-2] -O run.worker=exec")
        shell.wait_for(KEYS)
        shell.send("echo half")
        shell.wait_for("> echo half")
        shell.key("C-z")
        shell.wait_for("Stopped")
        shell.line("stty -a | grep -o ' *[-]*icanon'; fg")
        shell.wait_for(re.compile(r"^ *icanon", re.MULTILINE))
        shell.wait_for(lambda screen: prompt_line(screen).endswith("> echo half"))
        shell.send(" way")
        shell.key("Enter")
        shell.wait_for("node2: half way")


def test_the_prompt_follows_the_selection_and_a_recording(repl: Tmux) -> None:
    repl.line("-node1")
    repl.wait_for("deck node[2-4] (3)>")
    repl.line(":record session")
    repl.wait_for("rec session>")
    repl.line("echo recorded")
    repl.wait_for("#1 echo recorded   ok 3")
    repl.line(":stop")
    repl.wait_for(re.compile(r"deck node\[2-4\] \(3\)>$", re.MULTILINE))


def test_resizing_keeps_the_prompt_whole(repl: Tmux) -> None:
    repl.send("echo " + "x" * 60)
    repl.wait_for("> echo " + "x" * 60)
    for columns in (60, 90, 50, 120):
        repl.resize(columns, 24)
    repl.wait_for(re.compile("> echo " + "x" * 60 + "$", re.MULTILINE))
    repl.key("C-u")
    repl.line("echo fine")
    repl.wait_for("node4: fine")
