"""How much memory a process has had."""

from __future__ import annotations

import sys
from pathlib import Path


def peak_rss_bytes(pid: int | None = None) -> int:
    """Return the most memory a process, by default this one, has had; 0 once it is gone.

    The kernel's own count: where it is to be had, `ru_maxrss` would begin with the parent's.
    """
    try:
        status = Path(f"/proc/{pid or 'self'}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return _own_peak_bytes() if pid is None else 0
    found = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(found[0].split()[1]) * 1024 if found else 0


def _own_peak_bytes() -> int:
    """Return this process's peak where there is no /proc."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
