from __future__ import annotations

from django.db import models

from tenants.accounts.models import Account
from tenants.registry.models import Tenant


class WhitelistEntry(models.Model):
    """A tenant whose door stands open to an account of the admin host. In the public schema only.

    It gives no right, here or there: people log in at the tenant with their account there.
    """

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+")
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["tenant__title"]
        constraints = [
            models.UniqueConstraint(fields=["account", "tenant"], name="whitelisted_once")
        ]

    def __str__(self) -> str:
        return f"{self.account_id} at {self.tenant_id}"
