"""Which memory is asked to lie in large pages."""

from __future__ import annotations

import sys

import pytest

from proxy.memory import _anonymous, use_large_pages

MAPS = """\
55d000000000-55d000400000 r-xp 00000000 08:01 1234                       /usr/bin/python3.11
55d000500000-55d000b00000 rw-p 00000000 00:00 0                          [heap]
7f0000000000-7f0000100000 rw-p 00000000 00:00 0
7f0000400000-7f0000800000 rw-p 00000000 00:00 0
7f0001000000-7f0001800000 rw-p 00000000 08:01 5678                       /some/file that is mapped
7f0002000000-7f0002800000 r--p 00000000 00:00 0
7ffc00000000-7ffc00800000 rw-p 00000000 00:00 0                          [stack]
"""


def test_only_whole_large_pages_of_memory_that_is_no_files() -> None:
    assert [hex(at) for at in _anonymous(MAPS)] == [
        "0x55d000600000",
        "0x55d000800000",
        "0x7f0000400000",
        "0x7f0000600000",
    ]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has them")
def test_asking_changes_no_byte() -> None:
    kept = [bytes([i % 251]) * 10_000 for i in range(1_000)]
    assert use_large_pages() >= 0
    assert all(one == bytes([i % 251]) * 10_000 for i, one in enumerate(kept))
