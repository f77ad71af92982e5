"""What engine/ssh/transport.py relies on inside paramiko. If this fails, paramiko changed: read it, then the module."""

from __future__ import annotations

import inspect
from typing import Any, cast

import paramiko
import pytest
from paramiko.message import Message
from paramiko.transport import Transport

from clusterdeck.engine.ssh.codec import Codec
from clusterdeck.engine.ssh.transport import CIPHERS, HOST_KEY_ALGORITHMS, KEX, MACS, PARAMIKO_CONTRACT


class _NoSocket:
    def settimeout(self, seconds: float) -> None: ...

    def close(self) -> None: ...


@pytest.fixture
def transport() -> Transport:
    made = Transport(_NoSocket(), packetizer_class=Codec)  # type: ignore[arg-type]
    assert not made.is_alive(), "making a Transport starts a thread now"
    return made


@pytest.mark.parametrize("name", PARAMIKO_CONTRACT["methods"])
def test_methods(name: str) -> None:
    assert callable(getattr(Transport, name, None)), f"paramiko {paramiko.__version__}: Transport.{name} is gone"


@pytest.mark.parametrize("name", PARAMIKO_CONTRACT["attributes"])
def test_attributes(transport: Transport, name: str) -> None:
    assert hasattr(transport, name), f"paramiko {paramiko.__version__}: Transport().{name} is gone"


@pytest.mark.parametrize("name", PARAMIKO_CONTRACT["class_attributes"])
def test_class_attributes(name: str) -> None:
    assert hasattr(Transport, name), f"paramiko {paramiko.__version__}: Transport.{name} is gone"


@pytest.mark.parametrize("name", PARAMIKO_CONTRACT["packetizer"])
def test_what_is_called_on_a_packetizer(name: str) -> None:
    assert hasattr(Codec(), name)
    assert f"packetizer.{name}" in inspect.getsource(Transport) or hasattr(
        paramiko.packet.Packetizer(cast(Any, _NoSocket())), name
    )


@pytest.mark.parametrize("name", ["set_inbound_cipher", "set_outbound_cipher"])
def test_signatures_of_the_cipher_calls(name: str) -> None:
    theirs = inspect.signature(getattr(paramiko.packet.Packetizer, name)).parameters
    ours = inspect.signature(getattr(Codec, name)).parameters
    assert list(theirs) == list(ours)


def test_every_packetizer_call_of_the_transport_is_known() -> None:
    import re

    source = inspect.getsource(Transport)
    called = set(re.findall(r"self\.packetizer\.(\w+)", source))
    # Called only by the thread that is never started, or for settings that are never used.
    unused = {"write_all", "readline", "read_message", "start_handshake", "complete_handshake", "set_keepalive"}
    unused |= {"set_hexdump", "get_hexdump", "handshake_timed_out"}
    assert called - unused <= set(PARAMIKO_CONTRACT["packetizer"])


def test_algorithms_that_we_ask_for_exist() -> None:
    assert set(CIPHERS) <= set(Transport._cipher_info)  # type: ignore[attr-defined]
    assert set(MACS) <= set(Transport._mac_info)  # type: ignore[attr-defined]
    assert set(KEX) <= set(Transport._kex_info)  # type: ignore[attr-defined]
    assert set(HOST_KEY_ALGORITHMS) <= set(Transport._key_info)  # type: ignore[attr-defined]


def test_kex_engines_speak_only_to_what_we_have() -> None:
    import re

    known = {name for names in PARAMIKO_CONTRACT.values() for name in names}
    # Methods that only a server, or the check of a group that gex brings, calls.
    known |= {"_set_K_H", "get_server_key", "_get_modulus_pack", "remote_kex_init"}
    for engine in set(Transport._kex_info.values()):  # type: ignore[attr-defined]
        used = set(re.findall(r"self\.transport\.(\w+)", inspect.getsource(cast(Any, inspect.getmodule(engine)))))
        assert used <= known, f"{engine.__name__} uses {used - known}"


def test_messages_carry_a_sequence_number() -> None:
    message = Message(b"\0\0\0\1x")
    message.seqno = 0
    assert message.get_string() == b"x"
