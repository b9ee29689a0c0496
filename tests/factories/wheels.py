"""Wheels made on the spot, and a package index on loopback that serves them."""

from __future__ import annotations

import base64
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def make_wheel(
    folder: Path,
    name: str,
    version: str = "1.0",
    *,
    code: str = "",
    requires: Sequence[str] = (),
    files: dict[str, str] | None = None,
) -> Path:
    """Write a wheel with one module of its name. files: more of them, by path."""
    info = f"{name}-{version}.dist-info"
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    needs = "".join(f"Requires-Dist: {each}\n" for each in requires)
    contents = {
        f"{name}.py": code,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
        **(files or {}),
    }
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in contents.items():
            archive.writestr(path, text)
    return wheel


@contextmanager
def serve_index(
    folder: Path, *, login: str = "", seen: Callable[[str], None] = lambda _path: None
) -> Iterator[str]:
    """Serve the wheels of a folder on loopback; yield the address, with its login if it has one.

    seen is called with the path of each request that was let in.
    """
    expected = "Basic " + base64.b64encode(login.encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if login and self.headers.get("Authorization") != expected:
                self.answer(401, b"", [("WWW-Authenticate", "Basic")])
                return
            seen(self.path)
            last = self.path.rstrip("/").rpartition("/")[2]
            if (folder / last).is_file():
                self.answer(200, (folder / last).read_bytes())
                return
            names = [path.name for path in folder.glob(f"{last.replace('-', '_')}-*.whl")]
            links = "".join(f'<a href="/files/{each}">{each}</a>' for each in names)
            self.answer(200 if names else 404, links.encode(), [("Content-Type", "text/html")])

        def answer(self, status: int, body: bytes, headers: Sequence[tuple[str, str]] = ()) -> None:
            self.send_response(status)
            for header in (*headers, ("Content-Length", str(len(body)))):
                self.send_header(*header)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://{login}{'@' if login else ''}127.0.0.1:{server.server_port}/simple"
        server.shutdown()
        thread.join()
