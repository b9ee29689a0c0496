"""The example folder-checksum does what its README says, on its samples and on bad files."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

from tests.examples.conftest import RunExample, run_sample


def test_folder_checksum_lists_the_sample(run_example: RunExample) -> None:
    run = run_sample(run_example, "folder-checksum")
    listed = dict(line.split("  ", 1)[::-1] for line in run.text("checksums.sha256").splitlines())
    parts = b"Part,Count\nHinge,12\nHandle,6\n"
    assert list(listed) == [
        "delivery/drawings/handle.txt",
        "delivery/drawings/hinge plan.txt",
        "delivery/note.txt",
        "delivery/parts.csv",
    ]
    assert listed["delivery/parts.csv"] == hashlib.sha256(parts).hexdigest()
    assert (run.output["files"], run.output["total_bytes"]) == (4, 111)
    own = hashlib.sha256(run.text("checksums.sha256").encode()).hexdigest()
    assert run.output["list_checksum"] == own


def zip_of(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def test_folder_checksum_takes_several_files_of_any_kind(run_example: RunExample) -> None:
    files = {
        "file": ("parts.zip", zip_of({"a b.txt": b"one", "sub/ü.txt": b"two"})),
        "file_2": ("-rf notes.txt", b"three"),
        "file_3": ("sheet.xlsx", zip_of({"xl/workbook.xml": b"<x/>"})),
    }
    run = run_example("folder-checksum", {"algorithm": "sha512"}, files)
    assert run.succeeded, run.result.error
    listed = [line.split("  ", 1) for line in run.text("checksums.sha512").splitlines()]
    assert [(digest, name) for digest, name in listed if "sub" not in name] == [
        (hashlib.sha512(b"one").hexdigest(), "1/a b.txt"),
        (hashlib.sha512(b"three").hexdigest(), "2/-rf notes.txt"),
        # An office file is a zip archive too, but is meant as one file.
        (hashlib.sha512(files["file_3"][1]).hexdigest(), "3/sheet.xlsx"),
    ]
    assert run.output["files"] == 4


def test_folder_checksum_does_not_follow_links_out_of_the_archive(
    run_example: RunExample, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        link = tarfile.TarInfo("link.txt")
        link.type, link.linkname = tarfile.SYMTYPE, str(secret)
        archive.addfile(link)
        plain = tarfile.TarInfo("plain.txt")
        plain.size = 5
        archive.addfile(plain, io.BytesIO(b"plain"))
    run = run_example("folder-checksum", files={"file": ("d.tar.gz", buffer.getvalue())})
    assert run.succeeded, run.result.error
    assert [line.split("  ")[1] for line in run.text("checksums.sha256").splitlines()] == [
        "plain.txt"
    ]


def test_folder_checksum_refuses_a_broken_archive(run_example: RunExample) -> None:
    run = run_example("folder-checksum", files={"file": ("d.zip", b"PK\x03\x04 cut")})
    assert not run.succeeded
    assert run.stderr == "d.zip: not a zip archive that can be unpacked.\n"
