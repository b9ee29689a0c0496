"""Tells how the entry file of a Python script wants to be run. Part of the harness, see there."""

from __future__ import annotations

import _ast

TYPE_CHECKING = False  # As in typing, whose import would cost every cold start.
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

PARSE_ONLY = 0x400
"""``ast.PyCF_ONLY_AST``."""


def look_for_main(source: bytes) -> tuple[bool, bool]:
    """Return whether source defines ``main`` to be called with inputs, and if it gives exit codes.

    A ``main`` of a command line library parses its own arguments, so such a file is run as it is.
    Where the file itself says ``sys.exit(main())``, a number returned is an exit code.
    """
    if b"main" not in source:
        return False, False
    try:
        tree = compile(source, "<script>", "exec", PARSE_ONLY, dont_inherit=True)
    except (SyntaxError, ValueError):
        return False, False  # Running the file shows the error as Python does.
    found = False
    for node in tree.body:
        if isinstance(node, (_ast.FunctionDef, _ast.AsyncFunctionDef)) and node.name == "main":
            found = not any(last_name(mark).endswith("command") for mark in node.decorator_list)
        if isinstance(node, _ast.ImportFrom):
            found |= any((alias.asname or alias.name) == "main" for alias in node.names)
    exits = any(
        isinstance(node, _ast.Call)
        and is_exit(node.func)
        and any(starts_main(argument, source) for argument in node.args)
        for node in (nodes_below(tree) if b"xit" in source else ())
    )
    return found, exits


def nodes_below(tree: _ast.AST) -> Iterator[_ast.AST]:
    """Yield tree and every node in it."""
    todo: list[Any] = [tree]
    while todo:
        node = todo.pop()
        yield node
        for name in node._fields:
            part = getattr(node, name, None)
            parts = part if isinstance(part, list) else (part,)
            todo += [inner for inner in parts if isinstance(inner, _ast.AST)]


def last_name(node: _ast.AST) -> str:
    """Return ``command`` for ``command``, ``app.command`` and calls of them."""
    if isinstance(node, _ast.Call):
        node = node.func
    if isinstance(node, _ast.Attribute):
        return node.attr
    return node.id if isinstance(node, _ast.Name) else ""


def is_exit(node: _ast.AST) -> bool:
    if isinstance(node, _ast.Attribute):
        return node.attr == "exit" and isinstance(node.value, _ast.Name) and node.value.id == "sys"
    return isinstance(node, _ast.Name) and node.id in ("exit", "SystemExit")


def starts_main(node: _ast.AST, source: bytes) -> bool:
    """Return whether what is handed to exit begins with a call of ``main``."""
    if isinstance(node, _ast.Call) and isinstance(node.func, _ast.Name):
        return node.func.id == "main"
    if isinstance(node, (_ast.Constant, _ast.Name)):
        return False
    import ast

    if hasattr(ast, "unparse"):
        written = ast.unparse(node)
    else:
        written = ast.get_source_segment(source.decode("utf-8", "replace"), node) or ""
    return written.startswith(("main(", "asyncio.run(main("))
