"""Exporting and deleting a whole tenant, for real: what is committed here is deleted here."""

from __future__ import annotations

import hashlib
import io
import json
import re
import time
import uuid
from contextlib import suppress
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import IntegrityError, ProgrammingError, connection, transaction
from django.utils import timezone
from django_tenants.utils import schema_context

from execfabric.core.actor import Actor
from execfabric.core.errors import Conflict, InvalidInput
from execfabric.core.models import AuditEvent
from execfabric.core.storage import files_below, store_file
from governance.audit.models import Upkeep
from governance.tenant_data import erasing, exporting, services
from governance.tenant_data.contents import exported_tables, left_out_tables
from governance.tenant_data.fetching import entries_of
from governance.tenant_data.models import TenantDeletion, TenantExport
from governance.tenant_data.states import DeletionStage, DeletionStatus, ExportStatus
from skills.executions.files import upload_file
from skills.executions.services import request_execution
from tenants.registry.models import FormerTenant, Tenant
from tenants.registry.services import close_tenant
from tests.factories.skills import make_skill

FOREVER = time.monotonic() + 10_000


@pytest.fixture(autouse=True)
def own_disk(settings, tmp_path):
    """Storage and cache of this test alone: others test with a tenant of the same name."""
    default = settings.STORAGES["default"]
    options = {**default["OPTIONS"], "location": str(tmp_path / "storage")}
    settings.STORAGES = {**settings.STORAGES, "default": {**default, "OPTIONS": options}}
    settings.DATA_DIR, settings.UPLOAD_DIR = tmp_path, tmp_path / "incoming"
    caches = settings.CACHES["default"]
    settings.CACHES = {"default": {**caches, "KEY_PREFIX": f"test-{uuid.uuid4().hex}"}}


@pytest.fixture
def sam(platform, person):
    return person("sam").actor


def exported(sam, tenant, **fields) -> TenantExport:
    export = services.request_export(
        actor=sam, tenant=tenant, reason="They leave.", requested_at=timezone.now()
    )
    exporting.work_on(export.pk, until=FOREVER)
    export.refresh_from_db()
    return export


def content_of(export, path) -> bytes:
    """Return a file as whoever fetches the export gets it."""
    (opened,) = (take for name, _size, take in entries_of(export) if name == path)
    with opened() as file:
        return file.read()


def digest_of(export, path) -> str:
    return hashlib.sha256(content_of(export, path)).hexdigest()


def manifest_of(export):
    return json.loads(content_of(export, "manifest.json"))


@pytest.fixture
def acme_with_data(acme, person):
    """acme with a skill, a file of oscar's and an artifact; the test goes on in public."""
    make_skill()
    file = upload_file(actor=person("oscar").actor, name="orders.csv", content=io.BytesIO(b"a,b\n"))
    connection.set_schema_to_public()
    return acme, file


def test_all_its_pages_belong_to_the_tenants_of_the_menu(leaving, sam, person):
    export = services.request_export(
        actor=sam,
        tenant=Tenant.objects.get(name="acme"),
        reason="They leave.",
        requested_at=timezone.now(),
    )
    browser = person("sam").browser

    for place in ("leaving", f"exports/{export.pk}", f"deletions/{leaving.pk}"):
        page = browser.get(f"/platform/{place}/").content.decode()

        (current,) = re.findall(r'<a[^>]*href="([^"]*)"[^>]*aria-current="page"', page)
        assert current == "/platform/tenants/"


