"""A state changes by its table, from the status that is stored."""

from __future__ import annotations

import pytest
from django.db.models import Q

from execfabric.core.errors import InvalidTransition
from execfabric.core.states import advance
from tenants.registry.models import TENANT_TRANSITIONS, Tenant, TenantStatus
from tests.conftest import tenant_named


@pytest.fixture
def tenant(platform):
    return tenant_named("acme")


def stored(tenant) -> str:
    return Tenant.objects.get(pk=tenant.pk).status


def move(tenant, to, **options):
    return advance(tenant, to=to, table=TENANT_TRANSITIONS, **options)


def test_a_move_changes_the_stored_row_and_the_one_at_hand(tenant):
    assert move(tenant, TenantStatus.SUSPENDED, title="Acme, suspended")

    assert (tenant.status, tenant.title) == (TenantStatus.SUSPENDED, "Acme, suspended")
    assert stored(tenant) == TenantStatus.SUSPENDED


def test_a_row_that_somebody_else_moved_is_left_alone(tenant):
    Tenant.objects.filter(pk=tenant.pk).update(status=TenantStatus.CLOSED)

    assert not move(tenant, TenantStatus.SUSPENDED)

    assert stored(tenant) == TenantStatus.CLOSED
    assert tenant.status == TenantStatus.ACTIVE


def test_a_condition_that_does_not_hold_changes_nothing(tenant):
    assert not move(tenant, TenantStatus.SUSPENDED, only_if=Q(name="somebody else"))

    assert stored(tenant) == TenantStatus.ACTIVE


def test_a_move_that_the_table_lacks_is_refused_before_anything_is_asked(tenant):
    with pytest.raises(InvalidTransition, match="active; it cannot become trial"):
        move(tenant, TenantStatus.TRIAL)
