"""Recognises shell commands that end machines or destroy data, so that they can be asked about.

This is a seat belt, not a fence: it catches what is typed by mistake, not what is hidden on purpose.
"""

from __future__ import annotations

import fnmatch
import re
import shlex
from collections.abc import Iterable, Iterator

#: A verb and, where it takes more to be dangerous, words of which each must be among its arguments: a flag group
#: (`-rf`: all letters, in any spelling), or a glob; `|` separates alternatives.
DEFAULT_VERBS: tuple[str, ...] = (
    "reboot",
    "shutdown",
    "halt",
    "poweroff",
    "kexec",
    "init 0|1|6",
    "telinit 0|1|6",
    "systemctl reboot|poweroff|halt|kexec|rescue|emergency|isolate|suspend",
    "systemctl stop|disable|mask ssh|sshd|ssh.service|sshd.service|network*|NetworkManager*|systemd-networkd*",
    "service ssh|sshd|network*|NetworkManager* stop",
    "scontrol reboot*",
    "rm -r",
    "find -delete",
    "mkfs*",
    "mke2fs",
    "mkswap",
    "wipefs",
    "shred",
    "blkdiscard",
    "dd of=/dev/*",
    "fdisk",
    "sfdisk",
    "sgdisk",
    "parted",
    "pvremove",
    "vgremove",
    "lvremove",
    "zpool destroy",
    "zfs destroy",
    "mdadm --zero-superblock|--stop",
    "cryptsetup luksFormat|erase",
    "chmod -R",
    "chown -R",
    "userdel",
    "groupdel",
    "crontab -r",
    "iptables -F",
    "nft flush",
    "ip link down",
    "ifdown",
    "killall",
    "pkill -9",
    "kill -1",
)

#: Words in front of the real command, with their options that take a value.
_WRAPPERS: dict[str, str] = {
    "sudo": "ughpCTrtDR",
    "doas": "uC",
    "env": "uCS",
    "nice": "n",
    "ionice": "cnp",
    "time": "fo",
    "timeout": "ks",
    "stdbuf": "ioe",
    "xargs": "aEIiLlnPsd",
    "watch": "n",
    "chroot": "",
    "taskset": "",
    "numactl": "",
    "nohup": "",
    "setsid": "",
    "exec": "a",
    "command": "",
    "builtin": "",
    "busybox": "",
}
#: Wrappers whose first plain word is a value of their own (a duration, a folder, a mask).
_TAKES_WORD = frozenset({"timeout", "chroot", "taskset"})
_SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "ash", "su", "ssh", "eval"})
_KEYWORDS = frozenset({"if", "then", "else", "elif", "while", "until", "do", "!", "{", "(", "time", "fi", "done", "}"})
_LONG = {"r": "--recursive", "R": "--recursive", "f": "--force", "F": "--flush"}
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_TO_DEVICE = re.compile(r">\s*/dev/(?:sd|hd|vd|xvd|nvme|mmcblk|dm-|md|mapper/|disk/)")
_BOMB = re.compile(r":\s*\(\s*\)\s*\{")
_PUNCTUATION = frozenset(";&|()\n")
_MAX_DEPTH = 4
#: Characters of a command that are judged: nobody types more, and a prompt must not hang over a pasted file.
_MOST = 64 * 1024


def dangerous(command: str, extra: Iterable[str] = ()) -> str | None:
    """The dangerous verb in a shell command, None where none is known. extra: further verbs, written like the list.

    >>> dangerous("uptime; sudo -n rm -fr /tmp/x")
    'rm -r'
    """
    if _TO_DEVICE.search(command):
        return "> /dev/..."
    if _BOMB.search(command):
        return ":(){ ... }"
    command = command[:_MOST]
    verbs = [*DEFAULT_VERBS, *(verb for verb in extra if verb.strip())]
    # Most commands hold none of the words at all, and reading a long one as a shell does takes its time.
    words = {part for verb in verbs for part in re.findall(r"[A-Za-z0-9_]+", verb.split()[0])[:1]}
    if not any(word in command for word in words):
        return None
    return _search(command, _by_head(verbs), 0)


Verbs = dict[str, list[str]]


