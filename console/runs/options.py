"""How a command is to be run: the options that a line, a macro or the batch front end may give."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Options of one run; None means what the settings say.

    fanout: nodes at a time. timeout: seconds per node for the command, 0 = none. connect_timeout: seconds.
    worker: "paramiko", "ssh", "exec", ... user: remote user. stderr: True keeps stderr apart from stdout.
    batch: waves of nodes such as "1,10%,rest". stop_at: bad nodes that stop further waves, "3" or "2%".
    retries: further attempts for nodes that ended badly. environment: variables for the remote command.
    """

    fanout: int | None = None
    timeout: float | None = None
    connect_timeout: float | None = None
    worker: str | None = None
    user: str | None = None
    stderr: bool = False
    sudo: bool = False
    batch: str | None = None
    stop_at: str | None = None
    retries: int = 0
    environment: tuple[tuple[str, str], ...] = ()
    pty: bool = False
    preserve: bool = False
    flat: bool = False
    dry_run: bool = False
    #: What the command reads; None: nothing. open_stdin: `Session.feed` gives it (more) and ends it.
    stdin: bytes | None = None
    open_stdin: bool = False
    remote: bool = True
    #: Extra engine settings of this run (`ssh_options`, `ssh_path`, ...), as `-o` and `-O` give them.
    infos: tuple[tuple[str, str], ...] = field(default=())