def test_an_export_holds_rows_files_and_trail_and_sums_that_fit(acme_with_data, sam):
    tenant, file = acme_with_data

    export = exported(sam, tenant)

    assert (export.status, export.error) == (ExportStatus.DONE, "")
    manifest = manifest_of(export)
    assert manifest["tenant"]["name"] == "acme"
    tables = {table["table"]: table for table in manifest["tables"]}
    assert tables["executions_storedfile"]["rows"] == 1
    rows = content_of(export, "rows/executions_storedfile-0001.jsonl").splitlines()
    assert json.loads(rows[0])["name"] == "orders.csv"
    assert content_of(export, f"files/uploads/{file.sha256[:2]}/{file.sha256}") == b"a,b\n"
    for entry in manifest["files"]:
        content = content_of(export, entry["path"])
        assert hashlib.sha256(content).hexdigest() == entry["sha256"]
        assert len(content) == entry["size_bytes"]
    sums = content_of(export, "SHA256SUMS").decode().splitlines()
    assert len(sums) == len(manifest["files"]) + 1


def test_no_secret_is_in_an_export_and_the_manifest_says_so(acme_with_data, sam, person):
    tenant, _file = acme_with_data
    export = exported(sam, tenant)

    whole = b"".join(content_of(export, entry["path"]) for entry in manifest_of(export)["files"])
    with schema_context(tenant.schema_name):
        from tenants.accounts.models import Account

        hashes = list(Account.objects.values_list("password", flat=True))

    assert hashes
    assert not [one for one in hashes if one.encode() in whole]
    tables = {table["table"]: table for table in manifest_of(export)["tables"]}
    assert tables["accounts_account"]["left_out"] == {"password": "hash of a password"}
    left_out = manifest_of(export)["left_out"]["tables"]
    assert {"accounts_session", "accounts_secondfactor", "accounts_recoverycode"} <= left_out.keys()
    assert "credentials of HTTP APIs" in str(manifest_of(export)["left_out"]["also"])


def test_secret_inputs_are_not_exported(acme, person, platform):
    connection.set_tenant(acme)
    skill = make_skill("enter", "def main(user: str, api_key: str):\n    return 1\n")
    given = {"user": "ada", "api_key": "4711-canary"}
    request_execution(actor=person("oscar").actor, skill=skill, inputs=given)
    connection.set_tenant(platform)

    export = exported(person("sam").actor, acme)

    (row,) = content_of(export, "rows/executions_execution-0001.jsonl").splitlines()
    assert json.loads(row)["inputs"] == {"user": "ada", "api_key": "(left out)"}
    for entry in manifest_of(export)["files"]:
        assert b"4711-canary" not in content_of(export, entry["path"])


def test_rows_of_no_other_tenant_are_in_an_export(acme_with_data, sam, globex):
    connection.set_schema_to_public()
    tenant, _file = acme_with_data

    export = exported(sam, tenant)

    assert b"gina" not in content_of(export, "rows/accounts_account-0001.jsonl")
    (own,) = content_of(export, "rows/public/registry_tenant-0001.jsonl").splitlines()
    assert json.loads(own)["name"] == "acme"


def test_every_table_of_a_tenant_has_a_decision():
    from governance.tenant_data.contents import UNDECIDED

    undecided = [name for name, why in left_out_tables().items() if why == UNDECIDED]

    assert undecided == [], "Add it to contents.py: TABLES, or LEFT_OUT_TABLES with a reason."
    assert "core_auditevent" in {table.name for table in exported_tables()}


