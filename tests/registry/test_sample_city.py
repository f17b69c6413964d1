"""The sample city is what its generator makes, and can be made smaller."""

import subprocess
import sys
from pathlib import Path

from lianxin_local.city_check import check
from lianxin_local.city_files import read_city
from lianxin_local.stack import sample_city

GENERATOR = sample_city().parent / "generate.py"


def generate(out: Path, *options: str) -> None:
    subprocess.run(
        [sys.executable, str(GENERATOR), "--out", str(out), *options], check=True, capture_output=True
    )


def test_the_committed_files_are_what_the_generator_makes(tmp_path: Path) -> None:
    generate(tmp_path)
    made = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert made == {file.name: file.read_bytes() for file in sample_city().iterdir()}


def test_a_city_of_a_tenth_is_sound_and_still_has_a_deputy_for_every_community(tmp_path: Path) -> None:
    generate(tmp_path, "--scale", "0.1")
    city = read_city(tmp_path)
    assert check(city) == []
    general = {mandate.areas[0] for mandate in city.snapshot().mandates.values() if not mandate.topics}
    assert {grid.community for grid in city.snapshot().grids.values()} <= general
