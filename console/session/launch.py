"""Makes engine workers of a run's specification; called in the engine's thread only."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ClusterShell.NodeSet import NodeSet

from ...engine.task import Task
from ...engine.workers.stream import write_or_leave
from ..runs.options import RunOptions
from ..settings.sections import SshSettings
from ..settings.settings import Settings

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class RunSpec:
    """What is to be run: a command (`shell`, `local`) or a copy (`copy`, `rcopy`)."""

    kind: str
    command: str
    options: RunOptions
    sources: tuple[str, ...] = ()
    destination: str = ""
    #: Nodes with settings of their own: (the settings, the nodes), all nodes of the run or none; see node_sections.py.
    parts: tuple[tuple[dict[str, Any], tuple[str, ...]], ...] = ()
    ssh_config: str | None = None


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
    from ...engine.workers.exec import ExecClient, ExecWorker, WorkerError

    for text in texts:
        for client in ExecWorker("node1", command=text).make_clients():
            assert isinstance(client, ExecClient)
            try:
                client.substitute(text)
            except WorkerError as error:
                raise ValueError(str(error)) from None


def ssh_overrides(ssh: SshSettings) -> dict[str, str]:
    """Keywords over ssh_config, where the settings say otherwise than OpenSSH does on its own."""
    words = {} if ssh.agent else {"IdentityAgent": "none"}
    if not ssh.password:
        words |= {"PasswordAuthentication": "no", "KbdInteractiveAuthentication": "no"}
    if ssh.agent_forwarding:
        words["ForwardAgent"] = "yes"
    return words


def _section_infos(options: RunOptions, values: dict[str, Any]) -> dict[str, Any]:
    """What a section of nodes says about connections, where the line says nothing; it goes before `run.*`."""
    infos: dict[str, Any] = {}
    if options.connect_timeout is None and "connect_timeout" in values:
        infos["connect_timeout"] = values["connect_timeout"]
    if not options.user and "user" in values:
        infos |= dict.fromkeys(("ssh_user", "scp_user", "rsh_user"), values["user"])
    if "host_keys" in values:
        infos["ssh_host_keys"] = values["host_keys"]
    return infos


def reads(options: RunOptions) -> bool:
    """Whether the commands get any input."""
    return options.open_stdin or options.stdin is not None


class Launcher:
    """Starts specifications on a Task, with the settings of the moment."""

    def __init__(self, task: Task, settings: Settings) -> None:
        self._task = task
        self._settings = settings

    def launch(
        self, spec: RunSpec, handler: Any, names: Sequence[str], ranks: Mapping[str, int] | None = None
    ) -> list[Any]:
        """Schedule the workers for these nodes. Raises what the engine raises for a wrong specification.

        ranks: what `%n` is on each node in the whole run, not in the wave or the retry that this is.
        """
        self._apply(spec.options, spec.ssh_config)
        infos = self._own_infos(spec)
        if spec.kind == "local":
            return [
                self._task.shell(
                    spec.command, key=names[0], stdin=reads(spec.options), **self._common(spec, handler, {})
                )
            ]
        wanted = frozenset(names)
        workers = []
        for values, members in spec.parts or (({}, tuple(names)),):
            chosen = [name for name in members if name in wanted]
            if chosen:
                made = self._workers(spec, handler, NodeSet.fromlist(chosen), values)
                for worker in made:
                    worker.infos = self._patience(worker) | _section_infos(spec.options, values) | infos
                workers += made
        for worker in workers:
            if spec.options.fanout:
                # A limit of its own, so that the other runs keep theirs.
                worker.fanout = spec.options.fanout
            worker.set_ranks(ranks or {})
            self._task.schedule(worker)
            if spec.kind not in ("copy", "rcopy") and not reads(spec.options):
                write_or_leave(worker)
        return workers

    def _common(self, spec: RunSpec, handler: Any, values: dict[str, Any]) -> dict[str, Any]:
        """Keywords of every worker. What the line says goes before what a section of nodes says."""
        options, run = spec.options, self._settings.run
        timeout = values.get("timeout", run.timeout) if options.timeout is None else options.timeout
        stderr = options.stderr or run.stderr
        return {"handler": handler, "timeout": timeout if timeout > 0 else None, "stderr": stderr}

    def _workers(self, spec: RunSpec, handler: Any, nodes: NodeSet, values: dict[str, Any]) -> list[Any]:
        options, run = spec.options, self._settings.run
        self._task.set_default("distant_workername", options.worker or values.get("worker") or run.worker)
        worker_class = self._task.default("distant_worker" if options.remote else "local_worker")
        common = self._common(spec, handler, values)
        if options.user:
            common["user"] = options.user
        if spec.kind in ("copy", "rcopy"):
            common |= {"dest": spec.destination, "preserve": options.preserve, "reverse": spec.kind == "rcopy"}
            if spec.kind == "rcopy" and not options.flat:
                # DEST/NODE/name; the workers that only know DEST/name.NODE ignore it.
                common["per_node"] = True
            return [worker_class(nodes, source=source, **common) for source in spec.sources]
        if options.pty:
            common["pty"] = True
        sudo = options.sudo or values.get("sudo", run.sudo)
        if sudo and worker_class.answers_sudo:
            # This worker asks for the password, once for the set; the others cannot, and sudo fails where it needs one.
            common["sudo"], sudo = True, False
        return [worker_class(nodes, command=remote_command(spec.command, options, sudo=sudo), **common)]

    def prepare(self) -> None:
        """Bring the Task's settings up to date for work that is no run (the queue's node slots); from any thread."""
        self._task.set_default("distant_workername", self._settings.run.worker)
        self._apply(RunOptions())

    def _apply(self, options: RunOptions, ssh_config: str | None = None) -> None:
        """Engine settings of all runs, and those of this one that the kept connections are dialled with."""
        run, ssh, rsh = self._settings.run, self._settings.ssh, self._settings.rsh
        user = run.user or None
        infos: dict[str, Any] = {
            "fanout": run.fanout,
            "connect_timeout": run.connect_timeout if options.connect_timeout is None else options.connect_timeout,
            "ssh_user": user,
            "rsh_user": user,
            "scp_user": user,
            "ssh_options": ssh.options or None,
            "ssh_path": ssh.path or None,
            "scp_path": ssh.scp_path or None,
            "scp_options": ssh.scp_options or None,
            "rsh_path": rsh.path or None,
            "rsh_options": rsh.options or None,
            "rcp_path": rsh.rcp_path or None,
            "rcp_options": rsh.rcp_options or None,
        }
        infos |= self._connection_infos()
        if ssh_config is not None:
            infos["ssh_config"] = ssh_config
        for key, value in infos.items():
            self._task.set_info(key, value)

    def _patience(self, worker: Any) -> dict[str, Any]:
        """ssh_config's own ConnectTimeout counts where nobody has set ours; other programs are always told one."""
        untouched = self._settings.source("run.connect_timeout") == "default"
        return {"connect_timeout": None} if untouched and worker.reads_ssh_config else {}

    def _own_infos(self, spec: RunSpec) -> dict[str, Any]:
        """What only this run's workers are to know: another run that goes on beside it must not see it."""
        options, ssh = spec.options, self._settings.ssh
        infos: dict[str, Any] = {}
        if options.connect_timeout is not None:
            infos["connect_timeout"] = options.connect_timeout
        if options.user:
            infos |= dict.fromkeys(("ssh_user", "scp_user", "rsh_user"), options.user)
        if spec.ssh_config is not None:
            file = f"-F {shlex.quote(spec.ssh_config)}"
            infos["ssh_options"] = f"{file} {ssh.options}".rstrip()
            infos["scp_options"] = f"{file} {ssh.scp_options}".rstrip()
        infos.update(options.infos)
        return infos

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
            "ssh_idle": ssh.idle,
            "ssh_overrides": ssh_overrides(ssh),
        }
