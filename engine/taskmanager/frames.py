"""The wire between a manager and its workers: JSON frames with their length in front, checked before use.

A frame is `LENGTH newline JSON newline`, the JSON in ASCII on one line: it can be cut by length, and it also passes
unharmed through anything that hands over lines. Nothing in a frame is ever evaluated, imported or unpickled.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from .errors import FrameError
from .tasks import MESSAGE_LIMIT, NAME, TASK_ID, TRACEBACK_LIMIT

VERSION = 1
#: Largest frame, bytes; deepest nesting; most values in one frame (bounds the memory that parsing may take).
SIZE_LIMIT = 16 * 1024 * 1024
DEPTH_LIMIT = 32
VALUES_LIMIT = 2_000_000
#: Digits of the length and its newline.
_HEADER_LIMIT = 9
MOST_CREDITS = 1024

Frame = dict[str, Any]
Check = Callable[[Any], bool]


def _integer(low: int, high: int) -> Check:
    return lambda value: type(value) is int and low <= value <= high


def _text(limit: int) -> Check:
    return lambda value: isinstance(value, str) and len(value) <= limit


def _one_of(*values: str) -> Check:
    return lambda value: isinstance(value, str) and value in values


def _or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _anything(_value: Any) -> bool:
    return True


def _flag(value: Any) -> bool:
    return type(value) is bool


def _tag(value: Any) -> bool:
    return isinstance(value, str) and NAME.fullmatch(value) is not None


def _tags(value: Any) -> bool:
    return isinstance(value, list) and 0 < len(value) <= 1000 and all(_tag(each) for each in value)


def _task_id(value: Any) -> bool:
    return isinstance(value, str) and TASK_ID.fullmatch(value) is not None


def _period(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value < math.inf


def _mapping(value: Any) -> bool:
    return isinstance(value, dict) and len(value) <= 100


def _error(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == {"type_name", "message", "traceback"}
        and all(isinstance(each, str) for each in value.values())
        and len(value["type_name"]) <= 200
        and len(value["message"]) <= MESSAGE_LIMIT
        and len(value["traceback"]) <= TRACEBACK_LIMIT
    )


_LEASE: Mapping[str, Check] = {"id": _task_id, "attempt": _integer(1, 2**53)}
_CALL = _integer(0, 2**53)
Schema = Mapping[str, Mapping[str, Check]]

#: What a worker or client may send. Every field must be there, no other may.
TO_MANAGER: Schema = {
    "hello": {
        "version": _integer(VERSION, VERSION),
        "role": _one_of("worker", "client"),
        "tags": _or_none(_tags),
        "credits": _integer(0, MOST_CREDITS),
        "period": _or_none(_period),
        "info": _text(200),
    },
    "credit": {"count": _integer(1, MOST_CREDITS)},
    "ack": _LEASE,
    "result": {**_LEASE, "value": _anything},
    "exception": {**_LEASE, "error": _error},
    "return": _LEASE,
    "ping": {},
    "bye": {},
    "call": {"number": _CALL, "method": _text(40), "arguments": _mapping},
}
#: What the manager may send.
TO_WORKER: Schema = {
    "welcome": {"version": _integer(VERSION, VERSION), "process": _or_none(_integer(0, 2**53))},
    "task": {**_LEASE, "tag": _tag, "parameters": _anything},
    "stored": {**_LEASE, "held": _flag},
    "cancelled": _LEASE,
    "stop": {},
    "pong": {},
    "answer": {"number": _CALL, "value": _anything},
    "error": {"number": _CALL, "error": _error},
    "fault": {"message": _text(1000)},
}

_encoder = json.JSONEncoder(allow_nan=False, separators=(",", ":"), ensure_ascii=True)


def encode(kind: str, **fields: Any) -> bytes:
    """One frame. TypeError or ValueError when a field is no JSON value, or the frame is too large or too deep."""
    try:
        body = _encoder.encode({"kind": kind, **fields}).encode("ascii")
    except RecursionError as error:
        raise ValueError("nested too deeply for a frame") from error
    problem = _too_much(body)
    if problem:
        raise ValueError(problem)
    return b"%d\n%b\n" % (len(body), body)


def _too_much(body: bytes) -> str:
    if len(body) > SIZE_LIMIT:
        return f"frame of {len(body)} bytes: at most {SIZE_LIMIT}"
    opened = body.count(b"[") + body.count(b"{")
    if body.count(b",") + opened > VALUES_LIMIT:
        return f"frame with more than {VALUES_LIMIT} values"
    if opened > DEPTH_LIMIT and _depth(body) > DEPTH_LIMIT:
        return f"frame nested more than {DEPTH_LIMIT} deep"
    return ""


_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)


def _depth(body: bytes) -> int:
    """Deepest nesting, at least as far as the limit; brackets inside strings do not count."""
    depth = deepest = 0
    for mark in _STRING_OR_BRACKET.finditer(body):
        byte = body[mark.start()]
        if byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
            if deepest > DEPTH_LIMIT:
                break
        elif byte != 0x22:
            depth -= 1
    return deepest


class FrameReader:
    """Cuts and checks what one peer sends.

    schema: what it may say. Keeps at most one frame and its rest. Every error is FrameError and final: after it the
    place in the stream is unknown.
    """

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._buffer = bytearray()
        self._need: int | None = None

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that are whole now."""
        self._buffer += data
        frames: list[Frame] = []
        while True:
            if self._need is None and not self._header():
                return frames
            need = self._need
            assert need is not None
            if len(self._buffer) <= need:
                return frames
            if self._buffer[need] != 0x0A:
                raise FrameError("frame without an end where its length says")
            body = bytes(self._buffer[:need])
            del self._buffer[: need + 1]
            self._need = None
            frames.append(self._parsed(body))

    @property
    def partial(self) -> bool:
        """Whether a frame has begun and is not whole."""
        return bool(self._buffer) or self._need is not None

    def _header(self) -> bool:
        end = self._buffer.find(b"\n", 0, _HEADER_LIMIT)
        if end < 0:
            if len(self._buffer) >= _HEADER_LIMIT:
                raise FrameError("no frame length where one must be")
            return False
        digits = bytes(self._buffer[:end])
        if not digits.isdigit() or (digits[0] == 0x30):
            raise FrameError("no frame length where one must be")
        size = int(digits)
        if size > SIZE_LIMIT:
            raise FrameError(f"frame of {size} bytes: at most {SIZE_LIMIT}")
        del self._buffer[: end + 1]
        self._need = size
        return True

    def _parsed(self, body: bytes) -> Frame:
        problem = _too_much(body)
        if problem:
            raise FrameError(problem)
        try:
            frame = json.loads(body.decode("ascii"), parse_constant=_no_constant, object_pairs_hook=_no_twice)
        except (ValueError, RecursionError) as error:
            raise FrameError(f"frame is no JSON: {type(error).__name__}") from error
        return self._checked(frame)

    def _checked(self, frame: Any) -> Frame:
        kind = frame.get("kind") if isinstance(frame, dict) else None
        fields = self._schema.get(kind) if isinstance(kind, str) else None
        if fields is None:
            raise FrameError("frame of an unknown kind")
        if len(frame) != len(fields) + 1:
            raise FrameError(f"{kind} frame: fields missing or unknown")
        for name, check in fields.items():
            if name not in frame or not check(frame[name]):
                raise FrameError(f"{kind} frame: bad or missing {name}")
        return dict(frame)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _no_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field twice")
    return found
