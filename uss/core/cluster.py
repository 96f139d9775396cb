"""Work on a cluster: processes that Ray starts on one machine or many, the only user of Ray."""

from __future__ import annotations

import os
import secrets
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar

from uss.core.errors import InputError

LOCAL = "local"
_PATIENCE_SECONDS = 0.5
_MAX_RETRIES = 3
_OBJECT_STORE_BYTES = 100 * 2**20

_Task = TypeVar("_Task")
_TaskIn = TypeVar("_TaskIn", contravariant=True)
_Result = TypeVar("_Result")
_ResultOut = TypeVar("_ResultOut", covariant=True)


class Worker(Protocol[_TaskIn, _ResultOut]):
    """What a process of the cluster holds: networks, and what is done with them."""

    def __call__(self, task: _TaskIn, report: Callable[[int], None], /) -> _ResultOut:
        """Do a task; it may be done again after its process died, and must not mind.

        Args:
            task: what there is to do.
            report: told how much of the task is done, in whatever the tasks are counted.
        """
        ...


@dataclass(frozen=True)
class ClusterSettings:
    """Where the work is done, and how many share it.

    Attributes:
        address: of a Ray cluster that runs (``host:port``, ``ray://host:port`` or ``auto``), or
            ``local`` for one on this machine that lasts as long as the work.
        workers: processes; None for as many as there is room for.
        cpus_per_worker: cores of each; None for one, and where workers have GPUs for the share of
            a machine's cores that is theirs, as readers must keep up.
        gpus_per_worker: of each; a fraction shares one.
    """

    address: str
    workers: int | None = None
    cpus_per_worker: int | None = None
    gpus_per_worker: float = 0.0

    def __post_init__(self) -> None:
        """Check the counts."""
        for name in ("workers", "cpus_per_worker"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} {value}; choose 1 or more")
        gpus = self.gpus_per_worker
        if gpus < 0.0 or (gpus > 1.0 and gpus != int(gpus)):
            raise InputError(f"{gpus:g} GPUs per worker; choose a fraction or a whole number")


