from __future__ import annotations

from types import SimpleNamespace

import pytest
from django_tenants.utils import tenant_context

from execfabric.core.actor import Actor, Door
from skills.hot_update.publishing.carrying_out import publish_revision
from skills.hot_update.reviewing import services
from skills.hot_update.reviewing.locks import packages_digest, shown_lock
from tenants.accounts.models import Account
from tenants.accounts.services import create_account


@pytest.fixture
def sam(platform, person) -> SimpleNamespace:
    """A reviewer."""
    return person("sam")


@pytest.fixture
def rita(platform, person) -> SimpleNamespace:
    """Another one."""
    return reviewer("rita", person)


def reviewer(username: str, person, **account) -> SimpleNamespace:
    create_account(
        actor=Actor.system("tests", door=Door.COMMAND),
        username=username,
        roles=frozenset(),
        is_platform_admin=True,
    )
    Account.objects.filter(username=username).update(**account)
    return person(username)


@pytest.fixture
def acme_tenant(platform):
    """acme, while the test is in the public domain."""
    from tests.conftest import tenant_named

    return tenant_named("acme")


@pytest.fixture
def globex_tenant(platform):
    from tests.conftest import tenant_named

    return tenant_named("globex")


def approve(actor, revision, **rules):
    return services.approve_submission(
        actor=actor,
        submission=revision.submission,
        revision_id=revision.pk,
        digest=revision.digest,
        packages=packages_digest(shown_lock(revision)),
        rules=rules,
    )


def publish(actor, revision, **rules):
    """Approve a revision and carry its publication out; return its steps by name."""
    approve(actor, revision, **rules)
    publish_revision(revision.pk)
    return steps_of(revision)


def steps_of(revision):
    return {step.step: step for step in revision.steps.all()}


def in_tenant(tenant):
    return tenant_context(tenant)
