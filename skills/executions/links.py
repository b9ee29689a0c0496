"""Links to artifacts for those who have no login at hand: a browser elsewhere, curl, a colleague.

Whoever has a link downloads that one file, on behalf of who made it, for a few minutes. A link is
signed with the platform's key over schema, host, artifact, account and expiry; nothing is stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.timezone import now

from execfabric.core.actions import action
from execfabric.core.actor import Actor, Door, current_schema
from execfabric.core.errors import Gone, NotFound, NotPermitted
from execfabric.core.permissions import target_rule
from execfabric.core.roles import EVERYONE
from tenants.accounts.actors import actor_for_account
from tenants.accounts.models import Account

from .models import Artifact
from .selectors import artifacts_visible_to

LASTS = timedelta(minutes=5)
LONGEST_NUMBER = 18
NO_SUCH_LINK = "This link is not valid here."


@dataclass(frozen=True, slots=True)
class Link:
    signed: str
    """The part of the address that proves it."""
    expires_at: datetime


@action("executions.artifact.link", title="Make a download link", roles=EVERYONE, target="artifact")
def make_link(*, actor: Actor, artifact: Artifact, host: str) -> Link:
    """Return a link to artifact that works on host for LASTS, on behalf of actor."""
    account_id = actor.require_account()
    expires_s = int((now() + LASTS).timestamp())
    seal = _seal(artifact, account_id, expires_s, host)
    expires_at = datetime.fromtimestamp(expires_s, tz=now().tzinfo)
    return Link(f"{account_id}.{expires_s}.{seal}", expires_at)


def open_link(artifact_id: UUID, signed: str, *, host: str, address: str) -> Artifact:
    """Return the artifact of a link that was opened on host, for its download.

    Raises NotFound unless it was made here for this artifact by somebody who may still read it,
    and Gone when its time is over.
    """
    account_id, expires_s, seal = _parts(signed)
    artifact = Artifact.objects.filter(pk=artifact_id).first()
    if artifact is None or not constant_time_compare(
        seal, _seal(artifact, account_id, expires_s, host)
    ):
        raise NotFound(NO_SUCH_LINK)
    if expires_s < now().timestamp():
        raise Gone("This link has expired. Make a new one on the execution's page.")
    account = Account.objects.filter(pk=account_id, is_active=True).first()
    if account is None:
        raise NotFound(NO_SUCH_LINK)
    actor = actor_for_account(account, door=Door.LINK, address=address)
    try:
        return follow_link(actor=actor, artifact=artifact)
    except NotPermitted:  # It lost the right since; the refusal is in the trail.
        raise NotFound(NO_SUCH_LINK) from None


@action(
    "executions.artifact.follow_link",
    title="Download by a link",
    roles=EVERYONE,
    target="artifact",
)
def follow_link(*, actor: Actor, artifact: Artifact) -> Artifact:
    """Say in the trail that a link of actor was opened."""
    return artifact


@target_rule("executions.artifact.link")
@target_rule("executions.artifact.follow_link")
def _may_read(actor: Actor, artifact: object) -> bool:
    return (
        isinstance(artifact, Artifact)
        and artifacts_visible_to(actor).filter(pk=artifact.pk).exists()
    )


def _seal(artifact: Artifact, account_id: int, expires_s: int, host: str) -> str:
    message = f"{current_schema()} {host.lower()} {artifact.pk} {account_id} {expires_s}"
    return salted_hmac("skills.executions.links", message, algorithm="sha256").hexdigest()


def _parts(signed: str) -> tuple[int, int, str]:
    account_id, _, rest = signed.partition(".")
    expires_s, _, seal = rest.partition(".")
    numbers = (account_id, expires_s)
    if not all(one.isascii() and one.isdecimal() and len(one) <= LONGEST_NUMBER for one in numbers):
        raise NotFound(NO_SUCH_LINK)
    return int(account_id), int(expires_s), seal
