"""The page: what users see of the service."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import gradio as gr

from ontology import load_ontology
from pipelines.web.endpoints import add_endpoints
from pipelines.web.handlers import Handlers
from pipelines.web.service import LEVELS, Service
from uss.core.errors import InputError
from uss.detection.defaults import DEFAULT_LEVEL
from uss.interchange.labels import LABEL_FORMATS
from uss.interchange.sessions import SESSION_FORMATS, check_session_formats

ASSETS = Path(str(resources.files("pipelines.web") / "assets"))
EXAMPLE = ASSETS / "scene.flac"

# The middle ones are to be read on white, and white on them: Gradio's orange is too light for that.
_HUE = gr.themes.Color(
    c50="#fff7ed",
    c100="#ffedd5",
    c200="#fed7aa",
    c300="#fdba74",
    c400="#ea7a3c",
    c500="#c2410c",
    c600="#b23c0b",
    c700="#9a3412",
    c800="#7c2d12",
    c900="#6c2810",
    c950="#431407",
)
_FINENESS = {1: "coarse", 2: "middle", 3: "fine"}
_OWN = {"show_progress": "hidden", "api_visibility": "private"}
_AT_ONCE = {**_OWN, "queue": False}
# The worker has the queue, and says in it who is before whom.
_JOB = {**_OWN, "concurrency_limit": None}


def make_page(service: Service) -> gr.Blocks:
    """Make the page of a service."""
    with gr.Blocks(title="Separate sounds", analytics_enabled=False) as page:
        gr.Markdown(_introduction(service))
        first = _Given(service)
        second = _Chosen()
        third = _Made()
        # First, as what the page itself calls would else take their names.
        add_endpoints(service)
        _wire(Handlers(service), first, second, third)
    return page


def page_style() -> dict[str, object]:
    """What ``launch`` is told of the look; fonts are the system's, so none is fetched."""
    fonts = ["system-ui", "sans-serif"]
    theme = gr.themes.Default(
        primary_hue=_HUE, neutral_hue="stone", font=fonts, font_mono=["monospace"]
    )
    # Gradio's grey is too light for small text.
    theme.set(body_text_color_subdued="*neutral_600", input_placeholder_color="*neutral_500")
    return {"theme": theme, "css_paths": ASSETS / "page.css"}


def _introduction(service: Service) -> str:
    limits = service.limits
    return (
        "# Separate the sounds of a recording\n"
        "Find what is in it and when, then take each sound out as a stem. Whatever is in no stem "
        "is in the residual: together they are the recording again. "
        f"Up to {limits.minutes:g} minutes and {limits.megabytes} MB; files are deleted "
        f"{limits.keep_minutes:g} minutes after their last use."
    )


class _Given:
    """The first part: which recording, and which model."""

    def __init__(self, service: Service) -> None:
        with gr.Tabs():
            with gr.Tab("Upload"):
                self.file = gr.File(label="Audio or video file", height=150, elem_id="upload")
            with gr.Tab("Record"):
                self.microphone = gr.Audio(
                    sources=["microphone"], type="filepath", label="Microphone"
                )
            with gr.Tab("Example"):
                gr.Markdown("Ten seconds: a man speaks, a telephone rings, a police car passes.")
                self.example = gr.Button("Take the example", elem_id="example")
        with gr.Row(equal_height=True):
            names = list(service.models)
            self.model = gr.Dropdown(names, value=names[0], label="Model", visible=len(names) > 1)
            self.find = gr.Button("Find sounds again", visible=False, elem_id="find")
            self.cancel = gr.Button("Cancel", variant="stop", visible=False, elem_id="cancel-find")
        self.status = gr.HTML(elem_classes="status", elem_id="status-find", js_on_load=None)
        self.path = gr.State()
        self.token = gr.State()


