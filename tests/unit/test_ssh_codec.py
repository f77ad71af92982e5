"""The packet layer: every cipher form there and back, in pieces, and nonsense."""

from __future__ import annotations

import hashlib
import itertools
import os
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, CTR
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterdeck.engine.ssh.codec import MAX_PACKET, Codec
from clusterdeck.engine.ssh.wire import WireError

FORMS = ["plain", "gcm", "ctr", "ctr-etm", "cbc", "cbc-etm"]


def _pair(form: str) -> tuple[Codec, Codec, list[bytes]]:
    sender, receiver = Codec(), Codec()
    sent: list[bytes] = []
    sender.sink = sent.append
    key, iv, mac = bytes(range(16)), bytes(range(16)), b"m" * 32
    if form == "gcm":
        engine = AESGCM(key)
        sender.set_outbound_cipher(engine, 16, None, 16, None, aead=True, iv_out=iv[:12])
        receiver.set_inbound_cipher(engine, 16, None, 16, None, aead=True, iv_in=iv[:12])
    elif form != "plain":
        mode: Any = CTR if form.startswith("ctr") else CBC
        etm = form.endswith("etm")
        one, two = Cipher(AES(key), mode(iv)), Cipher(AES(key), mode(iv))
        sender.set_outbound_cipher(one.encryptor(), 16, hashlib.sha256, 32, mac, sdctr=mode is CTR, etm=etm)
        receiver.set_inbound_cipher(two.decryptor(), 16, hashlib.sha256, 32, mac, etm=etm)
    return sender, receiver, sent


def _read_all(receiver: Codec) -> list[bytes]:
    return list(iter(receiver.next_payload, None))


@pytest.mark.parametrize("form", FORMS)
def test_there_and_back(form: str) -> None:
    sender, receiver, sent = _pair(form)
    payloads = [os.urandom(size) for size in (1, 2, 3, 5, 8, 11, 12, 13, 16, 31, 255, 4096, 32768, 100_000)]
    for payload in payloads:
        sender.send(payload)
    stream = b"".join(sent)
    got: list[bytes] = []
    for start in range(0, len(stream), 7001):
        receiver.feed(stream[start : start + 7001])
        got += _read_all(receiver)
    assert got == payloads
    assert receiver.pending == 0
    assert receiver.in_sequence == len(payloads)


@pytest.mark.parametrize("form", FORMS)
def test_byte_by_byte(form: str) -> None:
    sender, receiver, sent = _pair(form)
    sender.send(b"hello")
    sender.send(b"world")
    got: list[bytes] = []
    for byte in b"".join(sent):
        receiver.feed(bytes((byte,)))
        got += _read_all(receiver)
    assert got == [b"hello", b"world"]


@pytest.mark.parametrize("form", [form for form in FORMS if form != "plain"])
def test_a_flipped_bit_is_noticed(form: str) -> None:
    for position in itertools.chain(range(4, 40), [-1]):
        sender, receiver, sent = _pair(form)
        sender.send(b"a payload of some length, more than two blocks of it")
        broken = bytearray(sent[0])
        broken[position] ^= 1
        receiver.feed(bytes(broken))
        with pytest.raises(WireError):
            receiver.next_payload()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(FORMS))
def test_nonsense_raises_one_error_or_waits(data: bytes, form: str) -> None:
    _, receiver, _ = _pair(form)
    receiver.feed(data)
    try:
        while receiver.next_payload() is not None:
            pass
    except WireError:
        pass


@pytest.mark.parametrize("length", [0, 4, MAX_PACKET + 1, 2**32 - 1])
def test_lengths_out_of_bounds_are_refused_before_anything_is_kept(length: int) -> None:
    for form in ("plain", "gcm", "ctr-etm"):
        _, receiver, _ = _pair(form)
        receiver.feed(length.to_bytes(4, "big") + bytes(12))
        with pytest.raises(WireError):
            receiver.next_payload()


def test_lines_before_packets() -> None:
    receiver = Codec()
    receiver.feed(b"hello\r\nSSH-2.0-x\nrest")
    assert receiver.read_line(100) == b"hello"
    assert receiver.read_line(100) == b"SSH-2.0-x"
    assert receiver.read_line(100) is None
    receiver.feed(b"x" * 100)
    with pytest.raises(WireError):
        receiver.read_line(100)


def test_sequence_numbers_must_not_run_round_before_keys_are_agreed() -> None:
    sender = Codec()
    sender.sink = lambda _packet: None
    sender._out_sequence = 2**32 - 1
    with pytest.raises(WireError):
        sender.send(b"x")
