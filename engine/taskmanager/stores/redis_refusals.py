"""What a Redis server refuses, in words that say what to do about it."""

from __future__ import annotations

#: By the first word of the server's answer.
_MEANINGS = {
    "READONLY": "it is a read-only replica; name the primary",
    "OOM": "its memory is full (maxmemory): what is queued can be worked off, nothing can be added",
    "MASTERDOWN": "it is a replica that has lost its primary; name the primary",
    "WRONGTYPE": "a key of the queue holds something else: another program writes there; use another queue.name",
    "MISCONF": "it cannot write its own file, see its log (a full disk?)",
}
#: The client takes the first word away where it has an exception for it.
_CODES = {"ReadOnlyError": "READONLY", "OutOfMemoryError": "OOM", "MasterDownError": "MASTERDOWN"}
#: What a script reads that its user may not do.
ACL = "The user executing the script can't"


def meaning(error: Exception) -> str:
    """One line for an answer that is an error."""
    name, text = type(error).__name__, str(error).partition(" script: ")[0].replace("\n", " ").strip()
    if name in ("MovedError", "AskError"):  # "5061 host:port"
        return f"this node of a cluster does not hold the queue; name {text.split()[-1]}"
    if name == "AuthenticationError":
        return f"it wants another name or password: {text}"
    if name == "NoPermissionError" or ACL in text:
        return f"its user may not do all that a queue needs (ACL): {text}"
    return of_answer(f"{_CODES[name]} {text}" if name in _CODES else text)


def of_answer(text: str) -> str:
    """The same for the text of the answer, its code in front."""
    return _MEANINGS.get(text.partition(" ")[0], text)


def evicts(memory: str) -> bool:
    """Whether a server throws away any key when its memory is full, from the part "memory" of its INFO."""
    told = dict(line.strip().split(":", 1) for line in memory.splitlines() if ":" in line)
    return told.get("maxmemory", "0") != "0" and told.get("maxmemory_policy", "").startswith("allkeys-")
