"""`foreword list`: the models that are here, and those that could be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from foreword.cli.console import JsonOption, guarded, note, print_json, size

if TYPE_CHECKING:
    from foreword.bundle.store import Bundle


@guarded
def list_(as_json: JsonOption = False) -> None:
    """List the bundles that can be named, and the known models."""
    from foreword.bundle.home import bundles_dir, downloads_dir
    from foreword.bundle.store import Bundle, list_bundles
    from foreword.sources.known import KNOWN, is_pulled

    listed = list_bundles(bundles_dir())
    bundles = [_row(item.found) for item in listed if isinstance(item.found, Bundle)]
    known = [
        {"name": name, "pulled": is_pulled(name, downloads_dir()) is not None} for name in KNOWN
    ]
    if as_json:
        print_json({"bundles": bundles, "known": known})
        return
    for row in bundles:
        print(
            f"{row['name']:<28} {row['recipe']:<10} context {row['context']:<6} "
            f"{size(row['size_bytes'])}"
        )
    names = {row["name"] for row in bundles}
    for model in known:
        if model["name"] not in names:
            state = "pulled, not converted" if model["pulled"] else "made on first use"
            print(f"{model['name']:<28} {state}")
    for item in listed:
        if not isinstance(item.found, Bundle):
            note(str(item.found))


def _row(bundle: Bundle) -> dict[str, Any]:
    return {
        "name": bundle.path.name,
        "path": str(bundle.path),
        "recipe": bundle.manifest.recipe,
        "context": bundle.manifest.shape.context,
        "size_bytes": bundle.size_bytes,
    }
