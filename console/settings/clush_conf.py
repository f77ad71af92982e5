"""clush.conf(5): the settings and run modes that a site has written down for clush, read as they are.

Read in clush's order, later files winning: `/etc/clustershell`, `~/.local/etc/clustershell`, the user's configuration
folder, `$CLUSTERSHELL_CFGDIR`; then the `*.conf` files of `confdir`. The sample that the Python package installs beside
itself is not read. CLUSTERDECK_CLUSH_CONF names another file; empty: none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

from .settings import Settings, SettingsError, nearest
from .settings_file import settings_text

#: Keys of clush.conf and what they are here; None: known, but nothing that clusterdeck has a use for.
KEYS: dict[str, str | None] = {
    "fanout": "run.fanout",
    "connect_timeout": "run.connect_timeout",
    "command_timeout": "run.timeout",
    "ssh_user": "run.user",
    "ssh_path": "ssh.path",
    "ssh_options": "ssh.options",
    "scp_path": "ssh.scp_path",
    "scp_options": "ssh.scp_options",
    "rsh_path": "rsh.path",
    "rsh_options": "rsh.options",
    "rcp_path": "rsh.rcp_path",
    "rcp_options": "rsh.rcp_options",
    "color": "screen.color",
    "verbosity": "batch.verbosity",
    "maxrc": "batch.max_rc",
    "node_count": "batch.node_count",
    "command_prefix": "batch.command_prefix",
    "password_prompt": "batch.password_prompt",
    "fd_max": None,
    "history_size": None,
    "confdir": None,
}
_MODE = "mode:"
#: What the source of a setting has in it when a clush.conf has set it.
MARK = "(clush"


@dataclass(slots=True)
class ClushConf:
    """What was found: key -> (value, file), of `[Main]` and of each run mode."""

    main: dict[str, tuple[str, Path]] = field(default_factory=dict)
    modes: dict[str, dict[str, tuple[str, Path]]] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)

    def apply(self, settings: Settings) -> None:
        """Set what `[Main]` says. Raises SettingsError."""
        _apply(settings, self.main, f"{MARK})")

    def apply_mode(self, settings: Settings, mode: str) -> None:
        """Set what a run mode says. Raises SettingsError, also where there is no such mode."""
        if mode not in self.modes:
            known = f"; there are: {', '.join(sorted(self.modes))}" if self.modes else ": clush.conf defines none"
            raise SettingsError(f"unknown run mode {mode!r}{nearest(mode, list(self.modes)) or known}")
        _apply(settings, self.modes[mode], f"{MARK}, mode {mode})")


def _apply(settings: Settings, values: Mapping[str, tuple[str, Path]], what: str) -> None:
    for key, (value, file) in values.items():
        name = KEYS.get(key)
        if name is None or not value.strip():
            continue  # clush passes over what it does not know, and so must who reads its file
        try:
            settings.set(name, value.strip(), f"{file} {what}")
        except SettingsError as error:
            raise SettingsError(f"{file}: {key}: {error}") from None


def read_clush_conf(files: Sequence[Path]) -> ClushConf:
    """What these files say, the last one winning. Raises SettingsError naming the file."""
    found = ClushConf()
    for file in files:
        _read(file, found)
    if found.files and "confdir" in found.main:
        home = found.files[-1].parent
        import shlex

        try:
            words = shlex.split(found.main["confdir"][0])
        except ValueError as error:
            raise SettingsError(f"{found.main['confdir'][1]}: confdir: {error}") from None
        folders = dict.fromkeys(Path(Template(word).safe_substitute(CFGDIR=str(home))) for word in words)
        for folder in folders:
            if folder.is_dir():
                for part in sorted(folder.glob("*.conf")):
                    _read(part, found)
    return found


def _read(file: Path, found: ClushConf) -> None:
    text = settings_text(file)
    if text is None:
        return
    import configparser  # only where there is a file to read

    parser = configparser.ConfigParser()
    try:
        parser.read_string(text, source=str(file))
        sections = {section: dict(parser.items(section)) for section in parser.sections()}
    except configparser.Error as error:
        raise SettingsError(f"{file}: {' '.join(str(error).split())}") from None
    found.files.append(file)
    for section, values in sections.items():
        sourced = {key: (value, file) for key, value in values.items()}
        if section == "Main":
            found.main.update(sourced)
        elif section.startswith(_MODE):
            found.modes.setdefault(section.removeprefix(_MODE), {}).update(sourced)
