"""A state changes by its table, from the status that is stored."""

from __future__ import annotations

import pytest
from django.utils import timezone

from execfabric.core.errors import InvalidTransition
from execfabric.core.states import move, require_move
from tenants.registry.models import TENANT_TRANSITIONS, Tenant, TenantStatus
from tests.conftest import tenant_named


@pytest.fixture
def tenant(platform):
    return tenant_named("acme")


def test_a_move_changes_the_stored_row(tenant):
    moved = move(tenant, to=TenantStatus.SUSPENDED, table=TENANT_TRANSITIONS, title="Acme, paused")

    assert (moved.status, moved.title) == (TenantStatus.SUSPENDED, "Acme, paused")
    assert Tenant.objects.get(pk=tenant.pk).status == TenantStatus.SUSPENDED


def test_a_row_that_somebody_else_moved_goes_on_from_there(tenant):
    closed = {"status": TenantStatus.CLOSED, "closed_at": timezone.now()}
    Tenant.objects.filter(pk=tenant.pk).update(**closed)

    with pytest.raises(InvalidTransition, match="closed; it cannot become suspended"):
        move(tenant, to=TenantStatus.SUSPENDED, table=TENANT_TRANSITIONS)


def test_a_move_that_the_table_lacks_is_refused_before_anything_is_asked(tenant):
    with pytest.raises(InvalidTransition, match="active; it cannot become trial"):
        require_move(tenant, TenantStatus.TRIAL, TENANT_TRANSITIONS)
