from __future__ import annotations

import re

from executors.script.bundle import README

from .registry import Finding, Level, Subject, check, in_lines

SECTIONS = {
    "purpose": r"purpose|what it does|what it is for|why|about|overview|summary|description",
    "input": r"inputs?|parameters?|arguments?|options",
    "output": r"outputs?|results?|returns?|what you get",
    "prerequisites": r"prerequisites?|requirements?|requires|dependencies|needs|what it needs"
    r"|before you start|setup",
    "generated files": r"(generated|output|result|created) files?|files? (it )?(generated|created"
    r"|written|made)|artifacts?|files",
}
"""What a README must tell, and the words a heading, or the start of a line, may say it with."""
ADVICE = {
    "purpose": "what the script is good for, and for whom",
    "input": "what it takes, and what each input means",
    "output": "what it answers with",
    "prerequisites": 'what must be there before: packages, accounts, data; or "None"',
    "generated files": "which files it leaves, or that it leaves none",
}
BOLD = re.compile(r"(?:[-*]\s+)?(?:\*\*|__)([A-Za-z][A-Za-z ]{1,40}):?(?:\*\*|__):?\s*(.*)")
LABEL = re.compile(r"(?:[-*]\s+)?([A-Za-z][A-Za-z ]{1,40}):\s*(.*)")
README_BYTES = 1024 * 1024
LINE_LENGTH = 500
"""What is looked at of a line: the time of a pattern may grow with its square."""
UTF16 = (b"\xff\xfe", b"\xfe\xff")


@check("readme", title="The README tells what a reviewer needs")
def check_readme(subject: Subject) -> Finding:
    content = subject.bundle.read(README) or b""
    if len(content) > README_BYTES:
        return Finding(
            Level.BLOCK, f"{README} is larger than {README_BYTES // 1024} KiB. Shorten it."
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        kind = "It looks like UTF-16. " if content.startswith(UTF16) else ""
        line = content[: error.start].count(b"\n") + 1
        return Finding(
            Level.BLOCK, f"{README} is not UTF-8 text (line {line}). {kind}Save it as UTF-8."
        )
    if "\0" in text:
        return Finding(Level.BLOCK, f"{README} holds NUL characters. Save it as UTF-8 text.")
    told, empty = _told(text)
    missing = [name for name in SECTIONS if name not in told]
    if missing or empty:
        wrong = [f'Add a heading "{name.capitalize()}": {ADVICE[name]}.' for name in missing]
        wrong += [f"Below \"{name.capitalize()}\" nothing is said: {ADVICE[name]}."
                  for name in empty]  # fmt: skip
        return Finding(Level.BLOCK, in_lines(wrong), {"missing": [*missing, *empty]})
    return Finding(
        Level.PASS, "Purpose, input, output, prerequisites and generated files are told."
    )


def _told(text: str) -> tuple[set[str], list[str]]:
    """Return the sections a README has, and those of them with nothing in them."""
    told: dict[str, bool] = {}
    current: list[str] = []
    fenced = False
    lines = [line.strip()[:LINE_LENGTH] for line in text.splitlines()]
    for number, line in enumerate(lines):
        if line.startswith(("```", "~~~")):
            fenced = not fenced
        following = lines[number + 1] if number + 1 < len(lines) else ""
        heading = None if fenced else _heading(line, following)
        if heading is not None:
            level, words, rest = heading
            found = [name for name, known in SECTIONS.items() if _names(words, known)]
            # A heading below one that is told, such as "### Columns", goes on telling it.
            if found or level <= 2:
                current = found
            for name in found:
                told[name] = told.get(name, False) or bool(rest)
        elif line and not re.fullmatch(r"[=-]{3,}", line):
            for name in current:
                told[name] = True
    return set(told), [name for name, says in told.items() if not says]


def _heading(line: str, following: str) -> tuple[int, str, str] | None:
    """Return (level, words, what follows on the same line) of a heading or a "Name: …" line."""
    if match := re.fullmatch(r"(#{1,6})\s+(.+)", line):
        return len(match[1]), match[2].rstrip("#").rstrip(), ""
    if line and re.fullmatch(r"={3,}|-{3,}", following) and len(line) < 80:
        return 1 if following[0] == "=" else 2, line, ""
    for pattern in (BOLD, LABEL):
        match = pattern.fullmatch(line)
        if match and any(_names(match[1], known) for known in SECTIONS.values()):
            return 3, match[1], match[2]
    return None


def _names(words: str, known: str) -> bool:
    plain = re.sub(r"[^a-z ]+", " ", words.lower())
    return re.search(rf"\b({known})\b", " ".join(plain.split())) is not None
