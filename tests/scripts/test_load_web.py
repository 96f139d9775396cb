"""Several clients at once: none of their jobs is lost, and memory does not grow with them."""

import pytest

pytest.importorskip("gradio", reason="needs the extra 'web'")

from scripts.load_web import load, served

JOBS, CLIENTS = 20, 5


@pytest.mark.slow
def test_twenty_jobs_of_five_clients() -> None:
    with served() as (url, process_id):
        measured = load(url, process_id, JOBS, CLIENTS, seconds=1.0)
    assert measured["errors"] == [] and measured["done"] == JOBS
    # All the while somebody uploaded what is no recording.
    assert measured["refused"] >= 1
    memory = measured["memory_mb"]
    assert len(memory) == JOBS
    assert max(memory[-5:]) < 1.15 * max(memory[:10])
