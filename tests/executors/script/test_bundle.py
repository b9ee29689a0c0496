"""What may become a bundle, and what an archive cannot smuggle in."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import threading
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executors.script import bundle as bundles
from executors.script.bundle import (
    Bundle,
    BundleError,
    BundleFile,
    check_path,
    read_archive,
    read_bundle,
    unpack,
)
from executors.script.bundle_use import hold_bundle, remove_bundle
from tests.executors.conftest import MakeFolder

BASE = {"main.py": b"print(1)\n", "README.md": b"# x\n"}
PackFiles = Callable[[dict[str, bytes]], io.BytesIO]


def tar(files: dict[str, bytes], *entries: tarfile.TarInfo) -> io.BytesIO:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        for entry in entries:
            archive.addfile(entry)
    packed.seek(0)
    return packed


def zipped(files: dict[str, bytes], *entries: zipfile.ZipInfo) -> io.BytesIO:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        for entry in entries:
            archive.writestr(entry, "/etc/passwd")
    packed.seek(0)
    return packed


both = pytest.mark.parametrize("pack", [tar, zipped])


@both
def test_an_archive_gives_the_same_bundle_as_its_folder(
    pack: PackFiles, make_folder: MakeFolder
) -> None:
    folder = make_folder(main__py="print(1)\n")
    (folder / "sub").mkdir()
    (folder / "sub" / "data.csv").write_text("1")
    (folder / "README.md").write_bytes(BASE["README.md"])

    bundle = read_bundle(folder)

    assert [file.path for file in bundle.files] == ["README.md", "main.py", "sub/data.csv"]
    assert read_archive(pack({**BASE, "sub/data.csv": b"1"})).digest == bundle.digest


@both
def test_one_folder_around_everything_is_taken_off(pack: PackFiles) -> None:
    wrapped = {f"report-1.0/{name}": data for name, data in BASE.items()}
    junk = {"__MACOSX/._main.py": b"", "report-1.0/.git/config": b"", "report-1.0/a.pyc": b""}

    assert read_archive(pack({**wrapped, **junk})).digest == read_archive(pack(BASE)).digest


@both
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("../evil.py", "leads out of the folder"),
        ("a/../../evil", "leads out of the folder"),
        ("a//b", "leads out of the folder"),
        ("/etc/cron.d/x", "absolute path"),
        ("C:/x", "absolute path"),
        ("a\\b", "backslash"),
        ("a\nb", "control character"),
        ("a\u202eb", "control character"),
        ("MAIN.py", "upper and lower case"),
        ("main.py/x", "is there twice"),
        ("x" * 256, "too long"),
        ("/".join("d" * 17), "folders deep"),
        ("aux?", "every system"),
        ("trailing.", "every system"),
    ],
)
def test_bad_names_are_refused(pack: PackFiles, name: str, says: str) -> None:
    with pytest.raises(BundleError, match=says):
        read_archive(pack({**BASE, name: b"x"}))


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE,
     tarfile.GNUTYPE_SPARSE],
)  # fmt: skip
def test_links_and_devices_in_a_tar_are_refused(kind: bytes) -> None:
    entry = tarfile.TarInfo("odd")
    entry.type, entry.linkname = kind, "/etc/passwd"

    with pytest.raises(BundleError):
        read_archive(tar(BASE, entry))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK])
def test_links_and_devices_in_a_zip_are_refused(kind: int) -> None:
    entry = zipfile.ZipInfo("odd")
    entry.external_attr = (kind | 0o777) << 16

    with pytest.raises(BundleError, match="link or a device"):
        read_archive(zipped(BASE, entry))


def test_a_zip_name_cut_by_nul_is_refused() -> None:
    data = zipped({**BASE, "good.txtAevil": b""}).getvalue().replace(b"good.txtA", b"good.txt\0")

    with pytest.raises(BundleError):
        read_archive(io.BytesIO(data))


def test_an_encrypted_zip_is_refused() -> None:
    data = bytearray(zipped(BASE).getvalue())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = 0
        while (start := data.find(mark, start)) >= 0:
            data[start + offset] |= 1
            start += 4

    with pytest.raises(BundleError, match="encrypted"):
        read_archive(io.BytesIO(bytes(data)))


@both
def test_bombs_are_measured_while_reading(pack: PackFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "MAX_BYTES", 1_000_000)

    with pytest.raises(BundleError, match="larger than"):
        read_archive(pack({**BASE, "zeros": b"\0" * 5_000_000}))


def test_a_zip_that_lies_about_its_size_is_refused() -> None:
    data = zipped({**BASE, "zeros": b"\0" * 100_000}).getvalue()
    lying = data.replace((100_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))

    with pytest.raises(BundleError):
        read_archive(io.BytesIO(lying))


def test_a_tar_header_of_gigabytes_does_not_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bundles, "MAX_BYTES", 1_000_000)
    entry = tarfile.TarInfo("x")
    entry.type, entry.size = tarfile.XHDTYPE, 4_000_000_000
    packed = gzip.compress(entry.tobuf() + b"\0" * 20_000_000)

    with pytest.raises(BundleError, match="larger than"):
        read_archive(io.BytesIO(packed))


@both
def test_too_many_files_are_refused(pack: PackFiles) -> None:
    with pytest.raises(BundleError, match="more than 500 files"):
        read_archive(pack(BASE | {f"f{n}": b"" for n in range(500)}))
    with pytest.raises(BundleError, match="more than 2000 files and folders"):
        read_archive(pack(BASE | {f".git/{n}": b"" for n in range(2100)}))


@both
def test_entry_and_readme_are_demanded(pack: PackFiles) -> None:
    with pytest.raises(BundleError, match=r"no main.py or main.sh"):
        read_archive(pack({"README.md": b""}))
    with pytest.raises(BundleError, match=r"no README.md"):
        read_archive(pack({"main.sh": b""}))


@pytest.mark.parametrize(
    "data",
    [b"", b"not an archive", b"PK\x03\x04", b"\x1f\x8b", gzip.compress(b"x" * 5000),
     tar(BASE).getvalue()[:-40], zipped(BASE).getvalue()[:-10]],
    ids=["empty", "text", "zip start", "gzip start", "no tar inside", "cut tar", "cut zip"],
)  # fmt: skip
def test_what_is_no_archive_is_refused(data: bytes) -> None:
    with pytest.raises(BundleError):
        read_archive(io.BytesIO(data))


@settings(max_examples=150)
@given(st.data())
def test_a_damaged_archive_is_refused_or_read_but_nothing_else(data: st.DataObject) -> None:
    packers: list[PackFiles] = [tar, zipped]
    original = data.draw(st.sampled_from(packers))(BASE).getvalue()
    position = data.draw(st.integers(0, len(original) - 1))
    damaged = bytearray(original)
    damaged[position] = data.draw(st.integers(0, 255))

    with suppress(BundleError):
        read_archive(io.BytesIO(bytes(damaged)))


def test_a_folder_with_a_link_or_a_pipe_is_refused(make_folder: MakeFolder) -> None:
    linked = make_folder("linked", main__py="")
    (linked / "passwd").symlink_to("/etc/passwd")
    piped = make_folder("piped", main__py="")
    os.mkfifo(piped / "pipe")

    with pytest.raises(BundleError, match="'passwd' is a link"):
        read_bundle(linked)
    with pytest.raises(BundleError, match="not an ordinary file"):
        read_bundle(piped)


def test_ignored_names_do_not_change_the_digest(make_folder: MakeFolder) -> None:
    folder = make_folder(main__py="")
    before = read_bundle(folder).digest
    (folder / ".venv").mkdir()
    (folder / ".venv" / "python").symlink_to("/usr/bin/python3")
    (folder / "main.pyc").touch()
    (folder / ".DS_Store").touch()

    assert read_bundle(folder).digest == before


def test_the_digest_knows_content_name_and_executable_bit() -> None:
    def digest(path: str, executable: bool, content: bytes) -> str:
        return Bundle((BundleFile(path, executable, content),)).digest

    digests = {digest("a", False, b""), digest("b", False, b""), digest("a", True, b""),
               digest("a", False, b"x")}  # fmt: skip
    assert len(digests) == 4


def test_packing_is_deterministic_and_unpacking_gives_it_back(
    make_folder: MakeFolder, tmp_path: Path
) -> None:
    folder = make_folder(main__py="print(1)\n", run__sh="true\n")
    (folder / "run.sh").chmod(0o700)
    bundle = read_bundle(folder)

    target = unpack(bundle.pack(), tmp_path / "deep" / "unpacked", digest=bundle.digest)

    assert bundle.pack() == read_bundle(folder).pack()
    assert read_bundle(target).digest == bundle.digest
    assert stat.S_IMODE((target / "run.sh").stat().st_mode) == 0o755
    assert stat.S_IMODE((target / "main.py").stat().st_mode) == 0o644
    assert stat.S_IMODE(target.stat().st_mode) == 0o755


def test_unpacking_checks_again_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(BundleError):
        unpack(tar({**BASE, "../x": b""}).getvalue(), tmp_path / "a")
    with pytest.raises(BundleError, match="not the one that was registered"):
        unpack(tar(BASE).getvalue(), tmp_path / "a", digest="0" * 64)

    assert list(tmp_path.iterdir()) == []


def test_two_workers_may_unpack_at_once(tmp_path: Path) -> None:
    data = tar(BASE | {f"f{n}": b"x" * 2000 for n in range(200)}).getvalue()
    problems: list[Exception] = []

    def work() -> None:
        try:
            assert len(list(unpack(data, tmp_path / "target").iterdir())) == 202
        except (AssertionError, OSError, BundleError) as error:
            problems.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert problems == []
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


@given(st.text(max_size=40))
def test_a_checked_path_never_leaves_its_folder(name: str) -> None:
    try:
        path = check_path(name)
    except BundleError:
        return
    assert os.path.normpath(f"/base/{path}") == f"/base/{path}"
    assert check_path(path) == path


def test_a_bundle_is_removed_only_when_no_run_uses_it(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "main.py").write_text("print(1)\n")

    with hold_bundle(folder), hold_bundle(folder):
        assert not remove_bundle(folder)
        assert (folder / "main.py").exists()

    assert remove_bundle(folder)
    assert remove_bundle(folder)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(BundleError, match="cannot be used"), hold_bundle(folder):
        pass


def test_a_name_of_megabytes_is_refused_in_no_time() -> None:
    with pytest.raises(BundleError, match="is too long"):
        check_path("./" * 4_000_000)


@pytest.mark.parametrize("lie", ["entries", "directory", "zip64"])
def test_a_zip_with_a_large_table_of_contents_is_refused_before_it_is_read(
    lie: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytearray(zipped(BASE).getvalue())
    if lie == "entries":
        data[-12:-10] = (2001).to_bytes(2, "little")
    elif lie == "directory":
        data[-10:-6] = (9 << 20).to_bytes(4, "little")
    else:
        data[-22:-22] = b"PK\x06\x07" + bytes(16)
    monkeypatch.setattr(bundles.zipfile, "ZipFile", None)

    with pytest.raises(BundleError, match="more than 2000 files and folders"):
        read_archive(io.BytesIO(data))
