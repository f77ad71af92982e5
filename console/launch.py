"""Makes engine workers of a run's specification; called in the engine's thread only."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

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


class EngineTask(Protocol):
    """What of engine.task.Task is used here."""

    def shell(self, command: str, **kw: Any) -> Any: ...

    def copy(self, source: str, dest: str, nodes: Any, **kw: Any) -> Any: ...

    def rcopy(self, source: str, dest: str, nodes: Any, **kw: Any) -> Any: ...

    def set_default(self, default_key: str, value: Any) -> None: ...

    def set_info(self, info_key: str, value: Any) -> None: ...


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


class Launcher:
    """Starts specifications on a Task, with the settings of the moment."""

    def __init__(self, task: EngineTask, settings: Settings) -> None:
        self._task = task
        self._settings = settings

    def launch(self, spec: RunSpec, handler: Any, names: Sequence[str]) -> list[Any]:
        """Schedule the workers for these nodes. Raises what the engine raises for a wrong specification."""
        options = spec.options
        self._apply(options)
        if spec.kind == "local":
            timeout = self._timeout(options)
            return [
                self._task.shell(
                    spec.command, key=names[0], handler=handler, timeout=timeout, stderr=self._stderr(options),
                    stdin=options.stdin is not None,
                )
            ]  # fmt: skip
        from ClusterShell.NodeSet import NodeSet

        nodes = NodeSet.fromlist(list(names))
        self._task.set_default("distant_workername", options.worker or self._settings.run.worker)
        common = {"handler": handler, "timeout": self._timeout(options), "stderr": self._stderr(options)}
        if spec.kind == "copy":
            return [
                self._task.copy(source, spec.destination, nodes, preserve=options.preserve, **common)
                for source in spec.sources
            ]
        if spec.kind == "rcopy":
            return [
                self._task.rcopy(source, spec.destination, nodes, preserve=options.preserve, **common)
                for source in spec.sources
            ]
        command = remote_command(spec.command, options, sudo=options.sudo or self._settings.run.sudo)
        return [
            self._task.shell(
                command, nodes=nodes, stdin=options.stdin is not None, remote=options.remote, tree=False, **common
            )
        ]

    def _timeout(self, options: RunOptions) -> float | None:
        timeout = self._settings.run.timeout if options.timeout is None else options.timeout
        return timeout if timeout > 0 else None

    def _stderr(self, options: RunOptions) -> bool:
        return options.stderr or self._settings.run.stderr

    def _apply(self, options: RunOptions) -> None:
        """Engine settings that a run reads when its nodes start."""
        run, ssh = self._settings.run, self._settings.ssh
        connect = run.connect_timeout if options.connect_timeout is None else options.connect_timeout
        infos: dict[str, Any] = {
            "fanout": options.fanout or run.fanout,
            "connect_timeout": connect,
            "ssh_user": options.user or run.user or None,
            "ssh_options": ssh.options or None,
            "ssh_path": ssh.path or None,
            "scp_path": ssh.scp_path or None,
            "scp_options": ssh.scp_options or None,
        }
        infos["rsh_user"] = infos["scp_user"] = infos["ssh_user"]
        infos.update(options.infos)
        for key, value in infos.items():
            self._task.set_info(key, value)
