"""The arithmetic of the simulation."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from simulate import on_threads, step


def test_an_operation_follows_amdahls_law_through_its_two_measurements():
    assert on_threads(1.0, 0.5, 4) == 0.25
    assert on_threads(1.0, 1.0, 64) == 1.0, "what does not divide stays as it is"
    assert on_threads(1.0, 0.75, 2) == 0.75
    assert on_threads(1.0, 0.4, 2) == 0.5, "better than half is noise"
    assert on_threads(1.0, 1.2, 2) == 1.0, "and so is slower than one"


def test_a_step_is_the_chain_of_a_part_then_the_update_on_all_cores():
    part = {False: [(1.0, 0.5), (2.0, 2.0)], True: [(4.0, 2.0)]}
    # Two parts on four cores: each operation has two threads, the update four.
    assert step(part, 4, 2, 0.4) == 0.5 + 2.0 + 1.0 + 0.1
