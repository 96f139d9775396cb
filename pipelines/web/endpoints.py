"""What programs call: the endpoints of the page, by name (``gradio_client``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr

from pipelines.web.jobs import Told, Update
from pipelines.web.messages import failure_line
from pipelines.web.records import Heard, Separated, Sound, Track, Wish
from pipelines.web.service import Service
from uss.core.errors import InputError

T = TypeVar("T")

_MAX_WORDS = 100


def add_endpoints(service: Service) -> None:
    """Add the endpoints to the page that is being made."""

    def models() -> list[str]:
        """Names of the models to choose from; the first is the default."""
        return list(service.models)

    def detect(recording: dict[str, Any], model: str = "") -> Iterator[dict[str, Any]]:
        """What is in a recording, and when; ``recording`` in the answer names it from now on."""
        path = _path_of(recording)
        name = model or service.default_model
        yield from _reported(service, lambda told: service.hear(path, name, told), _heard_json)

    def separate(
        recording: str,
        classes: list[str] = [],  # noqa: B006 - Gradio shows it, nobody changes it
        texts: list[str] = [],  # noqa: B006
        spans: list[str] = [],  # noqa: B006
        without: list[str] = [],  # noqa: B006
        level: int = 0,
        everywhere: bool = False,
        format: str = "flac",
        labels: list[str] = [],  # noqa: B006
        sessions: list[str] = [],  # noqa: B006
        model: str = "",
    ) -> Iterator[dict[str, Any]]:
        """Separate a recording that was heard; ``level`` takes all that was found at one."""
        lists = (classes, texts, spans, without, labels, sessions)
        if sum(map(len, lists)) > _MAX_WORDS:
            raise gr.Error(f"more than {_MAX_WORDS} things are asked for; ask for fewer")
        wish = Wish(
            classes=classes,
            texts=texts,
            spans=spans,
            without=without,
            level=level or None,
            threshold=0.0 if everywhere else None,
            format=format,
            labels=labels,
            sessions=sessions,
        )
        name = model or service.default_model
        yield from _reported(
            service, lambda told: service.separate(recording, name, wish, told), _separated_json
        )

    gr.api(models, api_name="models", queue=False)
    gr.api(detect, api_name="detect", concurrency_limit=None)
    gr.api(separate, api_name="separate", concurrency_limit=None)


def _reported(
    service: Service, work: Callable[[Told], T], answer: Callable[[T], dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Do work; say how far it is until it is done, and what came of it."""
    job = service.worker.watched(work)
    try:
        while True:
            try:
                update = next(job)
            except StopIteration as ended:
                yield {"state": "done", **answer(ended.value)}
                return
            yield _update_json(update)
    except Exception as error:
        raise gr.Error(failure_line(error, service.shelf.root), print_exception=False) from None
    finally:
        job.close()


def _update_json(update: Update) -> dict[str, Any]:
    told = {"fraction": update.fraction, "num_before": update.num_before}
    return {"state": update.stage, **told}


def _heard_json(heard: Heard) -> dict[str, Any]:
    return {
        "recording": heard.token,
        "name": heard.name,
        "duration_seconds": heard.player.duration_seconds,
        "sounds": [{**_sound_json(each), "level": each.level} for each in heard.sounds],
    }


def _separated_json(made: Separated) -> dict[str, Any]:
    return {
        "stems": [_track_json(each) for each in made.tracks],
        "files": [_file_json(each) for each in made.others],
        "archive": _file_json(made.archive),
        "missing": list(made.result.missing),
    }


def _track_json(track: Track) -> dict[str, Any]:
    told = {"loudness_dbfs": track.loudness_dbfs, "is_residual": track.is_residual}
    return {**_sound_json(track.sound), **told, "file": _file_json(track.file)}


def _sound_json(sound: Sound) -> dict[str, Any]:
    return {
        "name": sound.name,
        "mid": sound.mid,
        "probability": sound.probability,
        "events": [list(each) for each in sound.events],
    }


def _file_json(path: Path) -> dict[str, Any]:
    """Name a file so that clients fetch it."""
    meta = {"_type": "gradio.FileData"}
    return {"path": str(path), "orig_name": path.name, "meta": meta}


def _path_of(recording: Mapping[str, Any] | Sequence[Any] | str) -> str:
    """Take the path of an uploaded file."""
    path = recording.get("path") if isinstance(recording, Mapping) else None
    if not isinstance(path, str):
        raise gr.Error(
            str(InputError("recording is no file; give one by gradio_client.handle_file"))
        )
    return path
