"""What every command starts from: the chosen server, the kept login, the screen."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import typer
from rich.text import Text

from cli import config
from cli.client import Client
from cli.errors import CliError
from cli.exit_codes import ExitCode
from cli.output import Screen
from cli.terminal import clean_line


@dataclass
class Session:
    """One call of the program. url_option is what ``--url`` said, if it was given."""

    screen: Screen
    url_option: str | None = None
    _clients: list[Client] = field(default_factory=list)

    @cached_property
    def config_path(self) -> Path:
        return config.config_path(os.environ)

    @cached_property
    def config(self) -> config.Config:
        return config.load_config(self.config_path)

    @cached_property
    def url(self) -> str:
        """The origin to talk to: the option, else the environment, else the last login.

        Raises CliError when nothing names a server.
        """
        chosen = self.url_option or os.environ.get(config.URL_VARIABLE) or self.config.default_url
        if chosen:
            return config.origin_of(chosen)
        raise CliError(
            "No server is chosen yet.",
            ExitCode.NOT_LOGGED_IN,
            hint="Log in first, for example: execfabric-cli login https://acme.example.com",
        )

    def client(self) -> Client:
        """Return a client that is logged in. Raises CliError (not logged in)."""
        token = os.environ.get(config.TOKEN_VARIABLE, "").strip() or self._kept_token()
        if not token.isascii() or not token.isprintable() or " " in token:
            raise CliError("The login token is damaged.", ExitCode.NOT_LOGGED_IN, hint=self._login)
        return self._open(token)

    def anonymous_client(self) -> Client:
        return self._open("")

    def close(self) -> None:
        for client in self._clients:
            client.close()

    def command(self, words: str) -> str:
        """Return a command line a person can copy, with the server where it is not the default."""
        known = not self.url_option and not os.environ.get(config.URL_VARIABLE)
        return f"execfabric-cli {words}" + ("" if known else f" --url {self.url}")

    @property
    def _login(self) -> str:
        return f"Log in: execfabric-cli login {self.url}"

    def _kept_token(self) -> str:
        login = self.config.logins.get(self.url)
        if login is None:
            raise CliError(
                f"You are not logged in to {self.url}.", ExitCode.NOT_LOGGED_IN, hint=self._login
            )
        return login.token

    def _open(self, token: str) -> Client:
        told: set[str] = set()

        def say_once(reason: str) -> None:
            if reason not in told:
                told.add(reason)
                self.screen.note(Text(f"{clean_line(reason)} Trying again …", style="yellow"))

        client = Client(self.url, token, on_retry=say_once)
        self._clients.append(client)
        return client


def session_of(context: typer.Context) -> Session:
    """Return the session that ``cli.main`` put into the context."""
    session: Session = context.obj
    return session
