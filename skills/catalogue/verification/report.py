from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    """Stable: executable, here, elsewhere."""
    passed: bool
    text: str
    """For a person; of elsewhere it may name other tenants, which is for the platform alone."""


@dataclass(frozen=True, slots=True)
class Report:
    checks: tuple[Check, ...]

    def __add__(self, other: Report) -> Report:
        return Report((*self.checks, *other.checks))

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)

    @property
    def failures(self) -> str:
        """Return what failed, in sentences."""
        return " ".join(check.text for check in self.checks if not check.passed)

    def as_json(self) -> list[dict[str, str | bool]]:
        """Return it as versions and bindings keep it: [{"check", "passed", "text"}]."""
        return [
            {"check": check.name, "passed": check.passed, "text": check.text}
            for check in self.checks
        ]
