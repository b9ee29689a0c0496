from __future__ import annotations

from ..models import Account, RecoveryCode


def unused_recovery_codes(account: Account) -> int:
    """Return how many recovery codes of account can still be used."""
    return RecoveryCode.objects.filter(account=account, used_at__isnull=True).count()
