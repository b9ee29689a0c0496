"""login, logout, whoami."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.text import Text

from cli import config, output
from cli.client import Json
from cli.errors import CliError, usage_error
from cli.exit_codes import ExitCode
from cli.session import Session, session_of
from cli.terminal import clean_line
from cli.transport import is_loopback

SECOND_FACTOR_NEEDED = "second_factor_needed"


def login(
    context: typer.Context,
    url: Annotated[
        str | None, typer.Argument(metavar="[URL]", help="Server, such as acme.example.com.")
    ] = None,
    username: Annotated[str | None, typer.Option("--username", "-u", help="Your username.")] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    code: Annotated[
        str,
        typer.Option("--code", help="Code of your second factor, or a recovery code."),
    ] = "",
) -> None:
    """Log in to a server and keep the login. This server becomes the default.

    Where the account has a second factor, its code is asked for.
    """
    session = session_of(context)
    session.url_option = url or session.url_option or _asked_url(session)
    if session.url.startswith("http://") and not is_loopback(
        session.url.split("/")[2].split(":")[0]
    ):
        warning = "This connection is not encrypted: others on the network can read the password."
        session.screen.note(Text(warning, style="yellow"))
    kept = session.config  # a broken file shows now, not after the password was typed
    name = username or _asked(session, "Username", "--username")
    answer = _answer(session, name, _password(session, password_stdin), code)
    user = answer.get("user")
    user = user if isinstance(user, dict) else {}
    token = answer.get("token")
    if not isinstance(token, str) or not token:
        raise CliError("The server sent no login token.", ExitCode.UNREACHABLE)
    username = clean_line(user.get("username") or name)
    expires_at = str(answer.get("expires_at") or "")
    kept.logins[session.url] = config.Login(token=token, username=username, expires_at=expires_at)
    kept.default_url = session.url
    config.save_config(session.config_path, kept)
    session.screen.show(Text(f"Logged in to {session.url} as {username}."))
    session.screen.json({"url": session.url, "user": user, "expires_at": answer.get("expires_at")})


def _answer(session: Session, name: str, password: str, code: str) -> Json:
    """Return the server's answer to the login, after the code was asked for if it must be."""
    client = session.anonymous_client()
    try:
        return client.login(name, password, code)
    except CliError as error:
        if error.code != SECOND_FACTOR_NEEDED:
            raise
    return client.login(name, password, _asked(session, "Code of your second factor", "--code"))


def logout(context: typer.Context) -> None:
    """End the login on the server and forget it here."""
    session = session_of(context)
    if session.url not in session.config.logins:
        session.screen.show(Text(f"You were not logged in to {session.url}."))
        session.screen.json({"url": session.url, "logged_out": False})
        return
    try:
        session.client().logout()
    except CliError as error:
        if error.exit_code == ExitCode.UNREACHABLE:
            warning = f"{error.message} The login is forgotten here but still valid there."
            session.screen.note(Text(clean_line(warning), style="yellow"))
        elif error.exit_code != ExitCode.NOT_LOGGED_IN:  # that one is over already
            raise
    del session.config.logins[session.url]
    config.save_config(session.config_path, session.config)
    session.screen.show(Text(f"Logged out of {session.url}."))
    session.screen.json({"url": session.url, "logged_out": True})


def whoami(context: typer.Context) -> None:
    """Show who you are, where, and in which roles."""
    session = session_of(context)
    me = session.client().me()
    session.screen.show(output.pairs(_identity(me, session.url)))
    session.screen.json({**me, "url": session.url})


def _identity(me: Json, url: str) -> dict[str, Text]:
    tenant = me.get("tenant")
    tenant = tenant if isinstance(tenant, dict) else {}
    roles = me.get("roles")
    return {
        "User": output.text(me.get("username"), style="bold"),
        "Name": output.text(me.get("display_name")),
        "Tenant": output.text(tenant.get("title") or tenant.get("name")),
        "Roles": output.text(", ".join(map(str, roles)) if isinstance(roles, list) else ""),
        "Server": Text(url),
    }


def _asked_url(session: Session) -> str | None:
    """Return a typed address when nothing names a server yet and a person is there."""
    try:
        return session.url
    except CliError:
        if not session.screen.asks:
            raise usage_error("Name the server: execfabric-cli login URL") from None
        return str(typer.prompt("Server", err=True))


def _asked(session: Session, label: str, option: str) -> str:
    if not session.screen.asks:
        raise usage_error(f"Give {option}: there is no terminal to ask on.")
    return str(typer.prompt(label, err=True))


def _password(session: Session, from_stdin: bool) -> str:
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
        if not password:
            raise usage_error("Standard input holds no password.")
        return password
    if not session.screen.asks:
        raise usage_error("Give --password-stdin: there is no terminal to ask on.")
    return str(typer.prompt("Password", hide_input=True, err=True))
