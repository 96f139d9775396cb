"""Let several clients use uss-web at once, and see whether jobs are lost and memory grows.

Each job uploads some seconds of the demo scene, finds what is in it, separates the speech, and
downloads the stem. One more client uploads a text file again and again, which must fail and disturb
nobody. The server is a process of its own:

    python scripts/load_web.py --jobs 20 --clients 5
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

_ROOT = Path(__file__).parents[1]
_SCENE = _ROOT / "demo" / "scene.flac"
_START_SECONDS = 180.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the measurement; the status is 1 if a job was lost."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--jobs", type=int, default=20)
    parser.add_argument("--clients", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0, help="of the scene, 10 at most")
    arguments = parser.parse_args(argv)
    with served() as (url, process_id):
        measured = load(url, process_id, arguments.jobs, arguments.clients, arguments.seconds)
    print(json.dumps(measured, indent=2))
    return 0 if measured["done"] == arguments.jobs else 1


@contextmanager
def served(*options: str) -> Iterator[tuple[str, int]]:
    """Serve the page from a process of its own; gives its address and the process's id."""
    command = [sys.executable, "-m", "pipelines.web", "--port", "0", *options]
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    timer = threading.Timer(_START_SECONDS, process.kill)
    timer.start()
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+/", process.stdout.readline())
        timer.cancel()
        if found is None:
            raise RuntimeError("the server ended before it gave its address")
        yield found[0], process.pid
    finally:
        timer.cancel()
        process.terminate()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def load(url: str, process_id: int, jobs: int, clients: int, seconds: float) -> Mapping[str, Any]:
    """Run jobs from several clients at once.

    Args:
        url: of the page.
        process_id: of its server.
        jobs: how many in all.
        clients: how many at a time.
        seconds: of the scene.

    Returns:
        How many were done, what went wrong with the others, how often the wrong file was refused,
        how long it took, and the server's memory after each job in MB.
    """
    with tempfile.TemporaryDirectory() as folder:
        clip, text = Path(folder) / "clip.flac", Path(folder) / "notes.txt"
        samples, rate = soundfile.read(_SCENE, dtype="int16")
        soundfile.write(clip, samples[: round(seconds * rate)], rate)
        text.write_text("This is no recording.\n" * 100)
        memory: list[float] = []
        errors: list[str] = []
        ended = threading.Event()
        start = time.perf_counter()
        with ThreadPoolExecutor(clients + 1) as pool:
            refused = pool.submit(_refused, url, text, ended)
            shares = [jobs // clients + (each < jobs % clients) for each in range(clients)]
            done = [
                pool.submit(_client, url, process_id, clip, share, folder, memory, errors)
                for share in shares
            ]
            num_done = sum(each.result() for each in done)
            ended.set()
            return {
                "done": num_done,
                "errors": errors,
                "refused": refused.result(),
                "seconds": round(time.perf_counter() - start, 1),
                "memory_mb": memory,
            }


def _client(
    url: str,
    process_id: int,
    clip: Path,
    jobs: int,
    folder: str,
    memory: list[float],
    errors: list[str],
) -> int:
    """Run jobs one after another; gives how many came to a stem that is not silent."""
    client = Client(url, verbose=False, download_files=folder)
    num_done = 0
    for _ in range(jobs):
        try:
            heard = client.predict(handle_file(clip), api_name="/detect")
            made = client.predict(heard["recording"], ["Speech"], api_name="/separate")
            samples, _ = soundfile.read(made["stems"][0]["file"])
            num_done += bool(np.abs(samples).max() > 0.01)
        except Exception as error:
            errors.append(f"{type(error).__name__}: {error}")
        memory.append(_resident_mb(process_id))
    return num_done


def _refused(url: str, text: Path, ended: threading.Event) -> int:
    """Upload what is no recording until all is over; gives how often it was refused."""
    client = Client(url, verbose=False)
    num_refused = 0
    while not ended.is_set():
        try:
            client.predict(handle_file(text), api_name="/detect")
        except AppError:
            num_refused += 1
        ended.wait(0.5)
    return num_refused


def _resident_mb(process_id: int) -> float:
    """Read the memory that a process has, on Linux."""
    status = Path(f"/proc/{process_id}/status").read_text(encoding="utf-8")
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return round(int(found[1]) / 1_000.0, 1)


if __name__ == "__main__":
    sys.exit(main())
