"""One trial: a platform of its own, a load on it, and kills at random moments."""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.execution.instance import Facts, Instance
from bench.execution.target import BenchError, Job
from bench.faults.door import Door
from bench.faults.evidence import Findings, examine, wait_until_all_ended
from bench.faults.kinds import Fault
from bench.faults.load import Load, plan_submissions
from bench.faults.witness import Witness

SKILL = "bench-witnessed"
IDEMPOTENT_SKILL = "bench-witnessed-again"
MOST_RETRIES = 2
PROBE_PATIENCE_S = 90.0
SETTLE_S = 150.0
PROBES_FROM = 1_000_000
"""Numbers of the executions that measure how long it takes until one is done again."""


@dataclass(frozen=True)
class Plan:
    """pauses_s: shortest and longest time between two kills. rounds: how often each kind comes at
    least; further ones follow while there is load."""

    executions: int
    clients: int
    kinds: Sequence[Fault]
    pauses_s: tuple[float, float]
    rounds: int
    seed: int
    most_rounds: int | None = None
    longest_s: float = 0.6
    """What a script takes at most."""
    lease_s: int = 30
    """After it a run whose worker is silent is lost."""
    keep_logs: Path | None = None
    """Where the platform's logs are copied to at the end."""


@dataclass
class Outcome:
    """What happened, and what was found afterwards."""

    plan: Plan
    findings: Findings
    recoveries_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """By kind: from each kill until an execution asked for at that moment was done."""
    troubles: dict[str, int] = field(default_factory=dict)
    load_s: float = 0.0
    settle_s: float = 0.0
    """From the last kill's recovery until every execution had ended."""


def _idempotent_variant(parent: Path) -> Path:
    """Return ``bench/jobs/witnessed`` as another skill, which says that it may run again."""
    folder = parent / "witnessed-again"
    shutil.copytree(Job("witnessed").folder, folder)
    manifest = folder / "skill.toml"
    text = manifest.read_text(encoding="utf-8").replace(SKILL, IDEMPOTENT_SKILL)
    runtime = 'runtime = "python"\n'
    again = f"{runtime}idempotent = true\nmax_retries = {MOST_RETRIES}\n"
    manifest.write_text(text.replace(runtime, again), encoding="utf-8")
    return folder


def run_trial(plan: Plan, say: Callable[[str], None]) -> Outcome:
    """Run everything, and examine it. Raises BenchError, EmbeddedError."""
    witness = Witness()
    instance = Instance(network_allow=witness.address, lease_s=str(plan.lease_s))
    own = Path(tempfile.mkdtemp(prefix="execfabric-bench-"))
    witness.start()
    try:
        facts = instance.start([Job("witnessed").folder, _idempotent_variant(own)])
        return _Trial(plan, instance, facts, witness, say).run()
    finally:
        if plan.keep_logs is not None and instance.folder is not None:
            shutil.copytree(instance.folder / "data" / "logs", plan.keep_logs, dirs_exist_ok=True)
        instance.stop()
        witness.stop()
        shutil.rmtree(own, ignore_errors=True)


class _Trial:
    def __init__(
        self,
        plan: Plan,
        instance: Instance,
        facts: Facts,
        witness: Witness,
        say: Callable[[str], None],
    ) -> None:
        self.plan = plan
        self.instance = instance
        self.facts = facts
        self.witness = witness
        self.say = say
        self.chance = random.Random(plan.seed)
        self.door = Door(facts)
        self.recoveries_s: dict[str, list[float]] = defaultdict(list)
        self.probes = 0

    def run(self) -> Outcome:
        self.door.log_in()
        self._probe()  # The first zygote of the tenant starts.
        planned = plan_submissions(
            self.plan.executions, (SKILL, IDEMPOTENT_SKILL), self.chance, self.plan.longest_s
        )
        load = Load(self.door, planned, self.witness.address, clients=self.plan.clients)
        began = time.monotonic()
        load.start()
        try:
            self._strike_while(load)
        finally:
            load.join()
        load_s = time.monotonic() - began
        settle_s = wait_until_all_ended(self.facts, within_s=SETTLE_S)
        findings = examine(
            self.facts,
            planned,
            self.witness,
            idempotent_skill=IDEMPOTENT_SKILL,
            most_retries=MOST_RETRIES,
        )
        findings.violations += load.problems
        return Outcome(
            self.plan, findings, self.recoveries_s, dict(self.door.troubles), load_s, settle_s
        )

    def _strike_while(self, load: Load) -> None:
        struck = 0
        while (load.goes_on() or struck < self.plan.rounds) and struck != self.plan.most_rounds:
            kinds = list(self.plan.kinds)
            self.chance.shuffle(kinds)
            for kind in kinds:
                if struck >= self.plan.rounds and not load.goes_on():
                    return
                time.sleep(self.chance.uniform(*self.plan.pauses_s))
                self._strike(kind)
            struck += 1

    def _strike(self, kind: Fault) -> None:
        supervisor = self.instance.supervisor
        if supervisor is None or supervisor.poll() is not None:
            raise BenchError("The supervisor has ended; nothing comes back any more.")
        if not kind.strike(supervisor.pid, self.facts.redis_url, self.chance.choice):
            self.say(f"{kind.name}: there is none to kill")
            return
        took_s = self._probe()
        self.recoveries_s[kind.name].append(took_s)
        self.say(f"{kind.name} killed; an execution asked for then was done after {took_s:.1f} s")

    def _probe(self) -> float:
        """Return the seconds until an execution that is asked for now has succeeded.

        One that is lost meanwhile, which it may be, is asked for again.
        """
        began = time.monotonic()
        give_up_at = began + PROBE_PATIENCE_S
        while time.monotonic() < give_up_at:
            self.probes += 1
            number = PROBES_FROM + self.probes
            inputs = {"number": number, "kind": "short", "witness": self.witness.address}
            run = self.door.insist(
                "POST",
                "/api/v1/executions?wait=5",
                {"skill": SKILL, "inputs": inputs},
                f"probe-{number}",
                give_up_at=give_up_at,
            )
            path = f"/api/v1/executions/{run['id']}?wait=5"
            while not run["is_final"] and time.monotonic() < give_up_at:
                status, said = self.door.ask("GET", path)
                run = said if status == 200 else run
                if not run["is_final"]:
                    time.sleep(0.05)
            if run["status"] == "succeeded":
                return time.monotonic() - began
        raise BenchError(f"Nothing was carried out within {PROBE_PATIENCE_S:.0f} s.")
