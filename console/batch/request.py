"""What `clusterdeck run` was asked for, as plain values: the command line read, and nothing done yet."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..runs.options import RunOptions
from .targets import TargetOptions


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """One batch command. copy: "out", "back" or "" (a command). confirmed: how many nodes the operator agreed to.

    password_prompt: a password is asked for before anything runs, and given to the commands or to SSH.
    """

    targets: TargetOptions
    command: str = ""
    sources: tuple[str, ...] = ()
    destination: str = ""
    copy: str = ""
    options: RunOptions = field(default_factory=RunOptions)
    gather: bool = False
    line_mode: bool = False
    diff: bool = False
    labels: bool = True
    regroup: bool = False
    group_base: bool = False
    axis: str | None = None
    quiet: bool = False
    verbose: int = 0
    max_rc: bool = False
    node_count: bool = True
    color: str | None = None
    out_folder: str | None = None
    err_folder: str | None = None
    stdin: bool = True
    password_prompt: bool = False
    json: bool = False
    json_lines: bool = False
    raw: bool = False
    progress: bool = False
    confirmed: int | None = None
    dry_run: bool = False
