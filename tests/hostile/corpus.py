"""What a hostile node may print: sequences that drive, question or deceive a terminal, built from their grammar.

Parameters are `6;66` where a sequence takes any: nothing of ours is ever called with these, so that whatever holds
them in recorded bytes is foreign. Sequences as in ECMA-48, xterm's ctlseqs and the pages of kitty, iTerm and tmux.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

ESC = b"\x1b"
ST = b"\x1b\\"
_C1 = {b"\x1b[": 0x9B, b"\x1b]": 0x9D, b"\x1bP": 0x90, b"\x1b_": 0x9F, b"\x1b^": 0x9E, b"\x1bX": 0x98}
_STOLEN = b"c3RvbGVu"  # "stolen"


@dataclass(frozen=True)
class Attack:
    """One sequence and what it is called; `data` holds no newline unless the name says so."""

    name: str
    data: bytes


def _utf8(code: int) -> bytes:
    return chr(code).encode()


def _csi() -> Iterator[Attack]:
    for final in range(0x40, 0x7F):
        yield Attack(f"CSI {chr(final)}", b"\x1b[6;66" + bytes([final]))
        yield Attack(f"CSI {chr(final)}, 8 bits in UTF-8", _utf8(0x9B) + b"6;66" + bytes([final]))
        yield Attack(f"CSI {chr(final)}, one byte", b"\x9b6;66" + bytes([final]))
    for final in b"hlnJKcmpqruSu":
        for private in b"?>=<!":
            yield Attack(f"CSI {chr(private)} {chr(final)}", b"\x1b[" + bytes([private]) + b"1066" + bytes([final]))
    for between in b' !"#$%&*+,':
        yield Attack(f"CSI with {chr(between)}", b"\x1b[6;66" + bytes([between]) + b"p")
    for mode in (6, 9, 47, 69, 1000, 1002, 1003, 1004, 1005, 1006, 1015, 1034, 1047, 1048, 1049, 2004, 2026, 2031):
        yield Attack(f"mode {mode}", b"\x1b[?%dh" % mode)
    for report in (b"5n", b"6n", b"?6n", b"c", b">c", b"=c", b">q", b"18t", b"21t", b"?u", b"?1$p", b"22;2t"):
        yield Attack(f"asks {report.decode()}", ESC + b"[" + report)


def _strings() -> Iterator[Attack]:
    numbers = [
        *range(20),
        21,
        22,
        50,
        51,
        52,
        60,
        99,
        104,
        105,
        110,
        117,
        133,
        176,
        555,
        633,
        666,
        697,
        777,
        1337,
        9001,
    ]
    content = {8: b"id=x;http://stolen.invalid/", 52: b"c;" + _STOLEN, 777: b"notify;stolen;stolen", 9: b"stolen"}
    content[1337] = b"File=name=" + _STOLEN + b";inline=1:" + _STOLEN
    for number in numbers:
        body = b"%d;" % number + content.get(number, b"stolen")
        yield Attack(f"OSC {number}, BEL", b"\x1b]" + body + b"\x07")
        yield Attack(f"OSC {number}, ST", b"\x1b]" + body + ST)
        yield Attack(f"OSC {number}, 8 bits", _utf8(0x9D) + body + _utf8(0x9C))
        yield Attack(f"OSC {number}, no end", b"\x1b]" + body)
    for opener, kind in ((b"\x1bP", "DCS"), (b"\x1b_", "APC"), (b"\x1b^", "PM"), (b"\x1bX", "SOS")):
        for end, how in ((ST, "ST"), (b"\x07", "BEL"), (_utf8(0x9C), "8 bits"), (b"", "no end")):
            yield Attack(f"{kind}, {how}", opener + b"6;66stolen" + end)
            yield Attack(f"{kind} in 8 bits, {how}", _utf8(_C1[opener]) + b"6;66stolen" + end)
        yield Attack(f"{kind}, one byte", bytes([_C1[opener]]) + b"6;66stolen\x9c")
    yield Attack("DECRQSS", b"\x1bP$qm" + ST)
    yield Attack("XTGETTCAP", b"\x1bP+q544e" + ST)
    yield Attack("user keys", b"\x1bP0;1|17/" + _STOLEN + ST)
    yield Attack("sixel", b'\x1bP0;0;0q"1;1;66;66#0;2;0;0;0#0!66~-' + ST)
    yield Attack("ReGIS", b"\x1bP0pS(E)" + ST)
    yield Attack("tmux passthrough", b"\x1bPtmux;\x1b\x1b]52;c;" + _STOLEN + b"\x07" + ST)
    yield Attack("tmux passthrough twice", b"\x1bPtmux;\x1b\x1bPtmux;\x1b\x1b\x1b\x1b]0;stolen\x07\x1b\x1b\\" + ST)
    yield Attack("screen passthrough", b"\x1bP\x1b]0;stolen\x07" + ST)
    yield Attack("screen title", b"\x1bkstolen" + ST)
    yield Attack("kitty picture", b"\x1b_Ga=T,f=100,t=f;" + _STOLEN + ST)
    yield Attack("kitty remote control", b'\x1bP@kitty-cmd{"cmd":"launch"}' + ST)
    yield Attack("kitty file transfer", b"\x1b]5113;ac=send" + ST)
    yield Attack("iTerm tmux mode", b"\x1bP1000p%begin")
    yield Attack("OSC of 64 KB", b"\x1b]0;" + b"a" * 65_536 + b"\x07")
    yield Attack("OSC of 64 KB, no end", b"\x1b]52;c;" + b"A" * 65_536)
    yield Attack("CSI of 64 KB", b"\x1b[" + b"6;" * 32_768 + b"m")


def _short() -> Iterator[Attack]:
    for second in range(0x30, 0x7F):
        yield Attack(f"ESC {chr(second)}", ESC + bytes([second]))
    for between in range(0x20, 0x30):
        yield Attack(f"ESC {chr(between)} F", ESC + bytes([between]) + b"F")
    for control in [*range(0x20), 0x7F]:
        if control not in (0x09, 0x0A):
            yield Attack(f"C0 {control:02X}", b"a" + bytes([control]) + b"b")
            yield Attack(f"C0 {control:02X} in a CSI", b"\x1b[6" + bytes([control]) + b"6J")
    for control in range(0x80, 0xA0):
        yield Attack(f"C1 {control:02X}, one byte", b"a" + bytes([control]) + b"b")
        yield Attack(f"C1 {control:02X}, UTF-8", b"a" + _utf8(control) + b"b")
    yield Attack("ESC alone", ESC)
    yield Attack("ESC ESC", ESC + ESC)
    yield Attack("CSI alone", b"\x1b[")
    yield Attack("CSI without its end", b"\x1b[6;66")
    yield Attack("ST alone", ST)


def _nested() -> Iterator[Attack]:
    """What a filter that looks once, or in the wrong order, would put together itself."""
    inner = {
        "CSI": b"\x1b[6;66m",
        "OSC": b"\x1b]0;x\x07",
        "ESC c": b"\x1bc",
        "C1": _utf8(0x9B) + b"6;66m",
        "NUL": b"\0",
    }
    for name, hidden in inner.items():
        yield Attack(f"{name} between ESC and [", ESC + hidden + b"[2J")
        yield Attack(f"{name} in a CSI", b"\x1b[2" + hidden + b"J")
        yield Attack(f"{name} in an OSC", b"\x1b]0;a" + hidden + b"b\x07")
        yield Attack(f"{name} in a DCS", b"\x1bPq" + hidden + ST)
        yield Attack(f"{name} before ST", b"\x1b]0;a" + ESC + hidden + b"\\")
    yield Attack("OSC in OSC in OSC", b"\x1b]0;" * 20 + b"\x07" * 20)
    yield Attack("readline's marks", b"\x01\x1b[6;66J\x02")
    yield Attack("split over lines (newline)", b"\x1b\n[6;66J\x1b]0;sto\nlen\x07\x1b[6\n;66J")


def _utf8_tricks() -> Iterator[Attack]:
    """ESC and CSI in more bytes than they need, cut characters, halves of pairs, characters that hide or reorder."""
    for data in (b"\xc0\x9b", b"\xe0\x80\x9b", b"\xf0\x80\x80\x9b", b"\xf8\x80\x80\x80\x9b", b"\xe0\x82\x9b"):
        yield Attack(f"overlong {data.hex()}", data + b"[6;66J")
    for data in (
        b"\xc2",
        b"\xe2\x80",
        b"\xf0\x9f\x98",
        b"\xed\xa0\x80",
        b"\xed\xbf\xbf",
        b"\xf4\x90\x80\x80",
        b"\xff\xfe",
    ):
        yield Attack(f"cut {data.hex()}", data + ESC + b"[6;66J" + data)
    deceptive = [0xAD, 0x34F, 0x61C, 0x115F, 0x1160, 0x180E, *range(0x200B, 0x2010), *range(0x2028, 0x202F)]
    deceptive += [*range(0x2060, 0x2065), *range(0x2066, 0x2070), 0x3164, 0xFEFF, 0xFFA0, *range(0xFFF9, 0xFFFC)]
    for code in [*deceptive, 0x1D173, 0xE0001, 0xE0041, 0xE007F, 0xE0100]:
        yield Attack(f"U+{code:04X}", b"node" + _utf8(code) + b"9: forged")


def _forged() -> Iterator[Attack]:
    """Lines that pretend to be another node's, or the prompt."""
    for how in (b"\r", b"\x1b[1G", b"\x1b[2K\r", b"\x08" * 40, b"\x0b", b"\x0c", b"\x1bE", b"\x85", _utf8(0x85)):
        yield Attack(f"forged after {how[:4]!r}", b"x" + how + b"node9: forged")


@functools.cache
def corpus() -> tuple[Attack, ...]:
    """All attacks, each under a name of its own."""
    made = [*_csi(), *_strings(), *_short(), *_nested(), *_utf8_tricks(), *_forged()]
    return tuple({attack.name: attack for attack in made}.values())


def lines(longest: int = 1 << 20) -> bytes:
    """The corpus as output of a node: a line per attack, between marks that say which one it was."""
    parts = (
        b"<%04d>%s</%04d>\n" % (number, attack.data, number)
        for number, attack in enumerate(corpus())
        if len(attack.data) <= longest
    )
    return b"".join(parts)


def texts(longest: int = 200) -> list[str]:
    """The attacks as text that a program took for a name, a message or a title: undecodable bytes as surrogates."""
    return [attack.data.decode("utf-8", "surrogateescape") for attack in corpus() if len(attack.data) <= longest]
