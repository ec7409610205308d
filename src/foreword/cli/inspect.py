"""`foreword inspect`: what a bundle is."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from foreword.cli.console import JsonOption, guarded, print_json, size


@guarded
def inspect(
    bundle: Annotated[str, typer.Argument(help="A bundle's path or its name.")],
    verify: Annotated[bool, typer.Option("--verify", help="Check every file's hash.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what a bundle holds and where it came from."""
    from foreword.bundle.store import find_bundle, open_bundle

    opened = open_bundle(find_bundle(bundle), verify=verify)
    manifest = opened.manifest
    if as_json:
        document = json.loads(manifest.to_json())
        print_json({"path": str(opened.path), "verified": verify, **document})
        return
    shape, special, origin = manifest.shape, manifest.special_tokens, manifest.provenance
    rows = {
        "path": str(opened.path),
        "family": f"{shape.family}, {shape.parameters / 1e6:.0f} M parameters",
        "recipe": manifest.recipe,
        "quantization": ", ".join(f"{k}: {v}" for k, v in manifest.quantization.items()) or "plain",
        "context": f"{shape.context} tokens",
        "layers": f"{shape.layers}, {shape.kv_heads} key/value heads of {shape.head_dim}",
        "vocabulary": f"{shape.vocabulary} tokens",
        "signatures": " ".join(manifest.signatures),
        "start token": "none" if special.start is None else str(special.start),
        "end tokens": " ".join(map(str, special.end)) or "none",
        "source": f"{origin.source} (licence: {origin.license})",
        "made with": ", ".join(f"{name} {version}" for name, version in manifest.versions.items()),
    }
    for name, entry in manifest.files.items():
        rows[name] = f"{size(entry.size_bytes)}, sha256 {entry.sha256[:16]}…"
    if verify:
        rows["verified"] = "every file has its hash"
    for label, value in rows.items():
        print(f"{label:<15} {value}")
