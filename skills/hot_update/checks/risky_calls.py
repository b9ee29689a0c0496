"""What the code can do beyond computing, read off its syntax tree, against what it declares.

A name is followed through imports and their aliases, and counts when it is named at all, since
what is passed on can be called elsewhere. Code that hides what it calls shows as dynamic code.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeGuard

from .files import programs
from .registry import Finding, Level, Subject, check, in_lines
from .sources import LONGEST_LINE, parsed, python_files, shell_files

RISKS = ("low", "medium", "high")
MOST_QUOTED = 80


@dataclass(frozen=True, slots=True)
class Kind:
    what: str
    risk: str
    """The least risk a script that does it is declared with."""
    names: tuple[str, ...] = ()
    """Dotted names; one that ends with a dot stands for all below it."""
    modules: tuple[str, ...] = ()
    """To import one is enough."""
    methods: tuple[str, ...] = ()
    """Of objects nobody knows the type of."""
    in_shell: str = r"(?!)"


KINDS = {
    "process": Kind(
        "starts another program",
        "medium",
        names=(
            "os.system", "os.popen", "os.fork", "os.forkpty", "os.kill", "os.killpg",
            *(f"os.exec{end}" for end in ("l", "le", "lp", "lpe", "v", "ve", "vp", "vpe")),
            *(f"os.spawn{end}" for end in ("l", "le", "lp", "lpe", "v", "ve", "vp", "vpe")),
            "os.posix_spawn", "os.posix_spawnp", "asyncio.create_subprocess_exec",
            "asyncio.create_subprocess_shell",
        ),
        modules=("subprocess", "pty", "pexpect", "sh", "multiprocessing"),
        in_shell=r"\b(?:nohup|setsid|sudo|su|kill|pkill|killall)\b",
    ),
    "network": Kind(
        "reaches for the network",
        "medium",
        modules=(
            "socket", "socketserver", "ssl", "http.client", "http.server", "urllib.request",
            "ftplib", "smtplib", "poplib", "imaplib", "telnetlib", "xmlrpc", "requests", "httpx",
            "urllib3", "aiohttp", "websockets", "websocket", "paramiko", "fabric", "pycurl", "grpc",
            "boto3", "botocore", "psycopg", "psycopg2", "pymysql", "pymongo", "redis", "ldap3",
        ),
        names=("asyncio.open_connection", "asyncio.start_server"),
        methods=("create_connection", "create_datagram_endpoint", "create_server"),
        in_shell=r"\b(?:curl|wget|nc|ncat|netcat|ssh|scp|sftp|rsync|ftp|telnet|socat)\b|/dev/tcp/",
    ),
    "deletion": Kind(
        "deletes files",
        "medium",
        names=("os.remove", "os.unlink", "os.rmdir", "os.removedirs", "os.truncate",
               "shutil.rmtree"),
        methods=("unlink", "rmdir", "rmtree"),
        in_shell=r"\b(?:rm|rmdir|shred|unlink|truncate)\b|^(?>.*?\bfind\b).*\s-delete\b",
    ),
    "dynamic": Kind(
        "runs code that nobody can read beforehand",
        "high",
        names=("eval", "exec", "compile", "__import__", "importlib.import_module",
               "importlib.__import__", "builtins.", "__builtins__.", "__builtins__", "pickle.load",
               "pickle.loads",
               "pickle.Unpickler", "marshal.load", "marshal.loads", "shelve.open", "dill.",
               "cloudpickle.", "joblib.load", "runpy.", "code.", "types.FunctionType",
               "sys.settrace", "sys.modules", "importlib.util.", "importlib.machinery.",
               "zipimport.", "globals", "__loader__", "timeit.timeit", "timeit.repeat",
               "timeit.Timer"),
        methods=("__subclasses__", "__globals__", "__builtins__", "__loader__", "__mro__",
                 "__bases__", "__getattribute__"),
        in_shell=r"\beval\b|\bbase64\s+(?:-d|--decode|-D)\b|\|\s*(?:ba|z|da)?sh\b|\bpython3?\s+-c\b"
        r"|\bperl\s+-e\b",
    ),
    "native": Kind(
        "calls machine code",
        "high",
        modules=("ctypes", "cffi", "_ctypes"),
    ),
}  # fmt: skip
POWERFUL = frozenset({"os", "sys", "shutil", "builtins", "importlib", "pickle", "marshal"})
"""Modules in which much is risky: wherever such a module itself is passed on, or is reached through
another one, nobody can tell what of it is called."""
UNREADABLE = Kind("cannot be read, so nobody knows what it does", "high")


@check("risky-calls", title="What the code does fits the risk it declares")
def check_risky_calls(subject: Subject) -> Finding:
    found = [*_in_python(subject), *_in_shell(subject)]
    found += [("native", f"{path}: is {what}") for path, what in programs(subject.bundle)]
    kinds = sorted({kind for kind, _sentence in found})
    demanded = max((_risk(kind) for kind in kinds), key=RISKS.index, default="low")
    skill = subject.manifest.skill if subject.manifest else None
    declared, network = (skill.risk, skill.network) if skill else ("low", False)
    facts = {
        "kinds": kinds, "demanded": demanded, "declared": declared,
        "uses_network": "network" in kinds, "network": network,
    }  # fmt: skip
    wrong = []
    if RISKS.index(declared) < RISKS.index(demanded):
        wrong.append(
            f"The code asks for the risk {demanded!r} at least, but {declared!r} is declared. "
            "Raise it, or say in the note why it is lower; the reviewer sees the difference."
        )
    if "network" in kinds and not network:
        wrong.append(
            "It reaches for the network, which is closed unless the manifest says network = true."
        )
    if network and "network" not in kinds:
        wrong.append("It asks for the network, but nothing in the code seems to need it.")
    lines = in_lines(f"{sentence}." for _kind, sentence in found)
    if wrong:
        return Finding(Level.WARN, in_lines([*wrong, *lines.splitlines()]), facts)
    return Finding(Level.PASS, lines or "Nothing found beyond computing and its own files.", facts)


def demanded_risk(checks: list[dict[str, object]]) -> str:
    """Return the least risk the report of a revision asks for; "high" where it does not say."""
    for entry in checks:
        facts = entry.get("facts")
        if entry.get("check") == "risky-calls" and isinstance(facts, dict):
            return str(facts.get("demanded", "high"))
    return "high"


def _risk(kind: str) -> str:
    return KINDS.get(kind, UNREADABLE).risk


def _in_python(subject: Subject) -> Iterator[tuple[str, str]]:
    for file in python_files(subject.bundle):
        try:
            tree = parsed(file)
        except ValueError as error:
            yield "unreadable", f"{error}: it {UNREADABLE.what}"
            continue
        named: dict[tuple[int, str], str] = {}
        for kind, line, name in _Names(tree).risky():
            # Of subprocess and subprocess.run on one line the second says more.
            named[line, kind] = max(named.get((line, kind), ""), name, key=len)
        for (line, kind), name in sorted(named.items()):
            yield kind, f"{file.path}, line {line}: {KINDS[kind].what} ({name})"


def _in_shell(subject: Subject) -> Iterator[tuple[str, str]]:
    for file, text in shell_files(subject.bundle):
        if text is None:
            yield "unreadable", f"{file.path}: not readable, looked at by nobody"
            continue
        for number, line in enumerate(text.splitlines(), start=1):
            if len(line) > LONGEST_LINE:
                what = f"longer than {LONGEST_LINE} characters, looked at by nobody"
                yield "unreadable", f"{file.path}, line {number}: {what}"
            code = re.sub(r"(^|\s)#.*$", "", line[:LONGEST_LINE])
            for name, kind in KINDS.items():
                if match := re.search(kind.in_shell, code):
                    said = match[0].strip()[-MOST_QUOTED:]
                    yield name, f"{file.path}, line {number}: {kind.what} ({said})"


class _Names:
    """The names of one module, as full dotted names of what they were imported as."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self.looked_into = {
            id(part)
            for node in ast.walk(tree)
            for part in (
                [node.value] if isinstance(node, ast.Attribute)
                else node.args[:1] if _is_getattr(node) else []
            )
        }  # fmt: skip
        """Names of which only a part is used, which is looked at by itself."""
        self.known: dict[str, str] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    top = alias.name.partition(".")[0]
                    self.known[alias.asname or top] = alias.name if alias.asname else top
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    self.known[alias.asname or alias.name] = f"{node.module}.{alias.name}"

    def risky(self) -> Iterator[tuple[str, int, str]]:
        """Yield kind, line and name of everything that counts."""
        for node in ast.walk(self.tree):
            line = getattr(node, "lineno", 0)
            for name in self._named(node):
                for kind, known in KINDS.items():
                    if _matches(name, known):
                        yield kind, line, name
            if isinstance(node, ast.Attribute):
                for kind, known in KINDS.items():
                    if node.attr in known.methods:
                        yield kind, line, f".{node.attr}"

    def _named(self, node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield "builtins.*" if _hides(node.module, alias.name) else node.module
                yield f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Attribute | ast.Name):
            if name := self._dotted(node):
                *_, shortest = read = list(_read_as(name))
                yield from read
                if self._is_passed_on(node, shortest):
                    yield f"builtins.{shortest}"
        elif _is_getattr(node):
            yield from self._got(node)

    def _is_passed_on(self, node: ast.Attribute | ast.Name, name: str) -> bool:
        """Return whether a powerful module is used as a whole."""
        is_module = isinstance(node, ast.Attribute) or node.id in self.known
        is_whole = name.removesuffix(".__dict__") in POWERFUL
        return is_module and is_whole and id(node) not in self.looked_into

    def _got(self, node: ast.Call) -> Iterator[str]:
        """Yield what getattr() gets; of a module by a made-up name it could be anything."""
        base = self._dotted(node.args[0]) if len(node.args) > 1 else None
        if base is None or base not in {*self.known.values()}:
            return
        name = node.args[1]
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            yield f"{base}.{name.value}"
        else:
            yield "builtins.getattr"

    def _dotted(self, node: ast.AST) -> str | None:
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return None
        if parts and node.id not in self.known and node.id != "__builtins__":
            return None  # An attribute of some object, whatever its name.
        return ".".join([self.known.get(node.id, node.id), *reversed(parts)])


def _is_getattr(node: ast.AST) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and getattr(node.func, "id", "") == "getattr"


def _read_as(name: str) -> Iterator[str]:
    """Yield a dotted name, and what it is where it leads through a module that another imports."""
    yield name
    parts = name.split(".")
    for place, part in enumerate(parts[1:], start=1):
        if part.lstrip("_") in POWERFUL:
            yield ".".join([part.lstrip("_"), *parts[place + 1 :]])


def _hides(module: str, name: str) -> bool:
    return name == "*" and module in {"os", "shutil", "importlib", "builtins", "pickle", "marshal"}


def _matches(name: str, kind: Kind) -> bool:
    if any(name == module or name.startswith(f"{module}.") for module in kind.modules):
        return True
    return any(name.startswith(one) if one.endswith(".") else name == one for one in kind.names)
