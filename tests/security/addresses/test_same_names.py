"""Two tenants use the same names, numbers and keys; they never meet."""

from __future__ import annotations

from io import BytesIO
from uuid import UUID, uuid4

import pytest
from django.conf import settings
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.utils import timezone
from django_tenants.utils import tenant_context

from execfabric.core import wake
from execfabric.core.actor import Actor, Door
from execfabric.core.errors import NotFound
from execfabric.core.redis import client
from execfabric.core.roles import Role
from execfabric.core.storage import open_file, store_file
from skills.catalogue.models import Skill, SkillVersion
from skills.executions.models import Execution, StoredFile
from tenants.accounts.models import Account
from tenants.accounts.services import create_account, set_password_path
from tests.conftest import tenant_named
from tests.factories.skills import make_skill

from .asking import ANONYMOUS, Person, found_in
from .worlds import level_sequences

PASSWORDS = {"acme": "the password at acme", "globex": "another one at globex"}
BOTH = ("acme", "globex")


@pytest.fixture
def tenants(db, settings):
    settings.AXES_FAILURE_LIMIT = 1_000_000
    both = {name: tenant_named(name) for name in BOTH}
    level_sequences(*both.values())
    return both


@pytest.fixture
def twins(tenants):
    """Accounts of the same name, number, roles and mail address, with other passwords."""
    made = {}
    for name, tenant in tenants.items():
        with tenant_context(tenant):
            made[name] = create_account(
                actor=Actor.system("tests", door=Door.COMMAND),
                username="twin",
                roles=frozenset({Role.OWNER}),
                email="twin@example.org",
                password=PASSWORDS[name],
            )
    assert made["acme"].pk == made["globex"].pk
    return made


def log_in(asker, host: str, username: str, password: str):
    body = {"username": username, "password": password}
    page = asker.ask(f"{host}.localhost", ANONYMOUS, "POST", "/login/", body)
    api = asker.ask(f"{host}.localhost", ANONYMOUS, "POST", "/api/v1/auth/login", body)
    return page, api


def test_the_same_rows_have_the_same_numbers_in_both_tenants(tenants, stage):
    """What the tests of this package stand on."""
    numbers = {}
    for name, tenant in tenants.items():
        with tenant_context(tenant):
            numbers[name] = {
                model: set(model.objects.values_list("pk", flat=True).order_by("-pk")[:2])
                for model in (Account, Skill, SkillVersion)
            }

    assert numbers["acme"] == numbers["globex"]


@pytest.mark.parametrize(("host", "other"), [BOTH, BOTH[::-1]])
def test_the_password_of_the_other_tenant_logs_nobody_in(twins, asker, host, other):
    right = log_in(asker, host, "twin", PASSWORDS[host])
    wrong = log_in(asker, host, "twin", PASSWORDS[other])
    nobody = log_in(asker, host, "no-such-twin", PASSWORDS[other])

    assert [answer.status for answer in right] == [302, 200]
    assert [answer.status for answer in wrong] == [401, 401]
    assert not any(settings.SESSION_COOKIE_NAME in answer.cookies for answer in wrong)
    assert [answer.body for answer in wrong][1] == nobody[1].body


def test_an_account_of_one_tenant_is_unknown_in_the_other(tenants, asker):
    gina = log_in(asker, "acme", "gina", "correct horse battery")
    nobody = log_in(asker, "acme", "nobody", "correct horse battery")

    assert [answer.status for answer in gina] == [401, 401]
    assert [answer.statements for answer in gina] == [answer.statements for answer in nobody]


def test_a_lock_out_in_one_tenant_is_none_in_the_other(twins, asker, settings):
    settings.AXES_FAILURE_LIMIT = 3
    for _attempt in range(2):
        log_in(asker, "acme", "twin", "wrong")

    locked, _api = log_in(asker, "acme", "twin", PASSWORDS["acme"])
    free, _api = log_in(asker, "globex", "twin", PASSWORDS["globex"])

    assert (locked.status, free.status) == (429, 302)


@pytest.mark.parametrize(("host", "other"), [BOTH, BOTH[::-1]])
def test_sessions_and_tokens_of_a_twin_are_void(twins, asker, of_host, host, other):
    own, foreign = of_host(host, "twin"), of_host(other, "twin")

    for path, refused in (("/skills/", 302), ("/api/v1/me", 401)):
        assert asker.ask(f"{host}.localhost", own, "GET", path).status == 200
        assert asker.ask(f"{host}.localhost", foreign, "GET", path).status == refused


def test_a_session_key_that_both_tenants_have_is_two_sessions(twins, tenants, asker, of_host):
    """No two are ever made alike; but who is logged in is up to the host's own row alone."""
    both = of_host("acme", "twin").session
    theirs = of_host("globex", "gina").session
    with tenant_context(tenants["globex"]), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE accounts_session SET session_key = %s WHERE session_key = %s", [both, theirs]
        )
    person = Person("twin", both)

    acme = asker.ask("acme.localhost", person, "GET", "/skills/").body
    globex = asker.ask("globex.localhost", person, "GET", "/skills/").body

    assert "Account of twin" in acme
    assert "Account of gina" in globex


def test_a_set_password_link_is_void_for_the_twin_even_if_all_it_is_made_of_is_alike(
    twins, tenants, asker
):
    paths = {}
    for name, tenant in tenants.items():
        with tenant_context(tenant):
            Account.objects.filter(username="twin").update(password="!alike", last_login=None)
            paths[name] = set_password_path(Account.objects.get(username="twin"))
    key = {path.split("/")[2] for path in paths.values()}
    new = {"password": "a quite long secret", "repeated": "a quite long secret"}

    assert len(key) == 1
    for host, other in (BOTH, BOTH[::-1]):
        for method, body in (("GET", None), ("POST", new)):
            own = asker.ask(f"{host}.localhost", ANONYMOUS, method, paths[host], body)
            foreign = asker.ask(f"{host}.localhost", ANONYMOUS, method, paths[other], body)
            assert own.status == (200 if method == "GET" else 302)
            assert foreign.status == 400