class TestGoingOn:
    """Work that breaks off goes on from what was noted."""

    def test_a_worker_that_died_leaves_the_next_one_the_rest(
        self, acme_with_data, sam, monkeypatch
    ):
        tenant, _file = acme_with_data
        export = services.request_export(
            actor=sam, tenant=tenant, reason="Why not", requested_at=timezone.now()
        )
        monkeypatch.setattr(exporting, "_export_trail", _dies)
        monkeypatch.setitem(exporting._STEPS, exporting.ExportStage.TRAIL, _dies)
        with suppress(SystemExit):
            exporting.work_on(export.pk, until=FOREVER)
        export.refresh_from_db()
        assert (export.status, export.stage) == (ExportStatus.RUNNING, "trail")
        before = export.rows_done
        monkeypatch.undo()

        exporting.work_on(export.pk, until=FOREVER)

        export.refresh_from_db()
        assert export.status == ExportStatus.DONE
        assert export.rows_done == before
        paths = [entry["path"] for entry in manifest_of(export)["files"]]
        assert len(paths) == len(set(paths))

    def test_rows_go_on_in_the_middle_of_a_table(self, acme_with_data, sam, monkeypatch):
        tenant, _file = acme_with_data
        monkeypatch.setattr(exporting, "ROWS_AT_ONCE", 2)
        monkeypatch.setattr(exporting, "PART_BYTES", 1)

        export = exported(sam, tenant)

        names = []
        for number in (1, 2, 3):
            rows = content_of(export, f"rows/accounts_account-{number:04}.jsonl").splitlines()
            names += [json.loads(row)["username"] for row in rows]
        assert sorted(names) == ["anna", "dana", "olivia", "oscar", "victor"]

    @pytest.mark.parametrize("stage", list(exporting._STEPS))
    def test_an_export_that_another_worker_took_over_is_left_to_it(
        self, acme_with_data, sam, monkeypatch, stage
    ):
        tenant, _file = acme_with_data
        step = exporting._STEPS[stage]

        def overtaken(export, until):
            monkeypatch.undo()
            exporting.work_on(export.pk, until=time.monotonic() + 0.05)  # A part at least.
            return step(export, until)

        monkeypatch.setitem(exporting._STEPS, stage, overtaken)
        export = exported(sam, tenant)
        exporting.work_on(export.pk, until=FOREVER)

        export.refresh_from_db()
        assert (export.status, export.error) == (ExportStatus.DONE, "")
        assert not AuditEvent.objects.filter(code="tenant_data.export.fail").exists()

    @pytest.mark.parametrize("stage", list(exporting._STEPS))
    def test_a_stale_worker_leaves_no_trace_in_an_export_that_is_whole(
        self, acme_with_data, sam, monkeypatch, stage
    ):
        """It was stopped in the middle of a part, and wakes up when another has finished all."""
        tenant, _file = acme_with_data
        store, finished = exporting.copy_into, {}

        def wakes_up_late(folder, path, content, size_bytes):
            if not finished:
                finished.update(taken=True)
                with schema_context("public"):
                    exporting.work_on(TenantExport.objects.get().pk, until=FOREVER)
                    export = TenantExport.objects.get()
                    names = [name for name, _size, _open in entries_of(export)]
                    finished.update({name: digest_of(export, name) for name in names})
                content, size_bytes = io.BytesIO(b"spoilt"), 6
            return store(folder, path, content, size_bytes)

        def step(export, until, step=exporting._STEPS[stage]):
            monkeypatch.setattr("governance.tenant_data.parts.copy_into", wakes_up_late)
            monkeypatch.setattr(exporting, "copy_into", wakes_up_late)
            return step(export, until)

        monkeypatch.setitem(exporting._STEPS, stage, step)

        export = exported(sam, tenant)

        assert (export.status, export.error) == (ExportStatus.DONE, "")
        assert finished.pop("taken")
        assert {name: digest_of(export, name) for name in finished} == finished
        for entry in manifest_of(export)["files"]:
            assert digest_of(export, entry["path"]) == entry["sha256"]

    def test_a_stale_worker_writes_no_manifest_over_that_of_another(
        self, acme_with_data, sam, monkeypatch
    ):
        tenant, _file = acme_with_data
        write = exporting._write_manifest

        def overtaken(export):
            monkeypatch.undo()
            exporting.work_on(export.pk, until=FOREVER)
            return write(export)

        monkeypatch.setattr(exporting, "_write_manifest", overtaken)

        export = exported(sam, tenant)

        assert export.status == ExportStatus.DONE
        assert digest_of(export, "manifest.json") == export.manifest_sha256
        sums = content_of(export, "SHA256SUMS").decode()
        assert f"{export.manifest_sha256}  manifest.json\n" in sums
        finished = AuditEvent.objects.filter(code="tenant_data.export.finish", outcome="done")
        assert finished.count() == 1

    @pytest.mark.parametrize("until", [FOREVER, 0.0], ids=["whole", "going on"])
    def test_a_stale_worker_fails_no_export_of_another(
        self, acme_with_data, sam, monkeypatch, until
    ):
        """Neither one that is whole, nor one that goes on."""
        tenant, _file = acme_with_data

        def fails_late(export, _until):
            monkeypatch.undo()
            exporting.work_on(export.pk, until=until)
            raise OSError(28, "No space left on device")

        monkeypatch.setitem(exporting._STEPS, exporting.ExportStage.FILES, fails_late)

        export = exported(sam, tenant)

        expected = ExportStatus.DONE if until else ExportStatus.RUNNING
        assert (export.status, export.error) == (expected, "")

    def test_a_slice_of_time_does_a_part_and_asks_for_more(self, acme_with_data, sam):
        tenant, _file = acme_with_data
        export = services.request_export(
            actor=sam, tenant=tenant, reason="Why not", requested_at=timezone.now()
        )

        assert exporting.work_on(export.pk, until=time.monotonic() - 1)

        export.refresh_from_db()
        assert export.status == ExportStatus.RUNNING

    def test_what_goes_wrong_is_told_and_gone_on_with(self, acme_with_data, sam, monkeypatch):
        tenant, _file = acme_with_data

        def full(*_args):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(exporting, "copy_into", full)
        export = exported(sam, tenant)
        assert export.status == ExportStatus.FAILED
        assert "No space left on device" in export.error
        assert AuditEvent.objects.filter(code="tenant_data.export.fail").count() == 1
        monkeypatch.undo()

        services.retry_export(actor=sam, export=export, at=timezone.now())
        exporting.work_on(export.pk, until=FOREVER)

        export.refresh_from_db()
        assert (export.status, export.error) == (ExportStatus.DONE, "")

    @pytest.mark.parametrize(
        ("error", "told"),
        [
            (FileNotFoundError(2, "No such file", "/srv/private/one"), "No such file"),
            (ProgrammingError('relation "tenant_1001.one" does not exist'), "The database did not"),
        ],
    )
    def test_why_it_failed_names_no_path_and_no_schema(
        self, acme_with_data, sam, monkeypatch, error, told
    ):
        def fails(*_args):
            raise error

        tenant, _file = acme_with_data
        monkeypatch.setitem(exporting._STEPS, exporting.ExportStage.TRAIL, fails)

        export = exported(sam, tenant)

        assert told in export.error
        assert not [word for word in ("/srv", "tenant_1001") if word in export.error]

    def test_one_export_of_a_tenant_at_a_time(self, acme_with_data, sam):
        tenant, _file = acme_with_data
        for_now = {"actor": sam, "tenant": tenant, "reason": "x", "requested_at": timezone.now()}
        services.request_export(**for_now)

        with pytest.raises(Conflict, match="already"):
            services.request_export(**for_now)


