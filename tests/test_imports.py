"""Imports point one way: the table of docs/architecture.md, held by reading every module."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "src" / "foreword"

FRONT = "__init__"
"""The part name of foreword/__init__.py, the names people type."""

# A part is a subpackage or a top-level module. Every one may import itself and `errors`.
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "bundle": set(),
    "graph": set(),
    "families": {"graph"},
    "sources": {"families", "graph"},
    "quantize": {"graph", "bundle"},
    "engine": {"bundle"},
    "completion": {"engine", "bundle"},
    "evaluation": {"completion", "engine", "bundle", "quantize"},
    "text_graph": {"sources", "graph", "engine", "bundle"},
    "convert": {"sources", "families", "graph", "quantize", "bundle", "evaluation"},
    "export": {"graph", "bundle"},
    "tune": {"convert", "sources", "quantize", "bundle", "evaluation"},
    "server": {"completion", "engine", "bundle"},
    FRONT: {"convert", "text_graph", "engine", "completion"},
    "__main__": {"cli"},
}
# `cli` may import every part, but only the command that starts the server imports `server`.
MAY_IMPORT["cli"] = {*MAY_IMPORT, "server"} - {"__main__"}
SERVES = "cli/serve.py"

# The only places (files, or directories with a slash) that may import a package from outside.
FENCED: dict[str, set[str]] = {
    "ctypes": {"engine/runtime.py"},
    "ai_edge_litert": {
        "engine/runtime.py",
        "evaluation/parts.py",
        "graph/builder.py",
        "graph/ops.py",
        "graph/stored.py",
        "graph/subset.py",
        "graph/writer.py",
    },
    "gguf": {"sources/"},
    "h5py": {"sources/"},
    "kagglehub": {"sources/hub.py"},
    "llama_cpp": {"evaluation/benchmark/llama.py"},
    "huggingface_hub": {"sources/hub.py"},
    "tensorflow": {"text_graph/", "sources/keras.py"},
    "tensorflow_text": {"text_graph/", "sources/keras.py"},
    "keras": {"text_graph/", "sources/keras.py"},
    "keras_hub": {"text_graph/", "sources/keras.py"},
    "typer": {"cli/"},
    "rich": {"cli/"},
    "prompt_toolkit": {"cli/editor/"},
    "distributed": {"tune/cluster.py"},
    "fastapi": {"server/"},
    "prometheus_client": {"server/metrics.py"},
    "pydantic": {"server/"},
    "sse_starlette": {"server/"},
    "starlette": {"server/"},
    "uvicorn": {"server/listen.py"},
}

HEAVY = {
    "ai_edge_litert",
    "distributed",
    "flatbuffers",
    "gguf",
    "h5py",
    "keras",
    "llama_cpp",
    "numpy",
    "prompt_toolkit",
    "tensorflow",
    "tokenizers",
}


def part_of(file: str) -> str:
    """The part that a file, given relative to the package, belongs to."""
    return file.split("/")[0].removesuffix(".py")


def absolute(name: str, level: int, file: str) -> str:
    """The full dotted name of what `level` leading dots and `name` mean inside `file`."""
    if level == 0:
        return name
    package = ["foreword", *file.split("/")[:-1]]
    base = package[: len(package) - level + 1]
    return ".".join([*base, name] if name else base)


def literal_start(node: ast.expr) -> str | None:
    """What a string expression certainly starts with; None when that cannot be read."""
    if isinstance(node, ast.JoinedStr) and node.values:
        node = node.values[0]
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return None


def eager(node: ast.AST) -> Iterator[ast.AST]:
    """What runs when the module is imported: not function bodies, not TYPE_CHECKING blocks."""
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                pass
            case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
                for statement in child.orelse:
                    yield statement
                    yield from eager(statement)
            case _:
                yield child
                yield from eager(child)


def imported_names(nodes: Iterable[ast.AST], file: str) -> Iterator[tuple[int, str | None]]:
    """Line and full dotted name of everything that `nodes` import.

    `from a import b` gives `a.b`. The name is None for a computed import that cannot be read.
    """
    for node in nodes:
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                base = absolute(module or "", level, file)
                yield from ((node.lineno, f"{base}.{alias.name}") for alias in names)
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__")
                | ast.Attribute(attr="import_module" | "__import__"),
                args=[argument, *_],
            ):
                start = literal_start(argument)
                if start is not None:
                    name = start.lstrip(".")
                    start = absolute(name, len(start) - len(name), file)
                yield node.lineno, start


def tabled_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and text of every string that names a module of the package."""
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if re.fullmatch(r"foreword(\.\w+)+", text):
                yield node.lineno, text


