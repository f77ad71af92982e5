"""A note on the node of what a slot runs and how it ended, so that a result can be had after the connection was lost.

A small `sh` wrapper writes a file per slot: a token and its process id before the command, the exit status after it.
Whoever comes back asks: the token of another job (or none) means "surely not started"; a status is the result; a live
process is waited for.

A console that ends in order removes its notes (`cleaning`). Those of one that was killed are of no use to anybody: the
first job of the next console on the node removes them (`tidying`).
"""

from __future__ import annotations

import hashlib
import re
import shlex

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,120}", re.ASCII)
_TOKEN = re.compile(r"[A-Za-z0-9]{8,64}", re.ASCII)
#: Where the notes are; on a home that many nodes share, the node is part of the file's name.
_FOLDER = '"${XDG_RUNTIME_DIR:-$HOME/.cache}/clusterdeck"'


#: Minutes after which the note of a job that is over is nobody's: hope for a node ends long before.
_OLD = 60
#: Notes of jobs that are over that one node keeps, however young they are.
_MOST = 512
#: Days after which a note goes in any case: of a node that is called otherwise now, or is gone, on a shared home.
_ANCIENT = 30


def marker_name(pool: str, node: str, slot: int) -> str:
    """The file's name for one slot of one pool on one node."""
    safe = "".join(c if (c.isalnum() and c.isascii()) or c in ".-" else "_" for c in node)[:60]
    if safe != node:  # `a:b` is not `a_b`: on a home that both share, one would take the other's note for nobody's
        safe += f"_{hashlib.sha256(node.encode()).hexdigest()[:12]}"
    return f"slot-{pool}-{safe}-{slot}"


def _checked(name: str, token: str) -> None:
    if _NAME.fullmatch(name) is None or _TOKEN.fullmatch(token) is None:
        raise ValueError("bad name or token of a marker")


def _tidying(name: str) -> str:
    """Shell text that removes from `$d` what killed consoles left of the node of this note; jobs that run stay."""
    node = name.split("-", 2)[2].rpartition("-")[0]
    # Only of this node: elsewhere (the home may be that of many) its process ids mean something else.
    mine = f'r=${{f#slot-}}; r=${{r#*-}}; case $f in slot-*-*-*) [ "${{r%-*}}" = {node} ];; *) false;; esac'
    return (
        f'cd "$d" || exit; over() {{ p=; read -r t p <"$1"; kill -0 "$p" || rm -f "$1"; }};'
        f" find . -type f -name 'slot-*' -mmin +{_OLD} |"
        f' while read -r f; do f=${{f#./}}; {mine} && over "$f"; done;'
        f' n=0; ls -t | while read -r f; do {mine} || continue; n=$((n+1)); [ $n -le {_MOST} ] || over "$f"; done;'
        f" find . -type f -name 'slot-*' -mtime +{_ANCIENT} -exec rm -f {{}} +"
    )


def wrapped(command: str, name: str, token: str, *, tidy: bool = False) -> str:
    """`command` with the note around it; its exit status stays. ValueError for a bad name or token.

    tidy: beside the command, notes of killed consoles are removed from the node.
    """
    _checked(name, token)
    beside = f" ({_tidying(name)}) </dev/null >/dev/null 2>&1 &" if tidy else ""
    script = (
        f'umask 077; d={_FOLDER}; [ -d "$d" ] || mkdir -p "$d"; m=$d/{name}; echo {token} $$ >"$m" || exit 255;'
        # The note first, then the look: who ends it leaves a word first and looks for the note then.
        f' if [ -e "$m.{token}" ]; then rm -f "$m.{token}"; echo 143 >>"$m"; exit 143; fi;'
        f"{beside}"
        # The status is appended: whoever reads in between still sees whose job it is.
        f" trap '' HUP; sh -c {shlex.quote(command)}; r=$?; echo $r >>\"$m\"; exit $r"
    )
    return f"exec sh -c {shlex.quote(script)}"  # whatever the login shell is


def question(name: str, token: str, patience: int = 3600) -> str:
    """What to run on the node to learn how it ended; waits for a process that still runs, at most `patience` seconds.

    Prints one line: `none`, `ended STATUS`, `gone` (died without a status) or `runs` (patience over).
    """
    _checked(name, token)
    script = (
        f'm={_FOLDER}/{name}; n=0; look() {{ t=; p=; r=; [ -f "$m" ] && {{ read -r t p; read -r r; }} <"$m"; }};'
        # Looks twice before it says none: the wrapper may be just starting.
        f' look; [ "$t" = {token} ] || {{ sleep 1; look; }};'
        f' while :; do if [ "$t" != {token} ]; then echo none; exit; fi;'
        ' if [ -n "$r" ]; then echo "ended $r"; exit; fi;'
        ' if ! kill -0 "$p" 2>/dev/null; then look; if [ -n "$r" ]; then echo "ended $r"; else echo gone; fi; exit; fi;'
        f" n=$((n+1)); if [ $n -gt {patience * 5} ]; then echo runs; exit; fi; sleep 0.2; look; done"
    )
    return f"exec sh -c {shlex.quote(script)}"


_TREE = (
    'ps -A -o pid= -o ppid= | awk -v p=$p \'{k[$2]=k[$2]" "$1}'
    ' function w(x,a,i,n){n=split(k[x],a," ");for(i=1;i<=n;i++){print a[i];w(a[i])}} END{w(p)}\''
)


def ending(name: str, token: str) -> str:
    """What to run on the node to end a command and all that it started: SIGTERM, a second later SIGKILL."""
    _checked(name, token)
    script = (
        f'umask 077; d={_FOLDER}; mkdir -p "$d"; m=$d/{name}; : >"$m.{token}" || exit 255;'
        ' t=; p=; r=; [ -f "$m" ] && { read -r t p; read -r r; } <"$m";'
        # No note yet: the wrapper finds our word as soon as it has written one, and starts nothing.
        f' [ "$t" = {token} ] || exit 0; rm -f "$m.{token}"; [ -z "$r" ] || exit 0;'
        # The number may be another process's by now: the wrapper's own text holds the token.
        # -ww: with COLUMNS set, ps would cut it off.
        f' case "$(ps -ww -o args= -p "$p" 2>/dev/null || ps -o args= -p "$p")" in *{token}*) ;; *) exit 0;; esac;'
        f' all="$({_TREE}) $p"; kill -TERM $all 2>/dev/null; n=0;'
        " alive() { for k in $all; do kill -0 $k 2>/dev/null && return 0; done; return 1; };"
        " while alive && [ $n -lt 10 ]; do n=$((n+1)); sleep 0.1; done;"
        " kill -KILL $all 2>/dev/null; exit 0"
    )
    return f"exec sh -c {shlex.quote(script)}"


def answer(output: bytes) -> tuple[str, int | None]:
    """The meaning of the question's output: ("none" | "ended" | "gone" | "runs", status); "gone" for nonsense."""
    words = output.decode("ascii", "replace").split()
    if len(words) == 1 and words[0] in ("none", "gone", "runs"):
        return words[0], None
    if len(words) == 2 and words[0] == "ended" and words[1].isdigit() and int(words[1]) < 256:
        return "ended", int(words[1])
    return "gone", None


def cleaning(pool: str) -> str:
    """What to run on a node to forget all notes of a pool."""
    if _NAME.fullmatch(pool) is None:
        raise ValueError("bad name of a pool")
    script = f"rm -f {_FOLDER}/slot-{pool}-*"
    return f"exec sh -c {shlex.quote(script)}"
