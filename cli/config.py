"""The configuration file: which server is the default, and one login per server."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from cli.errors import usage_error
from cli.transport import is_loopback

PATH_VARIABLE = "EXECFABRIC_CONFIG"
URL_VARIABLE = "EXECFABRIC_URL"
TOKEN_VARIABLE = "EXECFABRIC_TOKEN"  # noqa: S105 - a name, not a token


@dataclass(frozen=True)
class Login:
    """A kept login. expires_at is ISO 8601 as the server sent it, or "" if it never expires."""

    token: str = field(repr=False)
    username: str
    expires_at: str = ""


@dataclass
class Config:
    """default_url is "" before the first login. Keys of logins are origins: see ``origin_of``."""

    default_url: str = ""
    logins: dict[str, Login] = field(default_factory=dict)


def origin_of(url: str) -> str:
    """Return ``scheme://host[:port]`` of a URL a person typed or pasted.

    Without a scheme it is http for this machine and https for any other. Path and query of a
    pasted page address are dropped. Raises CliError (usage) when there is no usable host.
    """
    text = url.strip()
    if "://" not in text:
        host = urlsplit(f"//{text}").hostname or "" if text else ""
        text = f"{'http' if is_loopback(host) else 'https'}://{text}"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise usage_error(f"{url!r} is not a server address: {error}.") from error
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host or any(c.isspace() for c in host):
        raise usage_error(f"{url!r} is not a server address.", hint="Write https://host[:port].")
    if parts.username is not None or parts.password is not None:
        raise usage_error("The server address must not contain a username or password.")
    shown = f"[{host}]" if ":" in host else host
    default_port = {"http": 80, "https": 443}[parts.scheme]
    origin = f"{parts.scheme}://{shown}" + (f":{port}" if port not in (None, default_port) else "")
    try:
        httpx.URL(origin)
    except httpx.InvalidURL as error:
        raise usage_error(f"{url!r} is not a server address: {error}.") from error
    return origin


def config_path(environment: Mapping[str, str]) -> Path:
    """Return where the configuration file is, or would be.

    Raises CliError (usage) when the environment names no place and this user has no home.
    """
    if chosen := environment.get(PATH_VARIABLE):
        return Path(chosen)
    base = Path(environment.get("XDG_CONFIG_HOME", ""))
    if base.is_absolute():  # the XDG specification says to ignore a relative one
        return base / "execfabric" / "config.json"
    try:
        return Path.home() / ".config" / "execfabric" / "config.json"
    except RuntimeError as error:
        raise usage_error(
            "There is no home folder to keep the login in.",
            hint=f"Set {PATH_VARIABLE} to the path of a file.",
        ) from error


def load_config(path: Path) -> Config:
    """Read the file; an absent one is an empty configuration.

    A file others could read is made private at once. Raises CliError (usage) when it is broken.
    """
    try:
        with path.open("rb") as file:
            if os.name == "posix" and stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                os.fchmod(file.fileno(), 0o600)
            document = json.loads(file.read())
        return _config_from(document)
    except FileNotFoundError:
        return Config()
    except OSError as error:
        reason = error.strerror
        raise usage_error(f"The configuration file {path} cannot be read: {reason}.") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise usage_error(
            f"The configuration file {path} is broken.",
            hint="Delete it and log in again.",
        ) from error


def save_config(path: Path, config: Config) -> None:
    """Write the file whole or not at all, readable by its owner only.

    Raises CliError (usage) when it cannot be written.
    """
    target = path.resolve()  # a symbolic link stays one
    document = {
        "default_url": config.default_url,
        "logins": {url: asdict(login) for url, login in config.logins.items()},
    }
    temporary = ""
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".config-")  # mode 0600
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=2)
            file.write("\n")
        Path(temporary).replace(target)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise usage_error(
            f"The login cannot be kept in {path}: {error.strerror}.",
            hint=f"Set {PATH_VARIABLE} to the path of a file you may write.",
        ) from error


def _config_from(document: Any) -> Config:
    """Raises ValueError or TypeError when the document has another shape."""
    if not isinstance(document, dict):
        raise ValueError("not an object")
    default_url = document.get("default_url", "")
    logins = {url: Login(**login) for url, login in dict(document.get("logins", {})).items()}
    texts = [default_url, *(v for login in logins.values() for v in asdict(login).values())]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("not text")
    return Config(default_url=default_url, logins=logins)
