"""Copies of seals by webhook, e-mail and storage: signed, in order, tried again, or told."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.core import mail
from django.utils import timezone
from django_tenants.utils import schema_context

from execfabric.core.models import AuditSeal
from execfabric.core.sealing.canonical import canonical
from execfabric.core.sealing.verifying import kept_seals
from execfabric.core.seals import genuine
from execfabric.settings.services import storage_settings
from governance.audit.alarms import troubles
from governance.audit.channels import PostedCopies, StoredCopies, signature_of
from governance.audit.models import Upkeep
from governance.audit.sending import copy_everywhere
from governance.audit.tasks import copy_seals

from .conftest import happen, seal

SECRET = "a secret of the tests, long enough to be one"
NOW = timezone.now()


@pytest.fixture
def receiver():
    """A server that keeps what is posted to it, and answers with ``.status``."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.posts.append((dict(self.headers), body))
            self.send_response(server.status)
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.posts, server.status = [], 204
    server.url = f"http://127.0.0.1:{server.server_port}/seals"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def webhook(receiver, *, allowed=("127.0.0.1",)):
    return PostedCopies(url=receiver.url, secret=SECRET, allowed=allowed)


def look(tenant, *channels, now=NOW, addresses=(), mail_every=timedelta(days=1)):
    with schema_context("public"):
        copy_everywhere(
            [tenant.schema_name],
            channels=channels,
            addresses=addresses,
            mail_every=mail_every,
            now=now,
        )


def upkeep(tenant, duty="webhook"):
    with schema_context("public"):
        return Upkeep.objects.get(schema=tenant.schema_name, duty=duty)


def alarms(now=NOW):
    with schema_context("public"):
        return troubles(now)


def made():
    return [genuine(row) for row in AuditSeal.objects.all()]


def test_seals_are_posted_once_signed_and_in_order(acme, receiver):
    happen("one")
    seal(NOW)
    happen("two")
    seal(NOW)

    look(acme, webhook(receiver))
    look(acme, webhook(receiver))

    ((headers, body),) = receiver.posts
    document = json.loads(body)
    assert document["schema"] == acme.schema_name
    lines = [canonical(one) for one in document["seals"]]
    assert kept_seals(lines) == (made(), 0)
    moment, _, digest = headers["X-ExecFabric-Signature"].partition(",v1=")
    assert digest == signature_of(SECRET.encode(), int(moment.removeprefix("t=")), body)
    assert headers["Content-Type"] == "application/json"
    assert SECRET.encode() not in body


def test_what_did_not_arrive_is_posted_again_later_and_told(acme, receiver):
    seal(NOW)
    receiver.status = 500

    look(acme, webhook(receiver))
    look(acme, webhook(receiver), now=NOW + timedelta(seconds=30))  # Too early for another try.
    assert len(receiver.posts) == 1
    look(acme, webhook(receiver), now=NOW + timedelta(minutes=2))
    assert len(receiver.posts) == 2
    (reason,) = alarms().values()
    assert "answered 500" in reason

    receiver.status = 200
    look(acme, webhook(receiver), now=NOW + timedelta(minutes=10))

    assert upkeep(acme).up_to_seal == 1
    assert upkeep(acme).failing_since is None
    assert alarms() == {}


def test_a_redirect_is_not_followed(acme, receiver):
    seal(NOW)
    receiver.status = 307

    look(acme, webhook(receiver))

    assert len(receiver.posts) == 1
    assert "answered 307" in upkeep(acme).reason


def test_an_address_that_is_not_open_is_never_called(acme, receiver):
    seal(NOW)

    look(acme, webhook(receiver, allowed=()))

    assert receiver.posts == []
    assert "loopback" in upkeep(acme).reason


def test_a_dead_channel_holds_up_neither_sealing_nor_the_other_channels(
    acme, receiver, settings, tmp_path
):
    settings.STORAGES = {**settings.STORAGES, "seals": stored_in(tmp_path)}
    seal(NOW)
    receiver.status = 503

    look(acme, webhook(receiver), StoredCopies())
    happen("more")

    assert seal(NOW) == 1
    assert upkeep(acme, "storage").up_to_seal == 1


def stored_in(folder):
    return storage_settings(f"file://{folder}", folder)


def test_the_storage_gets_one_object_for_each_hand_over(acme, settings, tmp_path):
    settings.STORAGES = {**settings.STORAGES, "seals": stored_in(tmp_path)}
    seal(NOW)
    look(acme, StoredCopies())
    happen("more")
    seal(NOW)
    look(acme, StoredCopies())

    objects = sorted((tmp_path / acme.schema_name).glob("*.jsonl"))

    assert [one.name[:25] for one in objects] == [f"{number:012}-{number:012}" for number in (1, 2)]
    lines = [line for one in objects for line in one.read_bytes().splitlines()]
    assert kept_seals(lines) == (made(), 0)


def test_the_last_seal_of_each_trail_is_mailed_in_time(acme):
    happen("one")
    seal(NOW)
    addresses = ["audit@example.org"]

    look(acme, addresses=addresses)
    look(acme, addresses=addresses, now=NOW + timedelta(hours=23))
    assert len(mail.outbox) == 1
    look(acme, addresses=addresses, now=NOW + timedelta(hours=25))

    message = mail.outbox[0]
    assert message.from_email == "execfabric@localhost"
    assert message.to == addresses
    assert made()[-1].digest in message.body
    ((name, content, _kind),) = message.attachments
    assert name == "seals.jsonl"
    assert kept_seals(content.splitlines()) == (made()[-1:], 0)
    assert len(mail.outbox) == 2


def test_mail_that_is_not_taken_is_told(acme, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", 1, 1
    seal(NOW)

    look(acme, addresses=["audit@example.org"])
    look(acme, addresses=["audit@example.org"], now=NOW + timedelta(minutes=5))

    (reason,) = alarms().values()
    assert "was not taken" in reason


def test_it_is_told_when_nobody_sends_copies_any_more(acme, settings):
    settings.SEALS_EMAIL = ("audit@example.org",)
    look(acme)

    assert alarms() == {}
    (reason,) = alarms(NOW + timedelta(hours=2)).values()
    assert "hot-update" in reason


def test_it_is_told_too_when_nobody_ever_began_to(platform, settings):
    settings.SEALS_EMAIL = ("audit@example.org",)
    assert alarms() == {}
    happen("one")
    seal(NOW)

    assert alarms() == {}
    (reason,) = alarms(NOW + timedelta(hours=2)).values()
    assert "hot-update" in reason


def test_the_task_uses_what_is_configured(platform, receiver, settings):
    settings.SEALS_WEBHOOK_URL, settings.SEALS_WEBHOOK_SECRET = receiver.url, SECRET
    settings.NETWORK_ALLOW = frozenset({"127.0.0.1"})
    happen("one")
    seal(NOW)

    copy_seals.run()

    assert [json.loads(body)["schema"] for _headers, body in receiver.posts] == ["public"]
