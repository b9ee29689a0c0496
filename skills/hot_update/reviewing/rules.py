"""The rules a revision asks for, and how a reviewer may tighten them. Never loosened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from execfabric.core.errors import InvalidInput
from executors.manifest import Manifest, ManifestError
from executors.network.addresses import is_public
from executors.network.policy import Rule, parse_rules

from ..models import Revision
from ..states import Verdict

RISKS = ("low", "medium", "high")
APPROVALS = ("none", "four_eyes")
VISIBILITIES = ("tenant", "granted")
ORDERED = {"risk": RISKS, "approval": APPROVALS, "visibility": VISIBILITIES}
"""Keys whose values are words, the loosest one first."""
TIGHTENABLE = (
    *("risk", "confirm", "approval", "visibility", "ai_callable", "manual"),
    *("network", "network_hosts", "timeout_s", "memory_mb", "concurrency"),
)
"""Keys of ``[skill]`` that a reviewer decides on."""

Rules = dict[str, Any]


def rules_asked(revision: Revision) -> Rules:
    """Return what the revision asks for, with the platform's minimum put on it.

    Raises InvalidInput for a manifest that cannot be used.
    """
    skill = manifest_of(revision).skill
    rules = {key: getattr(skill, key) for key in TIGHTENABLE}
    rules["confirm"] = rules["confirm"] or revision.confirm
    rules["ai_callable"] = rules["ai_callable"] and revision.ai_callable
    rules["manual"] = rules["manual"] and revision.manual
    return _with_minimum(rules)


def rules_in_force(revision: Revision) -> Rules:
    """Return the rules as tightened by those who approved the revision so far."""
    rules = rules_asked(revision)
    for review in revision.reviews.filter(verdict=Verdict.APPROVED).order_by("created_at"):
        rules.update(review.tightened)
    return _with_minimum(rules)


def tighten(rules: Rules, wanted: Mapping[str, Any]) -> Rules:
    """Return the rules with what is wanted put in; keys that are left out stay.

    Raises InvalidInput where wanted is looser than rules, naming the keys.
    """
    unknown = sorted(set(wanted) - set(TIGHTENABLE))
    if unknown:
        wrong = _("This is no rule a reviewer sets.")
        raise InvalidInput(wrong, fields=dict.fromkeys(unknown, wrong))
    tightened = _with_minimum({**rules, **wanted})
    if not tightened["network"]:
        tightened["network_hosts"] = []
    looser = {key: wrong for key in wanted if (wrong := _too_loose(key, rules, tightened))}
    if looser:
        raise InvalidInput(_("A reviewer can only tighten what was asked for."), fields=looser)
    if not (tightened["manual"] or tightened["ai_callable"]):
        wrong = _("Then nobody could call it. Reject the submission instead.")
        raise InvalidInput(wrong, fields={"manual": wrong})
    return tightened


def manifest_of(revision: Revision, rules: Rules | None = None) -> Manifest:
    """Return the manifest of a revision, under other rules if given. Raises InvalidInput."""
    tables = {name: dict(table) for name, table in revision.manifest.items()}
    if rules is not None:
        skill = {**tables.get("skill", {}), **rules}
        tables["skill"] = {key: value for key, value in skill.items() if value is not None}
    try:
        return Manifest.from_tables(tables, file=_("The manifest"))
    except ManifestError as error:
        raise InvalidInput(str(error)) from None


def approved_manifest(revision: Revision) -> Manifest:
    """Return the manifest as it is registered: under the rules in force, by the submission's name.

    Raises InvalidInput.
    """
    manifest = manifest_of(revision, rules_in_force(revision))
    manifest.skill.name = revision.submission.skill_name
    return manifest


def needs_second(rules: Rules, *, is_required: bool) -> bool:
    """Return whether two reviewers must approve. is_required: the operator's setting."""
    return is_required and rules["risk"] == "high"


def changed(before: Rules, after: Rules) -> Rules:
    return {key: after[key] for key in TIGHTENABLE if after[key] != before[key]}


def _with_minimum(rules: Rules) -> Rules:
    """High risk is never run unconfirmed."""
    return {**rules, "confirm": rules["confirm"] or rules["risk"] == "high"}


def _too_loose(key: str, asked: Rules, wanted: Rules) -> str:
    """Return why the value of a key cannot be taken; empty when it can."""
    before, after = asked[key], wanted[key]
    match key:
        case "risk" | "approval" | "visibility":
            order = ORDERED[key]
            if after not in order:
                return _("Choose one of: %(values)s.") % {"values": ", ".join(order)}
            if order.index(after) < order.index(before):
                return _("It was submitted with %(value)s, and cannot be less.") % {"value": before}
        case "confirm":
            if before and not after:
                return _("It must be confirmed; this cannot be taken away.")
        case "ai_callable" | "manual" | "network":
            if after and not before:
                return _("This was not asked for, so it cannot be opened here.")
        case "network_hosts":
            return _hosts_too_loose(before, after) if wanted["network"] else ""
        case _:
            return _number_too_loose(before, after, least=32 if key == "memory_mb" else 1)
    return ""


def _number_too_loose(before: int | None, after: int | None, *, least: int) -> str:
    if after is not None and after < least:
        return _("At least %(least)d.") % {"least": least}
    if before is not None and (after is None or after > before):
        return _("At most %(most)d, as it was submitted.") % {"most": before}
    return ""


def _hosts_too_loose(before: list[str], after: list[str]) -> str:
    try:
        known, wanted = parse_rules(before), parse_rules(after)
    except ValueError as error:
        return f"{error}."
    if not before:
        return _not_public(wanted, after)
    if not after:
        return _("Name the hosts; an empty list opens all public ones.")
    for rule, text in zip(wanted, after, strict=True):
        if not any(_covers(one, rule) for one in known):
            return _("%(host)s was not asked for.") % {"host": text}
    return ""


def _not_public(wanted: tuple[Rule, ...], texts: list[str]) -> str:
    """Return which of the hosts was not asked for by who asked for all public ones.

    An address that is not public is only ever reached by a script that names it, and so is where a
    name leads that the operator opened.
    """
    opened = [rule for rule in parse_rules(settings.NETWORK_ALLOW) if rule.name]
    for rule, text in zip(wanted, texts, strict=True):
        is_private = rule.network is not None and not is_public(rule.network)
        if is_private or any(_meet(one, rule) for one in opened):
            return _(
                "All public hosts were asked for, and %(host)s is none. If the script needs it, "
                "reject the submission and let the tenant name it in network_hosts."
            ) % {"host": text}
    return ""


def _meet(one: Rule, other: Rule) -> bool:
    """Return whether some name is meant by both, at whatever port."""
    if not (one.name and other.name):
        return False
    wide, narrow = sorted((one, other), key=lambda rule: len(rule.name))
    if wide.name == narrow.name:
        return wide.below == narrow.below
    return wide.below and narrow.name.endswith(f".{wide.name}")


def _covers(wide: Rule, narrow: Rule) -> bool:
    """Return whether everything narrow lets through is let through by wide."""
    if wide.port not in (None, narrow.port):
        return False
    if wide.network is not None or narrow.network is not None:
        return wide.network == narrow.network
    if wide.below:
        return narrow.name.endswith(f".{wide.name}") or (narrow.below and narrow.name == wide.name)
    return not narrow.below and narrow.name == wide.name
