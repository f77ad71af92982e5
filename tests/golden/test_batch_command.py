"""`clusterdeck run` as a program: what clush does not have, exit codes, signals, pipes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clusterdeck.console.exits import ExitCode
from clusterdeck.tests.support.processes import descendants
from clusterdeck.tests.support.sshd import Sshd
from clusterdeck.tests.support.tree import ROOT


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path / "home"),
        "CLUSTERDECK_STATE_DIR": str(tmp_path / "state"),
        "CLUSTERDECK_CONFIG_DIR": str(tmp_path / "config"),
        "LC_ALL": "C.UTF-8",
    }


def start(words: list[str], environment: dict[str, str], stdout: int = subprocess.PIPE) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "clusterdeck", *words],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(environment["HOME"]).parent,
    )


def run(words: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    process = start(words, environment)
    out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(words, process.returncode, out, err)


def local(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return run(["run", "-R", "exec", *words], environment)


def test_waves_that_stop_have_their_own_code(environment: dict[str, str]) -> None:
    result = local(environment, "-w", "n[1-9]", "--batch", "1,3,rest", "--stop-at", "2", "echo %h; test %n -lt 2")
    assert result.returncode == ExitCode.STOPPED
    assert sorted(result.stdout.split()) == sorted(f"n{n}: n{n}".split()[i] for n in range(1, 5) for i in (0, 1))
    assert "--stop-at 2" in result.stderr
    assert "n[5-9]: aborted" in result.stderr


def test_retries_count_the_last_end(environment: dict[str, str], tmp_path: Path) -> None:
    command = f"echo x >> {tmp_path}/%h; test $(grep -c x {tmp_path}/%h) -ge 3"
    assert local(environment, "-w", "n[1-2]", "-S", "--retries", "1", command).returncode == 1
    assert local(environment, "-w", "n[1-2]", "-S", "--retries", "1", command).returncode == 0


def test_a_dry_run_shows_and_touches_nothing(environment: dict[str, str], tmp_path: Path) -> None:
    result = local(environment, "-w", "n[1-9]", "--batch", "1,rest", "--dry-run", f"touch {tmp_path}/%h")
    assert result.returncode == 0
    assert "n[1-9] (9)" in result.stdout
    assert "1, then 8 of 9" in result.stdout
    assert not (tmp_path / "n1").exists()


def test_json_documents(environment: dict[str, str]) -> None:
    result = local(environment, "-w", "n[1-2]", "--json", "-S", "echo hi %h; exit %n")
    found = json.loads(result.stdout)
    assert result.returncode == 1
    assert found["counts"] == {"ok": 1, "failed": 1}
    assert [node["stdout"] for node in found["nodes"]] == ["hi n1", "hi n2"]
    lines = local(environment, "-w", "n[1-2]", "--jsonl", "echo hi %h").stdout.splitlines()
    events = [json.loads(line) for line in lines]
    assert {event["event"] for event in events} == {"start", "output", "end", "finish"}


def test_protected_nodes_need_their_number(environment: dict[str, str]) -> None:
    protected = ("-O", "safety.protected=n[1-2]", "-w", "n[2-4]")
    refused = local(environment, *protected, "echo ran")
    assert refused.returncode == ExitCode.REFUSED
    assert "n2 is protected" in refused.stderr
    assert "--confirm 3" in refused.stderr
    assert refused.stdout == ""
    assert local(environment, *protected, "--confirm", "2", "echo ran").returncode == ExitCode.REFUSED
    assert local(environment, *protected, "--confirm", "3", "echo ran").returncode == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["run", "-w", "n1"], ExitCode.USAGE),
        (["run", "-w", "n1", "--json", "--jsonl", "true"], ExitCode.USAGE),
        (["run", "-R", "exec", "-w", "n1", "--batch", "x", "true"], ExitCode.USAGE),
        (["run", "-R", "exec", "-w", "n1;id", "true"], ExitCode.ERROR),
        (["run", "-R", "exec", "-w", "n[1-99999999]", "true"], ExitCode.ERROR),
        (["run", "-R", "exec", "-w", "n1", "-O", "run.fanout=0", "true"], ExitCode.CONFIGURATION),
        (["nosuch"], ExitCode.USAGE),
        (["config", "explain", "fanuot"], ExitCode.CONFIGURATION),
        ([], ExitCode.NO_TERMINAL),
        (["config", "show"], ExitCode.OK),
        (["help"], ExitCode.OK),
        (["--version"], ExitCode.OK),
    ],
)
def test_exit_codes(words: list[str], code: int, environment: dict[str, str]) -> None:
    result = run(words, environment)
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    if code:
        assert result.stderr.startswith("clusterdeck")


def test_wrong_settings_name_the_nearest(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.toml").write_text("[run]\nfanuot = 3\n")
    result = local(environment, "-w", "n1", "true")
    assert result.returncode == ExitCode.CONFIGURATION
    assert "run.fanout" in result.stderr


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, ExitCode.INTERRUPTED), (signal.SIGTERM, ExitCode.TERMINATED)]
)
def test_signals_keep_what_was_gathered(number: int, code: int, environment: dict[str, str], tmp_path: Path) -> None:
    marker = tmp_path / "alive"
    command = f"echo early; test %n = 0 || {{ echo x >> {marker}; exec sleep 60; }}"
    process = start(["run", "-R", "exec", "-w", "n[1-3]", "-bL", command], environment)
    deadline = time.monotonic() + 60
    while not (marker.exists() and marker.read_text().count("x") == 2):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    # What they have said is there when the end of the one that ended has been noticed, or a moment later.
    while len(descendants(process.pid, lambda words: words == ["sleep", "60"])) < len(descendants(process.pid)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.2)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert out == "n[1-3]: early\n"
    assert "n[2-3]: not ended when interrupted" in err
    assert "Traceback" not in err


def test_a_reader_that_leaves_is_no_mistake(environment: dict[str, str]) -> None:
    process = start(["run", "-R", "exec", "-w", "n[1-4]", "yes | head -200000"], environment)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(20) == ExitCode.ERROR
    assert "Traceback" not in err
    assert "mistake" not in err


def test_unknown_host_keys_are_refused_with_a_code_and_the_hosts(
    environment: dict[str, str], tmp_path: Path, sshd: Sshd
) -> None:
    (tmp_path / "none").write_text("")
    words = ["-O", f"ssh.config={sshd.config}", "-O", f"ssh.known_hosts={tmp_path / 'none'}"]
    result = run(["run", *words, "-w", "node[1-3]", "-b", "echo reached"], environment)
    assert result.returncode == ExitCode.UNKNOWN_HOST_KEYS
    assert "node[1-3]: host key unknown (refused)" in result.stderr
    assert "SHA256:" in result.stderr
    assert result.stdout == ""
    assert (tmp_path / "none").read_text() == ""
    accepted = run(["run", *words, "-O", "ssh.host_keys=accept-new", "-w", "node1", "echo reached"], environment)
    assert (accepted.returncode, accepted.stdout) == (0, "node1: reached\n")


def test_every_run_is_in_the_audit_log(environment: dict[str, str], tmp_path: Path) -> None:
    local(environment, "-w", "n[1-2]", "echo x; exit %n")
    begun, over = [json.loads(line) for line in (tmp_path / "state" / "audit.jsonl").read_text().splitlines()]
    assert (begun["command"], begun["nodes"], over["rc"]) == ("echo x; exit %n", "n[1-2]", {"0": "n1", "1": "n2"})
    log = tmp_path / "state" / "audit.jsonl"
    log.unlink()
    log.mkdir()
    refused = local(environment, "-w", "n1", "-O", "records.audit_required=true", "echo ran")
    assert refused.returncode == ExitCode.AUDIT_FAILED
    assert refused.stdout == ""
    lax = local(environment, "-w", "n1", "echo ran")
    assert (lax.returncode, lax.stdout) == (0, "n1: ran\n")
    assert "audit log" in lax.stderr


def test_macros_play_and_end_with_their_code(environment: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "config" / "macros"
    folder.mkdir(parents=True)
    (folder / "check.deck").write_text(
        ":param set\n:nodes {set}\n:shell -R exec -- echo hi %h\n:gather\n"
        ":shell -R exec -- test %n = 0\n:expect ok>=90%\n"
    )
    result = run(["play", "check", "set=n[1-2]"], environment)
    assert result.returncode == ExitCode.EXPECTATION_FAILED, result.stderr
    assert result.stdout.count("hi n1") == 1
    assert result.stderr.count("ok 2") == 1
    dry = run(["play", "--dry-run", "check", "set=n[1-2]"], environment)
    assert dry.returncode == 0
    assert "hi n1" not in dry.stdout


def test_doctor_finds_what_is_wrong(environment: dict[str, str], tmp_path: Path) -> None:
    healthy = run(["doctor", "--json"], environment)
    assert healthy.returncode == 0, healthy.stdout
    topics = {finding["topic"] for finding in json.loads(healthy.stdout)}
    assert {"versions", "terminal", "settings", "groups", "ssh", "limits", "state", "crashes"} <= topics
    (tmp_path / "config").mkdir(exist_ok=True)
    (tmp_path / "config" / "config.toml").write_text("[run]\nfanuot = 3\n")
    ill = run(["doctor"], environment)
    assert ill.returncode == 1
    assert "run.fanout" in ill.stdout


def test_settings_can_be_written_and_explained(environment: dict[str, str], tmp_path: Path) -> None:
    made = run(["config", "init"], environment)
    file = tmp_path / "config" / "config.toml"
    assert made.stdout.strip() == str(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert run(["config", "init"], environment).returncode == 1
    told = run(["config", "explain", "fanout"], {**environment, "CLUSTERDECK_RUN_FANOUT": "9"})
    assert "run.fanout = 9" in told.stdout
    assert "environment CLUSTERDECK_RUN_FANOUT" in told.stdout


@pytest.mark.parametrize(
    "words", ["config show", "help", "doctor", "run -R exec -w n1 echo x", "run -R exec -w n1 --json echo"]
)
def test_nobody_reads_or_the_disk_is_full(words: str, environment: dict[str, str]) -> None:
    program = f"{sys.executable} -m clusterdeck {words}"
    for script, codes in (
        # The reader has gone before anything is written.
        (f"exec 3> >(true); wait $!; {program} >&3; echo $? >&2", {"1"}),
        (f"{program} > /dev/full; echo $? >&2", {"1"}),
        (f"{program} >&-; echo $? >&2", {"0", "1"}),  # 1: the doctor has found something
    ):
        done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=60)
        *told, code = done.stderr.splitlines()
        assert code in codes, done.stderr
        assert not any("mistake" in line or "Traceback" in line for line in told), done.stderr


def test_closed_streams_are_no_mistake(environment: dict[str, str]) -> None:
    script = f"{sys.executable} -m clusterdeck run -R exec -w n1 'echo x; echo y >&2' {{}}; echo $?"
    for closed, wanted in (("<&-", "n1: x\n0\n"), ("2>&-", "n1: x\n0\n"), ("<&- >&- 2>&-", "0\n")):
        done = subprocess.run(
            ["bash", "-c", script.format(closed)], env=environment, capture_output=True, text=True, timeout=60
        )
        assert done.stdout == wanted, done.stderr


def test_a_crash_is_a_report_and_no_traceback(environment: dict[str, str], tmp_path: Path) -> None:
    code = (
        "import sys, threading\n"
        "import clusterdeck.console.settings.config as config\n"
        "config.load_settings = lambda *a, **k: 1 / 0\n"
        "from clusterdeck.console.cli import script\n"
        "sys.argv = ['clusterdeck', 'run', '-w', 'n1', 'mysql --password=tiger']\n"
        "script()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "ZeroDivisionError" in done.stderr
    (report,) = (tmp_path / "state" / "crashes").glob("*.txt")
    assert "tiger" not in report.read_text()
    assert report.stat().st_mode & 0o777 == 0o600
    doctor = run(["doctor"], environment)
    assert str(report) in doctor.stdout
    assert "ZeroDivisionError" in doctor.stdout


def test_a_shell_reads_what_comes_where_no_command_is_given(environment: dict[str, str], sshd: Sshd) -> None:
    script = f"printf 'echo one; X=2\\necho $X\\n' | {sys.executable} -m clusterdeck run -O ssh.config={sshd.config}"
    done = subprocess.run(
        ["bash", "-c", f"{script} -w 'node[1-2]' -b"], env=environment, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout.splitlines()[-2:]) == (0, ["one", "2"]), done.stderr


def test_large_input_takes_little_memory(environment: dict[str, str], sshd: Sshd) -> None:
    size = 60_000_000
    for words in (["-R", "exec", "-w", "n[1-4]", "-f", "2"], ["-O", f"ssh.config={sshd.config}", "-w", "node[1-2]"]):
        source = subprocess.Popen(["head", "-c", str(size), "/dev/zero"], stdout=subprocess.PIPE)
        # Not getrusage: that would tell of the process that this one was forked from.
        code = (
            "import sys; from clusterdeck.console.cli import main; main(sys.argv[1:]); "
            "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, "run", *words, "-bN", "wc -c"],
            env=environment, stdin=source.stdout, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert source.wait() == 0
        counted, kilobytes = done.stdout.split()
        assert int(counted) == size, done.stderr
        assert int(kilobytes) < 80 * 1024


def _documented(heading: str, *, column: int = 0) -> list[set[str]]:
    """The words in code marks in a column of the tables below a heading of docs/programs.md, a set for each row."""
    text = (ROOT / "docs" / "programs.md").read_text().partition(f"## `{heading}`\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("|") and not line.startswith("|--")]
    return [set(re.findall(r"`([a-z_]+)`", row[column])) for row in rows]


def test_json_is_as_documented(environment: dict[str, str]) -> None:
    done = local(environment, "-w", "n[1-3]", "-u", "1", "--json", "echo a; test %n = 2 && exec sleep 20; exit %n")
    found = json.loads(done.stdout)
    documented = [name for row in _documented("--json") for name in row]
    head, node = documented[: documented.index("nodes") + 1], documented[documented.index("nodes") + 1 :]
    assert list(found) == head
    for entry in found["nodes"]:
        assert set(entry) == set(node)
    assert found["format"] == 1
    assert [entry["state"] for entry in found["nodes"]] == ["ok", "failed", "timeout"]
    assert [type(entry["seconds"]) for entry in found["nodes"]] == [float] * 3


def test_json_lines_are_as_documented(environment: dict[str, str], tmp_path: Path) -> None:
    command = f"echo a; echo b >&2; echo x >> {tmp_path}/%h; test $(grep -c x {tmp_path}/%h) -ge 2"
    done = local(environment, "-w", "n[1-2]", "--retries", "1", "--jsonl", command)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    names, fields = _documented("--jsonl"), _documented("--jsonl", column=1)
    documented = {next(iter(name)): words for name, words in zip(names[1:], fields[1:], strict=True)}
    assert {event["event"] for event in events} == set(documented)
    for event in events:
        words = set(event) - {"event"}
        assert words <= documented[event["event"]]
        assert documented[event["event"]] - words <= {"reason", "stdout", "stderr"}
    assert [event["event"] for event in events][:1] + [event["event"] for event in events][-1:] == ["start", "finish"]


@pytest.mark.parametrize("extra", [[], ["--dry-run"], ["-O", "run.worker=sssh"]])
def test_an_unknown_worker_is_told_before_the_run(environment: dict[str, str], extra: list[str]) -> None:
    worker = [] if "-O" in extra else ["-R", "sssh"]
    result = run(["run", *worker, *extra, "-w", "n[1-9]", "true"], environment)
    assert (result.returncode, result.stdout) == (ExitCode.USAGE, "")
    assert result.stderr.startswith(
        "clusterdeck: unknown worker 'sssh': use exec, paramiko, pdsh, popen, rsh, ssh or a module"
    )
    assert "n1" not in result.stderr


def test_what_a_worker_cannot_do_is_told_once_before_the_run(environment: dict[str, str]) -> None:
    result = local(environment, "-w", "n[1-3]", "--sudo", "--pty", "true")
    said = [line for line in result.stderr.splitlines() if "cannot ask for a password over the worker exec" in line]
    assert len(said) == 1
    assert result.stderr.splitlines()[1] == said[0]
    assert result.stderr.startswith("clusterdeck: no terminal is given over the worker exec")
    assert "-R paramiko" in said[0]
    quiet = local(environment, "-w", "n[1-3]", "true").stderr
    assert "cannot ask" not in quiet
    assert "no terminal" not in quiet


def test_debug_lines_tell_what_counts_and_what_happens(environment: dict[str, str]) -> None:
    result = local(environment, "-d", "-f", "7", "-w", "n[1-2]", "-b", "exit %n")
    said = [line.removeprefix("clusterdeck: debug: ") for line in result.stderr.splitlines() if "debug: " in line]
    assert said[:3] == ["2 nodes: n[1-2]", "worker: exec (this run)", "fanout: 7 (this run)"]
    changes = [re.sub(r"^\d+\.\d{3} s ", "", line) for line in said if re.match(r"\d", line)]
    assert {"n1: ok, rc 0", "n2: failed, rc 1"} <= set(changes)
    assert any(line.endswith("running") for line in changes)
    assert said[-1].endswith("s: all ended")
    assert "debug" not in local(environment, "-v", "-w", "n1", "true").stderr
    assert "debug" not in result.stdout


def test_debug_lines_tell_the_steps_of_connecting(environment: dict[str, str], tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("Host *\n HostName 127.0.0.1\n Port 1\n")
    words = ("-R", "paramiko", "-w", "n1", "-O", f"ssh.config={config}", "true")
    said = local(environment, "-d", *words).stderr
    assert re.search(r"debug: \d+\.\d{3} s n1 \(127\.0\.0\.1:1\): connecting to 127\.0\.0\.1:1\n", said)
    assert "connecting to" not in local(environment, "-v", *words).stderr


def test_debug_lines_pass_the_gate(environment: dict[str, str]) -> None:
    result = local(environment, "-d", "-w", "n1", "-O", "run.user=\x1b]0;title\x07me", "true")
    assert "debug: user: " in result.stderr
    assert "\x1b" not in result.stderr
