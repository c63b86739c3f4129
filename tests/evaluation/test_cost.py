"""Memory is measured as a rise, spikes included."""

from __future__ import annotations

import numpy as np

from recsys_lab.evaluation.cost import MEGABYTE, PeakMemory


def test_a_block_that_allocates_is_seen_and_a_later_idle_one_is_not() -> None:
    with PeakMemory() as busy:
        block = np.ones(int(96 * MEGABYTE / 8))
        total = block.sum()
        del block
    assert total > 0
    assert 80 <= busy.rise_mb <= 200
    with PeakMemory() as idle:
        sum(range(1000))
    assert idle.rise_mb < 40
