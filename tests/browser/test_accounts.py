"""A super-admin sets up a second factor, logs in with it, and confirms a dangerous act."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

from tenants.accounts.second_factor.codes import STEP_S, code_at

PASSWORD = "correct horse battery"
FORGET_PROOF = """
from django_tenants.utils import schema_context
from tenants.accounts.models import Session
from tenants.accounts.sessions.store import PROVEN_AT, SessionStore
with schema_context("public"):
    for row in Session.objects.filter(account__username="nora"):
        session = SessionStore(row.session_key)
        session[PROVEN_AT] = 0
        session.save()
"""


def shot(page, name: str) -> None:
    """Keep pictures in every look where a folder for them is named."""
    folder = os.environ.get("EXECFABRIC_SHOTS")
    if not folder:
        return
    for look in ("light", "dark"):
        page.emulate_media(color_scheme=look)
        for size, width in (("", 1280), ("-phone", 390)):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_timeout(400)  # What moves or fades has come to rest.
            page.screenshot(path=Path(folder) / f"{name}-{look}{size}.png", full_page=True)
    page.set_viewport_size({"width": 1280, "height": 900})


def log_in(page, live) -> None:
    page.goto(live.url("admin"))
    page.get_by_label("Username").fill("nora")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()


def test_from_a_password_alone_to_two_factors_and_a_confirmed_act(live, page):
    made = live.manage("create_admin", "nora", "--display-name", "Nora", given=f"{PASSWORD}\n")
    assert made.returncode == 0, made.stderr
    log_in(page, live)
    page.get_by_role("button", name="Account of Nora").click()
    page.get_by_role("link", name="Security").click()
    shot(page, "security-off")
    page.get_by_role("link", name="Change your password").click()
    shot(page, "password")
    page.get_by_role("link", name="Security").first.click()
    page.get_by_role("link", name="Set up").click()
    page.get_by_role("button", name="Set up").click()
    shown = page.locator(".second-factor-secret").inner_text()
    assert page.locator(".second-factor-picture").evaluate("img => img.naturalWidth") > 100
    shot(page, "set-up")
    secret = re.sub(r"\s", "", shown)
    page.get_by_label("Code").fill("000000")
    page.get_by_role("button", name="Turn it on").click()
    page.get_by_text("This is not the code that the app shows now").wait_for()
    code = code_at(secret, int(time.time()) // STEP_S)
    page.get_by_label("Code").fill(code)
    page.get_by_role("button", name="Turn it on").click()
    page.get_by_text("shown now and never again").wait_for()
    codes = page.locator(".recovery-codes code").all_inner_texts()
    assert len(codes) == 10
    shot(page, "recovery-codes")
    page.get_by_role("link", name="I have kept them").click()
    shot(page, "security-on")

    page.get_by_role("button", name="Account of Nora").click()
    page.get_by_role("button", name="Log out").click()
    log_in(page, live)
    page.get_by_role("heading", name="One more step").wait_for()
    shot(page, "login-code")
    page.get_by_label("Code").fill(code)
    page.get_by_role("button", name="Log in").click()
    page.get_by_text("was used already").wait_for()
    page.get_by_label("Code").fill(codes[0])
    page.get_by_role("button", name="Log in").click()
    page.get_by_text("You used a recovery code. 9 are left").wait_for()

    assert live.manage("shell", "-c", FORGET_PROOF).returncode == 0
    page.get_by_role("link", name="Administrators").click()
    shot(page, "administrators")
    page.get_by_role("link", name="Invite a super-admin").click()
    page.get_by_label("Username").fill("ines")
    page.get_by_role("button", name="Create the account").click()
    page.get_by_role("heading", name="Confirm it is you").wait_for()
    shot(page, "confirm-it-is-you")
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_label("Code").fill(codes[1])
    page.get_by_role("button", name="Confirm and go on").click()
    page.get_by_role("heading", name="Invitation for ines").wait_for()
    shot(page, "invitation")
    page.get_by_role("link", name="See the account").click()
    page.get_by_text("Not set yet").wait_for()
    shot(page, "account")
    page.get_by_role("link", name="Entries").click()
    page.get_by_text("acme.localhost").first.wait_for()
    assert not page.get_by_text("Fails").count()
    shot(page, "entries")


def test_a_whitelisted_tenant_admin_finds_doors_and_nothing_else(live, as_person, new_page):
    sam = as_person("sam", "admin")
    sam.goto(live.url("admin") + "/platform/administrators/whitelist/")
    sam.get_by_label("Username").fill("tina")
    sam.get_by_label("Acme", exact=False).first.check()
    shot(sam, "whitelist")
    sam.get_by_role("button", name="Create the account").click()
    link = sam.locator("code", has_text="/platform/set-password/").first.inner_text()

    tina = new_page()
    tina.goto(link)
    tina.get_by_label("New password").fill(PASSWORD)
    tina.get_by_label("The same again").fill(PASSWORD)
    tina.get_by_role("button", name="Set the password").click()
    tina.get_by_label("Username").fill("tina")
    tina.get_by_label("Password").fill(PASSWORD)
    tina.get_by_role("button", name="Log in").click()
    tina.get_by_role("heading", name="Your tenants").wait_for()
    shot(tina, "entrance")
    door = tina.get_by_role("link", name=re.compile("Open Acme"))
    assert door.get_attribute("href") == live.url("acme") + "/login/"
    assert tina.get_by_role("navigation").get_by_role("link").count() == 0
    assert tina.goto(live.url("admin") + "/platform/tenants/").status == 404