def test_the_same_file_in_both_tenants_is_stored_twice(twins, tenants, asker, of_host):
    def sent() -> dict:
        return {"file": SimpleUploadedFile("orders.csv", b"the same bytes")}

    stored = {}
    for name, tenant in tenants.items():
        with tenant_context(tenant):
            stored[name] = store_file("uploads/aa", "the-same", BytesIO(b"the same bytes"))
            with open_file(stored[name]) as file:
                assert file.read() == b"the same bytes"

    assert stored["acme"] != stored["globex"]
    assert all(stored[name].startswith(f"{tenants[name].schema_name}/") for name in BOTH)
    for name, other in (BOTH, BOTH[::-1]):
        up = f"{tenants[name].schema_name}/../{stored[other]}"
        with tenant_context(tenants[name]):
            for foreign in (stored[other], up, f"/{stored[other]}"):
                with pytest.raises(NotFound):
                    open_file(foreign)
        answer = asker.ask(
            f"{name}.localhost", of_host(name, "twin"), "POST", "/api/v1/files", sent()
        )
        assert answer.status == 201
        assert not found_in(answer, [tenants[other].schema_name])


def test_uploads_of_the_same_name_and_content_lie_in_their_own_schemas(tenants, stage):
    stored = {}
    for name, world in (("acme", stage.acme), ("globex", stage.globex)):
        with tenant_context(tenants[name]):
            stored[name] = StoredFile.objects.get(pk=world.ids.input_picture)

    acme, globex = stored["acme"], stored["globex"]
    assert (acme.name, acme.sha256) == (globex.name, globex.sha256)
    assert acme.stored_as.split("/")[1:] == globex.stored_as.split("/")[1:]
    assert acme.stored_as != globex.stored_as


def test_the_same_idempotency_key_in_both_tenants_makes_two_executions(
    twins, tenants, asker, of_host
):
    for tenant in tenants.values():
        with tenant_context(tenant):
            make_skill("greet")
    wanted = {"skill": "greet", "inputs": {"name": "you"}}
    headers = {"idempotency-key": "the-same-key"}
    made = {}

    for name in BOTH:
        person = of_host(name, "twin")
        answer = asker.ask(
            f"{name}.localhost", person, "POST", "/api/v1/executions", wanted, keep=True, **headers
        )
        assert answer.status == 201
        made[name] = answer

    ids = {name: answer.body.split('"id":"')[1][:36] for name, answer in made.items()}
    assert ids["acme"] != ids["globex"]
    for name in BOTH:
        with tenant_context(tenants[name]):
            kept = Execution.objects.filter(idempotency_key="the-same-key")
            assert [str(one.pk) for one in kept] == [ids[name]]


def test_an_execution_id_that_both_tenants_have_shows_the_host_s_own(
    stage, tenants, asker, of_host
):
    """No two are ever made alike; but nothing that is remembered by an id may mix them up."""
    with tenant_context(tenants["globex"]):
        theirs = Execution.objects.get(pk=stage.globex.ids.execution)
        theirs.pk = UUID(stage.acme.ids.execution)
        theirs.save(force_insert=True)
        theirs.log_chunks.create(seq=1, stream="stdout", text="quokkalog", at=timezone.now())
    people = {"acme": of_host("acme", "olivia"), "globex": of_host("globex", "gina")}
    marks = {"acme": "wombat", "globex": "quokka"}

    for path in ("/executions/{}/", "/executions/{}/log.txt", "/api/v1/executions/{}"):
        for name, other in (BOTH, BOTH[::-1]):
            page = asker.ask(
                f"{name}.localhost", people[name], "GET", path.format(stage.acme.ids.execution)
            )
            assert page.status == 200
            assert marks[name] in page.body
            assert not found_in(page, [marks[other]])


def test_cache_keys_carry_the_schema(tenants):
    keys = {}
    for name, tenant in tenants.items():
        with tenant_context(tenant):
            keys[name] = cache.make_key("the-same")
            cache.set("security-matrix", name, 5)

    assert all(tenants[name].schema_name in key for name, key in keys.items())
    for name, tenant in tenants.items():
        with tenant_context(tenant):
            assert cache.get("security-matrix") == name
            cache.delete("security-matrix")


def test_a_change_in_one_tenant_wakes_nobody_in_the_other(
    tenants, django_capture_on_commit_callbacks
):
    topic = "execution:the-same-in-both"
    with client().pubsub(ignore_subscribe_messages=True) as listener:
        listener.psubscribe(f"*{topic}")
        listener.get_message(timeout=1)  # The confirmation, which is ignored.
        for tenant in tenants.values():
            with tenant_context(tenant), django_capture_on_commit_callbacks(execute=True):
                wake.announce(topic, "news")
        heard = [listener.get_message(timeout=2) for _tenant in tenants]

    channels = [message["channel"] for message in heard]
    assert channels == [
        f"execfabric:wake:{tenant.schema_name}:{topic}" for tenant in tenants.values()
    ]


def test_a_waiter_listens_to_its_own_tenant_only(tenants):
    topic, listens = f"execution:{uuid4()}", []

    def look():
        listens.append(client().pubsub_channels(f"*{topic}"))
        return True

    for tenant in tenants.values():
        with tenant_context(tenant):
            wake.wait_until(topic, look, enough=bool, timeout_s=1, waiter="twin")

    assert listens == [
        [f"execfabric:wake:{tenant.schema_name}:{topic}"] for tenant in tenants.values()
    ]
