"""The example macros and the queue, played by `clusterdeck` on real nodes (OpenSSH on loopback)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from clusterdeck.console.exits import ExitCode
from clusterdeck.tests.support.sshd import Sshd

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def cluster(sshd: Sshd, tmp_path: Path) -> Run:
    """Runs `clusterdeck WORDS...` with the test server's nodes, and folders of its own."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("CLUSTERDECK_")},
        "CLUSTERDECK_CONFIG_DIR": str(tmp_path / "config"),
        "CLUSTERDECK_STATE_DIR": str(tmp_path / "state"),
        "CLUSTERDECK_CACHE_DIR": str(tmp_path / "cache"),
        "CLUSTERDECK_SSH_CONFIG": str(sshd.config),
        "CLUSTERDECK_SSH_KNOWN_HOSTS": str(sshd.known_hosts),
        # Programs on the "nodes" are this machine's: home is moved so that nothing of it is touched.
        "HOME": str(tmp_path),
    }

    def run(*words: str, code: int = ExitCode.OK, stdin: str = "") -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "clusterdeck", *words],
            env=environment, cwd=tmp_path, input=stdin, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run


def test_rolling_restart(cluster: Run, tmp_path: Path) -> None:
    log = tmp_path / "restarts"
    values = (f"restart=echo >> {log}", "check=test -n", "settle=0", "service=web")
    words = ("play", "--yes", "-w", "node[1-4]", "rolling-restart", *values)
    done = cluster(*words)
    assert "web is restarted on all nodes" in done.stderr
    assert log.read_text().split() == ["web"] * 4
    # The first wave is one node; when it does not come back, no other is touched.
    log.unlink()
    done = cluster(*words, "check=false", code=ExitCode.USAGE)
    done = cluster(*words[:-3], "check=false", *words[-2:], code=ExitCode.EXPECTATION_FAILED)
    assert log.read_text().split() == ["web"]
    assert "web did not come back everywhere" in done.stderr


def test_nobody_there_is_not_a_yes(cluster: Run) -> None:
    cluster("play", "-w", "node1", "rolling-restart", "service=x", "restart=true", code=ExitCode.REFUSED)


def test_kernel_audit(cluster: Run) -> None:
    done = cluster("play", "-w", "node[1-3]", "kernel-audit")
    assert os.uname().release in done.stdout
    assert "the same kernel runs everywhere" in done.stderr


def test_config_push(cluster: Run, tmp_path: Path) -> None:
    new = tmp_path / "new.conf"
    new.write_text("new\n")
    place = tmp_path / "place" / "app.conf"
    place.parent.mkdir()
    place.write_text("old\n")
    # One node: all names lead to this machine, and nodes of a real cluster do not share the file.
    words = ("play", "-w", "node1", "config-push", f"file={new}", f"dest={place}")
    done = cluster(*words, f"check=grep -q old {place}", code=ExitCode.EXPECTATION_FAILED)
    assert place.read_text() == "old\n"
    assert "is as it was before" in done.stderr
    done = cluster(*words, f"check=grep -q new {place}", f"reload=touch {tmp_path}/reloaded")
    assert place.read_text() == "new\n"
    assert (tmp_path / "reloaded").exists()
    assert sorted(path.name for path in place.parent.iterdir()) == ["app.conf"]


def test_disk_full(cluster: Run) -> None:
    assert "no file system is at 101% or more" in cluster("play", "-w", "node[1-2]", "disk-full", "limit=101").stderr


def test_reboot_and_wait(cluster: Run, tmp_path: Path) -> None:
    mark = tmp_path / "rebooted"
    done = cluster(
        "play", "--yes", "-w", "node[1-2]", "reboot-and-wait", f"command=touch {mark}", f"proof=test -e {mark}",
        "down=0s", "every=100ms", "within=30s",
    )  # fmt: skip
    assert mark.exists()
    assert "all nodes are back" in done.stderr


def test_reboot_and_wait_gives_up(cluster: Run) -> None:
    cluster(
        "play", "--yes", "-w", "node1", "reboot-and-wait", "command=true", "proof=false", "down=0s", "every=100ms",
        "within=300ms", code=ExitCode.EXPECTATION_FAILED,
    )  # fmt: skip


def test_collect_logs(cluster: Run, tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_text("said\n")
    cluster("play", "-w", "node[1-3]", "collect-logs", f"log={log}", f"into={tmp_path}/logs")
    assert sorted(str(path.relative_to(tmp_path)) for path in (tmp_path / "logs").rglob("*.log")) == [
        "logs/node1/app.log", "logs/node2/app.log", "logs/node3/app.log",
    ]  # fmt: skip
    done = cluster("play", "-w", "node1", "collect-logs", "log=/no/such", code=ExitCode.EXPECTATION_FAILED)
    assert "no node has /no/such" in done.stderr


def test_a_dry_run_connects_to_nobody(cluster: Run, sshd: Sshd) -> None:
    before = sshd.log().count("Accepted")
    done = cluster("play", "--dry-run", "-w", "node[1-3]", "rolling-restart", "service=web")
    assert "node[1-3] (3)" in done.stdout
    assert sshd.log().count("Accepted") == before


def test_a_macro_from_standard_input_and_one_that_is_not_trusted(cluster: Run, tmp_path: Path) -> None:
    assert "hello" in cluster("play", "-w", "node1", "-", stdin="echo hello\n:expect ok==all\n").stdout
    file = tmp_path / "x.deck"
    file.write_text("echo hello\n")
    assert "new to you" in cluster("play", "-w", "node1", str(file), code=ExitCode.REFUSED).stderr
    wrong = cluster("play", "-w", "node1", "-", stdin="echo hello\n:gathr\n", code=ExitCode.USAGE)
    assert "stdin:2:2" in wrong.stderr
    assert "hello" not in wrong.stdout


def test_queue_map_on_real_slots(cluster: Run, tmp_path: Path) -> None:
    log = tmp_path / "joblog"
    words = ("queue", "map", "-w", "node[1-4]", "-j", "2", "--joblog", str(log), "--", "echo", "got {}", "on", "{node}")
    done = cluster(*words, ":::", *map(str, range(20)))
    for number in range(20):
        assert f"got {number} on node" in done.stdout
    assert done.stderr.count("done 20 of 20") == 1
    assert len(log.read_text().splitlines()) == 21
    assert "a  b\n" in cluster("queue", "map", "-w", "node1", "--", "echo", ":::", "a  b").stdout
    cluster("queue", "map", "-w", "node1", "--", "exit", "{}", ":::", "0", "3", code=ExitCode.EXPECTATION_FAILED)