def _dies(*_args):
    raise SystemExit


def _breaks(*_args):
    raise OSError(28, "No space left on device")


@pytest.fixture
def leaving(acme_with_data, sam):
    """acme, closed, with its deletion scheduled; nothing else waits in the transaction."""
    tenant, _file = acme_with_data
    now = timezone.now()
    tenant = close_tenant(actor=sam, tenant=tenant, reason="They left.", closed_at=now)
    deletion = services.schedule_deletion(
        actor=sam, tenant=tenant, confirmation="acme", reason="They left.", requested_at=now
    )
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    return deletion


def make_due(deletion):
    """Let the time of grace be over, for the database, too."""
    past = timezone.now() - timedelta(seconds=1)
    TenantDeletion.objects.filter(pk=deletion.pk).update(due_at=past)
    Tenant.objects.filter(pk=deletion.tenant_id).update(deletion_due_at=past)
    deletion.refresh_from_db()


def deleted(deletion):
    actor = Actor.system("scan")
    services.begin_deletion(actor=actor, deletion=deletion, begun_at=timezone.now())
    erasing.work_on(deletion.pk, until=FOREVER)
    deletion.refresh_from_db()
    return deletion


def test_a_deletion_takes_rows_schema_role_and_files_and_leaves_the_trail(leaving, sam):
    with schema_context(leaving.schema_name):
        store_file("artifacts/one", "two", io.BytesIO(b"three"))
        assert list(files_below())
        cache.set("known", 1)
    Upkeep.objects.create(schema=leaving.schema_name, duty="webhook", done_at=timezone.now())
    make_due(leaving)

    done = deleted(leaving)

    assert (done.status, done.stage, done.error) == (DeletionStatus.DONE, DeletionStage.OVER, "")
    assert done.files_done >= 2
    assert not Tenant.objects.filter(pk=leaving.tenant_id).exists()
    former = FormerTenant.objects.get()
    assert (former.number, former.name) == (leaving.number, "acme")
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM registry_domain WHERE domain = 'acme.localhost'")
        assert cursor.fetchone() is None
    with schema_context(leaving.schema_name):
        assert list(files_below()) == []
        assert cache.get("known") is None
    assert not Upkeep.objects.exists()
    table = f"{leaving.schema_name}.accounts_account"
    with connection.cursor() as cursor, transaction.atomic():
        with pytest.raises(ProgrammingError, match="does not exist"):  # Else: no permission.
            cursor.execute(f"SELECT FROM {table}")
        transaction.set_rollback(True)
    codes = set(AuditEvent.objects.values_list("code", flat=True))
    assert {"registry.tenant.close", "registry.tenant.erase", "tenant_data.deletion.begin"} <= codes
    assert AuditEvent.objects.filter(code="tenant_data.deletion.finish").count() == 1


