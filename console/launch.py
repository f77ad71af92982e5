"""Makes engine workers of a run's specification; called in the engine's thread only."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ClusterShell.NodeSet import NodeSet

from ..engine.task import Task
from ..engine.workers.stream import write_or_leave
from .options import RunOptions
from .settings import Settings

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class RunSpec:
    """What is to be run: a command (`shell`, `local`) or a copy (`copy`, `rcopy`)."""

    kind: str
    command: str
    options: RunOptions
    sources: tuple[str, ...] = ()
    destination: str = ""


def remote_command(command: str, options: RunOptions, *, sudo: bool) -> str:
    """The command as sent to the node: with the variables set and through sudo where that is asked for.

    Raises ValueError for a variable name that a shell would not take.
    """
    for name, _value in options.environment:
        if not _VARIABLE.match(name):
            raise ValueError(f"{name!r} is not a variable name")
    exports = "".join(f"export {name}={shlex.quote(value)}; " for name, value in options.environment)
    command = exports + command
    return f"sudo -n -- sh -c {shlex.quote(command)}" if sudo else command


def check_exec(*texts: str) -> None:
    """Raise ValueError where the exec worker would not understand a `%` in one of the texts."""
    from ..engine.workers.exec import ExecClient, ExecWorker, WorkerError

    for text in texts:
        for client in ExecWorker("node1", command=text).make_clients():
            assert isinstance(client, ExecClient)
            try:
                client.substitute(text)
            except WorkerError as error:
                raise ValueError(str(error)) from None


class Launcher:
    """Starts specifications on a Task, with the settings of the moment."""

    def __init__(self, task: Task, settings: Settings) -> None:
        self._task = task
        self._settings = settings

    def launch(self, spec: RunSpec, handler: Any, names: Sequence[str]) -> list[Any]:
        """Schedule the workers for these nodes. Raises what the engine raises for a wrong specification."""
        options = spec.options
        self._apply(options)
        common: dict[str, Any] = {
            "handler": handler,
            "timeout": self._timeout(options),
            "stderr": options.stderr or self._settings.run.stderr,
        }
        reads = options.open_stdin or options.stdin is not None
        if spec.kind == "local":
            return [self._task.shell(spec.command, key=names[0], stdin=reads, **common)]
        self._task.set_default("distant_workername", options.worker or self._settings.run.worker)
        worker_class = self._task.default("distant_worker" if options.remote else "local_worker")
        nodes = NodeSet.fromlist(list(names))
        if spec.kind in ("copy", "rcopy"):
            common |= {"dest": spec.destination, "preserve": options.preserve, "reverse": spec.kind == "rcopy"}
            if spec.kind == "rcopy" and not options.flat:
                # DEST/NODE/name; the workers that only know DEST/name.NODE ignore it.
                common["per_node"] = True
            workers = [worker_class(nodes, source=source, **common) for source in spec.sources]
        else:
            command = remote_command(spec.command, options, sudo=options.sudo or self._settings.run.sudo)
            if options.pty:
                common["pty"] = True
            workers = [worker_class(nodes, command=command, **common)]
        for worker in workers:
            if options.fanout:
                # A limit of its own, so that the other runs keep theirs.
                worker._fanout = options.fanout
            self._task.schedule(worker)
            if spec.kind not in ("copy", "rcopy") and not reads:
                write_or_leave(worker)
        return workers

    def _timeout(self, options: RunOptions) -> float | None:
        timeout = self._settings.run.timeout if options.timeout is None else options.timeout
        return timeout if timeout > 0 else None

    def prepare(self) -> None:
        """Bring the Task's settings up to date for work that is no run (the queue's node slots); from any thread."""
        self._task.set_default("distant_workername", self._settings.run.worker)
        self._apply(RunOptions())

    def _apply(self, options: RunOptions) -> None:
        """Engine settings that a run reads when its nodes start."""
        run, ssh = self._settings.run, self._settings.ssh
        connect = run.connect_timeout if options.connect_timeout is None else options.connect_timeout
        infos: dict[str, Any] = {
            "fanout": run.fanout,
            "connect_timeout": connect,
            "ssh_user": options.user or run.user or None,
            "ssh_options": ssh.options or None,
            "ssh_path": ssh.path or None,
            "scp_path": ssh.scp_path or None,
            "scp_options": ssh.scp_options or None,
        }
        infos["rsh_user"] = infos["scp_user"] = infos["ssh_user"]
        infos |= self._connection_infos()
        infos.update(options.infos)
        for key, value in infos.items():
            self._task.set_info(key, value)

    def _connection_infos(self) -> dict[str, Any]:
        """What kept connections are made with. A setting that nobody has touched leaves ssh_config its say."""
        ssh = self._settings.ssh

        def given(key: str) -> Any:
            return getattr(ssh, key) if self._settings.source(f"ssh.{key}") != "default" else None

        config, known_hosts = given("config"), given("known_hosts")
        return {
            "ssh_config": config and os.path.expanduser(config),
            "ssh_known_hosts": known_hosts and (os.path.expanduser(known_hosts),),
            "ssh_host_keys": given("host_keys"),
            "ssh_window": ssh.connecting,
            "ssh_keepalive": ssh.keepalive,
            "ssh_overrides": {} if ssh.agent else {"IdentityAgent": "none"},
        }
