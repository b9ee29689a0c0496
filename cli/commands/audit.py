"""``audit verify``: whether an export of an audit trail is what was sealed. Needs no server."""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Annotated, Any, cast

import typer
from rich.text import Text

from cli import output
from cli.errors import CliError, usage_error
from cli.exit_codes import ExitCode
from cli.session import session_of
from cli.terminal import clean_line
from execfabric.core.sealing.bundle import EVIDENCE_FORMAT, as_line
from execfabric.core.sealing.canonical import NotCanonical, from_text, parse
from execfabric.core.sealing.reports import Report, check_together
from execfabric.core.sealing.seals import Seal
from execfabric.core.sealing.verifying import kept_seals, verify

app = typer.Typer(no_args_is_help=True, help="Export audit trails; verify exports, offline.")
FINGERPRINT = re.compile(r"[0-9a-f]{64}")
HEADERS = (b'{"exported_at"', b'{"archive"')
"""How the first line of an export or an archive begins."""
LARGEST_EVIDENCE_BYTES = 256 * 1024 * 1024


@app.callback()
def start() -> None:
    """Export audit trails; verify exports, offline."""


@app.command("verify")
def verify_file(
    context: typer.Context,
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="Sealed export, archive, or evidence pack in JSON; several of one trail are "
            "checked together.",
        ),
    ],
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
    """Check each FILE against its seals. Names what was changed, inserted, deleted or moved.

    Exits 12 when something is not as it was sealed. No server is asked.
    """
    session = session_of(context)
    kept, moment = _kept(seals), _moment(until)
    fingerprints = _fingerprints(key or [])
    reports: dict[str, Report] = {}
    documents, is_good = [], True
    for file in files:
        with _opened(file) as lines:
            report = verify(lines, kept=kept, until=moment)
        reports[_sha256(file)] = report
        strange = [
            one for one in report.keys if fingerprints and fingerprint(one) not in fingerprints
        ]
        facts = _facts(report)
        session.screen.show(
            output.pairs({"File": output.text(str(file)), **facts} if len(files) > 1 else facts)
        )
        for found in report.findings:
            place = f"line {found.line}: " if found.line else ""
            session.screen.show(Text(f"{place}{clean_line(found.message)}", style="red"))
        for one in strange:
            session.screen.show(
                Text(f"A key signed that is not trusted: {fingerprint(one)}", "red")
            )
        file_is_good = report.is_as_sealed and not strange
        documents.append(_document(report, is_good=file_is_good, strange=strange))
        is_good = is_good and file_is_good
    apart = check_together(reports) if is_good and len(files) > 1 else []
    for problem in apart:
        session.screen.show(Text(clean_line(problem), style="red"))
    is_good = is_good and not apart
    session.screen.json(
        documents[0]
        if len(files) == 1
        else {"as_sealed": is_good, "files": documents, "findings": apart}
    )
    if not is_good:
        raise CliError(
            "This is not what was sealed.",
            ExitCode.NOT_AS_SEALED,
            hint="Take it again from the platform, and compare.",
        )
    session.screen.show(Text("Everything in it is as it was sealed.", style="bold green"))
    if len(files) == 1 and report.archived:
        session.screen.hint(
            "Older events lie in archives: give them as well, and all are checked together."
        )
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
        with _plain(path) as file:
            first = file.readline(64)
            file.seek(0)
            if b'"format":"execfabric-audit/' in first or first.startswith(HEADERS):
                yield _lines_of(file)
                return
            if path.stat().st_size > LARGEST_EVIDENCE_BYTES:
                raise usage_error(f"{path} is too large for an evidence pack, and no export.")
            yield _proof_of(file.read(LARGEST_EVIDENCE_BYTES), path)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise usage_error(f"Cannot read {path}: it is damaged.") from None
    except OSError as error:
        raise usage_error(f"Cannot read {path}: {error.strerror}.") from None


@contextmanager
def _plain(path: Path) -> Iterator[IO[bytes]]:
    """Open a file; an archive is unpacked while it is read."""
    with path.open("rb") as file:
        is_packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if is_packed:
            with gzip.GzipFile(fileobj=file, mode="rb") as plain:
                yield cast("IO[bytes]", plain)
        else:
            yield file


def _lines_of(file: IO[bytes]) -> Iterator[bytes]:
    """Return lines; what cannot be unpacked ends them, which verifying finds."""
    with suppress(EOFError, zlib.error, gzip.BadGzipFile):
        yield from file


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
        "Holds": output.text(f"{_kind(report)}: {report.events} events, {report.seals} seals"),
        "Archived": output.text(
            "; ".join(
                f"seals {one.first} to {one.last}, {one.events} events, in {sha256}"
                for sha256, one in report.archived.items()
            )
        ),
        "Up to": output.text(f"seal {last.number}, made at {last.sealed_at}" if last else ""),
        "Not sealed yet": output.text(f"{report.unsealed} events" if report.unsealed else ""),
        "Compared": output.text(f"{report.compared} seals with copies" if report.compared else ""),
        "Signed by": output.text(", ".join(fingerprint(one) for one in report.keys)),
    }


def _kind(report: Report) -> str:
    if report.part is not None:
        return f"an archive of seals {report.part.first} to {report.part.last}"
    return "the whole trail" if report.is_whole else "a selection"


def _document(report: Report, *, is_good: bool, strange: list[str]) -> dict[str, Any]:
    return {
        "as_sealed": is_good,
        "schema": report.schema,
        "exported_at": report.exported_at,
        "whole": report.is_whole and report.part is None,
        "archive": report.part._asdict() if report.part else None,
        "archived": [
            {"sha256": sha256, "first": one.first, "last": one.last, "events": one.events}
            for sha256, one in report.archived.items()
        ],
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