class _Chosen:
    """The second part: what was heard, and what of it is wanted."""

    def __init__(self) -> None:
        with gr.Column(visible=False, elem_id="heard") as self.column:
            script = (ASSETS / "timeline.js").read_text(encoding="utf-8")
            self.timeline = gr.HTML(elem_id="timeline", js_on_load=script)
            levels = [(_FINENESS[level], level) for level in LEVELS]
            self.level = gr.Radio(levels, value=DEFAULT_LEVEL, label="Classes")
            self.found = gr.CheckboxGroup(label="Separate what was found", elem_id="found")
            names = sorted({node.name for node in load_ontology().nodes.values()})
            with gr.Row():
                self.others = gr.Dropdown(names, multiselect=True, label="Other classes")
                self.text = gr.Textbox(
                    label="In words", placeholder="a dog barks behind a fence", elem_id="text"
                )
                self.span = gr.Textbox(
                    label="What sounds like these seconds",
                    placeholder="drag over the waveform, or write 1.2-3.5",
                    elem_id="span",
                )
            with gr.Accordion("More", open=False):
                self._add_options()
            with gr.Row():
                self.separate = gr.Button("Separate", variant="primary", elem_id="separate")
                self.cancel = gr.Button(
                    "Cancel", variant="stop", visible=False, elem_id="cancel-separate"
                )
            self.status = gr.HTML(elem_classes="status", elem_id="status-separate", js_on_load=None)

    def _add_options(self) -> None:
        self.everywhere = gr.Checkbox(
            label="Separate it everywhere, also where it was not recognised"
        )
        self.span_only = gr.Checkbox(label="Marked seconds: only there")
        self.format = gr.Radio(["flac", "wav"], value="flac", label="Format of stems")
        self.without = gr.Dropdown(
            sorted({node.name for node in load_ontology().nodes.values()}),
            multiselect=True,
            label="Keep out of all stems",
        )
        with gr.Row():
            self.labels = gr.CheckboxGroup(list(LABEL_FORMATS), label="Labels for")
            self.sessions = gr.CheckboxGroup(_possible_sessions(), label="Session for")

    @property
    def wishes(self) -> list[gr.components.Component]:
        """What the second part asks for, as ``Handlers.separate`` takes it."""
        named = [self.found, self.others, self.text, self.span, self.span_only, self.without]
        return [*named, self.everywhere, self.format, self.labels, self.sessions]


class _Made:
    """The third part: stems to listen to, and files to take away."""

    def __init__(self) -> None:
        with gr.Column(visible=False, elem_id="made") as self.column:
            script = (ASSETS / "mixer.js").read_text(encoding="utf-8")
            self.mixer = gr.HTML(elem_id="mixer", js_on_load=script)
            self.archive = gr.DownloadButton(
                "Download everything (ZIP)", variant="primary", elem_id="archive"
            )


def _wire(does: Handlers, first: _Given, second: _Chosen, third: _Made) -> None:
    """Say what happens when."""
    heard = [first.status, first.cancel, first.find, first.path, first.token]
    heard += [second.column, second.timeline, second.found, second.status, third.column]
    made = [second.status, second.cancel, third.column, third.mixer, third.archive]
    shown = [second.timeline, second.found]

    def given(source: gr.components.Component) -> dict[str, Any]:
        return {"inputs": [source, first.model, second.level], "outputs": heard, **_JOB}

    first.file.upload(does.hear, **given(first.file))
    first.microphone.stop_recording(does.hear, **given(first.microphone))
    first.example.click(lambda: str(EXAMPLE), None, first.file, **_AT_ONCE).then(
        does.hear, **given(first.file)
    )
    first.find.click(does.hear, **given(first.path))
    first.cancel.click(does.give_up_hearing, **_AT_ONCE)
    second.level.input(does.show_level, [first.token, second.level], shown, **_AT_ONCE)
    second.timeline.select(does.mark, None, second.span, **_AT_ONCE)
    wished = [first.token, first.model, *second.wishes]
    second.separate.click(does.separate, wished, made, **_JOB)
    second.cancel.click(does.give_up_separating, **_AT_ONCE)


def _possible_sessions() -> list[str]:
    """Name the formats whose packages are here."""
    possible = []
    for name in SESSION_FORMATS:
        try:
            check_session_formats([name])
        except InputError:
            continue
        possible.append(name)
    return possible
