"""What the page does when its user does something."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, TypeVar

import gradio as gr

from pipelines.web.jobs import Told
from pipelines.web.messages import failure_html, failure_line, note_html, progress_html
from pipelines.web.mixer import mixer_html
from pipelines.web.records import Heard, Separated, Wish
from pipelines.web.service import Service
from pipelines.web.timeline import timeline_html
from uss.core.clock import format_time
from uss.core.errors import InputError

T = TypeVar("T")
Updates = tuple[Any, ...]


class Handlers:
    """Answers events of the page; each answer fills the components that it is wired to.

    Args:
        service: does the work.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    def begin(self, path: str | None) -> Updates:
        """Show that a recording was given: status, Cancel, and its path."""
        return note_html("Waiting for a turn …"), gr.update(visible=True), path

    def hear(self, path: str | None, model: str, level: int) -> Iterator[Updates]:
        """Find out what is in a recording.

        Yields:
            Status, Cancel, Find, token, the second part, timeline, classes found, its status, the
            third part.
        """
        skipped = (gr.skip(),) * 3

        def working(status: str) -> Updates:
            hidden = gr.update(visible=False)
            return status, gr.update(visible=True), hidden, None, hidden, *skipped, hidden

        def failed(status: str) -> Updates:
            hidden, shown = gr.update(visible=False), gr.update(visible=True)
            return status, hidden, shown, None, hidden, *skipped, hidden

        def work(told: Told) -> Heard:
            if path is None:
                raise InputError("no recording is given; upload one, record, or take the example")
            return self._service.hear(path, model, told)

        def done(heard: Heard) -> Updates:
            hidden, shown = gr.update(visible=False), gr.update(visible=True)
            timeline, found = self._shown(heard, level)
            return "", hidden, shown, heard.token, shown, timeline, found, "", hidden

        yield from self._answered(work, working, done, failed)

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

    def begin_separating(self) -> Updates:
        """Show that stems were asked for: status, Cancel."""
        return note_html("Waiting for a turn …"), gr.update(visible=True)

    def separate(
        self, token: str | None, model: str, found: Sequence[str], *more: Any
    ) -> Iterator[Updates]:
        """Separate what is wanted of the recording.

        Args:
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
            return status, gr.update(visible=True), gr.update(visible=False), *skipped

        def failed(status: str) -> Updates:
            return status, gr.update(visible=False), gr.update(visible=False), *skipped

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
            return self._service.separate(token or "", model, wish, told)

        def done(made: Separated) -> Updates:
            shown = gr.update(visible=True)
            return "", gr.update(visible=False), shown, mixer_html(made), str(made.archive)

        yield from self._answered(work, working, done, failed)

    def cancelled(self) -> Updates:
        """Show that nothing is looked for any more: status, Cancel, Find."""
        return note_html("Cancelled."), gr.update(visible=False), gr.update(visible=True)

    def cancelled_separating(self) -> Updates:
        """Show that nothing is separated any more: status, Cancel."""
        return note_html("Cancelled."), gr.update(visible=False)

    def _shown(self, heard: Heard, level: int) -> Updates:
        choices = [
            (f"{each.name} ({100.0 * (each.probability or 0.0):.0f} %)", each.mid)
            for each in heard.at(level)
        ]
        mids = [mid for _, mid in choices]
        return timeline_html(heard, level), gr.update(choices=choices, value=mids)

    def _answered(
        self,
        work: Callable[[Told], T],
        working: Callable[[str], Updates],
        done: Callable[[T], Updates],
        failed: Callable[[str], Updates],
    ) -> Generator[Updates, None, None]:
        """Do work, and fill the page with its progress, then with its result or its failure."""
        job = self._service.worker.watched(work)
        try:
            while True:
                try:
                    update = next(job)
                except StopIteration as ended:
                    yield done(ended.value)
                    return
                yield working(progress_html(update))
        except Exception as error:
            yield failed(failure_html(self._line(error)))
        finally:
            job.close()

    def _line(self, error: Exception) -> str:
        return failure_line(error, self._service.shelf.root)
