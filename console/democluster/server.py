"""The demo cluster's server process: `python -m clusterdeck.console.democluster.server FOLDER COUNT`.

It listens for every node, says `ready` on standard output, and lives until its standard input ends: whoever
started it holds the other end of that pipe, so it ends with them, whatever ends them.
"""

from __future__ import annotations

import contextlib
import getpass
import logging
import os
import resource
import selectors
import shutil
import signal
import socket
import sys
from pathlib import Path
from types import FrameType

from . import layout
from .connection import DemoNode, NodeTransport
from .plan import Fault, NodePlan, make_plan
from .sweep import kill_strays


class Server:
    """All nodes of one demo cluster."""

    def __init__(self, folder: Path, plans: list[NodePlan]) -> None:
        self._folder = folder
        self._selector = selectors.DefaultSelector()
        self._silent: set[socket.socket] = set()
        user = getpass.getuser()
        client_key, client_text = layout.new_key()
        layout.write_programs(folder)
        layout.write_groups(folder, plans)
        ports: dict[str, int] = {}
        host_keys: dict[str, str] = {}
        for plan in plans:
            host_key, _ = layout.new_key()
            home = layout.write_node(folder, plan)
            environment = layout.node_environment(folder, plan, home)
            ports[plan.name] = self._listen(DemoNode(plan, home, environment, host_key, user, client_key))
            host_keys[plan.name] = f"{host_key.get_name()} {host_key.get_base64()}"
        layout.write_client_files(folder, client_text, ports, host_keys)

    def _listen(self, node: DemoNode) -> int:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        if node.plan.fault is not Fault.REFUSED:  # a bound port that does not listen refuses, and stays ours
            listener.listen(128)
            listener.setblocking(False)
            self._selector.register(listener, selectors.EVENT_READ, node)
        else:
            self._silent.add(listener)
        return int(listener.getsockname()[1])

    def serve(self, lifeline: int) -> None:
        """Serve until the descriptor `lifeline` reaches its end."""
        self._selector.register(lifeline, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select():
                if key.fd == lifeline:
                    if not os.read(lifeline, 4096):
                        return
                elif isinstance(key.data, DemoNode):
                    assert isinstance(key.fileobj, socket.socket)
                    self._accept(key.fileobj, key.data)
                else:
                    assert isinstance(key.fileobj, socket.socket)
                    self._drain_silent(key.fileobj)

    def _accept(self, listener: socket.socket, node: DemoNode) -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return  # the client gave up before its turn, or descriptors ran out: either way the next one may do
        if node.plan.fault is Fault.SILENT:
            self._silent.add(connection)
            self._selector.register(connection, selectors.EVENT_READ)
            return
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        NodeTransport(connection, node).serve()

    def _drain_silent(self, connection: socket.socket) -> None:
        try:
            open_still = bool(connection.recv(4096))
        except OSError:
            open_still = False
        if not open_still:
            self._selector.unregister(connection)
            self._silent.discard(connection)
            connection.close()


def _raise_descriptor_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 8192 if hard == resource.RLIM_INFINITY else min(hard, 8192)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def main(argv: list[str]) -> None:
    """argv: the private folder (empty, ours to remove), the number of nodes, `faults` or `healthy`."""
    folder, count, faults = Path(argv[0]), int(argv[1]), argv[2] == "faults"
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _leave)
    log = logging.getLogger("paramiko")
    log.addHandler(logging.NullHandler())
    log.propagate = False
    _raise_descriptor_limit()
    try:
        server = Server(folder, make_plan(count, faults=faults))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        server.serve(sys.stdin.fileno())
    finally:
        kill_strays(folder)
        shutil.rmtree(folder, ignore_errors=True)
        # Connection threads are paramiko's, and daemons; nothing of theirs is left to be flushed.
        os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
