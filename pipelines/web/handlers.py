"""What the page does when its user does something."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import gradio as gr

from pipelines.web.jobs import GivenUpError, Told
from pipelines.web.messages import failure_html, failure_line, note_html, progress_html
from pipelines.web.mixer import mixer_html
from pipelines.web.records import Heard, Separated, Wish
from pipelines.web.service import Service
from pipelines.web.timeline import timeline_html
from uss.core.clock import format_time
from uss.core.errors import InputError

T = TypeVar("T")
Updates = tuple[Any, ...]


_SHOWN, _HIDDEN = gr.update(visible=True), gr.update(visible=False)


@dataclass(frozen=True)
class _Job(Generic[T]):
    """What one user has asked for.

    Attributes:
        work: what is done.
        running: users to what they can stop.
        session: of the user.
    """

    work: Callable[[Told], T]
    running: dict[str | None, Told]
    session: str | None


class Handlers:
    """Answers events of the page; each answer fills the components that it is wired to.

    Args:
        service: does the work.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._hearing: dict[str | None, Told] = {}
        self._separating: dict[str | None, Told] = {}

    def hear(
        self, request: gr.Request, path: str | None, model: str, level: int
    ) -> Iterator[Updates]:
        """Find out what is in a recording.

        Yields:
            Status, Cancel, Find, path, token, the second part, timeline, classes found, its
            status, the third part.
        """
        skipped = (gr.skip(),) * 3

        def working(status: str) -> Updates:
            return status, _SHOWN, _HIDDEN, path, None, _HIDDEN, *skipped, _HIDDEN

        def failed(status: str) -> Updates:
            return status, _HIDDEN, _SHOWN, path, None, _HIDDEN, *skipped, _HIDDEN

        def work(told: Told) -> Heard:
            if path is None:
                raise InputError("no recording is given; upload one, record, or take the example")
            return self._service.hear(path, model, told)

        def done(heard: Heard) -> Updates:
            shown = self._shown(heard, level)
            return "", _HIDDEN, _SHOWN, path, heard.token, _SHOWN, *shown, "", _HIDDEN

        job = _Job(work, self._hearing, request.session_hash)
        yield from self._answered(job, working, done, failed)

    def give_up_hearing(self, request: gr.Request) -> None:
        """Give up the recording that this user has given; ``hear`` says so."""
        _give_up(self._hearing, request)

    def give_up_separating(self, request: gr.Request) -> None:
        """Give up what this user has asked for; ``separate`` says so."""
        _give_up(self._separating, request)

    def show_level(self, token: str, level: int) -> Updates:
        """Show what was found at another level: timeline, classes."""
        try:
            return self._shown(self._service.heard(token), level)
        except InputError as error:
            raise gr.Error(self._line(error)) from None

    def mark(self, event: gr.EventData) -> str:
        """Write the seconds that were marked on the timeline."""
        start, end = float(event.start), float(event.end)
        return f"{format_time(start)}-{format_time(end)}"

    def separate(
        self, request: gr.Request, token: str, model: str, found: Sequence[str], *more: Any
    ) -> Iterator[Updates]:
        """Separate what is wanted of the recording.

        Args:
            request: tells who asks.
            token: of the recording.
            model: name of the model.
            found: mids that are chosen of those found.
            more: what else the second part asks for.

        Yields:
            Status, Cancel, the third part, mixer, archive.
        """
        others, text, span, span_only, without, everywhere, form, labels, sessions = more
        skipped = (gr.skip(),) * 2

        def working(status: str) -> Updates:
            return status, _SHOWN, _HIDDEN, *skipped

        def failed(status: str) -> Updates:
            return status, _HIDDEN, _HIDDEN, *skipped

        def work(told: Told) -> Separated:
            wish = Wish(
                classes=[*found, *others],
                texts=[text] if text.strip() else [],
                spans=[span] if span.strip() else [],
                without=without,
                threshold=0.0 if everywhere else None,
                span_only=bool(span.strip()) and span_only,
                format=form,
                labels=labels,
                sessions=sessions,
            )
            if not wish.num_named:
                raise InputError("nothing is chosen; choose a class, write words, or mark seconds")
            return self._service.separate(token, model, wish, told)

        def done(made: Separated) -> Updates:
            return "", _HIDDEN, _SHOWN, mixer_html(made), str(made.archive)

        job = _Job(work, self._separating, request.session_hash)
        yield from self._answered(job, working, done, failed)

    def _shown(self, heard: Heard, level: int) -> Updates:
        choices = [
            (f"{each.name} ({100.0 * (each.probability or 0.0):.0f} %)", each.mid)
            for each in heard.at(level)
        ]
        mids = [mid for _, mid in choices]
        return timeline_html(heard, level), gr.update(choices=choices, value=mids)

    def _answered(
        self,
        job: _Job[T],
        working: Callable[[str], Updates],
        done: Callable[[T], Updates],
        failed: Callable[[str], Updates],
    ) -> Generator[Updates, None, None]:
        """Do work, and fill the page with its progress, then with its result or its failure."""
        told = job.running[job.session] = Told()
        progress = self._service.worker.watched(job.work, told)
        try:
            while True:
                try:
                    update = next(progress)
                except StopIteration as ended:
                    yield done(ended.value)
                    return
                yield working(progress_html(update))
        except GivenUpError:
            yield failed(note_html("Cancelled."))
        except Exception as error:
            yield failed(failure_html(self._line(error)))
        finally:
            progress.close()
            if job.running.get(job.session) is told:
                del job.running[job.session]

    def _line(self, error: Exception) -> str:
        return failure_line(error, self._service.shelf.root)


def _give_up(running: Mapping[str | None, Told], request: gr.Request) -> None:
    told = running.get(request.session_hash)
    if told is not None:
        told.stop()
