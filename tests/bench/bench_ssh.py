"""clusterdeck's SSH beside clush, pdsh, parallel-ssh and asyncssh: one real sshd, N nodes at 127.1.x.y.

    python tests/bench/bench_ssh.py [--nodes 64,256] [--fanout 64] [--work true,stream,copy] [--only NAME,...]
    python tests/bench/bench_ssh.py --check     # a small run for correctness, without peers

Server and client share the machine, so wall times are mostly the server's: compare them beside each other, and look at
the client's CPU. parallel-ssh and asyncssh are installed into a virtual environment of their own (--peers FOLDER).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CLIENT = Path(__file__).with_name("bench_ssh_client.py")
#: Seconds for one client and one piece of work.
_PATIENCE = 120
FAST = "-o KexAlgorithms=curve25519-sha256 -o Ciphers=aes128-gcm@openssh.com"


@contextmanager
def server(folder: Path, count: int, niceness: int = 0) -> Iterator[dict[str, Any]]:
    """An sshd for root's own account on all of 127.0.0.0/8, with keys of its own.

    niceness: 19 has it wait for whatever else runs, as if the nodes had processors of their own.
    """
    for name in ("host", "key"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    shutil.copy(folder / "key.pub", folder / "authorized_keys")
    with __import__("socket").socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    Path("/run/sshd").mkdir(exist_ok=True)
    (folder / "sshd_config").write_text(
        f"ListenAddress 0.0.0.0:{port}\nAllowUsers *@127.0.0.0/8\nHostKey {folder}/host\nStrictModes no\nUsePAM no\n"
        f"AuthorizedKeysFile {folder}/authorized_keys\nPidFile none\nMaxStartups 4096\nMaxSessions 100\n"
        # The account's start-up files would be most of what is measured: bash reads ~/.bashrc under sshd.
        f"SetEnv HOME={folder}\n"
        "PermitRootLogin yes\nPasswordAuthentication no\nLogLevel QUIET\nSubsystem sftp internal-sftp\nUseDNS no\n"
    )
    public = (folder / "host.pub").read_text().split()
    addresses = [f"127.1.{n // 250}.{n % 250 + 1}" for n in range(count)]
    lines = [f"[{address}]:{port} {public[0]} {public[1]}\n" for address in addresses]
    (folder / "known_hosts").write_text("".join(lines))
    (folder / "config").write_text(
        f"Host *\n Port {port}\n User root\n IdentityFile {folder}/key\n IdentitiesOnly yes\n IdentityAgent none\n"
        f" UserKnownHostsFile {folder}/known_hosts\n GlobalKnownHostsFile /dev/null\n StrictHostKeyChecking yes\n"
        " LogLevel ERROR\n"
    )
    command = ["nice", "-n", str(niceness), "/usr/sbin/sshd", "-D", "-f", str(folder / "sshd_config")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    group = Path(f"/proc/{process.pid}/autogroup")
    if niceness and group.exists():  # where sessions share processors evenly, a process' own niceness is not enough
        group.write_text(str(niceness))
    try:
        for _ in range(200):
            if subprocess.run(["ssh-keyscan", "-T", "1", "-p", str(port), "127.0.0.1"], capture_output=True).stdout:
                break
        yield {
            "config": str(folder / "config"),
            "port": port,
            "key": str(folder / "key"),
            "known_hosts": str(folder / "known_hosts"),
            "sink": str(folder / "sink"),
        }
    finally:
        process.terminate()
        process.wait()


def peers(folder: Path) -> Path:
    """A Python with parallel-ssh and asyncssh, installed at the first use."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", "parallel-ssh", "asyncssh"], check=True)
    return python


