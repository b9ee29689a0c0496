"""The benchmark of isolation: that it counts right, and that it runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bench.isolation.page import AtSize, isolation_page
from bench.isolation.release import Releases
from bench.isolation.requests import Cost, spread
from bench.isolation.upgrades import Upgrades

ROOT = Path(__file__).parents[2]


def test_visits_are_spread_over_all_tenants():
    hosts = [str(number) for number in range(1000)]

    assert spread(hosts, 4) == ["0", "250", "500", "750"]
    assert spread(hosts[:2], 5) == ["0", "1", "0", "1", "0"]


def test_each_release_follows_the_one_before(tmp_path):
    releases = Releases(tmp_path, owner_url="")
    before = releases.latest

    column = releases.add()

    assert releases.latest.endswith(column)
    text = (releases.folder / f"{releases.latest}.py").read_text()
    assert f'("menu", "{before}")' in text
    compile(text, "migration", "exec")
    assert releases.add() != column


def test_the_first_variant_and_the_first_size_are_what_others_compare_to():
    def size(tenants: int, opening_s: float) -> AtSize:
        costs = {"again": {"stock": Cost([6], [0.002]), "ours": Cost([2], [0.001])}}
        return AtSize(tenants, costs, [opening_s], [1.0], [2.0])

    upgrades = Upgrades(10, stock_s=0.5, seconds={1: 1.0}, kill_left=4, broken_code=1)
    page = isolation_page([size(2, 0.1), size(100, 0.15)], upgrades)

    assert "| again: ours | 1 | 2 | 1000 | 0.50 |" in page
    assert "| 100 tenants | 1 | 150 | 1.50 | 150 | 1.50 |" in page
    assert "| migrate_platform --processes 1 | 1.0 | 100.0 | 0.200 |" in page
    assert "upgraded the 4 that were left" in page


def test_two_tenants_make_a_report():
    few = "--tenants 2 --openings 1 --commands 1 --no-upgrades"
    done = subprocess.run(
        [sys.executable, "-m", "bench.isolation", *few.split()],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert "| same tenant again: ExecFabric, schema and role | 200 | 2 |" in done.stdout
    assert "| another tenant than before: ExecFabric, schema and role | 200 | 3 |" in done.stdout
    assert "| same tenant again: stock django-tenants | 200 | 6 |" in done.stdout
