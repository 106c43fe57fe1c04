"""A short campaign of random SIGKILLs with made logs; the long one is a command."""

from __future__ import annotations

from pathlib import Path

from qa_daemon.simulate.trajectory_log import simulate
from tests.faults.kill_campaign import Campaign
from tests.faults.oracle import canonical

KILLS = 8


def made_logs(folder: Path) -> list[Path]:
    """Six beams, each with its text file, one text alone and one log cut short."""
    folder.mkdir()
    for seed in range(6):
        simulate(
            folder / f"x{seed}_20260105073000.bin",
            field="static",
            mu=20.0,
            seed=seed,
            companion=True,
        )
    (folder / "x0_20260105073000.txt").rename(folder / "y_20260105073000.txt")
    whole = (folder / "x1_20260105073000.bin").read_bytes()
    (folder / "cut_20260105073000.bin").write_bytes(whole[:-100])
    return sorted(folder.iterdir())


def test_after_random_kills_every_file_has_exactly_one_result(tmp_path: Path) -> None:
    data = made_logs(tmp_path / "data")
    killed = Campaign(tmp_path / "killed", data, seed=20260105)
    summary = killed.run(KILLS, longest_life_s=2.5)
    assert summary.faults == []
    calm = Campaign(tmp_path / "calm", data, seed=1)
    assert calm.run(0).faults == []
    assert canonical(killed.results()) == canonical(calm.results())
