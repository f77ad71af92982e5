"""The same strings on real servers, in files per node, in SSH configurations and in job logs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusterdeck.console.runs.options import RunOptions
from clusterdeck.console.session.launch import remote_command
from clusterdeck.engine.ssh.config_file import ConfigError
from clusterdeck.engine.ssh.config_values import expand_command
from clusterdeck.engine.task import Task, task_self
from clusterdeck.engine.taskmanager.joblog import JobLine, JobLog, read_job_log
from clusterdeck.tests.hostile.injections import Ends, attacks
from clusterdeck.tests.support.sshd import Sshd

pytestmark = pytest.mark.usefixtures("scratch")


@pytest.fixture
def task() -> Iterator[Task]:
    made = task_self()
    yield made
    made.abort(kill=True)


@pytest.mark.parametrize("trap", ["a link to a file", "a dangling link", "a pipe"])
def test_files_per_node_in_a_folder_of_others(
    trap: str, scratch: Path, folders: dict[str, str], tmp_path: Path
) -> None:
    """What somebody has put there in the place of a node's file is not written to."""
    out, target = tmp_path / "out", tmp_path / "target"
    out.mkdir()
    target.write_text("untouched")
    if trap == "a pipe":
        os.mkfifo(out / "n1")
    else:
        (out / "n1").symlink_to(target if trap == "a link to a file" else tmp_path / "pwned")
    argv = [sys.executable, "-m", "clusterdeck", "run", "-R", "exec", "-w", "n1", "--outdir", str(out), "echo hello"]
    done = subprocess.run(argv, env=folders, capture_output=True, stdin=subprocess.DEVNULL, timeout=30, check=False)
    assert done.returncode != 0
    assert b"Traceback" not in done.stderr
    assert b"mistake" not in done.stderr
    assert target.read_text() == "untouched"
    assert not (tmp_path / "pwned").exists()


def test_each_node_has_a_file_of_its_own(scratch: Path, folders: dict[str, str]) -> None:
    words = ["run", "-R", "exec", "-w", "a:b,a_b", "--outdir", "out", "--errdir", "err", "echo %h; echo %h >&2"]
    argv = [sys.executable, "-m", "clusterdeck", *words]
    subprocess.run(argv, env=folders, capture_output=True, stdin=subprocess.DEVNULL, timeout=30, check=True)
    for folder in ("out", "err"):
        files = {path.name: path.read_text() for path in (scratch / folder).iterdir()}
        assert files == {"a%3Ab": "a:b\n", "a_b": "a_b\n"}


def test_tokens_of_ssh_configurations(scratch: Path) -> None:
    """`%h %n %r %k` in lines that a shell reads (ProxyCommand, Match exec): plain words, or nothing is run."""
    refused = 0
    for text in attacks():
        for letter in "hnrk":
            tokens = {"h": "host", "n": "host", "r": "user", "k": "host", "p": "22", letter: text}
            try:
                line = expand_command(f"true '%{letter}' \"%{letter}\" %{letter}", tokens)
            except ConfigError:
                refused += 1
                continue
            subprocess.run(["sh", "-c", line], capture_output=True, stdin=subprocess.DEVNULL, check=False)
    assert refused >= 1000
    assert list(scratch.iterdir()) == []


def test_lines_of_job_logs(tmp_path: Path) -> None:
    """Whatever a command or a node is called, it is one line, and comes back as the job that it was."""
    log = JobLog(tmp_path / "log")
    for number, text in enumerate(attacks(), 1):
        log.add(JobLine(number, text, 1.0, 2.0, 0, 0, number % 7, 0, text))
    log.close()
    found = read_job_log(tmp_path / "log")
    assert sorted(found) == list(range(1, len(attacks()) + 1))
    assert all(job.exit_status == number % 7 for number, job in found.items())


def test_paths_of_kept_connections(sshd: Sshd, task: Task, scratch: Path, tmp_path: Path) -> None:
    """SFTP knows no shell: files of these names arrive under them, out and back."""
    task.set_default("distant_workername", "paramiko")
    task.set_info("ssh_config", str(sshd.config))
    there, source, back = tmp_path / "there", tmp_path / "source", tmp_path / "back"
    for folder in (there, source, back):
        folder.mkdir()
    names = [text for text in attacks() if "\0" not in text and "/" not in text]
    assert len(names) >= 100
    for name in names:
        (source / name).write_text("mine")
    recorder = Ends()
    for name in names:
        task.copy(str(source / name), str(there / name), "node1", handler=recorder)
    task.resume(60)
    assert sorted(os.listdir(there)) == sorted(names)
    for name in names:
        task.rcopy(str(there / name), str(back), "node1", handler=recorder)
    task.resume(60)
    plain = [name for name in names if name.isprintable()]
    assert len(os.listdir(back)) >= len(plain) // 2
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("worker", ["ssh", "paramiko"])
def test_values_on_a_real_server(worker: str, sshd: Sshd, task: Task, scratch: Path) -> None:
    """What the console sets as variables goes through two shells, and comes out as it was."""
    task.set_default("distant_workername", worker)
    task.set_info("ssh_config", str(sshd.config))
    task.set_info("ssh_options", sshd.ssh_options)
    values = [text for text in attacks() if "\0" not in text]
    lines = [
        remote_command(f"cd {scratch} && printf '<%s>\\n' \"$V\"", RunOptions(environment=(("V", text),)), sudo=False)
        for text in values
    ]
    task.run("; ".join(lines), nodes="node1", timeout=30)
    buffers = [message.message() for message, _nodes in task.iter_buffers()]
    said = buffers[0].decode("utf-8", "surrogateescape").replace("\r\n", "\n")
    assert said == "\n".join(f"<{text}>" for text in values).replace("\r\n", "\n")
    assert list(scratch.iterdir()) == []
