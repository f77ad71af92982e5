"""When a run stops before its end: `fail=5%`, `now,fail=1`, `soon,done=100`, `never` (GNU parallel's --halt)."""

from __future__ import annotations

import re
from dataclasses import dataclass

_RULE = re.compile(r"(?:(now|soon),)?(fail|success|done)=([0-9]+)(%?)")
#: With a percentage, at least so many jobs must have ended that way: one failure of two is no 50 %.
LEAST = 3


@dataclass(frozen=True, slots=True)
class Halt:
    """now: end the running jobs too (else only start no more). why: fail, success or done. limit: jobs or percent."""

    now: bool
    why: str
    limit: int
    percent: bool

    def reached(self, failed: int, succeeded: int, total: int) -> bool:
        """Whether the run shall stop, given what has ended so far."""
        count = {"fail": failed, "success": succeeded, "done": failed + succeeded}[self.why]
        if self.percent:
            return count >= LEAST and total > 0 and count * 100 >= self.limit * total
        return count >= self.limit


def parse_halt(text: str | None) -> Halt | None:
    """The rule in words; None for `never`. ValueError with an example for anything else."""
    if text is None or text == "never":
        return None
    match = _RULE.fullmatch(text)
    if match is None or int(match[3]) == 0 or (match[4] and int(match[3]) > 100):
        raise ValueError(f"--halt {text!r}: write never, fail=5%, now,fail=1 or soon,done=100")
    return Halt(match[1] == "now", match[2], int(match[3]), bool(match[4]))
