"""Keys from Textual's names to prompt_toolkit's key presses, and the feed that carries them."""

from __future__ import annotations

import asyncio

import pytest
from prompt_toolkit.key_binding import KeyPress
from prompt_toolkit.keys import Keys

from clusterdeck.widgets.prompt_keys import KeyFeed, paste_presses, translate_key


def names(key: str, character: str | None = None) -> list[str] | None:
    presses = translate_key(key, character)
    return None if presses is None else [getattr(press.key, "value", press.key) for press in presses]


@pytest.mark.parametrize(
    ("key", "character", "expected"),
    [
        ("a", "a", ["a"]),
        ("A", "A", ["A"]),
        ("upper_a", "A", ["A"]),
        ("space", " ", [" "]),
        ("full_stop", ".", ["."]),
        ("plus", "+", ["+"]),
        ("+", "+", ["+"]),
        ("日", "日", ["日"]),
        ("enter", "\r", ["c-m"]),
        ("tab", "\t", ["c-i"]),
        ("shift+tab", None, ["s-tab"]),
        ("backspace", "\x7f", ["c-h"]),
        ("escape", "\x1b", ["escape"]),
        ("ctrl+a", "\x01", ["c-a"]),
        ("ctrl+r", "\x12", ["c-r"]),
        ("ctrl+@", "\x00", ["c-@"]),
        ("ctrl+space", None, ["c-@"]),
        ("ctrl+underscore", "\x1f", ["c-_"]),
        ("ctrl+left", None, ["c-left"]),
        ("ctrl+shift+left", None, ["c-s-left"]),
        ("shift+up", None, ["s-up"]),
        ("ctrl+backspace", None, ["c-w"]),
        ("pageup", None, ["pageup"]),
        ("f5", None, ["f5"]),
        ("alt+b", None, ["escape", "b"]),
        ("alt+full_stop", None, ["escape", "."]),
        ("alt+less_than_sign", None, ["escape", "<"]),
        ("alt+minus", None, ["escape", "-"]),
        ("alt+enter", None, ["escape", "c-m"]),
        ("alt+backspace", None, ["escape", "c-h"]),
        ("shift+enter", None, ["escape", "c-m"]),
        ("alt+shift+b", None, ["escape", "B"]),
        ("super+a", None, None),
        ("ctrl+shift+f1", None, None),
        ("volume_up", None, None),
    ],
)
def test_every_key_is_the_one_a_terminal_would_have_sent(
    key: str, character: str | None, expected: list[str] | None
) -> None:
    assert names(key, character) == expected


def test_a_paste_is_one_press() -> None:
    assert paste_presses("a\n\x1b") == [KeyPress(Keys.BracketedPaste, "a\n\x1b")]


def test_keys_sent_before_a_prompt_wait_for_it_and_come_in_order() -> None:
    feed = KeyFeed()
    feed.send([KeyPress("a"), KeyPress("b")])
    got: list[str] = []

    async def main() -> None:
        def ready() -> None:
            got.extend(press.data for press in feed.read_keys())

        with feed.attach(ready):
            while got != ["a", "b"]:
                await asyncio.sleep(0)
            await asyncio.to_thread(feed.send, [KeyPress("c")])
            while got != ["a", "b", "c"]:
                await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(main(), 60))
    feed.send([KeyPress("d")])
    assert feed.sent == 4
    assert feed.read == 3
    feed.drop()
    assert feed.read == 4
    assert feed.read_keys() == []


def test_a_closed_feed_says_so() -> None:
    feed = KeyFeed()
    assert not feed.closed
    feed.close()
    assert feed.closed
