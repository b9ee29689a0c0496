"""Passwords, tokens and keys that were left in the files.

Patterns of our own, few and narrow: a check that cries wolf is not read. What is found is never
repeated, only where it stands.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

from executors.script.bundle import BundleFile

from .registry import Finding, Level, Subject, check, in_lines
from .sources import LONGEST_LINE, text_of

TOKENS = {
    "a private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----",
    "an AWS access key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a GitHub token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{40,})",
    "a GitLab token": r"\bglpat-[A-Za-z0-9_-]{20,}",
    "a Slack token": r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}"
    r"|hooks\.slack\.com/services/T[A-Z0-9]+/B[A-Z0-9]+/[A-Za-z0-9]{20,}",
    "a Stripe key": r"\b[sr]k_live_[0-9A-Za-z]{20,}",
    "a Google API key": r"\bAIza[0-9A-Za-z_-]{35}\b",
    "an API key of a model service": r"\bsk-(?:[a-z]+-){0,8}[A-Za-z0-9_]{32,}",
    "a package index token": r"\b(?:npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,})",
    "a signed token (JWT)": r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}",
    "an Azure storage key": r"AccountKey=[A-Za-z0-9+/]{60,}={0,2}",
}
KNOWN = {what: re.compile(pattern) for what, pattern in TOKENS.items()}
IN_ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]{0,40}://[^\s:/@\"'<>{}]+:([^\s:/@\"'<>]{3,})@")
ASSIGNED = re.compile(
    r"(?i)((?:passw(?:or)?d|passphrase|passwd|secret|api_?key|access_?key|auth_?token"
    r"|access_?token|client_?secret|credential)s?)[\"']?\s*(?::\s*\w+\s*)?[:=]\s*"
    r"[\"']([^\"'\n]{6,200})[\"']"
)
NAME_START = re.compile(r"(?i)[a-z_.-]{0,40}\Z")
"""What comes before it in the name. As part of ASSIGNED it would be tried at every character."""
ASSIGNED_BARE = re.compile(
    r"(?i)^\s*(?:export\s+)?(\w*(?:PASSWORD|PASSWD|SECRET|API_?KEY|ACCESS_?KEY|TOKEN))="
    r"([^\s\"'$`(]{6,200})\s*$"
)
"""As in .env files and shell scripts."""
PLACEHOLDER = re.compile(
    r"(?i)x{3,}|\*{3,}|\.{3}|<.*>|\$\{.*\}|\{.*\}|%\(|changeme|change[_-]me|your[_-]|example|dummy"
    r"|placeholder|redacted|todo|insert|^(?:none|null|true|false|password|secret|token|undefined)$"
)
LONG_LITERAL = re.compile(r"[\"']([A-Za-z0-9+/_=-]{32,200})[\"']")
LEAST_ENTROPY = 4.3
"""Bits a character. Words stay below 4, random base64 lies near 5."""
KEY_FILES = re.compile(
    r"(?:^|/)(?:\.env(?:\..+)?|\.netrc|\.pypirc|\.npmrc|id_(?:rsa|dsa|ecdsa|ed25519)"
    r"|credentials(?:\.json)?|.+\.(?:pem|p12|pfx|keystore|jks|kdbx))$"
)
NO_SECRETS = (".example", ".sample", ".template", ".dist")
CODE = (".py", ".sh", ".toml", ".json", ".yaml", ".yml", ".ini", ".cfg", ".conf", ".env", ".js")


@check("secrets", title="No passwords, tokens or keys in the files")
def check_secrets(subject: Subject) -> Finding:
    sure: list[str] = []
    maybe: list[str] = []
    for file in subject.bundle.files:
        if KEY_FILES.search(file.path) and not file.path.endswith(NO_SECRETS):
            sure.append(f"{file.path} is a file that keeps secrets.")
        if (text := text_of(file)) is None:
            continue
        for number, what, is_sure in _in_text(file, text):
            (sure if is_sure else maybe).append(f"{file.path}, line {number}: {what}.")
    if sure:
        advice = (
            "Whoever reads the files can use it. Remove it, make it void where it is valid, and "
            "take it as an input."
        )
        return Finding(Level.BLOCK, in_lines([*sure, *maybe, advice]))
    if maybe:
        return Finding(Level.WARN, in_lines([*maybe, "If it is a secret, remove it."]))
    return Finding(Level.PASS, "None found.")


def _in_text(file: BundleFile, text: str) -> Iterator[tuple[int, str, bool]]:
    """Yield line, what was found there, and whether it is one for sure."""
    is_code = not file.path.startswith("samples/") and file.path.endswith((*CODE, "main.sh"))
    for number, line in enumerate(text.splitlines(), start=1):
        line = line[:LONGEST_LINE]
        known = [what for what, pattern in KNOWN.items() if pattern.search(line)]
        if known:
            yield number, f"this looks like {known[0]}", True
            continue
        if (match := IN_ADDRESS.search(line)) and not PLACEHOLDER.search(match[1]):
            yield number, "an address with a password in it", True
        elif is_code:
            yield from _in_code(number, line)


def _in_code(number: int, line: str) -> Iterator[tuple[int, str, bool]]:
    match = ASSIGNED.search(line) or ASSIGNED_BARE.search(line)
    if match:
        before = NAME_START.search(line[max(0, match.start(1) - 40) : match.start(1)])
        name, value = (before[0] if before else "") + match[1], match[2]
        if " " not in value.strip() and not PLACEHOLDER.search(value):
            is_sure = bool(re.search(r"[^a-zA-Z_.-]", value)) and not value.isdigit()
            yield number, f"{name} has a value written down", is_sure
        return
    for literal in LONG_LITERAL.findall(line):
        if _is_random(literal):
            yield number, "a long random text, as keys and tokens are", False
            return


def _is_random(literal: str) -> bool:
    if re.fullmatch(r"[0-9a-fA-F-]+", literal) or "/" in literal[:1]:
        return False  # A digest or an id.
    kinds = (r"[a-z]", r"[A-Z]", r"[0-9]")
    if not all(re.search(kind, literal) for kind in kinds):
        return False
    counts = Counter(literal)
    entropy = -sum(n / len(literal) * math.log2(n / len(literal)) for n in counts.values())
    return entropy >= LEAST_ENTROPY
