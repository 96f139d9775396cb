import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from uss.core.cluster import Cluster, ClusterSettings
from uss.core.errors import InputError

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"workers": 0}, "workers 0; choose 1 or more"),
        ({"cpus_per_worker": 0}, "cpus_per_worker 0; choose 1 or more"),
        ({"gpus_per_worker": -0.5}, "-0.5 GPUs per worker; choose a fraction or a whole number"),
        ({"gpus_per_worker": 1.5}, "1.5 GPUs per worker"),
    ],
)
def test_impossible_shares_are_refused(changes: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ClusterSettings("local", **changes)  # type: ignore[arg-type]


class FakeRay:
    """Knows the machines of a cluster, and nothing else."""

    def __init__(self, *machines: dict[str, float]) -> None:
        self.machines = machines

    def nodes(self) -> list[dict[str, object]]:
        gone: dict[str, object] = {"Alive": False, "Resources": {"CPU": 99.0, "GPU": 9.0}}
        return [gone, *({"Alive": True, "Resources": each} for each in self.machines)]


def room(settings: ClusterSettings, *machines: dict[str, float]) -> tuple[int, int]:
    cluster: Cluster[int, int] = Cluster(settings, Doubling)
    cluster._ray = FakeRay(*machines)
    return cluster._room()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        # 16 and 4 cores, 2 GPUs with the first.
        (ClusterSettings("a"), (20, 1)),
        (ClusterSettings("a", workers=3), (3, 1)),
        # A worker does not spread over machines.
        (ClusterSettings("a", cpus_per_worker=5), (3, 5)),
        # The readers of a GPU's worker get its share of all cores.
        (ClusterSettings("a", gpus_per_worker=0.5), (3, 5)),
        (ClusterSettings("a", cpus_per_worker=4, gpus_per_worker=0.5), (4, 4)),
        (ClusterSettings("a", cpus_per_worker=2, gpus_per_worker=0.3), (6, 2)),
        (ClusterSettings("a", cpus_per_worker=2, gpus_per_worker=2.0), (1, 2)),
    ],
)
def test_workers_get_their_share(settings: ClusterSettings, expected: tuple[int, int]) -> None:
    assert room(settings, {"CPU": 16.0, "GPU": 2.0}, {"CPU": 4.0}) == expected


@pytest.mark.parametrize(
    "settings",
    [
        ClusterSettings("a", workers=5),
        ClusterSettings("a", cpus_per_worker=8),
        ClusterSettings("a", gpus_per_worker=0.5),
    ],
)
def test_without_room_the_work_does_not_wait_for_ever(settings: ClusterSettings) -> None:
    with pytest.raises(InputError, match=r"room for \d workers of .* \(4 CPUs and 0 GPUs in all\)"):
        room(settings, {"CPU": 4.0})


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(InputError, match=r"pip install 'uss-pipeline\[ray\]'"),
        Cluster(ClusterSettings("local"), Doubling),
    ):
        pass


def test_ray_is_imported_only_where_it_is_asked_for() -> None:
    code = (
        "import sys, pipelines.mine_anchors, pipelines.separate.running;"
        "sys.exit('ray' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=120).returncode == 0


class Doubling:
    """Doubles numbers."""

    def __init__(self, num_cpus: int) -> None:
        self.num_cpus = num_cpus

    def __call__(self, task: int, report: Callable[[int], None]) -> tuple[int, int]:
        report(1)
        if task == 13:
            raise InputError("13 is bad luck; leave it out")
        return 2 * task, os.getpid()


@pytest.mark.slow
def test_processes_share_tasks_and_their_errors_are_ones_own() -> None:
    pytest.importorskip("ray")
    told: list[int] = []
    at_sigterm = signal.getsignal(signal.SIGTERM)
    with Cluster[int, tuple[int, int]](ClusterSettings("local", 2), Doubling) as cluster:
        assert signal.getsignal(signal.SIGTERM) == at_sigterm
        assert cluster.ask("num_cpus") == 1
        results = list(cluster.run(iter(range(6)), told.append))
        assert sorted(doubled for doubled, _ in results) == [0, 2, 4, 6, 8, 10]
        assert os.getpid() not in {pid for _, pid in results}
        assert sum(told) == 6
        with pytest.raises(InputError, match=r"^13 is bad luck; leave it out$"):
            list(cluster.run([13]))
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