def _by_head(verbs: list[str]) -> Verbs:
    """Verbs by their first word; those whose first word is a glob under ""."""
    found: Verbs = {"": []}
    for verb in verbs:
        head = verb.split()[0]
        found.setdefault("" if any(mark in head for mark in "*?[") else head, []).append(verb)
    return found


def _search(command: str, verbs: Verbs, depth: int) -> str | None:
    if depth > _MAX_DEPTH:
        return None
    for words in _simple_commands(command):
        found = _judge(words, verbs, depth)
        if found is not None:
            return found
    # What stands in backquotes or $( ) inside double quotes is a command too.
    for inner in re.findall(r"`([^`]*)`|\$\(([^()]*)\)", command):
        found = _search(inner[0] or inner[1], verbs, depth + 1)
        if found is not None:
            return found
    return None


def _simple_commands(command: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(command.replace("\n", " ; "), posix=True, punctuation_chars=";&|()")
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    try:
        for word in lexer:
            if word and set(word) <= _PUNCTUATION:
                if words:
                    yield words
                words = []
            else:
                words.append(word)
    except ValueError:
        # An open quote: the shell will refuse it; what was read so far is still judged.
        words += command.split()[-1:]
    if words:
        yield words


def _judge(words: list[str], verbs: Verbs, depth: int) -> str | None:
    words = _unwrapped(words)
    if not words:
        return None
    name, arguments = words[0].rpartition("/")[2], words[1:]
    if name in _SHELLS:
        for argument in arguments:
            if not argument.startswith("-"):
                found = _search(argument, verbs, depth + 1)
                if found is not None:
                    return found
        if name in ("ssh", "eval"):
            return _search(" ".join(arguments[1:] if name == "ssh" else arguments), verbs, depth + 1)
        return None
    if name == "find" and any(word in ("-exec", "-execdir", "-ok") for word in arguments):
        place = next(number for number, word in enumerate(arguments) if word in ("-exec", "-execdir", "-ok"))
        found = _judge(arguments[place + 1 :], verbs, depth)
        if found is not None:
            return found
    candidates = (*verbs.get(name, ()), *verbs[""])
    return next((found for verb in candidates if (found := _match(verb, name, arguments)) is not None), None)


def _unwrapped(words: list[str]) -> list[str]:
    """The words from the real command on: without assignments, keywords, sudo and its like."""
    position = 0
    while position < len(words):
        name = words[position].rpartition("/")[2]
        if _ASSIGNMENT.match(words[position]) or name in _KEYWORDS - {"time"}:
            position += 1
        elif name in _WRAPPERS:
            position = _skip_options(words, position + 1, _WRAPPERS[name])
            position += name in _TAKES_WORD
        else:
            break
    return words[position:]


def _skip_options(words: list[str], position: int, with_value: str) -> int:
    while position < len(words) and words[position].startswith("-") and len(words[position]) > 1:
        option = words[position]
        position += 1
        if option == "--":
            break
        if not option.startswith("--") and len(option) == 2 and option[1] in with_value:
            position += 1
    return position


def _match(verb: str, name: str, arguments: list[str]) -> str | None:
    """The verb as it occurs, None where it does not."""
    head, *wanted = verb.split()
    if not fnmatch.fnmatchcase(name, head):
        return None
    found = [_find(word, arguments) for word in wanted]
    return None if None in found else " ".join([name, *(word for word in found if word)])


def _find(wanted: str, arguments: list[str]) -> str | None:
    """The argument that satisfies a word of a verb; flags as the verb spells them."""
    if wanted in arguments:
        return wanted
    if wanted[0] == "-" and wanted[1:].isalpha():
        return wanted if all(_has_letter(letter, arguments) for letter in wanted[1:]) else None
    patterns = wanted.split("|")
    return next((word for word in arguments for pattern in patterns if fnmatch.fnmatchcase(word, pattern)), None)


def _has_letter(letter: str, arguments: list[str]) -> bool:
    spellings = {letter, letter.swapcase()} if letter in "rR" else {letter}
    for word in arguments:
        if word == "--":
            return False
        if word.startswith("--"):
            if word == _LONG.get(letter):
                return True
        elif word.startswith("-") and spellings.intersection(word[1:]):
            return True
    return False
