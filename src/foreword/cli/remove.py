"""`foreword remove`: delete a named bundle and what was kept for it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from foreword.cli.console import JsonOption, guarded, print_json, size


@guarded
def remove(
    name: Annotated[str, typer.Argument(help="A bundle's name, as 'list' shows it.")],
    as_json: JsonOption = False,
) -> None:
    """Delete a bundle, what was made of it and, for a known model, its download."""
    from foreword.bundle.home import bundles_dir, downloads_dir
    from foreword.bundle.store import open_bundle, remove_bundle
    from foreword.engine.load import drop_weight_cache
    from foreword.errors import BundleError
    from foreword.export import drop_device_bundle
    from foreword.sources.known import KNOWN, is_pulled

    freed = 0
    download = is_pulled(name, downloads_dir()) if name in KNOWN else None
    # A name, never a path: what lies elsewhere is not ours to delete.
    path = bundles_dir() / Path(name).name
    named = name == path.name and name[:1] not in ("", ".")
    if not (named and (path.exists() or download)):
        raise BundleError(f"no stored bundle is named {name!r}: 'foreword list' shows them")
    if path.exists():
        with contextlib.suppress(BundleError):  # damaged: it can still be deleted
            bundle = open_bundle(path)
            freed += drop_weight_cache(bundle) + drop_device_bundle(bundle)
        freed += remove_bundle(path)
    if download is not None:
        freed += download.stat().st_size
        download.unlink()
    if as_json:
        print_json({"name": name, "freed_bytes": freed})
    else:
        print(f"removed {name}, {size(freed)} freed")
