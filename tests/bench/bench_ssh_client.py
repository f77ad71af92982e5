"""One SSH client doing one piece of work, measured from inside; started by bench_ssh.py, which has the server.

Arguments: client, work, number of nodes, fanout, and a JSON object: config, port, key, known_hosts. Prints a JSON line:
wall seconds and CPU milliseconds per node (children included) of each phase, threads, RSS.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any


def addresses(count: int) -> list[str]:
    return [f"127.1.{n // 250}.{n % 250 + 1}" for n in range(count)]


def cpu() -> float:
    total = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        total += usage.ru_utime + usage.ru_stime
    return total


def rss_kib() -> int:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


class Report:
    def __init__(self, nodes: int) -> None:
        self.nodes = nodes
        self.found: dict[str, Any] = {}

    def phase(self, name: str, work: Callable[[], Any]) -> Any:
        wall, before = time.monotonic(), cpu()
        result = work()
        self.found[name] = {
            "wall": round(time.monotonic() - wall, 3),
            "cpu_ms": round((cpu() - before) * 1000 / self.nodes, 3),
        }
        return result


def ours(report: Report, work: str, nodes: list[str], fanout: int, world: dict[str, Any]) -> None:
    from clusterdeck.engine.task import task_self
    from clusterdeck.engine.workers.paramiko import WorkerParamiko, pool_of

    task = task_self()
    task.set_info("ssh_config", world["config"])
    task.set_info("fanout", fanout)
    task.set_default("distant_workername", "paramiko")
    task.set_info("connect_timeout", 60)
    names = ",".join(nodes)

    def run(command: str, expect: bytes | None = None, **keywords: Any) -> Any:
        worker = task.run(command, nodes=names, **keywords)
        codes = {rc: len(found) for rc, found in worker.iter_retcodes()}
        assert codes == {0: len(nodes)}, codes
        if expect is not None:
            assert all(bytes(buffer) == expect for buffer, _ in worker.iter_buffers())
        return worker

    before = rss_kib()
    if work == "true":
        report.phase("cold", lambda: run("true"))
        for number in range(3):
            report.phase(f"warm{number}", lambda: run("true"))
        report.found["threads"] = threading.active_count()
        report.found["kib_per_connection"] = round((rss_kib() - before) / len(nodes), 1)
        pool = pool_of(task)
        idle = time.monotonic() + 4
        used = cpu()
        while (left := idle - time.monotonic()) > 0:
            pool.reactor.turn(left)
        report.found["idle_percent"] = round((cpu() - used) / 4 * 100, 2)
    elif work.startswith("stream:"):
        run("true")
        size = int(work.split(":")[1])
        report.phase("stream", lambda: run(f"yes {'x' * 99} | head -c {size}"))
        report.found["peak_kib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    elif work.startswith("copy:"):
        run("true")

        def copy() -> None:
            worker = WorkerParamiko(names, source=work.split(":", 1)[1], dest=world["sink"])
            task.schedule(worker)
            task.resume()
            assert {rc for rc, _ in worker.iter_retcodes()} == {0}

        report.phase("copy", copy)
    task.abort(kill=True)


def asyncssh_client(report: Report, work: str, nodes: list[str], fanout: int, world: dict[str, Any]) -> None:
    import asyncssh

    key = asyncssh.read_private_key(world["key"])
    known = asyncssh.read_known_hosts(world["known_hosts"])
    connections: dict[str, Any] = {}
    fast = {"encryption_algs": ["aes128-gcm@openssh.com"], "kex_algs": ["curve25519-sha256"]}

    async def connect(node: str) -> Any:
        return await asyncssh.connect(
            node,
            world["port"],
            username="root",
            client_keys=[key],
            known_hosts=known,
            config=None,
            agent_path=None,
            **fast,
        )

    async def many(one: Callable[[str], Any]) -> None:
        gate = asyncio.Semaphore(fanout)

        async def guarded(node: str) -> None:
            async with gate:
                await one(node)

        await asyncio.gather(*map(guarded, nodes))

    async def first(node: str) -> None:
        connections[node] = await connect(node)
        assert (await connections[node].run("true")).exit_status == 0

    async def again(node: str) -> None:
        assert (await connections[node].run("true")).exit_status == 0

    async def stream(node: str) -> None:
        size = int(work.split(":")[1])
        result = await connections[node].run(f"yes {'x' * 99} | head -c {size}", encoding=None)
        assert len(result.stdout) == size

    async def copy(node: str) -> None:
        async with connections[node].start_sftp_client() as sftp:
            await sftp.put(work.split(":", 1)[1], f"{world['sink']}.{node}")

    loop = asyncio.new_event_loop()
    before = rss_kib()
    report.phase("cold", lambda: loop.run_until_complete(many(first)))
    if work == "true":
        for number in range(3):
            report.phase(f"warm{number}", lambda: loop.run_until_complete(many(again)))
        report.found["threads"] = threading.active_count()
        report.found["kib_per_connection"] = round((rss_kib() - before) / len(nodes), 1)
        used = cpu()
        loop.run_until_complete(asyncio.sleep(4))
        report.found["idle_percent"] = round((cpu() - used) / 4 * 100, 2)
    elif work.startswith("stream:"):
        report.phase("stream", lambda: loop.run_until_complete(many(stream)))
        report.found["peak_kib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    else:
        report.phase("copy", lambda: loop.run_until_complete(many(copy)))
    sys.stdout.flush()


def parallel_ssh(report: Report, work: str, nodes: list[str], fanout: int, world: dict[str, Any]) -> None:
    from pssh.clients import ParallelSSHClient

    client = ParallelSSHClient(
        nodes, user="root", port=world["port"], pkey=world["key"], pool_size=fanout, allow_agent=False, timeout=60
    )

    def run(command: str, size: int = 0) -> None:
        output = client.run_command(command)
        client.join(output)
        for host in output:
            got = sum(len(line) + 1 for line in host.stdout)
            assert host.exit_code == 0
            assert got >= size

    before = rss_kib()
    report.phase("cold", lambda: run("true"))
    if work == "true":
        for number in range(3):
            report.phase(f"warm{number}", lambda: run("true"))
        report.found["threads"] = threading.active_count()
        report.found["kib_per_connection"] = round((rss_kib() - before) / len(nodes), 1)
    elif work.startswith("stream:"):
        size = int(work.split(":")[1])
        report.phase("stream", lambda: run(f"yes {'x' * 99} | head -c {size}", size))
        report.found["peak_kib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def program(report: Report, work: str, world: dict[str, Any], command: list[str]) -> None:
    environment = os.environ | world.get("environment", {})

    def run() -> None:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment
        )
        assert done.returncode == 0, done.stderr[-500:]

    report.phase("cold" if work == "true" else work.split(":")[0], run)
    if world.get("persist"):
        for number in range(3):
            report.phase(f"warm{number}", run)


def main() -> None:
    client, work, count, fanout, text = sys.argv[1:6]
    world = json.loads(text)
    nodes = addresses(int(count))
    report = Report(len(nodes))
    if client == "clusterdeck":
        ours(report, work, nodes, int(fanout), world)
    elif client == "asyncssh":
        asyncssh_client(report, work, nodes, int(fanout), world)
    elif client == "parallel-ssh":
        parallel_ssh(report, work, nodes, int(fanout), world)
    else:
        program(report, work, world, world["command"])
    print(json.dumps(report.found), flush=True)
    os._exit(0)


main()
