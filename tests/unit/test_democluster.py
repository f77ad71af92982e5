"""The demo cluster, driven by OpenSSH's own clients: what works with them works with anybody."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from clusterdeck.console.democluster.cluster import DemoCluster
from clusterdeck.console.democluster.plan import DESCRIPTION, MAX_NODES, Fault, fold, make_groups, make_plan
from clusterdeck.tests.support.processes import wait_gone


def _ssh(cluster: DemoCluster, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    argv = ["ssh", "-F", str(cluster.ssh_config), "-o", "LogLevel=ERROR", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, input=given, timeout=30, check=False)


def _sftp(cluster: DemoCluster, node: str, batch: str) -> subprocess.CompletedProcess[str]:
    argv = ["sftp", "-q", "-F", str(cluster.ssh_config), "-b", "-", node]
    return subprocess.run(argv, capture_output=True, text=True, input=batch, timeout=30, check=False)


# -- the plan


def test_the_plan_is_what_the_help_says() -> None:
    plans = {plan.name: plan for plan in make_plan(24)}
    assert [name for name, plan in plans.items() if plan.kernel.startswith("5.")] == [
        "demo4",
        "demo10",
        "demo16",
        "demo22",
    ]
    assert [name for name, plan in plans.items() if plan.nginx == "failed"] == ["demo7", "demo16"]
    assert [name for name, plan in plans.items() if plan.latency] == ["demo5", "demo13", "demo21"]
    faults = {name: plan.fault for name, plan in plans.items() if plan.fault is not Fault.NONE}
    assert faults == {"demo22": Fault.REFUSED, "demo23": Fault.SILENT, "demo24": Fault.AUTHENTICATION}
    for words in (
        "demo4, 10, 16, 22",
        "demo7, 16",
        "demo5, 13, 21",
        "demo22 refuses",
        "demo23 accepts",
        "demo24 does not",
    ):
        assert words in DESCRIPTION


def test_groups_cover_the_nodes() -> None:
    groups = make_groups(make_plan(24))
    assert groups["web"] == "demo[1-12]"
    assert groups["db"] == "demo[13-18]"
    assert groups["gpu"] == "demo[19-24]"
    assert groups["broken"] == "demo[22-24]"
    assert make_groups(make_plan(1)) == {"all": "demo1", "web": "demo1"}
    assert fold([1, 2, 3, 5]) == "demo[1-3,5]"


@pytest.mark.parametrize("count", [0, -1, MAX_NODES + 1])
def test_impossible_counts_are_refused(count: int) -> None:
    with pytest.raises(ValueError, match="1 to"):
        make_plan(count)


# -- commands


def test_each_node_answers_for_itself(demo_cluster: DemoCluster) -> None:
    assert _ssh(demo_cluster, "demo1", "hostname; uname -n; echo $HOSTNAME; uname -r").stdout.split() == [
        "demo1",
        "demo1",
        "demo1",
        "6.1.0-18-amd64",
    ]
    assert _ssh(demo_cluster, "demo4", "uname -r").stdout == "5.10.0-28-amd64\n"
    down = _ssh(demo_cluster, "demo7", "systemctl is-active nginx")
    assert (down.stdout, down.returncode) == ("failed\n", 3)
    assert _ssh(demo_cluster, "demo1", "systemctl is-active nginx").returncode == 0


def test_output_errors_input_and_status_are_kept_apart(demo_cluster: DemoCluster) -> None:
    text = "".join(f"line {number}\n" for number in range(20000))
    answer = _ssh(demo_cluster, "demo2", "cat; echo oops >&2; exit 7", given=text)
    assert (answer.stdout == text, answer.stderr, answer.returncode) == (True, "oops\n", 7)


def test_a_command_killed_by_a_signal_says_so(demo_cluster: DemoCluster) -> None:
    # OpenSSH's client has no status of its own for this: 255 and, at INFO, "Killed by signal".
    assert _ssh(demo_cluster, "demo2", "kill -TERM $$").returncode == 255


def test_a_terminal_is_a_terminal(demo_cluster: DemoCluster) -> None:
    answer = _ssh(
        demo_cluster, "-tt", "demo1", "test -t 0 && test -t 1 && tty >/dev/null && stty size && echo $TERM >/dev/tty"
    )
    assert answer.returncode == 0, answer
    assert answer.stdout.split("\r\n")[0].count(" ") == 1


def test_processes_are_those_of_the_connection(demo_cluster: DemoCluster) -> None:
    """Whoever ends a command on a node must not meet those of other nodes, which have the same parent here."""
    argv = ["ssh", "-n", "-F", str(demo_cluster.ssh_config), "demo2", "echo begun; sleep 3117"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "begun\n"
        seen = _ssh(demo_cluster, "demo1", "sleep 3118 & ps -A -o args=; kill $!").stdout
        other.terminate()
    assert "sleep 3118" in seen
    assert "sleep 3117" not in seen


def test_hanging_up_ends_the_command(demo_cluster: DemoCluster) -> None:
    argv = ["ssh", "-F", str(demo_cluster.ssh_config), "demo1", "echo $$; exec sleep 987"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as client:
        assert client.stdout is not None
        sleeper = psutil.Process(int(client.stdout.readline()))
        client.kill()
    assert wait_gone([sleeper], 30) == []


@pytest.mark.parametrize(
    ("node", "words"),
    [("demo10", "Connection refused"), ("demo11", "timed out"), ("demo12", "Permission denied")],
)
def test_broken_nodes_are_broken_as_told(demo_cluster: DemoCluster, node: str, words: str) -> None:
    answer = _ssh(demo_cluster, "-o", "ConnectTimeout=1", node, "true")
    assert answer.returncode == 255
    assert words in answer.stderr


# -- files


def test_scp_ends_well(demo_cluster: DemoCluster, tmp_path: Path) -> None:
    (tmp_path / "motd").write_text("welcome")
    argv = ["scp", "-F", str(demo_cluster.ssh_config), str(tmp_path / "motd"), "demo1:motd"]
    answer = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert (demo_cluster.folder / "nodes" / "demo1" / "motd").read_text() == "welcome"


def test_files_arrive_in_the_nodes_own_folder(demo_cluster: DemoCluster, tmp_path: Path) -> None:
    source = tmp_path / "motd"
    source.write_bytes(os.urandom(300_000))
    source.chmod(0o640)
    answer = _sftp(demo_cluster, "demo3", f"mkdir etc\nput -p {source} etc/motd\nput {source} /tmp/again\nls -l etc\n")
    assert answer.returncode == 0, answer.stderr
    home = demo_cluster.folder / "nodes" / "demo3"
    assert (home / "etc" / "motd").read_bytes() == source.read_bytes() == (home / "tmp" / "again").read_bytes()
    assert stat.S_IMODE((home / "etc" / "motd").stat().st_mode) == 0o640
    back = tmp_path / "back"
    assert (
        _sftp(
            demo_cluster, "demo3", f"get {home}/etc/motd {back}\nrename etc/motd etc/old\nrm etc/old\nrmdir etc\n"
        ).returncode
        == 0
    )
    assert back.read_bytes() == source.read_bytes()
    assert not (home / "etc").exists()


@pytest.mark.parametrize("path", ["../../id_ed25519", "/../../../id_ed25519", "escape/id_ed25519", "link"])
def test_no_path_leads_out_of_the_folder(demo_cluster: DemoCluster, tmp_path: Path, path: str) -> None:
    home = demo_cluster.folder / "nodes" / "demo6"
    for link, target in (("escape", demo_cluster.folder), ("link", demo_cluster.folder / "id_ed25519")):
        if not (home / link).is_symlink():
            (home / link).symlink_to(target)
    answer = _sftp(demo_cluster, "demo6", f"get {path} {tmp_path}/stolen\n")
    assert answer.returncode != 0
    assert not (tmp_path / "stolen").exists()


# -- life and death


def test_the_private_folder_is_private(demo_cluster: DemoCluster) -> None:
    assert stat.S_IMODE(demo_cluster.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((demo_cluster.folder / "id_ed25519").stat().st_mode) == 0o600


def test_it_listens_on_loopback_only(demo_cluster: DemoCluster) -> None:
    listening = [c for c in psutil.Process(demo_cluster.pid).net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert len(listening) == 11  # 12 nodes, one of which refuses
    assert {connection.laddr.ip for connection in listening} == {"127.0.0.1"}


@pytest.fixture
def holder() -> Iterator[subprocess.Popen[str]]:
    """Another process that holds a demo cluster and prints its folder and server's process id."""
    script = (
        "import sys\n"
        "from clusterdeck.console.democluster.cluster import DemoCluster\n"
        "with DemoCluster(2) as cluster:\n"
        "    cluster.wait_ready()\n"
        "    print(cluster.folder, cluster.pid, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    argv = [sys.executable, "-c", script]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("end", ["leave", "kill"])
def test_nothing_is_left(holder: subprocess.Popen[str], end: str) -> None:
    assert holder.stdin is not None
    assert holder.stdout is not None
    folder, pid = holder.stdout.readline().split()
    server = psutil.Process(int(pid))
    command = "setsid sleep 986 & sleep 986 & trap '' HUP; echo $$; sleep 986"
    argv = ["ssh", "-F", f"{folder}/ssh_config", "-o", "LogLevel=ERROR", "demo1", command]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        shell = psutil.Process(int(client.stdout.readline()))
        processes = [shell, *shell.children(recursive=True)]
        if end == "leave":
            holder.stdin.close()
        else:
            holder.send_signal(signal.SIGKILL)
        assert wait_gone([server], 20) == []
        client.wait(60)
    assert len(processes) >= 3
    assert wait_gone(processes, 30) == []
    assert not Path(folder).exists()
