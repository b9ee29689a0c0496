from __future__ import annotations

import ast
from typing import Any

from executors.manifest import Manifest
from executors.manifest.model import MANIFEST_NAME, Field, ManifestError
from executors.manifest.signature import read_inputs

from .registry import Finding, Level, Subject, check, in_lines
from .sources import parsed


@check("manifest", title="The manifest is valid")
def check_manifest(subject: Subject) -> Finding:
    if subject.manifest is None:
        return Finding(Level.BLOCK, subject.manifest_problem)
    own = MANIFEST_NAME if subject.bundle.read(MANIFEST_NAME) is not None else "code and README"
    lacking = [
        f"The input {name!r} has no description. Users read it beside the field."
        for name, field in subject.manifest.inputs.items()
        if not field.description
    ]
    if not subject.manifest.skill.description:
        lacking.insert(0, "The skill has no description.")
    if lacking:
        return Finding(Level.WARN, in_lines(lacking))
    return Finding(Level.PASS, f"It comes from {own} and is complete.")


@check("signature", title="The inputs fit main()")
def check_signature(subject: Subject) -> Finding:
    if subject.manifest is None:
        return Finding(Level.BLOCK, "Without a valid manifest there is nothing to compare.")
    file = next((one for one in subject.bundle.files if one.path == subject.entry), None)
    if subject.manifest.skill.runtime != "python" or file is None:
        return Finding(Level.PASS, "A shell script takes its inputs from its environment.")
    try:
        main = _main_of(parsed(file))
    except ValueError as error:
        return Finding(Level.BLOCK, f"It is not valid Python: {error}.")
    if main is None:
        return Finding(Level.PASS, f"{file.path} has no main(); it reads its inputs by itself.")
    wrong = _wrong_names(subject.manifest, main)
    if wrong:
        return Finding(Level.BLOCK, in_lines(wrong))
    odd = _odd_types(subject.manifest, file.content)
    if odd:
        return Finding(Level.WARN, in_lines(odd))
    return Finding(Level.PASS, f"main() takes exactly what the manifest names: {_listed(main)}.")


Main = ast.FunctionDef | ast.AsyncFunctionDef


def _main_of(tree: ast.Module) -> Main | None:
    found = [
        node for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == "main"
    ]  # fmt: skip
    return found[-1] if found else None


def _wrong_names(manifest: Manifest, main: Main) -> list[str]:
    arguments = main.args
    named = [*arguments.args, *arguments.kwonlyargs]
    names = {argument.arg for argument in named}
    required = {argument.arg for argument in arguments.args[: _without_default(arguments)]}
    required |= {
        argument.arg
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if default is None
    }
    wrong = [
        f"main() needs {name!r}, which the manifest does not name. Add [inputs.{name}]."
        for name in sorted(required - manifest.inputs.keys())
    ]
    if arguments.kwarg is None:
        wrong += [
            f"The manifest names the input {name!r}, which main() does not take. "
            "Add the argument or remove the input."
            for name in manifest.inputs
            if name not in names
        ]
    if arguments.posonlyargs:
        wrong.append("main() has positional-only arguments, but inputs are passed by name.")
    return wrong


def _without_default(arguments: ast.arguments) -> int:
    return len(arguments.args) - len(arguments.defaults)


def _odd_types(manifest: Manifest, source: bytes) -> list[str]:
    """Return where type hints and manifest contradict each other."""
    try:
        hinted = read_inputs(source.decode("utf-8-sig", "replace"), file=manifest.skill.entry)
    except ManifestError:
        return []  # The hints say something only the manifest can put into words.
    return [
        f"The input {name!r} is {_said(manifest.inputs[name])} in the manifest, but "
        f"main() takes {_said(hint)}."
        for name, hint in hinted.items()
        if name in manifest.inputs and not _fit(manifest.inputs[name], hint)
    ]


def _fit(told: Field, hint: Field) -> bool:
    wider = {"integer": {"number"}}
    allowed = set(hint.types) | {"string"} if hint.format is None else set(hint.types)
    if set(hint.types) == {"string"} and not hint.format:
        return True  # No hint at all reads as text, too.
    return all(kind in allowed or wider.get(kind, set()) & allowed for kind in told.types) or (
        "null" in told.types and set(told.types) - {"null"} <= allowed
    )


def _said(field: Field) -> str:
    return " or ".join(field.types) + (f" ({field.format})" if field.format else "")


def _listed(main: Main) -> str:
    names: list[Any] = [argument.arg for argument in [*main.args.args, *main.args.kwonlyargs]]
    return ", ".join(names) or "nothing"