def violations(source: str, file: str) -> list[str]:
    """One line for every import in `source` that the tables forbid in `file`."""
    part = part_of(file)
    if part not in MAY_IMPORT:
        return [f"{file}: new part {part!r}: give it a row in MAY_IMPORT in tests/test_imports.py"]
    tree = ast.parse(source)
    found = []
    imports = [*imported_names(ast.walk(tree), file)]
    if part == FRONT:
        # It looks its lazy names up in a table, so what the table holds counts as imported.
        imports += tabled_names(tree)
        for line, name in imported_names(eager(tree), file):
            if f"{name}.".startswith("foreword.") and not f"{name}.".startswith("foreword.errors."):
                found.append(f"{file}:{line}: {name} must be imported inside a function")
    for line, name in imports:
        where = f"{file}:{line}"
        if name is None:
            if part != FRONT:
                found.append(f"{where}: a computed import: start it with a literal package name")
            continue
        top, _, rest = name.partition(".")
        if top == "foreword":
            target = rest.split(".")[0]
            if target not in MAY_IMPORT:
                target = FRONT
            if target not in {part, "errors", *MAY_IMPORT[part]}:
                found.append(f"{where}: {part} may not import {name} (part {target})")
            elif target == "server" and part == "cli" and file != SERVES:
                found.append(f"{where}: only {SERVES} may import server")
        elif top in FENCED and not any(
            file.startswith(place) if place.endswith("/") else file == place
            for place in FENCED[top]
        ):
            found.append(f"{where}: only {', '.join(sorted(FENCED[top]))} may import {top}")
    return found


def test_every_import_in_the_package_follows_the_tables() -> None:
    files = sorted(PACKAGE.rglob("*.py"))
    assert files
    found = [
        line
        for file in files
        for line in violations(
            file.read_text(encoding="utf-8"), file.relative_to(PACKAGE).as_posix()
        )
    ]
    assert not found, "\n" + "\n".join(found)


def test_the_parts_import_each_other_in_no_circle() -> None:
    settled: set[str] = set()
    while len(settled) < len(MAY_IMPORT):
        ready = {part for part, may in MAY_IMPORT.items() if may - {part} <= settled} - settled
        assert ready, f"a circle among {sorted(MAY_IMPORT.keys() - settled)}"
        settled |= ready


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("engine/engine.py", "from foreword.convert import convert"),
        ("engine/engine.py", "def late():\n    import foreword.graph.builder"),
        ("engine/engine.py", "if TYPE_CHECKING:\n    from foreword.completion import window"),
        ("bundle/store.py", "from ..engine import runtime"),
        ("bundle/store.py", "from .. import engine"),
        ("families/llama.py", "from foreword import sources"),
        ("bundle/store.py", "import foreword"),
        ("graph/ops.py", "from foreword import Engine"),
        ("convert.py", "from . import cli"),
        ("convert.py", "from .server import app"),
        ("__init__.py", "def late():\n    from foreword.sources import gguf"),
        ("__init__.py", "HOMES = {'open': 'foreword.bundle.store'}"),
        ("__init__.py", "from foreword.convert import convert"),
        ("__init__.py", "try:\n    from .engine import load\nexcept ImportError: pass"),
        ("__init__.py", "if TYPE_CHECKING: pass\nelse:\n    from . import convert"),
        ("server/app.py", "import importlib\nimportlib.import_module('foreword.convert')"),
        ("server/app.py", "import_module('..tune', __package__)"),
        ("sources/gguf.py", "import_module(f'foreword.engine.{name}')"),
        ("sources/gguf.py", "import_module(name)"),
        ("cli/main.py", "def serve():\n    from foreword.server import app"),
        ("engine/prefix.py", "def address():\n    import ctypes"),
        ("engine/engine.py", "from ai_edge_litert.compiled_model import CompiledModel"),
        ("graph/decoder.py", "import tensorflow as tf"),
        ("families/llama.py", "from gguf.quants import dequantize"),
        ("families/llama.py", "import h5py"),
        ("sources/resolve.py", "import keras_hub"),
        ("engine/engine.py", "from rich.console import Console"),
        ("tune/search.py", "from distributed import Client"),
        ("evaluation/benchmark/child.py", "def late():\n    import llama_cpp"),
        ("cli/type_.py", "def late():\n    from prompt_toolkit import Application"),
    ],
)
def test_a_forbidden_import_is_found_wherever_it_stands(file: str, source: str) -> None:
    assert len(violations(source, file)) == 1


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("engine/engine.py", "from foreword.bundle.store import open_bundle"),
        ("engine/engine.py", "from . import sampling"),
        ("engine/runtime.py", "import ctypes\nfrom ai_edge_litert import compiled_model"),
        ("bundle/store.py", "from foreword.errors import BundleError\nfrom foreword import errors"),
        ("sources/gguf.py", "import_module(f'foreword.families.{name}')"),
        ("sources/gguf.py", "import gguf, json"),
        ("cli/complete.py", "import foreword\nfrom foreword.engine import engine"),
        ("cli/serve.py", "def run():\n    from foreword.server import app"),
        ("cli/main.py", "import typer\nfrom rich.console import Console"),
        ("__init__.py", "HOMES = {'load': 'foreword.engine.load'}\nfrom .errors import UsageError"),
        ("__init__.py", "def late():\n    import_module(HOMES[name])\n    from . import convert"),
        ("__init__.py", "if TYPE_CHECKING:\n    from .engine.engine import Engine"),
    ],
)
def test_an_allowed_import_passes(file: str, source: str) -> None:
    assert violations(source, file) == []


def test_an_unknown_part_is_told_where_to_sign_up() -> None:
    [line] = violations("", "telemetry/sender.py")
    assert "'telemetry'" in line
    assert "tests/test_imports.py" in line


@pytest.mark.parametrize("module", ["foreword", "foreword.errors", "foreword.cli.main"])
def test_a_light_module_imports_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert loaded.returncode == 0, loaded.stderr
    assert HEAVY & set(loaded.stdout.split()) == set()
