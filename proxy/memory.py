"""Has the kernel keep what was loaded in large pages, once, after the start.

A call touches a few thousand small objects that lie scattered over some tens of MiB. After a pause, as before a
stream's next event, most of its time goes into finding their pages; in pages of 2 MiB there are few to find. Nothing
depends on it: where the kernel does not know how (before Linux 6.1, or not Linux), everything stays as it was.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from pathlib import Path

_MAPS = Path("/proc/self/maps")
_MADV_COLLAPSE = 25
_LARGE = 2 * 1024 * 1024


def use_large_pages() -> int:
    """Bytes that lie in large pages now. Takes some tens of milliseconds, in which other threads go on."""
    if not sys.platform.startswith("linux"):
        return 0
    try:
        regions = list(_anonymous(_MAPS.read_text()))
    except OSError:
        return 0
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    # One page at a time: of a larger range the kernel gives up the rest where one cannot be moved.
    return sum(_LARGE for at in regions if madvise(at, _LARGE, _MADV_COLLAPSE) == 0)


def _anonymous(maps: str) -> Iterator[int]:
    """Addresses of large pages that lie wholly in writable memory which belongs to no file."""
    for line in maps.splitlines():
        span, permissions, _, _, inode, *name = line.split(maxsplit=5)
        if not permissions.startswith("rw") or inode != "0" or (name and name[0] != "[heap]"):
            continue
        begin, end = (int(address, 16) for address in span.split("-"))
        yield from range(-(-begin // _LARGE) * _LARGE, end - _LARGE + 1, _LARGE)
