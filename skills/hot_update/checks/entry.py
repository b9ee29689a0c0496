from __future__ import annotations

import ast

from .registry import Finding, Level, Subject, check
from .sources import parsed, text_of


@check("entry", title="The entry file is there and can be read")
def check_entry(subject: Subject) -> Finding:
    file = next((one for one in subject.bundle.files if one.path == subject.entry), None)
    if file is None:
        return Finding(
            Level.BLOCK,
            f"The manifest names {subject.entry} as the entry, which is not in the folder. "
            "Correct the name or add the file.",
        )
    if not file.content.strip():
        return Finding(Level.BLOCK, f"{file.path} is empty.")
    if file.path.endswith(".py"):
        try:
            tree = parsed(file)
        except ValueError as error:
            return Finding(Level.BLOCK, f"It is not valid Python: {error}. Correct it.")
        if not _does_something(tree):
            return Finding(Level.BLOCK, f"{file.path} has neither a function main() nor code.")
        return Finding(Level.PASS, f"{file.path} is valid Python.")
    if text_of(file) is None:
        return Finding(Level.BLOCK, f"{file.path} is not UTF-8 text. Save it as UTF-8.")
    if b"\r\n" in file.content:
        return Finding(
            Level.BLOCK,
            f"{file.path} has line ends of Windows, which a shell takes for part of a command. "
            "Save it with Unix line ends (LF).",
        )
    return Finding(Level.PASS, f"{file.path} is text. A shell script is not parsed before it runs.")


def _does_something(tree: ast.Module) -> bool:
    passive = (ast.Import, ast.ImportFrom, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return any(
        getattr(node, "name", "") == "main" or not isinstance(node, passive)
        for node in tree.body
        if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    )
