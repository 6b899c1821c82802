"""What several test files share."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real() -> Callable[[str], Path]:
    """``real(name)``: the folder of a real data set; without one the test is skipped, and says where it looked."""
    places = [os.environ.get("PHYSLAYER_DATA"), Path(__file__).parents[2] / "shared" / "data"]

    def find(name: str) -> Path:
        found = [Path(place) / name for place in places if place and (Path(place) / name).is_dir()]
        if not found:
            pytest.skip(f"no folder {name} here; set PHYSLAYER_DATA to the folder that holds it")
        return found[0]

    return find
