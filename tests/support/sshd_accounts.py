"""A server with accounts, passwords and sudo of its own, none of which the machine knows.

sshd runs in a mount namespace in which its own passwd, shadow, sudoers and PAM files lie over the system's. Everything
is gone with the server. Only root may do that, and not in every container: `why_not()` says what is in the way.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

from clusterdeck.tests.support.sshd import Sshd

#: The accounts: name -> (number, password); `trusted` needs none for sudo, `stranger` may not use it.
ACCOUNTS = {"operator": (20001, "right horse"), "trusted": (20002, "unused"), "stranger": (20003, "odd goat")}
#: Where the server's folder is seen in there.
PLACE = "/mnt"

_SUDOERS = f"""Defaults lecture=never, timestamp_timeout=0, logfile={PLACE}/sudo.log, passwd_tries=3
root ALL=(ALL:ALL) ALL
operator ALL=(ALL:ALL) ALL
trusted ALL=(ALL:ALL) NOPASSWD: ALL
"""
_PAM = "auth required pam_unix.so nodelay\naccount required pam_unix.so\nsession required pam_unix.so\n"
_OVER = ("passwd", "shadow", "group", "sudoers", "pam.d/sudo", "pam.d/sshd")


def why_not() -> str:
    """What keeps this machine from running such a server; empty if nothing does."""
    if os.geteuid() != 0:
        return "accounts of its own need root"
    try:
        command = ["unshare", "--mount", "mount", "--bind", "/etc/hostname", "/etc/hostname"]
        tried = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "there is no unshare program"
    return tried.stderr.strip() if tried.returncode else ""


def sshd_with_accounts(folder: Path, **more: str) -> Sshd:
    """The server: node1.. log in as `operator`; `-l` or ssh_user chooses another account. folder: an empty one.

    more: sshd_config keywords.
    """
    folder.chmod(0o755)
    lines = "\n".join(_mount(folder / "etc" / name, f"/etc/{name}") for name in _OVER)
    script = f'set -e\n{lines}\nmount -t tmpfs none /run/sudo\n{_mount(folder, PLACE)}\nexec "$@"\n'
    _write(folder)
    wrapper = ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", script, "accounts"]
    options = {"AuthorizedKeysFile": f"{PLACE}/authorized_keys", "SetEnv": "MARK=1", **more}
    Path("/run/sudo").mkdir(mode=0o711, exist_ok=True)
    server = Sshd(folder, options, wrapper=wrapper)
    server.user = "operator"
    server.config.write_text(server.config.read_text().replace("    User root\n", "    User operator\n"))
    (folder / "authorized_keys").chmod(0o644)
    return server


def _mount(source: Path, target: str) -> str:
    return f"mount --bind {shlex.quote(str(source))} {target}"


def _write(folder: Path) -> None:
    etc = folder / "etc"
    (etc / "pam.d").mkdir(parents=True)
    passwd, shadow, group = (Path(f"/etc/{name}").read_text() for name in ("passwd", "shadow", "group"))
    for name, (number, password) in ACCOUNTS.items():
        home = folder / "home" / name
        home.mkdir(parents=True)
        os.chown(home, number, number)
        passwd += f"{name}:x:{number}:{number}::{PLACE}/home/{name}:/bin/sh\n"
        shadow += f"{name}:{_hash(password)}:20000:0:99999:7:::\n"
        group += f"{name}:x:{number}:\n"
    texts = {"passwd": passwd, "shadow": shadow, "group": group, "sudoers": _SUDOERS}
    modes = {"shadow": 0o600, "sudoers": 0o440}
    for file, text in (texts | {"pam.d/sudo": _PAM, "pam.d/sshd": _PAM}).items():
        (etc / file).write_text(text)
        (etc / file).chmod(modes.get(file, 0o644))


def _hash(password: str) -> str:
    # Python's own module for this is gone since 3.13; perl is part of every Debian.
    command = ["perl", "-e", "print crypt($ARGV[0], q($6$clusterdeck$))", password]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