class Cluster(Generic[_Task, _Result]):
    """Processes that work on tasks; a context, with which they end.

    A task whose process dies is done again, on a process that takes its place.

    Args:
        settings: where, and how many.
        make: makes what each process holds, in the process, given its cores.

    Raises:
        OSError, ValueError: if Ray is not installed or does not answer, or there is no room for
            the workers.
    """

    def __init__(
        self, settings: ClusterSettings, make: Callable[[int], Worker[_Task, _Result]]
    ) -> None:
        self._settings, self._make = settings, make

    def __enter__(self) -> Cluster[_Task, _Result]:
        self._ray = _imported()
        self._connect()
        try:
            num_workers, num_cpus = self._room()
            options = {"num_cpus": num_cpus, "num_gpus": self._settings.gpus_per_worker}
            name = f"progress-{secrets.token_hex(8)}"
            self._board = self._ray.remote(_Board).options(name=name, num_cpus=0).remote()
            actor = self._ray.remote(_Actor).options(
                max_restarts=-1, max_task_retries=_MAX_RETRIES, **options
            )
            self._actors = [
                actor.remote(self._make, num_cpus, name, os.getcwd()) for _ in range(num_workers)
            ]
        except BaseException:
            self._ray.shutdown()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # The processes end with who started them.
        self._ray.shutdown()

    def ask(self, attribute: str) -> Any:
        """Give an attribute of what the first process holds.

        Raises:
            Exception: what making it raised.
        """
        return self._got(lambda: self._ray.get(self._actors[0].attribute.remote(attribute)))

    def run(
        self, tasks: Iterable[_Task], advance: Callable[[int], None] = lambda number: None
    ) -> Iterator[_Result]:
        """Do tasks, which are taken one by one as processes come free.

        Args:
            tasks: they and the results are pickled.
            advance: told how much was done since it was told last.

        Yields:
            The results, in the order in which they come.

        Raises:
            OSError: if a task's process died again and again.
            Exception: what a task raised.
        """
        pool = self._ray.util.ActorPool(self._actors)
        numbered = enumerate(tasks)
        num_done = 0
        while True:
            while pool.has_free() and (task := next(numbered, None)) is not None:
                pool.submit(lambda actor, task: actor.do.remote(*task), task)
            if not pool.has_next():
                return
            results = []
            with suppress(TimeoutError):
                results.append(
                    self._got(lambda: pool.get_next_unordered(timeout=_PATIENCE_SECONDS))
                )
            yield from results
            total = self._ray.get(self._board.total.remote())
            if total > num_done:
                advance(total - num_done)
                num_done = total

    def _got(self, get: Callable[[], Any]) -> Any:
        errors = self._ray.exceptions
        try:
            return get()
        except errors.RayTaskError as error:
            raise error.cause from None
        except errors.RayActorError as error:
            raise OSError(
                f"a worker died {_MAX_RETRIES + 1} times over one task; it may lack memory: choose "
                "fewer workers for each machine, by more --cpus-per-worker"
            ) from error

    def _connect(self) -> None:
        settings = self._settings
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        if settings.address == LOCAL:
            options |= {"include_dashboard": False, "object_store_memory": _OBJECT_STORE_BYTES}
            if settings.workers is not None:
                # As many as asked for, also where there are fewer cores.
                options["num_cpus"] = settings.workers * (settings.cpus_per_worker or 1)
        try:
            with _same_signals():
                self._ray.init(settings.address, **options)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise OSError(
                f"no Ray cluster answers at {settings.address!r} ({' '.join(str(error).split())}); "
                f"correct the address, or use {LOCAL}"
            ) from error

    def _room(self) -> tuple[int, int]:
        """How many workers there are to be, and the cores of each."""
        settings = self._settings
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        cpus, gpus = (sum(node.get(kind, 0.0) for node in nodes) for kind in ("CPU", "GPU"))
        num_cpus = settings.cpus_per_worker or 1
        if settings.cpus_per_worker is None and settings.gpus_per_worker and gpus:
            num_cpus = max(1, int(cpus * settings.gpus_per_worker / gpus))
        fitting = sum(self._fitting(node, num_cpus) for node in nodes)
        wanted = settings.workers or fitting
        if not 0 < wanted <= fitting:
            raise InputError(
                f"the cluster has room for {fitting} workers of {num_cpus} CPUs and "
                f"{settings.gpus_per_worker:g} GPUs ({cpus:g} CPUs and {gpus:g} GPUs in all); "
                "choose fewer or smaller ones"
            )
        return wanted, num_cpus

    def _fitting(self, node: dict[str, float], num_cpus: int) -> int:
        by_cpus = int(node.get("CPU", 0.0) / num_cpus)
        gpus = self._settings.gpus_per_worker
        if not gpus:
            return by_cpus
        per_gpu = int(1.0 / gpus) if gpus <= 1.0 else 1.0 / gpus
        return min(by_cpus, int(node.get("GPU", 0.0) * per_gpu))


class _Actor:
    """A process of the cluster; what it holds is made when it is first needed."""

    def __init__(
        self, make: Callable[[int], Worker[Any, Any]], num_cpus: int, board: str, folder: str
    ) -> None:
        if os.path.isdir(folder):
            # Relative paths mean the same files as where the command was given.
            os.chdir(folder)
        self._make, self._num_cpus = make, num_cpus
        self._ray = _imported()
        self._board = self._ray.get_actor(board)
        self._held: Worker[Any, Any] | None = None

    def attribute(self, name: str) -> Any:
        return getattr(self._worker(), name)

    def do(self, number: int, task: Any) -> Any:
        # Noted before the result is there, so that the sum is right when all results are.
        def report(done: int) -> None:
            self._ray.get(self._board.note.remote(number, done))

        return self._worker()(task, report)

    def _worker(self) -> Worker[Any, Any]:
        if self._held is None:
            self._held = self._make(self._num_cpus)
        return self._held


class _Board:
    """Where processes say how far their tasks are; one that is done again counts once."""

    def __init__(self) -> None:
        self._done: dict[int, int] = {}

    def note(self, number: int, done: int) -> None:
        self._done[number] = max(done, self._done.get(number, 0))

    def total(self) -> int:
        return sum(self._done.values())


@contextmanager
def _same_signals() -> Iterator[None]:
    """Let SIGTERM be answered afterwards as before: Ray takes it over for good."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if before is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _imported() -> Any:
    """Import Ray, which then sends nobody any statistics.

    Raises:
        ValueError: if it is not installed.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import ray
        import ray.util
    except ImportError as error:
        raise InputError(
            "work on a cluster needs the package Ray; pip install 'uss-pipeline[ray]'"
        ) from error
    return ray