def measure(python: Path | str, client: str, work: str, count: int, fanout: int, world: dict[str, Any]) -> Any:
    command = [str(python), str(CLIENT), client, work, str(count), str(fanout), json.dumps(world)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        return {"error": f"not done after {_PATIENCE} s"}
    lines = done.stdout.strip().splitlines()
    if not lines:
        return {"error": done.stderr.strip().splitlines()[-1:] or done.returncode}
    return json.loads(lines[-1])


def programs(world: dict[str, Any], count: int, fanout: int, work: str, folder: Path) -> Iterator[tuple[str, Any]]:
    """clush and pdsh in their forms: (name, world with its command)."""
    names = ",".join(f"127.1.{n // 250}.{n % 250 + 1}" for n in range(count))
    clush = shutil.which("clush", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    options = f"-F {world['config']}"
    action = ["true"]
    if work.startswith("stream:"):
        action = [f"yes {'x' * 99} | head -c {work.split(':')[1]}"]
    elif work.startswith("copy:"):
        action = ["--copy", work.split(":", 1)[1], "--dest", world["sink"]]
    if clush:
        head = [clush, "-q", "-f", str(fanout), "-u", "0", "-t", "60", "-w", names]
        for name, extra in (("clush", ""), ("clush, curve25519 + gcm", FAST)):
            yield name, world | {"command": [*head, "-o", f"{options} {extra}".strip(), *action]}
        if work == "true":
            persist = f"{options} {FAST} -o ControlMaster=auto -o ControlPath={folder}/c-%%h -o ControlPersist=60"
            yield "clush + ControlPersist", world | {"command": [*head, "-o", persist, *action], "persist": True}
    pdsh = shutil.which("pdsh")
    if pdsh and not work.startswith("copy:"):
        environment = {"PDSH_SSH_ARGS_APPEND": options}
        command = [pdsh, "-R", "ssh", "-f", str(fanout), "-w", names, *action]
        yield "pdsh", world | {"command": command, "environment": environment}


def show(name: str, found: dict[str, Any]) -> None:
    if "error" in found:
        print(f"  {name:28} {found['error']}")
        return
    warm = [found[key]["wall"] for key in found if key.startswith("warm")]
    words = []
    for key, value in found.items():
        if key.startswith("warm"):
            continue
        words.append(
            f"{key} {value['wall']:.2f} s, {value['cpu_ms']:.2f} ms" if isinstance(value, dict) else f"{key} {value}"
        )
    if warm:
        best = min((found[key] for key in found if key.startswith("warm")), key=lambda phase: phase["wall"])
        words.insert(1, f"warm {best['wall']:.3f} s, {best['cpu_ms']:.2f} ms")
    print(f"  {name:28} " + " | ".join(words), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", default="64")
    parser.add_argument("--fanout", type=int, default=64)
    parser.add_argument("--work", default="true,stream,copy")
    parser.add_argument("--only", default="")
    parser.add_argument("--peers", type=Path, default=Path.home() / ".cache" / "clusterdeck-bench-peers")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    if options.check:
        options.nodes, options.only = "8", "clusterdeck"
    only = {word for word in options.only.split(",") if word}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        payload = folder / "payload"
        payload.write_bytes(os.urandom(10_000_000))
        largest = max(map(int, options.nodes.split(",")))
        with server(folder, largest) as world:
            for count in map(int, options.nodes.split(",")):
                for word in options.work.split(","):
                    works = {
                        "true": [("true", count)],
                        "stream": [("stream:100000000", 1), ("stream:2000000", min(count, 64))],
                        "copy": [(f"copy:{payload}", min(count, 64))],
                    }[word]
                    for work, nodes in works:
                        run_all(work, nodes, options.fanout, world, folder, only, options.peers)


def run_all(
    work: str, nodes: int, fanout: int, world: dict[str, Any], folder: Path, only: set[str], venv: Path
) -> None:
    print(f"{work.split('/')[0]} on {nodes} nodes, fanout {fanout} (CPU: client, ms per node)")
    mine = measure(sys.executable, "clusterdeck", work, nodes, fanout, world)
    show("clusterdeck", mine)
    if only == {"clusterdeck"}:
        return
    for name in ("asyncssh", "parallel-ssh"):
        if (not only or name in only) and not (name == "parallel-ssh" and work.startswith("copy:")):
            show(name, measure(peers(venv), name, work, nodes, fanout, world))
    for name, changed in programs(world, nodes, fanout, work, folder):
        if not only or name.split(",")[0].split(" ")[0] in only:
            show(name, measure(sys.executable, name, work, nodes, fanout, changed))


if __name__ == "__main__":
    main()
