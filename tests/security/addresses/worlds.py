"""Everything a tenant can hold, each text with a canary word by which it is known again."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

from django.utils import timezone
from django_tenants.utils import tenant_context

from execfabric.core.actor import Actor, Door
from execfabric.core.models import SavedTrailView
from execfabric.core.roles import Role
from execfabric.core.storage import store_file
from executors.contract import ExecutionResult, Outcome, OutputFile, StopReason
from governance.audit.archiving import FOLDER
from governance.audit.models import AuditArchive
from governance.customers.models import Contact
from governance.customers.services import CustomerFacts, create_customer
from governance.http_access.credentials.services import create_credential
from governance.http_access.grants.services import grant_resource
from governance.http_access.selectors import latest_version
from governance.http_access.services import Description, allow_write, create_resource
from governance.http_access.trials.services import try_resource
from governance.tenant_data.models import TenantDeletion, TenantExport
from skills.batches.services import create_batch
from skills.executions import lifecycle, services
from skills.executions.links import make_link
from skills.executions.models import Delegation, Execution
from skills.executions.recording import record_result
from skills.hot_update.submitting import services as submitting
from skills.hot_update.submitting.intake import PendingFiles
from tenants.accounts.actors import actor_for_account
from tenants.accounts.groups.services import add_member
from tenants.accounts.models import Account, ApiToken, Group, Session
from tenants.accounts.services import create_account, set_password_path
from tenants.menu.models import EntryKind, MenuRow
from tests.conftest import PASSWORD, tenant_named
from tests.factories.skills import make_skill
from tests.factories.submissions import latest, submit
from tests.owner import owner_connection

from .fillings import Ids

KNOWN = (
    *("display", "username", "menu"),
    *("skillname", "title", "description", "readme", "tag", "sample", "samplerow"),
    *("input", "uploaded", "uploadrow", "output", "summary", "log", "progress"),
    *("artifact", "artifactrow", "error", "refusal", "group", "groupdescription"),
    *("member", "batchfile", "batchrow", "scenario", "remark", "ledger"),
)
"""What a canary word may stand for; each must be found on some page of its own tenant."""


@dataclass(frozen=True, slots=True)
class World:
    """One filled tenant."""

    tenant: Any
    mark: str
    """Begins every canary word of this tenant."""
    person: Account
    ids: Ids

    @property
    def host(self) -> str:
        return f"{self.tenant.name}.localhost"

    def betrayals(self) -> list[str]:
        """Return the words that nobody elsewhere may ever see."""
        return [self.mark, self.tenant.name, self.tenant.title.lower(), self.tenant.schema_name]


def build_world(tenant: Any, mark: str, folder: Path) -> World:
    """Fill tenant through the services, as its people and a worker would."""

    def word(of: str) -> str:
        assert of in KNOWN
        return f"{mark}{of}"

    with tenant_context(tenant):
        person = _account(word("username"), display_name=word("display"), password=PASSWORD)
        newcomer = _account(f"{mark}newcomer")
        _, _, key, token, _ = set_password_path(newcomer).split("/")
        MenuRow.objects.create(kind=EntryKind.LINK, label=word("menu"), url="https://x.example/")
        actor = actor_for_account(person, door=Door.PAGE)
        owners = Account.objects.filter(role_assignments__role=Role.OWNER)
        owner = actor_for_account(owners.order_by("pk")[0], door=Door.PAGE)
        skill = _skill(word)
        orders = services.upload_file(
            actor=actor, name=f"{word('uploaded')}.csv", content=_table(word("uploadrow"))
        )
        picture = services.upload_file(actor=actor, name="dot.png", content=BytesIO(b"\x89PNG"))
        document = services.upload_file(actor=actor, name="a.pdf", content=BytesIO(b"%PDF-1.4"))
        inputs = {
            "who": word("input"),
            "orders": str(orders.pk),
            "picture": str(picture.pk),
            "document": str(document.pk),
        }

        def ask(skill: Any) -> Execution:
            return services.request_execution(actor=actor, skill=skill, inputs=inputs)

        execution = ask(skill)
        _finish(execution, word, folder, outcome=Outcome.SUCCEEDED)
        _finish(ask(skill), word, folder, outcome=Outcome.FAILED)
        refused = ask(_skill(word, name=f"{mark}-asks", manifest='approval = "four_eyes"\n'))
        services.reject_execution(actor=owner, execution=refused, reason=word("refusal"))
        submission = submit(owner, name=f"{mark}-submitted", scenario=word("scenario"))
        submitting.answer_remark(actor=owner, submission=submission, text=word("remark"))
        revision = latest(submission)
        table = services.upload_file(
            actor=actor,
            name=f"{word('batchfile')}.csv",
            content=BytesIO(
                f"who,orders,picture\n{word('batchrow')},{orders.pk},{picture.pk}\n".encode()
            ),
        )
        batch = create_batch(actor=actor, skill=skill, source=table)
        files = {one.media_type: one for one in execution.artifacts.all()}
        link = make_link(actor=actor, artifact=files["text/csv"], host=f"{tenant.name}.localhost")
        group = Group.objects.create(
            pk=_long_number(f"{mark} group"),
            name=word("group"),
            description=word("groupdescription"),
        )
        member = _account(word("member"))
        add_member(actor=owner, group=group, account=member)
        delegation = Delegation.objects.create(
            pk=_long_number(f"{mark} delegation"),
            delegator=person,
            to_group=group,
            starts_at=timezone.now(),
            ends_at=timezone.now() + timedelta(days=1),
        )
        ids = Ids(
            tenant=tenant.name,
            skill=skill.name,
            sample=f"{word('sample')}.csv",
            execution=str(execution.pk),
            file=str(orders.pk),
            input_picture=str(picture.pk),
            submission=str(submission.pk),
            revision=str(revision.pk),
            draft=PendingFiles(revision.stored_as, mark).sign(owner),
            artifact=str(files["text/csv"].pk),
            picture=str(files["image/png"].pk),
            document=str(files["application/pdf"].pk),
            input_document=str(document.pk),
            signed_link=link.signed,
            batch=str(batch.pk),
            table=str(table.pk),
            link_key=key,
            link_token=token,
            group=str(group.pk),
            member=member.username,
            delegation=str(delegation.pk),
            session=_session(person, mark).handle,
            api_token=ApiToken.objects.create(user=person)[0].handle,
            audit_archive=_audit_archive(tenant),
            trail_view=str(_trail_view(mark, person)),
            **_http_resource(tenant, mark, word("ledger")),
            **_ledgers(tenant, mark),
        )
    return World(tenant, mark, person, ids)


def _trail_view(mark: str, person: Account) -> int:
    view = SavedTrailView.objects.create(
        pk=_long_number(f"{mark} view"), owner_id=person.pk, owner_name=person.username, name="View"
    )
    return int(view.pk)


def _audit_archive(tenant: Any) -> str:
    """Store a file and enter it as an archive of the tenant's trail; return its id."""
    stored = store_file(FOLDER, f"{tenant.schema_name}.jsonl.gz", BytesIO(b"archived"))
    now = timezone.now()
    with tenant_context(tenant_named("admin")):
        archive = AuditArchive.objects.create(
            schema=tenant.schema_name, first_seal=1, last_seal=1, events=1, first_at=now,
            last_at=now, sha256="0" * 64, size_bytes=8, stored_as=stored, made_at=now,
        )  # fmt: skip
        return str(archive.pk)


