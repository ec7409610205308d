"""`foreword inspect`: what a bundle is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foreword.cli.console import JsonOption, guarded, print_json, size
from foreword.cli.models import is_text_graph

if TYPE_CHECKING:
    from foreword.bundle.card import ReportCard


@guarded
def inspect(
    bundle: Annotated[
        str, typer.Argument(help="A bundle's path or its name, or a text graph's file.")
    ],
    verify: Annotated[bool, typer.Option("--verify", help="Check every file's hash.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what a bundle holds and where it came from."""
    from foreword.bundle.store import find_bundle, open_bundle

    if is_text_graph(bundle):
        _inspect_text_graph(Path(bundle), as_json)
        return
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
        "cache": f"{shape.cache_dtype} keys and values",
        "layers": f"{shape.layers}, {shape.kv_heads} key/value heads of {shape.head_dim}",
        "vocabulary": f"{shape.vocabulary} tokens",
        "signatures": " ".join(manifest.signatures),
        "start token": "none" if special.start is None else str(special.start),
        "end tokens": " ".join(map(str, special.end)) or "none",
        "source": f"{origin.source} (licence: {origin.license})",
        "made with": ", ".join(f"{name} {version}" for name, version in manifest.versions.items()),
    }
    if manifest.check is not None:
        rows["check"] = f"{manifest.check.verdict}: {manifest.check.reason}"
    if manifest.report is not None:
        rows["report"] = _summary(manifest.report)
    for name, entry in manifest.files.items():
        rows[name] = f"{size(entry.size_bytes)}, sha256 {entry.sha256[:16]}…"
    if verify:
        rows["verified"] = "every file has its hash"
    _print_rows(rows)


def _inspect_text_graph(path: Path, as_json: bool) -> None:
    from foreword.text_graph import archive

    about = archive.read(path)
    if as_json:
        print_json({"path": str(path), "options": about.options.as_json(), **about.document})
        return
    options, document = about.options, about.document
    end = "its end token or " if options.stop_at_end else ""
    rows = {
        "path": str(path),
        "form": "text graph: a sentence in, the sentence continued out",
        "family": f"{document['family']}, {document['parameters'] / 1e6:.0f} M parameters",
        "recipe": options.recipe,
        "generates": f"to {end}{options.max_length} tokens, the prompt among them",
        "sampler": f"{options.sampling.kind}, temperature {options.sampling.temperature:g}",
        "source": f"{document['source']} (licence: {document['license']})",
        "made with": ", ".join(f"{name} {v}" for name, v in document["versions"].items()),
        "needs": "the Select TF and TensorFlow Text operators",
        "size": size(path.stat().st_size),
    }
    _print_rows(rows | ({"note": "; ".join(document["notes"])} if document["notes"] else {}))


def _print_rows(rows: dict[str, str]) -> None:
    for label, value in rows.items():
        print(f"{label:<15} {value}")


def _summary(report: ReportCard) -> str:
    """One line on the report that was kept: `inspect --json` has all of it."""
    figures, parts = report.figures, []
    if "perplexity" in figures:
        parts.append(f"perplexity {figures['perplexity']:.2f}")
    if "perplexity_ratio" in figures:
        parts.append(f"{figures['perplexity_ratio']:.3f} x {report.against}")
    if "top1_agreement" in figures:
        parts.append(f"top-1 agreement {figures['top1_agreement']:.3f}")
    if "decode_tokens_per_s" in figures:
        parts.append(f"{figures['decode_tokens_per_s']:.0f} tokens/s")
    found = ", ".join(parts) or "output not finite"
    return f"{found} ({report.tokens} tokens of {report.text}, {report.threads} threads)"
