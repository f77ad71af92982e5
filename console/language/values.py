"""The small values of the command language: durations, counts, shares, conditions; each checked in one place.

Every reader raises ValueError with one line that names the value and what would be right.
"""

from __future__ import annotations

import re

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)(ms|s|m|h|d))", re.ASCII)
_NUMBER = re.compile(r"\d+(?:\.\d+)?\Z", re.ASCII)
_SHARE = re.compile(r"(\d+)(?:\.\d+)?%\Z", re.ASCII)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}\Z", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z", re.ASCII)
_PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}\Z", re.ASCII)

#: Longest duration taken: a hundred years; more is a slip of the finger and breaks timers of the system.
_LONGEST = 100 * 365 * 86400.0


def read_duration(text: str) -> float:
    """Seconds of `30s`, `5m`, `1h30m`, `0.5s`, `250ms`, `2d`, or of a plain number, which counts seconds."""
    seconds = -1.0
    if _NUMBER.match(text):
        seconds = float(text)
    else:
        parts = _DURATION.findall(text)
        if parts and "".join(number + unit for number, unit in parts) == text:
            seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if seconds < 0:
        raise ValueError(f"{text!a} is not a duration: write 30s, 5m, 1h30m or 0.5s")
    if seconds > _LONGEST:
        raise ValueError(f"{text} is too long: at most 100 years")
    return seconds


def show_duration(seconds: float) -> str:
    """The duration as one would type it: `1h30m`, `30s`, `0.5s`."""
    if seconds < 60:
        return f"{seconds:g}s"
    whole, rest = divmod(seconds, 60)
    minutes = int(whole)
    text = ""
    for unit, length in (("d", 1440), ("h", 60), ("m", 1)):
        count, minutes = divmod(minutes, length)
        text += f"{count}{unit}" if count else ""
    return text + (f"{rest:g}s" if rest else "")


def read_count(text: str) -> int:
    """A whole number of at least 1."""
    if text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0:
        return int(text)
    raise ValueError(f"{text!a} is not a count: write a whole number of at least 1")


def read_number(text: str) -> int:
    """A whole number of at least 0, such as the number of a run."""
    digits = text.removeprefix("#")
    if digits.isascii() and digits.isdigit() and len(digits) < 10:
        return int(digits)
    raise ValueError(f"{text!a} is not a number")


def read_wait(text: str) -> tuple[int | None, float | None]:
    """What `:wait` waits for: the number of a run (`12`, `#12`) or a duration with a unit (`30s`)."""
    if text.removeprefix("#").isdigit():
        return read_number(text), None
    try:
        return None, read_duration(text)
    except ValueError:
        raise ValueError(f"{text!a} is neither the number of a run nor a duration such as 30s") from None


def read_share(text: str) -> str:
    """A number of nodes or a share of them: `3`, `2%`; returned as it is."""
    share = _SHARE.match(text)
    if (share and int(share.group(1)) <= 100) or (text.isascii() and text.isdigit() and len(text) < 10):
        return text
    raise ValueError(f"{text!a} is neither a number of nodes nor a share: write 3 or 2%")


def read_batches(text: str) -> str:
    """Waves of nodes: shares separated by commas, the last of which may be `rest`; returned as it is."""
    *first, last = text.split(",")
    for part in [*first, *([] if last == "rest" else [last])]:
        if read_share(part) in ("0", "0%"):
            raise ValueError(f"{text!a}: a batch of no nodes; write 1,10%,rest")
    return text


def read_name(text: str) -> str:
    """A name for a macro, a saved node set or a queue: letters, digits, `_`, `.`, `-`, not first a digit or sign."""
    if _NAME.match(text):
        return text
    raise ValueError(f"{text!a} is not a name: use letters, digits and _ . - and begin with a letter")


def read_parameter_name(text: str) -> str:
    """The name of a macro's parameter."""
    if _PARAMETER.match(text):
        return text
    raise ValueError(f"{text!a} is not a parameter name: use letters, digits, _ and - and begin with a letter")


def read_assignment(text: str) -> tuple[str, str]:
    """`name=value` as a pair; the value may be empty."""
    name, sign, value = text.partition("=")
    if not sign:
        raise ValueError(f"{text!a} gives no value: write NAME=VALUE")
    return read_parameter_name(name), value


def read_variable(text: str) -> tuple[str, str]:
    """`NAME=value` as a pair, where the name is one that a shell takes; the value may be empty."""
    name, sign, value = text.partition("=")
    if sign and _VARIABLE.match(name):
        return name, value
    raise ValueError(f"{text!a} sets no variable: write NAME=VALUE, with letters, digits and _ in the name")


def read_present(text: str) -> str:
    """Any text that is not empty."""
    if text.strip():
        return text
    raise ValueError("an empty value: nothing can be meant by it")
