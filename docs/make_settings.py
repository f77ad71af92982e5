"""Writes docs/settings.md from the settings' and exit codes' own texts: `python docs/make_settings.py`.

A test fails when the page is not what this would write.
"""

from __future__ import annotations

from pathlib import Path

from clusterdeck.console.exits import ExitCode
from clusterdeck.console.settings.settings import (
    NODE_KEYS,
    Settings,
    as_toml,
    choices,
    describe,
    read_when,
    setting_names,
)

_PAGE = Path(__file__).with_name("settings.md")

_HEAD = """\
# Settings and exit codes

*This page is made from the program by `docs/make_settings.py`.*

## Where settings come from

The first that says something wins:

| source | how |
|---|---|
| flag | an option of the command line, or `:set NAME VALUE` during a session |
| run mode | `clusterdeck run -m MODE`, a `[mode:MODE]` section of `clush.conf` |
| environment | `CLUSTERDECK_SECTION_KEY`, such as `CLUSTERDECK_RUN_FANOUT=128` |
| project | `.clusterdeck.toml` in the current folder, once you have trusted it (`clusterdeck config trust`) |
| user | `config.toml` in your configuration folder (`~/.config/clusterdeck` on Linux) |
| system | `/etc/clusterdeck/config.toml` |
| clush.conf | ClusterShell's file, where clush looks for it; `CLUSTERDECK_CLUSH_CONF` names another (empty: none) |
| default | the tables below |

`clusterdeck config explain` prints every value with its source; `clusterdeck config explain node7` prints what counts
for a node: these settings, its `[[nodes]]` section and `ssh_config`, with file and line (`--node fanout` for a node
that is called like a setting). Files that somebody else may write to are refused, and so are unknown names: a message
gives the file, the line and the nearest known name.

Most settings count from the next command on when `:set` changes them. Those that are read once say when: there `:set`
comes too late, and they belong into one of the files.
"""

_NODES = """
## `[[nodes]]`: settings for some nodes

The first section that matches a node wins.

```toml
[[nodes]]
match = "edge[1-20]"
user = "admin"
port = 2222
```

It may set {keys}.

## `[groups.sets]`: groups of your own

```toml
[groups.sets]
canary = "web1,db1"
```

`@canary` then works beside the groups of ClusterShell's `groups.conf`.
"""


def page() -> str:
    """The whole page."""
    blank = Settings()
    lines = [_HEAD]
    section = ""
    for name in setting_names():
        home, _, key = name.partition(".")
        if home != section:
            section = home
            lines += [f"\n## `[{home}]`\n", "| setting | default | meaning |", "|---|---|---|"]
        allowed = f" ({', '.join(choices(name))})" if choices(name) and choices(name)[0] not in describe(name) else ""
        when = f"; read {read_when(name)}" if read_when(name) else ""
        lines.append(f"| `{key}` | `{as_toml(blank.get(name))}` | {describe(name)}{allowed}{when} |")
    lines.append(_NODES.format(keys=", ".join(f"`{key}`" for key in NODE_KEYS)))
    lines += ["## Exit codes\n", "| code | name | meaning |", "|---|---|---|"]
    lines += [f"| {code.value} | {code.name} | {code.describe()} |" for code in ExitCode]
    lines.append("\nWith `-S` the exit code is the largest return code of the nodes, as with clush.")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    _PAGE.write_text(page())
