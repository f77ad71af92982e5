"""Logging in (RFC 4252, RFC 4256): keys first, then a password or the server's own questions.

One `Authenticator` per connection attempt. It never waits for a human: where a secret is missing, the attempt ends as
`HeldBackError`, and the pool dials again once the secret is there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..states import FailureKind
from . import wire
from .background import Background
from .failures import SshError, quote
from .hostcerts import CERT_SUFFIX
from .keys import AgentError, Identity
from .login_plan import Plan
from .phases import Entrance, Phase
from .vault import Need, Vault

_MAX_PROMPTS = 16
_MAX_ROUNDS = 10
DEFAULT_METHODS = ("publickey", "password", "keyboard-interactive")


class HeldBackError(SshError):
    """The attempt needs a human's answer; `failure` is the reason if none is to be had."""

    def __init__(self, need: Need, reason: str) -> None:
        super().__init__(FailureKind.AUTHENTICATION, reason)
        self.need = need


@dataclass(frozen=True, slots=True)
class Login:
    """Who logs in where. since: `time.monotonic()` when the node was first wanted."""

    user: str
    node: str
    label: str
    since: float
    methods: Sequence[str] = DEFAULT_METHODS


class Authenticator:
    """See phases.Authentication. `lucky`, shared by all nodes of a plan, is the key that worked last.

    step: is told what is tried; no secret is in it.
    """

    def __init__(
        self,
        login: Login,
        plan: Plan,
        vault: Vault,
        background: Background,
        lucky: dict[str, bytes],
        step: Callable[[str], None],
    ) -> None:
        self.need: Need | None = None
        self._login = login
        self._vault = vault
        self._background = background
        self._lucky = lucky
        self._step = step
        self._notes = list(plan.notes)
        self._left = list(plan.identities)
        best = lucky.get(login.user)
        self._left.sort(key=lambda identity: identity.blob != best)
        self._tried = 0
        self._connection: Entrance | None = None
        self._allowed: list[str] | None = None
        self._method = ""
        self._current: Identity | None = None
        self._secret: tuple[tuple[str, bool], ...] | None = None  # prompts of the secret under way; () = password
        self._secret_done = False
        self._rounds = 0

    # -- the connection's side

    def begin(self, connection: Entrance) -> None:
        """Ask for the service and, where nothing has to be known first, for the login in the same packet."""
        self._connection = connection
        connection.send(bytes((wire.MSG_SERVICE_REQUEST,)) + wire.string("ssh-userauth"))
        if self._left and self._left[0].type.startswith(("ssh-ed25519", "ecdsa-")) and self._wanted("publickey"):
            self._next()

    def cancel(self) -> None:
        """The connection ended."""
        self._connection = None
        if self._secret is not None and not self._secret_done:
            self._vault.settle(self._login.user, self._login.node, None, self._secret)
            self._secret = None

    def handle(self, kind: int, fields: wire.Reader) -> None:
        """One message of the server's. Raises SshError (HeldBackError) to end the attempt."""
        if kind == wire.MSG_USERAUTH_SUCCESS:
            self._succeeded()
        elif kind == wire.MSG_USERAUTH_FAILURE:
            self._failed(fields.names(), fields.boolean())
        elif kind == wire.MSG_SERVICE_ACCEPT:
            if not self._method:
                self._next()
        elif kind == wire.MSG_USERAUTH_BANNER:
            return
        elif kind == wire.MSG_USERAUTH_PK_OK and self._method == "probe":
            self._accepted_key()
        elif kind == wire.MSG_USERAUTH_INFO_REQUEST and self._method == "keyboard-interactive":
            self._answer(fields)
        elif kind == wire.MSG_USERAUTH_INFO_REQUEST and self._method == "password":
            self._settle(False)
            self._refuse("the password has expired there; change it by hand")
        else:
            self._refuse(f"message {kind} was not expected")

    # -- steps

    def _refuse(self, why: str) -> None:
        raise SshError(FailureKind.AUTHENTICATION, f"{self._login.label}: login as {self._login.user} failed: {why}")

    def _hold(self, need: Need, why: str) -> None:
        self.need = need
        raise HeldBackError(need, f"{self._login.label}: login as {self._login.user} failed: {why}")

    def _wanted(self, method: str) -> bool:
        return method in self._login.methods and (self._allowed is None or method in self._allowed)

    def _settle(self, accepted: bool) -> None:
        if self._secret is not None and not self._secret_done:
            self._secret_done = True
            self._vault.settle(self._login.user, self._login.node, accepted, self._secret)

    def _succeeded(self) -> None:
        assert self._connection is not None
        self._settle(True)
        if self._current is not None:
            self._lucky[self._login.user] = self._current.blob
        self._connection.authenticated()

    def _failed(self, allowed: list[str], partial: bool) -> None:
        self._allowed = allowed
        if self._secret is not None and not self._secret_done:
            self._settle(partial)
            if not partial:
                self._refuse("the password was rejected")
        if partial:
            self._secret, self._secret_done = None, False
        self._next()

    def _next(self) -> None:
        while self._left and self._wanted("publickey"):
            identity = self._left.pop(0)
            if identity.sign is None and identity.path is None:
                continue
            self._tried += 1
            self._step(f"authenticating as {self._login.user} with {identity.path or 'the agent'} ({identity.type})")
            self._current = identity
            if identity.sign is None or (self._left and identity.blob != self._lucky.get(self._login.user)):
                self._method = "probe"
                self._request("publickey", b"\0" + self._key_fields(identity))
            else:
                self._method = "publickey"
                self._sign(identity)
            return
        self._current = None
        if self._allowed is None:
            self._method = "none"
            self._request("none", b"")
            return
        for method in self._login.methods:
            if self._wanted(method) and method != "publickey":
                self._step(f"authenticating as {self._login.user} by {method}")
            if method == "password" and self._wanted("password"):
                self._password()
                return
            if method == "keyboard-interactive" and self._wanted("keyboard-interactive"):
                self._method = method
                self._rounds = 0
                self._request(method, wire.string("") + wire.string(""))
                return
        self._refuse(self._explain())

    def _explain(self) -> str:
        offered = quote(",".join(self._allowed or ())) or "nothing"
        keys = f"{self._tried} key{'s' if self._tried != 1 else ''} rejected" if self._tried else "no key to offer"
        notes = f" ({'; '.join(self._notes[:2])})" if self._notes else ""
        return f"{keys}, the server takes {offered}{notes}: check User, IdentityFile and the agent"

    def _request(self, method: str, fields: bytes) -> None:
        assert self._connection is not None
        self._connection.send(self._head() + wire.string(method) + fields)

    def _head(self) -> bytes:
        return bytes((wire.MSG_USERAUTH_REQUEST,)) + wire.string(self._login.user) + wire.string("ssh-connection")

    # -- keys

    def _algorithm(self, identity: Identity) -> str:
        name = identity.type
        plain = name.removesuffix(CERT_SUFFIX)
        if plain == "ssh-rsa":
            assert self._connection is not None
            offered = self._connection.signature_algorithms
            plain = next((a for a in ("rsa-sha2-512", "rsa-sha2-256") if a in offered), "rsa-sha2-512")
        return plain + CERT_SUFFIX if name.endswith(CERT_SUFFIX) else plain

    def _key_fields(self, identity: Identity) -> bytes:
        return wire.string(self._algorithm(identity)) + wire.string(identity.blob)

    def _accepted_key(self) -> None:
        identity = self._current
        assert identity is not None
        if identity.sign is None:
            assert identity.path is not None
            verdict = self._vault.ask_for(f"key:{identity.path}", "", self._login.since)
            if verdict.need is None:
                self._notes.append(f"{identity.path}: {verdict.refusal or 'its passphrase was not right'}")
                self._next()
                return
            self._hold(Need("passphrase", identity.path), f"the passphrase of {identity.path} is wanted")
        self._method = "publickey"
        self._sign(identity)

    def _sign(self, identity: Identity) -> None:
        connection = self._connection
        assert connection is not None
        assert identity.sign is not None
        algorithm = self._algorithm(identity)
        request = self._head() + wire.string("publickey") + b"\1" + self._key_fields(identity)
        data = wire.string(connection.session_id) + request
        plain = algorithm.removesuffix(CERT_SUFFIX)
        sign = identity.sign
        if not identity.slow:
            connection.send(request + wire.string(sign(data, plain)))
            return

        def signed(signature: bytes | None, error: Exception | None) -> None:
            if self._connection is not connection or connection.phase is not Phase.AUTHENTICATION:
                return
            if signature is not None:
                connection.send(request + wire.string(signature))
                return
            self._notes.append(str(error) if isinstance(error, AgentError) else "signing failed")
            try:
                self._next()
            except SshError as problem:
                connection.fail(problem.failure)

        self._background.run(lambda: sign(data, plain), signed)

    # -- secrets

    def _password(self) -> None:
        login = self._login
        verdict = self._vault.ask_for(login.user, login.node, login.since)
        if verdict.need is not None:
            self._hold(verdict.need, "a password is wanted")
        if verdict.secrets is None:
            self._refuse(verdict.refusal or "a password is wanted")
            return
        self._method = "password"
        self._secret = ()
        self._request("password", b"\0" + wire.string(verdict.secrets[0].reveal()))

    def _answer(self, fields: wire.Reader) -> None:
        assert self._connection is not None
        self._rounds += 1
        fields.string()
        fields.string()
        fields.string()
        count = fields.u32()
        if count > _MAX_PROMPTS or self._rounds > _MAX_ROUNDS:
            self._refuse("the server asks too much")
        prompts = tuple((quote(fields.string()), fields.boolean()) for _ in range(count))
        answers: tuple[str, ...] = ()
        if prompts:
            answers = self._answers(prompts)
        body = b"".join(wire.string(answer) for answer in answers)
        self._connection.send(bytes((wire.MSG_USERAUTH_INFO_RESPONSE,)) + wire.u32(len(answers)) + body)

    def _answers(self, prompts: tuple[tuple[str, bool], ...]) -> tuple[str, ...]:
        login = self._login
        only_password = len(prompts) == 1 and not prompts[0][1] and "password" in prompts[0][0].lower()
        key = () if only_password else prompts
        if self._secret is not None and self._secret == key:
            self._settle(False)
            self._refuse("the answers were rejected")
        verdict = self._vault.ask_for(login.user, login.node, login.since, key)
        if verdict.need is not None:
            self._hold(verdict.need, "the server asks questions that only a human can answer")
        if verdict.secrets is None:
            self._refuse(verdict.refusal or "nobody answers the server's questions")
            return ()
        self._secret, self._secret_done = key, False
        return tuple(secret.reveal() for secret in verdict.secrets)
