"""From what was uploaded to a bundle, and the half-written submissions between two pages."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import IO, Any
from uuid import UUID

from django.core import signing

from execfabric.core.actor import Actor, current_schema
from execfabric.core.errors import InvalidInput, NotFound
from execfabric.core.storage import open_file
from executors.script.bundle import Bundle, BundleError, read_archive

SIGNER = signing.TimestampSigner(salt="hot_update.draft", sep="~")
"""Its texts stand in addresses as they are."""
KEPT_S = 86_400
"""How long the second page of a submission may be filled in."""


def read_upload(upload: IO[bytes]) -> Bundle:
    """Return the script folder in an uploaded zip or tar.gz. Raises InvalidInput, saying why."""
    try:
        return read_archive(upload)
    except BundleError as error:
        raise InvalidInput(str(error), fields={"bundle": str(error)}) from None


def read_stored(stored_as: str) -> Bundle:
    """Return a bundle this tenant stored. Raises NotFound for any other, and for a damaged one."""
    try:
        with open_file(stored_as) as stored:
            return read_archive(io.BytesIO(stored.read()))
    except BundleError:
        raise NotFound("These files are no longer stored whole. Send them again.") from None


@dataclass(frozen=True, slots=True)
class PendingFiles:
    """Files that were sent for a submission which is not written yet."""

    stored_as: str
    name: str
    """What the upload was called; '' where the skill has its name already."""
    submission_id: UUID | None = None
    """The submission this will be a new revision of."""

    def sign(self, actor: Actor) -> str:
        """Return a text for the address of the next page: of this account in this tenant only."""
        said = [self.stored_as, self.name[:100], str(self.submission_id or "")]
        return str(SIGNER.sign_object([actor.schema, actor.user_id, *said], compress=True))


def pending_files(actor: Actor, signed: str) -> PendingFiles:
    """Return what ``sign`` signed. Raises NotFound when it is another's, too old or made up."""
    # Who asks is found out first, so that a foreign draft takes no longer than one that is none.
    own = (current_schema(), actor.user_id)
    try:
        said: list[Any] = SIGNER.unsign_object(signed, max_age=KEPT_S)
        schema, user_id, stored_as, name, submission_id = said
    except (signing.BadSignature, ValueError, TypeError):
        raise NotFound("There is no such draft.") from None
    if (schema, user_id) != own:
        raise NotFound("There is no such draft.")
    return PendingFiles(stored_as, name, UUID(submission_id) if submission_id else None)