def _http_resource(tenant: Any, mark: str, title: str) -> dict[str, str]:
    """Show a resource to tenant; return the ids of what belongs to it in the public domain."""
    own = f"no-{_long_number(mark)}"  # On the admin host names of tenants mean something else.
    with tenant_context(tenant_named("admin")):
        sam = actor_for_account(Account.objects.get(username="sam"), door=Door.PAGE, is_proven=True)
        credential = create_credential(
            actor=sam, name=f"key-{own}", title="", style="bearer", settings={},
            secrets={"token": f"{mark}-secret"},
        )  # fmt: skip
        spec = {"base_url": "http://api.example.com"}
        described = Description(title, spec, credential=credential)
        resource = create_resource(actor=sam, name=f"http-{own}", description=described)
        write = allow_write(
            actor=sam, resource=resource, method="POST", path="/", limits={},
            confirmation="confirm", reason="Agreed.",
        )  # fmt: skip
        grant = grant_resource(actor=sam, resource=resource, tenant=tenant, level="view")
        trial = try_resource(actor=sam, version=latest_version(resource), inputs={})
        invited = Account.objects.create(
            pk=_long_number(f"{mark} invited"), username=f"invited-{own}", is_platform_admin=True
        )
        return {
            "admin": str(invited.pk),
            "http_resource": resource.name,
            "http_credential": credential.name,
            "http_write": str(write.pk),
            "http_grant": str(grant.pk),
            "http_trial": str(trial.pk),
        }


