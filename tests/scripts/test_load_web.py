"""Several clients at once: none of their jobs is lost, and memory does not grow with them."""

import pytest

pytest.importorskip("gradio", reason="needs the extra 'web'")

from scripts.load_web import load, served


@pytest.mark.slow
@pytest.mark.parametrize(("jobs", "clients"), [(6, 3), pytest.param(20, 5, marks=pytest.mark.long)])
def test_jobs_of_several_clients(jobs: int, clients: int) -> None:
    with served() as (url, process_id):
        measured = load(url, process_id, jobs, clients, seconds=1.0)
    assert measured["errors"] == [] and measured["done"] == jobs
    # All the while somebody uploaded what is no recording.
    assert measured["refused"] >= 1
    memory = measured["memory_mb"]
    assert len(memory) == jobs
    assert max(memory[-jobs // 4 :]) < 1.15 * max(memory[: jobs // 2])
