"""``audit verify``: whether an export of an audit trail is what was sealed. Needs no server."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from cli import output
from cli.errors import CliError, usage_error
from cli.exit_codes import ExitCode
from cli.session import session_of
from cli.terminal import clean_line
from execfabric.core.sealing.bundle import EVIDENCE_FORMAT, as_line
from execfabric.core.sealing.canonical import NotCanonical, from_text, parse
from execfabric.core.sealing.seals import Seal
from execfabric.core.sealing.verifying import Report, kept_seals, verify

app = typer.Typer(no_args_is_help=True, help="Verify exports of audit trails, offline.")
FINGERPRINT = re.compile(r"[0-9a-f]{64}")
LARGEST_EVIDENCE_BYTES = 256 * 1024 * 1024


@app.callback()
def start() -> None:
    """Verify exports of audit trails, offline."""


@app.command("verify")
def verify_file(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Sealed export, or evidence pack in JSON.")],
    seals: Annotated[
        Path | None,
        typer.Option(
            "--seals",
            help="Seals kept elsewhere: they reveal forgery and an end that was cut off.",
        ),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option("--key", help="Fingerprint of a key to trust; may be given several times."),
    ] = None,
    until: Annotated[
        str,
        typer.Option(
            "--until",
            help="When the export was made (ISO 8601), if the seals kept elsewhere are newer: "
            "those made later need not be in it.",
        ),
    ] = "",
) -> None:
    """Check FILE against its seals. Names every event that was changed, inserted, deleted or moved.

    Exits 12 when something is not as it was sealed. No server is asked.
    """
    session = session_of(context)
    kept = _kept(seals)
    fingerprints = _fingerprints(key or [])
    with _opened(file) as lines:
        report = verify(lines, kept=kept, until=_moment(until))
    strange = [one for one in report.keys if fingerprints and fingerprint(one) not in fingerprints]
    session.screen.show(output.pairs(_facts(report)))
    for found in report.findings:
        place = f"line {found.line}: " if found.line else ""
        session.screen.show(Text(f"{place}{clean_line(found.message)}", style="red"))
    for one in strange:
        session.screen.show(Text(f"A key signed that is not trusted: {fingerprint(one)}", "red"))
    is_good = report.is_as_sealed and not strange
    session.screen.json(_document(report, is_good=is_good, strange=strange))
    if not is_good:
        raise CliError(
            "This is not what was sealed.",
            ExitCode.NOT_AS_SEALED,
            hint="Take the export again from the platform, and compare." if report.findings else "",
        )
    session.screen.show(Text("Everything in it is as it was sealed.", style="bold green"))
    if not kept:
        session.screen.hint(
            "Whether its end was cut off, and whose key this is, only --seals (or --key) can tell."
        )


def fingerprint(key: str) -> str:
    """Return the sha256 of a public key, hexadecimal: what people compare."""
    try:
        return hashlib.sha256(from_text(key)).hexdigest()
    except ValueError:
        return "(no key)"


def _fingerprints(words: list[str]) -> frozenset[str]:
    for word in words:
        if not FINGERPRINT.fullmatch(word.lower()):
            raise usage_error(f"{word} is no fingerprint: 64 characters, 0 to 9 and a to f.")
    return frozenset(word.lower() for word in words)


def _moment(text: str) -> str:
    if not text:
        return ""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise usage_error(f"{text} is no moment such as 2026-11-26T10:00:00Z.") from None
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _kept(path: Path | None) -> list[Seal]:
    if path is None:
        return []
    try:
        with path.open("rb") as lines:
            kept, broken = kept_seals(lines)
    except OSError as error:
        raise usage_error(f"Cannot read {path}: {error.strerror}.") from None
    if broken:
        raise usage_error(
            f"{broken} lines of {path} are no seals.",
            hint="Take a copy of the file that the platform keeps, as it is.",
        )
    if not kept:
        raise usage_error(f"{path} holds no seals.")
    return kept


@contextmanager
def _opened(path: Path) -> Iterator[Iterable[bytes]]:
    """Return the lines of an export; of an evidence pack those of its proof."""
    try:
        with path.open("rb") as file:
            first = file.readline(64)
            file.seek(0)
            if b'"format":"execfabric-audit/' in first or first.startswith(b'{"exported_at"'):
                yield file
                return
            if path.stat().st_size > LARGEST_EVIDENCE_BYTES:
                raise usage_error(f"{path} is too large for an evidence pack, and no export.")
            yield _proof_of(file.read(), path)
    except OSError as error:
        raise usage_error(f"Cannot read {path}: {error.strerror}.") from None


def _proof_of(text: bytes, path: Path) -> list[bytes]:
    try:
        document: Any = parse(text.removesuffix(b"\n"))
        if document["format"] == EVIDENCE_FORMAT:
            return [as_line(line) for line in document["proof"]]
    except (NotCanonical, KeyError, TypeError):
        pass
    return text.splitlines(keepends=True) if b"\n" in text.strip() else [text]


def _facts(report: Report) -> dict[str, Any]:
    last = report.last_seal
    return {
        "Schema": output.text(report.schema),
        "Made": output.moment(report.exported_at),
        "Holds": output.text(
            f"{'the whole trail' if report.is_whole else 'a selection'}: {report.events} events, "
            f"{report.seals} seals"
        ),
        "Up to": output.text(f"seal {last.number}, made at {last.sealed_at}" if last else ""),
        "Not sealed yet": output.text(f"{report.unsealed} events" if report.unsealed else ""),
        "Compared": output.text(f"{report.compared} seals with copies" if report.compared else ""),
        "Signed by": output.text(", ".join(fingerprint(one) for one in report.keys)),
    }


def _document(report: Report, *, is_good: bool, strange: list[str]) -> dict[str, Any]:
    return {
        "as_sealed": is_good,
        "schema": report.schema,
        "exported_at": report.exported_at,
        "whole": report.is_whole,
        "seals": report.seals,
        "events": report.events,
        "unsealed": report.unsealed,
        "last_seal": report.last_seal.document() if report.last_seal else None,
        "compared_seals": report.compared,
        "keys": [fingerprint(one) for one in report.keys],
        "untrusted_keys": [fingerprint(one) for one in strange],
        "findings": [
            {"message": one.message, "line": one.line, "event": one.event_id}
            for one in report.findings
        ],
    }
