"""The demo's private folder: keys, client configuration, groups, and one folder with a few files per node.

FOLDER/id_ed25519         the operator's key          FOLDER/ssh_config    FOLDER/known_hosts
FOLDER/clustershell/      groups.conf and its groups  FOLDER/bin/          programs that answer for the node
FOLDER/nodes/demo1/       the node's home: kernel, services/, whatever is copied to it
"""

from __future__ import annotations

import getpass
import io
import os
from collections.abc import Mapping
from pathlib import Path

import paramiko
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from .plan import CONNECT_TIMEOUT, NodePlan, make_groups

_HOSTNAME = """#!/bin/sh
echo "$DEMO_NODE"
"""
_UNAME = """#!/bin/sh
case "$*" in
    -n) echo "$DEMO_NODE" ;;
    -r) cat "$DEMO_HOME/kernel" ;;
    -a) echo "Linux $DEMO_NODE $(cat "$DEMO_HOME/kernel") $(PATH=/usr/bin:/bin uname -m)" ;;
    *) PATH=/usr/bin:/bin exec uname "$@" ;;
esac
"""
_SYSTEMCTL = """#!/bin/sh
# The demo's nodes know two services and these two questions about them.
case "$1" in
    is-active|status) ;;
    *) echo "systemctl: this demo node knows only is-active and status" >&2; exit 1 ;;
esac
case "$2" in
    nginx|ssh) ;;
    *) echo "Unit $2.service could not be found." >&2; exit 4 ;;
esac
state=$(cat "$DEMO_HOME/services/$2")
if [ "$1" = status ]; then echo "$2.service is $state on $DEMO_NODE"; else echo "$state"; fi
[ "$state" = active ] || exit 3
"""
_PS = """#!/bin/sh
# On a real node each connection's commands have a parent of their own, by which an aborting console finds them. Here
# all nodes share one: all processes are those of this connection's commands, and whoever asks.
PATH=/usr/bin:/bin
case "$1" in
    -A | -e) [ -d /proc/self ] || exec ps "$@" ;;
    *) exec ps "$@" ;;
esac
shift
own=$(ps -o sid= -p $$ | tr -d ' ')
exec ps -s "$own${DEMO_SESSIONS:+,$DEMO_SESSIONS}" "$@"
"""


def new_key() -> tuple[paramiko.PKey, str]:
    """A fresh Ed25519 key: for paramiko, and as the text of an OpenSSH private key file."""
    text = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    return paramiko.Ed25519Key(file_obj=io.StringIO(text)), text


def write_client_files(folder: Path, key_text: str, ports: Mapping[str, int], host_keys: Mapping[str, str]) -> None:
    """Write what a client needs: the key (0600), ssh_config and known_hosts.

    host_keys: node name to "type base64".
    """
    key = folder / "id_ed25519"
    key.touch(mode=0o600)
    key.write_text(key_text)
    lines = [f"[127.0.0.1]:{ports[name]} {host_keys[name]}\n" for name in ports]
    (folder / "known_hosts").write_text("".join(lines))
    blocks = [f"Host {name}\n    Port {port}\n\n" for name, port in ports.items()]
    blocks.append(
        f"""Host demo*
    HostName 127.0.0.1
    User {getpass.getuser()}
    IdentityFile {key}
    IdentitiesOnly yes
    IdentityAgent none
    UserKnownHostsFile {folder / "known_hosts"}
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
    ConnectTimeout {CONNECT_TIMEOUT}
    BatchMode yes
"""
    )
    (folder / "ssh_config").write_text("".join(blocks))


def write_groups(folder: Path, plans: list[NodePlan]) -> None:
    """Write a ClusterShell configuration (for CLUSTERSHELL_CFGDIR) whose default group source is the demo's."""
    place = folder / "clustershell"
    (place / "groups.d").mkdir(parents=True)
    (place / "groups.conf").write_text("[Main]\ndefault: demo\nautodir: $CFGDIR/groups.d\n")
    groups = "".join(f'  {name}: "{nodes}"\n' for name, nodes in make_groups(plans).items())
    (place / "groups.d" / "demo.yaml").write_text(f"demo:\n{groups}")


def write_programs(folder: Path) -> None:
    """Write the programs that answer for the node rather than for this machine."""
    place = folder / "bin"
    place.mkdir()
    for name, text in (("hostname", _HOSTNAME), ("uname", _UNAME), ("systemctl", _SYSTEMCTL), ("ps", _PS)):
        (place / name).write_text(text)
        (place / name).chmod(0o755)


def write_node(folder: Path, plan: NodePlan) -> Path:
    """Make one node's folder and files; returns its real path."""
    home = folder / "nodes" / plan.name
    (home / "services").mkdir(parents=True)
    (home / "tmp").mkdir()
    (home / "kernel").write_text(f"{plan.kernel}\n")
    (home / "services" / "nginx").write_text(f"{plan.nginx}\n")
    (home / "services" / "ssh").write_text("active\n")
    return Path(os.path.realpath(home))


def node_environment(folder: Path, plan: NodePlan, home: Path) -> dict[str, str]:
    """The whole environment of a command on a node; the DEMO_CLUSTER value is how stray processes are found."""
    user = getpass.getuser()
    return {
        "PATH": f"{folder / 'bin'}:{os.environ.get('PATH', '/usr/bin:/bin')}",
        "HOME": str(home),
        "PWD": str(home),
        "USER": user,
        "LOGNAME": user,
        "SHELL": "/bin/sh",
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "HOSTNAME": plan.name,
        "DEMO_NODE": plan.name,
        "DEMO_HOME": str(home),
        "DEMO_CLUSTER": str(folder),
        "PS1": f"{plan.name}$ ",
    }
