"""Tables of commands, run in every place with every engine: events in their order, and what can be read afterwards."""

from __future__ import annotations

import signal
import threading
from typing import Any

import pytest

from clusterdeck.engine import errors
from clusterdeck.tests.engine.conftest import LOCAL, Place, Recorder
from clusterdeck.tests.support.patience import with_time_enough

#: command, keywords of shell(), events, return code, message, message on stderr.
CASES: dict[str, tuple[str, dict[str, Any], list[str], int | None, bytes | None, bytes | None]] = {
    "no output": ("true", {}, ["start", "pickup NODE", "hup NODE 0", "close False"], 0, None, None),
    "two lines": (
        "echo foo; echo bar",
        {},
        ["start", "pickup NODE", "read NODE stdout foo", "read NODE stdout bar", "hup NODE 0", "close False"],
        0,
        b"foo\nbar",
        None,
    ),
    "empty lines stay": (
        "printf '\\na\\n\\n'",
        {},
        [
            "start",
            "pickup NODE",
            "read NODE stdout ",
            "read NODE stdout a",
            "read NODE stdout ",
            "hup NODE 0",
            "close False",
        ],
        0,
        b"\na\n",
        None,
    ),
    "last line without an end": (
        "printf 'a\\nb'",
        {},
        ["start", "pickup NODE", "read NODE stdout a", "read NODE stdout b", "hup NODE 0", "close False"],
        0,
        b"a\nb",
        None,
    ),
    "carriage returns": (
        "printf 'a\\r\\nb\\rc\\r\\n'",
        {},
        ["start", "pickup NODE", "read NODE stdout a", "read NODE stdout b\rc", "hup NODE 0", "close False"],
        0,
        b"a\nb\rc",
        None,
    ),
    "return code": ("exit 7", {}, ["start", "pickup NODE", "hup NODE 7", "close False"], 7, None, None),
    "signal": ("kill -9 $$", {}, ["start", "pickup NODE", "hup NODE 137", "close False"], 137, None, None),
    "stderr is merged": (
        "echo foo >&2",
        {},
        ["start", "pickup NODE", "read NODE stdout foo", "hup NODE 0", "close False"],
        0,
        b"foo",
        None,
    ),
    "stderr apart": (
        "echo foo >&2",
        {"stderr": True},
        ["start", "pickup NODE", "read NODE stderr foo", "hup NODE 0", "close False"],
        0,
        None,
        b"foo",
    ),
    "both apart": (
        "echo a; sleep 0.2; echo b >&2; exit 4",
        {"stderr": True},
        ["start", "pickup NODE", "read NODE stdout a", "read NODE stderr b", "hup NODE 4", "close False"],
        4,
        b"a",
        b"b",
    ),
    "return code 255": ("exit 255", {}, ["start", "pickup NODE", "hup NODE 255", "close False"], 255, None, None),
    "no space left": (
        "LC_ALL=C; export LC_ALL; cat /etc/hostname 2>&1 >/dev/full | sed 's/.*: //'; exit 9",
        {},
        ["start", "pickup NODE", "read NODE stdout No space left on device", "hup NODE 9", "close False"],
        9,
        b"No space left on device",
        None,
    ),
    "empty input": ("cat", {"stdin": False}, ["start", "pickup NODE", "hup NODE 0", "close False"], 0, None, None),
    "timeout": (
        "echo foo; printf bar; exec sleep 30",
        {"timeout": "enough for what comes before"},
        ["start", "pickup NODE", "read NODE stdout foo", "close True"],
        None,
        b"foo",
        None,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_case(place: Place, case: str) -> None:
    command, kwargs, events, rc, message, error = CASES[case]

    def attempt(limit: float) -> tuple[Recorder, Any]:
        handler = Recorder()
        worker = place.shell(
            command, handler=handler, **(kwargs | {"timeout": limit} if "timeout" in kwargs else kwargs)
        )
        place.task.resume()
        return handler, worker

    if "timeout" in kwargs:
        handler, worker = with_time_enough(attempt, lambda found: place.read(found[1]))
    else:
        handler, worker = attempt(-1)
    if place.name == "ssh" and case == "signal":
        # OpenSSH says 255 for a command that a signal killed.
        assert handler.events[-2] == "hup node1 255"
        return
    assert handler.events == place.expect(*events)
    assert place.read(worker) == message
    assert place.error(worker) == error
    assert place.task.max_retcode() == rc
    assert (place.task.num_timeout(), worker.did_timeout()) == ((1, True) if rc is None else (0, False))
    key = worker if place.name == "popen" else "node1"
    assert place.task.key_buffer(key) == (message or b"")
    assert place.task.key_error(key) == (error or b"")


def test_both_streams_merged(place: Place) -> None:
    """Here both are one pipe, so the order is kept; an sshd reads two pipes and sends what it finds first."""
    worker = place.shell("echo a; echo b >&2; echo c")
    place.task.resume()
    lines = (place.read(worker) or b"").split(b"\n")
    assert (lines if place.name in LOCAL else sorted(lines)) == [b"a", b"b", b"c"]
    assert place.error(worker) is None


def test_written_input_comes_back_and_ends(place: Place) -> None:
    handler = Recorder()
    worker = place.shell("cat", handler=handler)
    worker.write(b"one\ntwo")
    worker.set_write_eof()
    place.task.resume()
    # One small write is one event, even when the end follows.
    assert [event for event in handler.events if "written" in event] == place.expect("written NODE stdin 7")
    assert place.read(worker) == b"one\ntwo"


def test_writing_in_ev_start(place: Place) -> None:
    def write(worker: Any) -> None:
        worker.write(b"hello\n")
        worker.set_write_eof()
        worker.write(b"dropped\n")

    worker = place.shell("cat", handler=Recorder(start=write))
    place.task.resume()
    assert place.read(worker) == b"hello"


def test_writing_to_a_command_that_does_not_read(place: Place) -> None:
    worker = place.shell("exec <&-; echo closed; sleep 0.2", stdin=True)
    worker.write(b"x" * 1_000_000)
    worker.set_write_eof()
    place.task.resume(30)
    assert place.read(worker) == b"closed"
    assert place.task.max_retcode() == 0


def test_a_large_line_and_many_lines(place: Place) -> None:
    worker = place.shell("head -c 700000 /dev/zero | tr '\\0' x; echo; seq 1 20000")
    place.task.resume()
    message = place.read(worker)
    assert message is not None
    first, _, rest = message.partition(b"\n")
    assert first == b"x" * 700000
    assert rest.splitlines() == [b"%d" % number for number in range(1, 20001)]


@pytest.mark.parametrize("event", ["start", "pickup", "read"])
def test_abort_in_a_handler(place: Place, event: str) -> None:
    """Killed, closed at once, no hup and no return code; what was read stays."""
    handler = Recorder(**{event: lambda worker: worker.abort()})
    worker = place.shell("echo foo; exec sleep 60", handler=handler)
    place.task.resume(30)
    assert handler.events[-1] == "close False"
    assert not any(text.startswith("hup") for text in handler.events)
    assert handler.events.count("close False") == 1
    assert place.task.max_retcode() is None
    assert place.read(worker) == (b"foo" if event == "read" else None)
    worker.abort()


@pytest.mark.parametrize("source", ["timer", "thread"])
def test_abort_from_elsewhere(place: Place, source: str) -> None:
    """From a timer's handler and from another thread: as in the worker's own handler."""
    threads: list[threading.Thread] = []

    def elsewhere(worker: Any) -> None:
        if source == "timer":
            place.task.timer(0.0, Recorder(timer=lambda _: worker.abort()))
        else:
            threads.append(threading.Thread(target=worker.abort))
            threads[0].start()

    handler = Recorder(read=elsewhere)
    worker = place.shell("echo foo; exec sleep 30", handler=handler)
    place.task.resume(20)
    for thread in threads:
        thread.join()
    assert handler.events == place.expect("start", "pickup NODE", "read NODE stdout foo", "close False")
    assert (place.read(worker), place.task.max_retcode(), place.task.num_timeout()) == (b"foo", None, 0)


def test_signals_do_not_disturb_a_run(place: Place) -> None:
    """A signal every few milliseconds interrupts waiting, reading, writing and starting: nothing is lost (EINTR)."""
    before = signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
    try:
        worker = place.shell("wc -c; seq 1 2000; exit 3")
        worker.write(b"x" * 200_000)
        worker.set_write_eof()
        place.task.resume(30)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    message = place.read(worker) or b""
    assert message.split() == [b"200000", *(b"%d" % number for number in range(1, 2001))]
    assert place.task.max_retcode() == 3


def test_use_after_an_abort(place: Place) -> None:
    """What was scheduled is gone, and so are all results; the Task goes on."""
    dropped = place.shell("echo dropped")
    place.task.abort()
    place.task.resume()
    assert (place.read(dropped), dropped.started) == (None, False)
    dropped.write(b"x")
    dropped.set_write_eof()
    dropped.abort()
    again = place.shell("echo again")
    place.task.resume()
    assert place.read(again) == b"again"


@pytest.mark.parametrize("bad", ["soon", True, float("nan")])
def test_a_bad_timeout_is_named(place: Place, bad: Any) -> None:
    with pytest.raises(ValueError, match=f"{bad!r}"):
        place.shell("true", timeout=bad)
    place.task.resume()
    assert place.task.max_retcode() is None


@pytest.mark.parametrize("event", ["hup", "close"])
def test_abort_when_it_is_over_changes_nothing(place: Place, event: str) -> None:
    handler = Recorder(**{event: lambda worker: (worker.abort(), worker.abort())})
    worker = place.shell("echo foo; exit 3", handler=handler)
    place.task.resume(20)
    assert handler.events == place.expect("start", "pickup NODE", "read NODE stdout foo", "hup NODE 3", "close False")
    assert place.task.max_retcode() == 3
    assert place.read(worker) == b"foo"


def test_results_are_complete_in_hup_and_close(place: Place) -> None:
    seen: list[bytes | None] = []
    handler = Recorder(
        hup=lambda worker: seen.append(place.read(worker)), close=lambda worker: seen.append(place.read(worker))
    )
    place.shell("echo a; echo b", handler=handler)
    place.task.resume()
    assert seen == [b"a\nb", b"a\nb"]


def test_a_handler_schedules_the_next_command(place: Place) -> None:
    second = Recorder()
    first = Recorder(hup=lambda worker: place.shell("echo again", handler=second))
    place.shell("echo once", handler=first)
    place.task.resume()
    assert place.expect("read NODE stdout again")[0] in second.events


def test_only_the_last_run_counts(place: Place) -> None:
    first = place.shell("echo one; exit 9")
    place.task.resume()
    second = place.shell("echo two")
    place.task.resume()
    assert (place.read(first), place.read(second)) == (None, b"two")
    assert place.task.max_retcode() == 0


def test_autoclose_does_not_hold_the_run(place: Place) -> None:
    worker = place.shell("sleep 60; echo late", autoclose=True)
    place.task.shell("sleep 0.2")
    place.task.resume(30)
    assert place.read(worker) is None


def test_the_task_timeout_ends_everything(place: Place) -> None:

    def attempt(limit: float) -> tuple[Recorder, Any]:
        handler = Recorder()
        worker = place.shell("echo foo; exec sleep 60", handler=handler)
        with pytest.raises(errors.TimeoutError, match=f"within {limit} seconds"):
            place.task.resume(limit)
        return handler, worker

    handler, worker = with_time_enough(attempt, lambda found: place.read(found[1]))
    assert handler.events == place.expect("start", "pickup NODE", "read NODE stdout foo", "close True")
    assert place.task.num_timeout() == 1
    assert place.read(worker) == b"foo"
    assert place.read(place.task.run("true") or worker) is None


@pytest.mark.parametrize("event", ["start", "pickup", "read", "hup", "close"])
def test_a_handler_that_raises(place: Place, event: str) -> None:
    """Everything is closed, and the exception leaves the run; what was read can be read, and the Task goes on."""

    def fail(worker: Any) -> None:
        raise RuntimeError(f"from the handler of {event}")

    handler = Recorder(**{event: fail})
    command = "echo foo" if event in ("hup", "close") else "echo foo; exec sleep 30"
    worker = place.shell(command, handler=handler)
    with pytest.raises(RuntimeError, match=event):
        place.task.resume()
    expected = place.expect("start", "pickup NODE", "read NODE stdout foo", "hup NODE 0")
    begun = [text.split(" ")[0] for text in expected].index(event) + 1 if event != "close" else len(expected)
    assert handler.events == [*expected[:begun], "close False"]
    assert place.read(worker) == (b"foo" if begun > 2 else None)
    again = place.shell("echo fine")
    place.task.resume()
    assert place.read(again) == b"fine"


def test_abort_of_the_task_in_a_handler(place: Place) -> None:
    after: list[str] = []

    def stop(worker: Any) -> None:
        place.task.abort()
        after.append("abort() returned")

    handler = Recorder(read=stop)
    place.shell("echo foo; exec sleep 30", handler=handler)
    place.task.resume()
    assert after == []
    assert handler.events[-1] == "close False"
    assert list(place.task.iter_buffers()) == []
    assert place.task.max_retcode() is None


def test_held_output_waits_and_then_comes(place: Place) -> None:
    """While output is held nothing is read, and timers go on; afterwards nothing is missing."""
    counts: list[int] = []
    handler = Recorder()

    class Release:
        def ev_timer(self, timer: Any) -> None:
            counts.append(sum(event.startswith("read") for event in handler.events))
            if len(counts) == 3:
                place.task.hold_output(False)

    place.task.hold_output(True)
    worker = place.shell("seq 1 50", handler=handler)
    place.task.timer(0.3, Release(), interval=0.3, autoclose=True)
    place.task.resume(30)
    assert counts[:3] == [0, 0, 0]
    assert place.read(worker) == b"\n".join(b"%d" % number for number in range(1, 51))
