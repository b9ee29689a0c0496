"""What a zygote has imported before any script asks: of the standard library what many scripts use.

None of it starts a thread or opens a file as it is imported. More is not better: every fork pays
for the memory. Packages of an environment are never among it, since their code would run outside of
any sandbox.
"""

from __future__ import annotations

PLAIN = (
    # What the harness needs is imported with it.
    "argparse",
    "base64",
    "bisect",
    "contextlib",
    "copy",
    "csv",
    "fnmatch",
    "fractions",
    "functools",
    "glob",
    "heapq",
    "io",
    "itertools",
    "logging",
    "math",
    "operator",
    "random",
    "re",
    "shutil",
    "statistics",
    "string",
    "struct",
    "subprocess",
    "tempfile",
    "textwrap",
    "threading",
    "time",
    "urllib.parse",
)
"""For scripts without packages."""
FOR_PACKAGES = (
    *PLAIN,
    "asyncio",
    "concurrent.futures",
    "email.message",
    "email.policy",
    "gzip",
    "hashlib",
    "hmac",
    "html",
    "http.client",
    "http.cookiejar",
    "http.cookies",
    "ipaddress",
    "locale",
    "mimetypes",
    "netrc",
    "pickle",
    "platform",
    "queue",
    "secrets",
    "shlex",
    "ssl",
    "tomllib",
    "unicodedata",
    "urllib.request",
    "xml.etree.ElementTree",
    "zipfile",
    "zlib",
    "zoneinfo",
)
"""For scripts of an environment: packages import much of the library."""
