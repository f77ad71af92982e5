"""ClusterShell's node groups, read with our own care: files are trusted before they count, programs have limits.

ClusterShell waits for a group program for ever and keeps whatever it prints. Here a program that hangs or floods is
ended, with all that it started, and the groups of that source cannot be had; the others can.
"""

from __future__ import annotations

import configparser
import contextlib
import functools
import os
import selectors
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Template
from typing import Any

from ClusterShell.NodeSet import set_std_group_resolver, set_std_group_resolver_config, std_group_resolver
from ClusterShell.NodeUtils import (
    FileGroupSource,
    GroupResolverConfig,
    GroupResolverConfigError,
    GroupSourceQueryFailed,
    UpcallGroupSource,
)

from ..settings.settings import Settings
from ..settings.trust import TrustError, read_trusted

#: Seconds that a group program may take.
PROGRAM_TIMEOUT = 60.0
#: Bytes that it may print: the names of a million nodes.
PROGRAM_OUTPUT = 16 * 1024 * 1024
#: Places of a YAML file that may stand for another one: a handful is a convenience, many are a bomb.
MAX_ALIASES = 100


_FIRST_USE = threading.Lock()


def use_groups_file(settings: Settings) -> None:
    """Take the node groups from the file that the settings name, if they name one."""
    if settings.groups.file:
        set_std_group_resolver_config(os.path.expanduser(settings.groups.file))


def loaded_groups() -> Any:
    """The group resolver, with its configuration read. Raises GroupResolverConfigError.

    It reads that at its first use, and calls itself ready before it has: a second thread would find no group source.
    """
    with _FIRST_USE:
        resolver = std_group_resolver()
        if type(resolver) is GroupResolverConfig:
            resolver = TrustedGroups(resolver.filenames, resolver.illegal_chars)
            set_std_group_resolver(resolver)
        try:
            resolver.sources()
        except GroupResolverConfigError:
            # Half read, it would answer from what it has: the next who asks is told the reason again.
            resolver._initialized = False
            resolver._sources.clear()
            raise
    return resolver


def forget_groups(resolver: Any) -> None:
    """Ask group programs anew, and read group files that were written since, whatever their age allows.

    Raises TrustError, OSError, GroupResolverConfigError for a file that may not be read any more.
    """
    for source in list(resolver._sources.values()):
        if isinstance(source, UpcallGroupSource):
            source.clear_cache()
        elif isinstance(source, FileGroupSource):
            _check_yaml(Path(source.loader.filename))
            source.loader.cache_expiry = 0.0


class TrustedGroups(GroupResolverConfig):  # type: ignore[misc]
    """The groups of `groups.conf` and of the files that it names. Raises GroupResolverConfigError for one that others
    could have written.
    """

    def _late_init(self) -> None:
        names = [self.filenames] if isinstance(self.filenames, str) else self.filenames
        try:
            for name in names:
                if os.path.exists(name):
                    _read_trusted(Path(name))
            super()._late_init()
        except (TrustError, OSError, configparser.Error) as error:
            raise GroupResolverConfigError(str(error)) from error

    def _parse_config(self, cfg_dirname: str) -> None:
        for file in _parts(self.config, cfg_dirname):
            _read_trusted(file)
        super()._parse_config(cfg_dirname)

    def _sources_from_yaml(self, filepath: str) -> None:
        _check_yaml(Path(filepath))
        super()._sources_from_yaml(filepath)

    def add_source(self, group_source: Any) -> None:
        """As ClusterShell does; programs get their limits."""
        if isinstance(group_source, UpcallGroupSource):
            group_source._upcall_read = functools.partial(ask_program, group_source)
        super().add_source(group_source)


def _parts(config: configparser.ConfigParser, folder: str) -> Iterator[Path]:
    """The files that the main one names by their folders."""
    for option, suffix in (("groupsdir", "conf"), ("confdir", "conf"), ("autodir", "yaml")):
        for name in shlex.split(config.get("Main", option, fallback="")):
            yield from Path(Template(name).safe_substitute(CFGDIR=folder)).glob(f"*.{suffix}")


def _read_trusted(file: Path) -> str:
    """Its text; "" for a file that we may not read, which ClusterShell passes over, too. Raises TrustError, OSError."""
    try:
        return read_trusted(file)
    except PermissionError:
        return ""


def _check_yaml(file: Path) -> None:
    text = _read_trusted(file)
    if "*" not in text or "&" not in text:
        return
    import yaml  # type: ignore[import-untyped]

    try:
        aliases = sum(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise GroupResolverConfigError(f"{file}: {error}") from None
    if aliases > MAX_ALIASES:
        raise TrustError(f"{file} is not read: it has {aliases} aliases, and {MAX_ALIASES} are too many")


def ask_program(source: Any, upcall: str, values: Mapping[str, str]) -> str:
    """What a source's program prints. Raises GroupSourceQueryFailed, within PROGRAM_TIMEOUT seconds."""
    line = Template(source.upcalls[upcall]).safe_substitute(values)
    try:
        program = subprocess.Popen(
            line,
            shell=True,
            cwd=source.cfgdir,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise GroupSourceQueryFailed(f"{line}: {error}", source) from error
    with program:
        try:
            data = _read(program, line, source)
        except BaseException:
            # Nobody has waited for it yet, so the number is still its own, and that of what it started.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)
            raise
    if program.returncode != 0:
        raise GroupSourceQueryFailed(line, source)
    try:
        return data.decode().strip()
    except UnicodeDecodeError as error:
        raise GroupSourceQueryFailed(f"{line}: its answer is not UTF-8 text", source) from error


def _read(program: subprocess.Popen[bytes], line: str, source: Any) -> bytes:
    assert program.stdout is not None
    deadline = time.monotonic() + PROGRAM_TIMEOUT
    data = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(program.stdout, selectors.EVENT_READ)
        while True:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise GroupSourceQueryFailed(f"{line}: no answer within {PROGRAM_TIMEOUT:g} seconds", source)
            piece = os.read(program.stdout.fileno(), 65536)
            if not piece:
                break
            data += piece
            if len(data) > PROGRAM_OUTPUT:
                raise GroupSourceQueryFailed(f"{line}: its answer is larger than {PROGRAM_OUTPUT} bytes", source)
    try:
        # It closed its output; its end is waited for no longer than the answer.
        program.wait(max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise GroupSourceQueryFailed(f"{line}: did not end within {PROGRAM_TIMEOUT:g} seconds", source) from None
    return bytes(data)