def test_before_its_time_nothing_can_be_deleted_not_even_by_hand(leaving):
    with pytest.raises(Conflict, match="not due"):
        deleted(leaving)

    with pytest.raises(IntegrityError, match="not due"), transaction.atomic():
        Tenant.objects.filter(pk=leaving.tenant_id).delete()


def test_an_open_tenant_cannot_be_deleted(platform, sam):
    tenant = Tenant.objects.get(name="globex")

    with pytest.raises(Conflict, match="Close it first"):
        services.schedule_deletion(
            actor=sam, tenant=tenant, confirmation="globex", reason="x", requested_at=timezone.now()
        )


def test_the_name_must_be_typed(platform, sam):
    tenant = Tenant.objects.get(name="globex")
    with pytest.raises(InvalidInput) as refused:
        services.schedule_deletion(
            actor=sam, tenant=tenant, confirmation="glob", reason="x", requested_at=timezone.now()
        )

    assert list(refused.value.fields) == ["confirmation"]


def test_a_deletion_is_cancelled_until_it_begins(leaving, sam):
    services.cancel_deletion(actor=sam, deletion=leaving, cancelled_at=timezone.now())

    leaving.refresh_from_db()
    assert leaving.status == DeletionStatus.CANCELLED
    assert Tenant.objects.get(name="acme").deletion_due_at is None


def test_files_that_cannot_be_deleted_are_told_and_deleted_later(leaving, sam, monkeypatch):
    make_due(leaving)

    def refuses(_name):
        raise PermissionError("not yours")

    monkeypatch.setattr(erasing, "delete_file", refuses)
    failed = deleted(leaving)
    assert (failed.status, failed.stage) == (DeletionStatus.FAILED, DeletionStage.FILES)
    assert "not yours" in failed.error
    with pytest.raises(Conflict):
        services.cancel_deletion(actor=sam, deletion=failed, cancelled_at=timezone.now())
    monkeypatch.undo()

    services.retry_deletion(actor=sam, deletion=failed, at=timezone.now())
    erasing.work_on(failed.pk, until=FOREVER)

    failed.refresh_from_db()
    assert failed.status == DeletionStatus.DONE