def _ledgers(tenant: Any, mark: str) -> dict[str, str]:
    """Write tenant into the ledgers of the public domain; return the ids of what stands there."""
    with tenant_context(tenant_named("admin")):
        sam = actor_for_account(Account.objects.get(username="sam"), door=Door.PAGE)
        now = timezone.now()
        # Named for nobody: on the admin host words of tenants mean something else.
        named = {"tenant_id": tenant.pk, "schema_name": f"gone_{_long_number(mark)}",
                 "name": "gone", "title": "Gone", "requested_by": "sam", "requested_at": now,
                 "touched_at": now, "reason": "Asked for."}  # fmt: skip
        export = TenantExport.objects.create(**named, status="failed")
        deletion = TenantDeletion.objects.create(**named, status="cancelled", due_at=now)
        facts = CustomerFacts(f"Customer {_long_number(mark)}")
        customer = create_customer(actor=sam, facts=facts, created_at=now)
        contact = Contact.objects.create(
            pk=_long_number(f"{mark} contact"), customer=customer, name="Peter", phone="1"
        )
        return {
            "export": str(export.pk),
            "deletion": str(deletion.pk),
            "customer": str(customer.pk),
            "contact": str(contact.pk),
        }


def level_sequences(*tenants: Any) -> None:
    """Make the next row of every table get the same number in all of tenants."""
    schemas = [tenant.schema_name for tenant in tenants]
    with owner_connection() as server:
        server.execute(
            "SELECT setval(format('%%I.%%I', schemaname, sequencename)::regclass, latest) FROM ("
            "  SELECT schemaname, sequencename,"
            "    max(coalesce(last_value, 1)) OVER (PARTITION BY sequencename) AS latest"
            "  FROM pg_sequences WHERE schemaname = ANY(%s)) AS all_of_them",
            [schemas],
        )


def _session(person: Account, mark: str) -> Session:
    now = timezone.now()
    return Session.objects.create(
        session_key=f"{mark}-session",
        expire_date=now + timedelta(days=1),
        account=person,
        started_at=now,
        last_seen_at=now,
    )


def _long_number(of: str) -> int:
    """Return an id that stands nowhere by chance, as a small number would."""
    return 700_000_000 + zlib.crc32(of.encode()) % 100_000_000


def _account(username: str, **given: Any) -> Account:
    return create_account(
        actor=Actor.system("tests", door=Door.COMMAND),
        username=username,
        roles=frozenset({Role.OPERATOR}),
        **given,
    )


def _skill(word: Any, *, name: str = "", manifest: str = "") -> Any:
    described = (
        f'title = "{word("title")}"\ndescription = "{word("description")}"\n'
        f'tags = ["{word("tag")}"]\n'
    )
    file = 'type = "string"\nformat = "file"\n'
    return make_skill(
        name or word("skillname"),
        "def main(who, orders, picture, document):\n    return 1\n",
        manifest=described + manifest,
        inputs=f'[inputs.who]\ntype = "string"\n[inputs.orders]\n{file}[inputs.picture]\n{file}'
        f"[inputs.document]\n{file}",
        **{
            "README.md": f"# Greet\n\n{word('readme')}\n",
            f"samples/{word('sample')}.csv": f"a;b\n{word('samplerow')};1\n",
        },
    )


def _finish(execution: Execution, word: Any, folder: Path, *, outcome: Outcome) -> None:
    """Take it, print, and report a result, as a worker does; no process runs."""
    worker = Actor.system("worker")
    execution = lifecycle.claim_execution(actor=worker, execution_id=execution.pk)
    lifecycle.append_log(execution, seq=1, stream="stdout", text=f"{word('log')}\n")
    lifecycle.note_progress(execution, fraction=0.5, message=word("progress"))
    failed = outcome is Outcome.FAILED
    result = ExecutionResult(
        outcome=outcome,
        stop_reason=StopReason.EXITED,
        exit_code=int(failed),
        output=None if failed else {"value": word("output")},
        summary="" if failed else word("summary"),
        error=word("error") if failed else "",
        artifacts=[
            _file(folder, f"{word('artifact')}.csv", _table(word("artifactrow")).read()),
            _file(folder, "dot.png", b"\x89PNG\r\n"),
            _file(folder, "page.pdf", b"%PDF-1.4\n"),
        ],
    )
    record_result(worker, execution, result)


def _file(folder: Path, name: str, content: bytes) -> OutputFile:
    path = folder / name
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    return OutputFile(name=name, path=path, size_bytes=len(content), sha256=digest)


def _table(row: str) -> BytesIO:
    return BytesIO(f"name;amount\n{row};1\n".encode())
