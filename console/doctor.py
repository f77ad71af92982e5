"""`clusterdeck doctor`: what this installation finds on this machine, and what is wrong with it; touches no node."""

from __future__ import annotations

import json
import os
import platform
import resource
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from .. import __version__
from ..engine.text import sanitize_text
from .exits import ExitCode
from .settings import paths
from .settings.config import PROJECT_FILE, load_settings
from .settings.settings import Settings, SettingsError
from .settings.trust import TrustError, check_trusted

_DISTRIBUTIONS = ("textual", "prompt_toolkit", "paramiko", "cryptography", "ClusterShell", "platformdirs", "redis")
_PROGRAMS = ("ssh", "scp", "ssh-agent", "pdsh", "sudo", "tmux")
#: Descriptors that a thousand kept connections need, with room for the rest.
_WANTED_DESCRIPTORS = 2048
#: Copies that a killed console left half done: the newest are told, and those to nodes for this many days.
_TOLD = 5
_TOLD_DAYS = 7
_LEVELS = {"ok": "  ", "warning": "! ", "error": "x "}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. level: "ok", "warning" or "error"; remedy: what to do about it."""

    topic: str
    text: str
    level: str = "ok"
    remedy: str = ""


def main(*, as_json: bool = False) -> int:
    """Print the report; the exit code is 1 where something is wrong."""
    findings = examine()
    if as_json:
        sys.stdout.write(json.dumps([asdict(finding) for finding in findings], indent=1) + "\n")
    else:
        topic = ""
        for finding in findings:
            if finding.topic != topic:
                topic = finding.topic
                sys.stdout.write(f"{topic}\n")
            remedy = f"  -> {finding.remedy}" if finding.remedy else ""
            sys.stdout.write(f"  {_LEVELS[finding.level]}{sanitize_text(finding.text + remedy)}\n")
    return ExitCode.ERROR if any(finding.level == "error" for finding in findings) else ExitCode.OK


def examine() -> list[Finding]:
    """Everything, in the order of the report; a part that fails becomes a finding."""
    found: list[Finding] = []
    settings = Settings()
    try:
        settings = load_settings()
        found_settings = [Finding("settings", "no mistakes")]
    except (SettingsError, OSError) as error:
        found_settings = [Finding("settings", str(error), "error", "mend it, or move the file away")]
    parts: list[tuple[str, Callable[[], list[Finding]]]] = [
        ("versions", _versions),
        ("terminal", _terminal),
        ("settings", lambda: found_settings + _sources(settings)),
        ("groups", lambda: _groups(settings)),
        ("ssh", lambda: _ssh(settings)),
        ("limits", lambda: _limits(settings)),
        ("state", _state),
        ("crashes", _crashes),
    ]
    for topic, part in parts:
        try:
            found += part()
        except Exception as error:
            # The doctor must never be the patient: what one part cannot find out is a finding of its own.
            found.append(Finding(topic, f"could not be examined: {type(error).__name__}: {error}", "error"))
    return found


def _versions() -> list[Finding]:
    found = [
        Finding("versions", f"clusterdeck {__version__}, Python {platform.python_version()}, {platform.platform()}")
    ]
    for name in _DISTRIBUTIONS:
        try:
            found.append(Finding("versions", f"{name} {metadata.version(name)}"))
        except metadata.PackageNotFoundError:
            if name != "redis":
                found.append(Finding("versions", f"{name} is missing", "error", f"pip install {name}"))
    return found


def _terminal() -> list[Finding]:
    kind = os.environ.get("TERM", "")
    size = shutil.get_terminal_size()
    extra = [name for name in ("TMUX", "STY", "SSH_CONNECTION", "NO_COLOR", "COLORTERM") if os.environ.get(name)]
    text = f"TERM={kind or 'not set'}, {size.columns}x{size.lines}, {' '.join(extra) or 'nothing special'}"
    found = [Finding("terminal", text)]
    if not sys.stdout.isatty():
        found.append(Finding("terminal", "standard output is no terminal: run and play work, the console does not"))
    elif kind in ("", "dumb"):
        found.append(Finding("terminal", "this terminal cannot draw", "warning", "set TERM, e.g. to xterm-256color"))
    elif size.columns < 80 or size.lines < 24:
        found.append(Finding("terminal", "smaller than 80x24: some views are cut", "warning"))
    encoding = (sys.stdout.encoding or "").lower()
    if encoding not in ("utf-8", "utf8"):
        remedy = "use a UTF-8 locale, or ascii = true in the [screen] section of the configuration"
        found.append(Finding("terminal", f"the encoding is {encoding or 'unknown'}", "warning", remedy))
    return found


def _sources(settings: Settings) -> list[Finding]:
    found = []
    for file in (paths.system_config_file(), paths.user_config_file(), Path.cwd() / PROJECT_FILE):
        found.append(Finding("settings", f"{file}: {'read' if file.is_file() else 'not there'}"))
    for file in paths.clush_conf_files():
        if file.is_file():
            found.append(Finding("settings", f"{file}: read, below all of these"))
        tree = file.with_name("topology.conf")
        if tree.is_file():
            text = f"{tree}: not used, nodes are reached directly"
            found.append(Finding("settings", text, "warning", "ProxyJump in ~/.ssh/config"))
    for name, value, source, _meaning in settings.explain():
        if source != "default":
            found.append(Finding("settings", f"{name} = {value} (from {source})"))
    return found


def _groups(settings: Settings) -> list[Finding]:
    from ClusterShell.NodeUtils import GroupResolverError, GroupSourceError

    from .session.group_files import loaded_groups, use_groups_file

    use_groups_file(settings)
    try:
        # Names only: asking a source for its nodes could run a program of the site.
        names = sorted(loaded_groups().sources())
    except (GroupResolverError, GroupSourceError, OSError) as error:
        return [Finding("groups", f"groups.conf: {error}", "error", "mend groups.conf")]
    return [Finding("groups", f"sources: {', '.join(names) or 'none'}; own groups: {len(settings.group_sets)}")]


def _ssh(settings: Settings) -> list[Finding]:
    found = [Finding("ssh", f"worker {settings.run.worker}, host keys: {settings.ssh.host_keys}")]
    socket = os.environ.get("SSH_AUTH_SOCK", "")
    if not socket:
        found.append(Finding("ssh", "no agent (SSH_AUTH_SOCK is not set)"))
    elif Path(socket).is_socket():
        found.append(Finding("ssh", f"agent at {socket}"))
    else:
        remedy = "start an agent, or unset SSH_AUTH_SOCK"
        found.append(Finding("ssh", f"SSH_AUTH_SOCK names {socket}, which is no socket", "warning", remedy))
    for text in (settings.ssh.config, settings.ssh.known_hosts):
        file = Path(text).expanduser()
        if not file.exists():
            found.append(Finding("ssh", f"{file}: not there"))
            continue
        try:
            check_trusted(file)
            found.append(Finding("ssh", f"{file}: {file.stat().st_size} bytes"))
        except (TrustError, OSError) as error:
            found.append(Finding("ssh", str(error), "warning"))
    have = [name for name in _PROGRAMS if shutil.which(name)]
    found.append(Finding("ssh", f"programs: {', '.join(have) or 'none'}"))
    if settings.run.worker in ("ssh", "pdsh") and settings.run.worker not in have:
        found.append(Finding("ssh", f"the worker {settings.run.worker} has no program", "error", "install it"))
    return found


def _limits(settings: Settings) -> list[Finding]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    found = [Finding("limits", f"open files: {soft} (at most {hard})")]
    if soft < _WANTED_DESCRIPTORS:
        remedy = f"ulimit -n {_WANTED_DESCRIPTORS} before clusterdeck is started"
        found.append(Finding("limits", f"only about {max(0, soft - 64)} connections fit", "warning", remedy))
    limits = settings.limits
    if limits.run_memory > limits.total_memory:
        remedy = "raise limits.total_memory"
        found.append(Finding("limits", "limits.run_memory is above limits.total_memory", "warning", remedy))
    if resource.getrlimit(resource.RLIMIT_CORE)[0]:
        found.append(
            Finding("limits", "core dumps are on: a crash could write secrets to disk", "warning", "ulimit -c 0")
        )
    return found


def _state() -> list[Finding]:
    try:
        folder = paths.state_dir()
    except OSError as error:
        return [Finding("state", str(error), "error", "set CLUSTERDECK_STATE_DIR to a folder of your own")]
    usage = shutil.disk_usage(folder)
    found = [Finding("state", f"{folder}: {usage.free // 1024**2} MiB free")]
    if usage.free < 1024**3:
        remedy = "free some space, or lower limits.total_spool"
        found.append(Finding("state", "less than 1 GiB free for outputs that do not fit in memory", "warning", remedy))
    log = paths.audit_file()
    if log.exists():
        from .records.audit import verify_chain

        broken = verify_chain(log)
        if broken is None:
            found.append(Finding("state", f"audit log: {log.stat().st_size} bytes, its chain is whole"))
        else:
            remedy = "somebody or something changed it: look, and move it away; the next line begins a new one"
            found.append(
                Finding("state", f"audit log: line {broken} does not follow from the one before", "error", remedy)
            )
        found += _cut_off(log)
    return found


def _cut_off(log: Path) -> list[Finding]:
    """Copies of killed consoles, and how what they left is removed."""
    from .records.cut_off import copies_cut_off, left_here

    found = []
    # What is on the nodes cannot be seen from here: after some days it is not told any more.
    since = time.strftime("%Y-%m-%dT", time.gmtime(time.time() - _TOLD_DAYS * 86400))
    for copy in copies_cut_off(log):
        if copy.kind == "rcopy":
            count = sum(1 for _ in left_here(copy))
            text = f"{count} half-copied file{'s' * (count != 1)} below {copy.destination}" if count else ""
        else:
            text = f"half-copied files may be on {copy.nodes}" if copy.time >= since else ""
        if text:
            found.append(Finding("state", f"{text}: the console was killed while it copied", "warning", copy.remedy()))
    return found[-_TOLD:]


def _crashes() -> list[Finding]:
    folder = paths.state_dir() / "crashes"
    reports = sorted(folder.glob("*.txt")) if folder.is_dir() else []
    if not reports:
        return [Finding("crashes", "no crash reports")]
    newest = reports[-1]
    first = newest.read_text("utf-8", "replace").splitlines()[:3]
    return [
        Finding("crashes", f"{len(reports)} reports, the newest: {newest}", "warning", "report it, then remove it"),
        *(Finding("crashes", line) for line in first),
    ]