def test_a_deletion_goes_on_after_its_worker_died(leaving, monkeypatch):
    make_due(leaving)
    monkeypatch.setattr(erasing, "_delete_some_files", _dies)
    with suppress(SystemExit):
        deleted(leaving)
    leaving.refresh_from_db()
    assert (leaving.status, leaving.stage) == (DeletionStatus.RUNNING, DeletionStage.FILES)
    monkeypatch.undo()

    erasing.work_on(leaving.pk, until=FOREVER)

    leaving.refresh_from_db()
    assert leaving.status == DeletionStatus.DONE


def test_a_deletion_that_another_worker_took_over_is_left_to_it(leaving, monkeypatch):
    make_due(leaving)
    erase = erasing._erase

    def overtaken(actor, deletion):
        monkeypatch.undo()
        erasing.work_on(deletion.pk, until=FOREVER)
        return erase(actor, deletion)

    monkeypatch.setattr(erasing, "_erase", overtaken)

    done = deleted(leaving)

    assert (done.status, done.error) == (DeletionStatus.DONE, "")
    assert not AuditEvent.objects.filter(code="tenant_data.deletion.fail").exists()


def test_a_deletion_waits_for_an_export_that_is_being_made(leaving, sam, monkeypatch):
    from governance.tenant_data import tasks

    monkeypatch.setattr(tasks, "enqueue", lambda *_args, **_what: None)
    export = services.request_export(
        actor=sam,
        tenant=Tenant.objects.get(name="acme"),
        reason="They want it after all.",
        requested_at=timezone.now(),
    )
    make_due(leaving)

    tasks.scan_tenant_data.run()
    with pytest.raises(Conflict, match="export of this tenant is being made"):
        deleted(leaving)
    exporting.work_on(export.pk, until=FOREVER)
    tasks.scan_tenant_data.run()

    leaving.refresh_from_db()
    assert leaving.status == DeletionStatus.RUNNING
    refused = AuditEvent.objects.filter(code="tenant_data.deletion.begin", outcome="refused")
    assert refused.count() == 1  # The one that was asked for here, and none of the clock.


def test_what_a_failed_export_has_copied_does_not_stay_for_ever(
    acme_with_data, sam, monkeypatch, settings
):
    from governance.tenant_data import tasks

    tenant, _file = acme_with_data
    monkeypatch.setitem(exporting._STEPS, exporting.ExportStage.TRAIL, _breaks)
    export = exported(sam, tenant)
    assert (export.status, export.files.exists()) == (ExportStatus.FAILED, True)

    tasks.scan_tenant_data.run()
    export.refresh_from_db()
    assert export.status == ExportStatus.FAILED
    long_ago = timezone.now() - timedelta(days=settings.EXPORTS_KEPT_DAYS)
    TenantExport.objects.filter(pk=export.pk).update(touched_at=long_ago)
    tasks.scan_tenant_data.run()
    tasks.clear_export.run(export_id=str(export.pk))

    export.refresh_from_db()
    assert export.status == ExportStatus.REMOVED
    assert list(files_below(export.folder)) == []


def test_the_clock_begins_what_is_due_and_removes_old_exports(leaving, sam, monkeypatch):
    from governance.tenant_data import tasks

    sent = []
    monkeypatch.setattr(services, "enqueue", lambda name, **what: sent.append((name, what)))
    monkeypatch.setattr(tasks, "enqueue", lambda name, **what: sent.append((name, what)))
    tenant = Tenant.objects.get(name="acme")
    export = exported(sam, tenant)
    TenantExport.objects.filter(pk=export.pk).update(expires_at=timezone.now())
    make_due(leaving)

    tasks.scan_tenant_data.run()
    tasks.clear_export.run(export_id=str(export.pk))

    assert (services.WORK_ON_DELETION, {"deletion_id": str(leaving.pk)}) in sent
    export.refresh_from_db()
    assert (export.status, export.files.count()) == (ExportStatus.REMOVED, 0)
    assert list(files_below(export.folder)) == []
