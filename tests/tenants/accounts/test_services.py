"""Who may make whom, and what a set-password link does."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from execfabric.core.actor import Actor, Door
from execfabric.core.errors import InvalidInput, NotPermitted
from execfabric.core.roles import Role
from tenants.accounts import services
from tenants.accounts.actors import actor_for_account, roles_of
from tenants.accounts.models import Account, ApiToken, RoleAssignment
from tests.conftest import PASSWORD

pytestmark = pytest.mark.usefixtures("acme")
ANOTHER = "another secret here"


def create(actor, *roles, **more):
    return services.create_account(
        actor=actor, username="newcomer", roles=frozenset(roles), password=PASSWORD, **more
    )


@pytest.fixture
def admin(person):
    """An administrator of acme who is no owner."""
    account = create(person("olivia").actor, Role.ADMIN)
    account.username = "adam"
    account.save()
    return actor_for_account(account, door=Door.PAGE, is_proven=True)


class TestRoles:
    def test_an_administrator_makes_anybody_but_an_owner(self, admin):
        assert roles_of(create(admin, Role.ADMIN, Role.VIEWER)) == {Role.ADMIN, Role.VIEWER}

    def test_an_administrator_makes_no_owner(self, admin):
        with pytest.raises(NotPermitted, match="owner"):
            create(admin, Role.OWNER)

        assert not Account.objects.filter(username="newcomer").exists()

    def test_an_owner_and_the_platform_make_owners(self, person):
        assert roles_of(create(person("olivia").actor, Role.OWNER)) == {Role.OWNER}
        Account.objects.filter(username="newcomer").update(username="first")
        system = Actor.system("tests", door=Door.COMMAND)
        assert roles_of(create(system, Role.OWNER)) == {Role.OWNER}

    @pytest.mark.parametrize("role", [Role.PLATFORM_ADMIN, Role.SYSTEM])
    def test_nobody_gives_an_account_a_role_of_the_platform(self, person, role):
        for actor in (person("olivia").actor, Actor.system("tests", door=Door.COMMAND)):
            with pytest.raises(InvalidInput):
                create(actor, role)

    def test_nobody_in_a_tenant_marks_a_super_admin(self, person):
        with pytest.raises(NotPermitted):
            create(person("olivia").actor, Role.VIEWER, is_platform_admin=True)

    @pytest.mark.parametrize("role", ["system", "platform_admin", "king"])
    def test_the_database_holds_no_other_role(self, person, role):
        oscar = person("oscar").account

        with pytest.raises(IntegrityError), transaction.atomic():
            RoleAssignment.objects.create(account=oscar, role=role)

    @pytest.mark.usefixtures("owner_session")
    def test_one_that_got_in_all_the_same_counts_for_nothing(self, person):
        oscar = person("oscar").account
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE accounts_roleassignment DROP CONSTRAINT role_of_a_tenant")
        RoleAssignment.objects.create(account=oscar, role="system")
        RoleAssignment.objects.create(account=oscar, role="king")

        assert roles_of(oscar) == {Role.OPERATOR}


class TestSetPasswordLink:
    def use(self, link, password=ANOTHER):
        key, token = link.strip("/").split("/")[-2:]
        return services.set_password_by_link(
            actor=Actor.anonymous(door=Door.PAGE), key=key, token=token, password=password
        )

    def test_it_ends_tokens_and_sessions(self, person):
        oscar = person("oscar")
        assert oscar.api.get("/api/v1/me").status_code == 200

        self.use(services.set_password_path(oscar.account))

        assert not ApiToken.objects.filter(user=oscar.account).exists()
        assert oscar.api.get("/api/v1/me").status_code == 401
        assert oscar.browser.get("/skills/").status_code == 302

    def test_tokens_of_others_stay(self, person):
        dana = person("dana")

        self.use(services.set_password_path(person("oscar").account))

        assert dana.api.get("/api/v1/me").status_code == 200

    def test_it_works_once(self, person):
        link = services.set_password_path(person("oscar").account)
        self.use(link)

        with pytest.raises(services.LinkNotUsable):
            self.use(link, "yet another secret")

    def test_of_two_uses_at_once_the_second_waits_for_the_first(self, person):
        link = services.set_password_path(person("oscar").account)

        with CaptureQueriesContext(
            connection,
        ) as statements:
            self.use(link)

        read = next(s["sql"] for s in statements if 'FROM "accounts_account"' in s["sql"])
        assert read.endswith("FOR UPDATE")


class TestLockOut:
    """One count for a username, however it is spelt."""

    def log_in(self, username, password="wrong"):
        return Client(headers={"host": "acme.localhost"}).post(
            "/api/v1/auth/login",
            {"username": username, "password": password},
            content_type="application/json",
        )

    def test_spellings_share_their_failures(self):
        for name in ("victor", "VICTOR", "Victor", " vicTor ", "v\u0131ctor", "vict\uff4fr") * 2:
            self.log_in(name)

        assert self.log_in("vIctor", PASSWORD).status_code == 429
        assert self.log_in("oscar", PASSWORD).status_code == 200

    def test_a_login_on_the_page_clears_the_count_of_every_spelling(self):
        for _ in range(7):
            self.log_in("ANNA")
        page = Client(headers={"host": "acme.localhost"})

        assert page.post("/login/", {"username": "Anna", "password": PASSWORD}).status_code == 302

        assert self.log_in("ANNA").status_code == 401
        assert self.log_in("anna", PASSWORD).status_code == 200
