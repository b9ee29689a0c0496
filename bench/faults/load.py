"""Submits executions while others kill what carries them out."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from bench.execution.target import BenchError
from bench.faults.door import NO_ANSWER, Door

KINDS = ("short", "prints", "file")
KEYED_SHARE = 0.7
REPEATED_SHARE = 0.3
"""Of those with a key: asked again although they were acknowledged."""
IDEMPOTENT_SHARE = 0.25
PATIENCE_S = 120.0
FOLLOW_S = 3.0


@dataclass
class Submission:
    """One run that a client asks for."""

    number: int
    skill: str
    kind: str
    seconds: float
    key: str
    is_repeated: bool
    acknowledged: list[str] = field(default_factory=list)
    """Ids of executions, one for each time it was acknowledged."""
    refusal: str = ""

    def body(self, witness: str) -> dict[str, object]:
        inputs = {"number": self.number, "kind": self.kind, "seconds": self.seconds}
        return {"skill": self.skill, "inputs": {**inputs, "witness": witness}}


def plan_submissions(
    count: int, skills: tuple[str, str], chance: random.Random, longest_s: float
) -> list[Submission]:
    """Return what is to be asked for; the same for the same seed.

    skills: one whose runs may not happen twice, and one whose runs may.
    """
    planned = []
    for number in range(1, count + 1):
        is_keyed = chance.random() < KEYED_SHARE
        again = chance.random() < IDEMPOTENT_SHARE
        planned.append(
            Submission(
                number=number,
                skill=skills[again],
                kind=chance.choice(KINDS),
                seconds=round(chance.random() * longest_s, 3),
                key=f"fault-{number}" if is_keyed else "",
                is_repeated=is_keyed and chance.random() < REPEATED_SHARE,
            )
        )
    return planned


class Load:
    """So many clients that work off the submissions, in a thread of its own."""

    def __init__(
        self, door: Door, submissions: Sequence[Submission], witness: str, *, clients: int
    ) -> None:
        self.door = door
        self.submissions = submissions
        self.witness = witness
        self.clients = clients
        self.problems: list[str] = []
        self._thread = threading.Thread(target=self._work_off, name="load")

    def start(self) -> None:
        self._thread.start()

    def goes_on(self) -> bool:
        return self._thread.is_alive()

    def join(self) -> None:
        self._thread.join()

    def _work_off(self) -> None:
        with ThreadPoolExecutor(self.clients) as pool:
            for _ in pool.map(self._submit, self.submissions):
                pass

    def _submit(self, wanted: Submission) -> None:
        try:
            if not wanted.key:
                self._submit_once(wanted)
            for _ in range((1 + wanted.is_repeated) if wanted.key else 0):
                give_up_at = time.monotonic() + PATIENCE_S
                body = wanted.body(self.witness)
                said = self.door.insist(
                    "POST", "/api/v1/executions", body, wanted.key, give_up_at=give_up_at
                )
                wanted.acknowledged.append(said["id"])
            if wanted.acknowledged:
                self.door.ask("GET", f"/api/v1/executions/{wanted.acknowledged[0]}?wait={FOLLOW_S}")
        except BenchError as error:
            wanted.refusal = str(error)
            self.problems.append(f"submission {wanted.number}: {error}")

    def _submit_once(self, wanted: Submission) -> None:
        """Without a key nobody may ask twice: whether an unanswered one was stored is not known."""
        status, said = self.door.ask("POST", "/api/v1/executions", wanted.body(self.witness))
        if status == 201:
            wanted.acknowledged.append(said["id"])
        elif status != NO_ANSWER and status < 500:
            raise BenchError(f"{status} {said}")
