"""Workers prove to each other that they know one secret. The secret itself is never sent.

    question   Netfollowers-Proof: 1 TIME_MS NONCE MAC     of target, path, time, nonce and body
    answer     Netfollowers-Proof: 1 MAC                   of the question's nonce and of the body

The target is in the proof, so a request cannot be relayed to another worker. Time and nonce are in
it, so a request cannot be sent twice. The answer has a proof too, so no other program that listens
at a worker's address can answer.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from service.errors import NetFollowersError

if TYPE_CHECKING:
    from service.settings import Settings

HEADER: Final = "Netfollowers-Proof"
TOLERANCE_MS: Final = 60_000
"""Largest difference between the clocks of two workers."""
_PROOF: Final = re.compile(r"1 (\d{13}) ([0-9a-f]{32}) ([0-9a-f]{64})", re.ASCII)


class UnprovedError(NetFollowersError):
    """The proof is not valid. The text says why."""


class Proofs:
    """Makes and checks proofs. Without a secret, requests need no proof."""

    def __init__(self, secret: str, app_id: str, now: Callable[[], float] = time.time) -> None:
        """`secret`: "" means no secret. `now`: seconds since the epoch."""
        purpose = f"netfollowers workers {app_id}".encode()
        self._key = hmac.digest(secret.encode(), purpose, "sha256")
        self._now = now
        self.is_needed: bool = secret != ""
        self._seen: dict[str, int] = {}
        """Each nonce, and until when its request would be accepted (ms); oldest first."""

    @classmethod
    def of(cls, settings: Settings) -> Proofs:
        """Use the workers' own secret, or else the API token. The key is a keyed hash of it."""
        secret = settings.secret("peer_secret_file") or settings.secret("api_token_file")
        return cls(secret, settings.app_id)

    def _mac(self, *parts: str | bytes) -> str:
        """Hash each part first, so that two different lists of parts never give the same input."""
        hashes = (
            hashlib.sha256(part.encode() if isinstance(part, str) else part).digest()
            for part in parts
        )
        return hmac.digest(self._key, b"".join(hashes), "sha256").hex()

    def of_question(self, target: str, path: str, body: bytes) -> tuple[str, str]:
        """Return (header, nonce) for a question to the worker at `target`."""
        at, nonce = str(round(self._now() * 1_000)), secrets.token_hex(16)
        return f"1 {at} {nonce} {self._mac('question', target, path, at, nonce, body)}", nonce

    def of_answer(self, nonce: str, body: bytes) -> str:
        """Return the header of the answer to the question with this nonce."""
        return f"1 {self._mac('answer', nonce, body)}"

    def judge_question(self, header: str, target: str, path: str, body: bytes) -> str:
        """Return the nonce of a valid question. UnprovedError if its proof is not valid."""
        found = _PROOF.fullmatch(header)
        if found is None:
            raise UnprovedError("it has no proof that this version accepts")
        at, nonce, mac = found.groups()
        if not hmac.compare_digest(mac, self._mac("question", target, path, at, nonce, body)):
            raise UnprovedError("its proof is for another secret or another address")
        now_ms = round(self._now() * 1_000)
        if abs(now_ms - int(at)) > TOLERANCE_MS:
            seconds = (now_ms - int(at)) / 1_000
            raise UnprovedError(f"it is {seconds:.0f} s old by the clock of this worker")
        self._once(nonce, int(at) + TOLERANCE_MS, now_ms)
        return nonce

    def _once(self, nonce: str, until_ms: int, now_ms: int) -> None:
        """Remember a nonce for as long as its question would be accepted."""
        while self._seen and next(iter(self._seen.values())) < now_ms:
            del self._seen[next(iter(self._seen))]
        if nonce in self._seen:
            raise UnprovedError("it was received before")
        self._seen[nonce] = max(until_ms, now_ms)

    def is_answer(self, header: str, nonce: str, body: bytes) -> bool:
        """Tell whether the answer belongs to our question and proves the secret."""
        given = header.encode(errors="replace")
        return hmac.compare_digest(given, self.of_answer(nonce, body).encode())
