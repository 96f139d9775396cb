"""One model for all users: recordings are heard and separated one after another."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

from pipelines.model_options import ModelOptions
from pipelines.web.jobs import Told, Worker
from pipelines.web.limits import Limits
from pipelines.web.players import Player, write_player
from pipelines.web.records import Heard, Separated, Sound, Track, Wish, player_path
from pipelines.web.shelf import Shelf
from uss.audio import AudioFile
from uss.core.arrays import Waveform
from uss.core.errors import InputError
from uss.detection.defaults import DEFAULT_OVERLAP
from uss.results.describing import describe_detection
from uss.results.naming import plain_name
from uss.results.opening import Watched, open_recording
from uss.results.recordings import Input
from uss.results.result import SeparationResult
from uss.results.separate_file import separate_file
from uss.separation.plan import Wanted
from uss.separation.separator import Separator

LEVELS = (1, 2, 3)
"""Of the ontology, that are listened for; the others have fewer classes than these."""

_RESIDUAL = "residual"
_MAX_LOADED = 2


class Service:
    """Hears and separates what lies on a shelf.

    ``hear`` and ``separate`` are jobs for ``worker``, one at a time. What one raises concerns no
    other.

    Args:
        models: what users may choose from, by the name that they see; the first is the default.
        limits: of each job.
        shelf: where recordings and results are.

    Attributes:
        worker: does the jobs.
    """

    def __init__(self, models: Mapping[str, ModelOptions], limits: Limits, shelf: Shelf) -> None:
        self.models = models
        self.limits = limits
        self.shelf = shelf
        self.worker = Worker(limits.waiting)
        self._loaded: dict[str, Separator] = {}

    @property
    def default_model(self) -> str:
        """The model that is taken where none is named."""
        return next(iter(self.models))

    def load(self, name: str) -> Separator:
        """Give a model, which is loaded when it is first asked for.

        Raises:
            OSError, ValueError: if there is none of that name, or it cannot be loaded.
        """
        if name not in self.models:
            raise InputError(f"no model {name!r} here; choose {', '.join(self.models)}")
        separator = self._loaded.pop(name, None) or self.models[name].load()
        self._loaded[name] = separator
        while len(self._loaded) > _MAX_LOADED:
            del self._loaded[next(iter(self._loaded))]
        return separator

    def hear(self, upload: str | Path, model: str, told: Told) -> Heard:
        """Find out what is in an uploaded recording, and when.

        Args:
            upload: the file.
            model: name of the model.
            told: is told how far it is.

        Raises:
            OSError, ValueError: if it cannot be read, or is too long; nothing is kept of it then.
        """
        token = self.shelf.take(upload)
        try:
            with self.shelf.using(token) as folder:
                heard = self._hear(token, folder, model, told)
                heard.write(folder)
        except BaseException:
            self.shelf.remove(token)
            raise
        return heard

    def heard(self, token: str) -> Heard:
        """Give what ``hear`` found.

        Raises:
            ValueError: if the recording is not here any more.
        """
        return Heard.read(self.shelf.folder(token))

    def separate(self, token: str, model: str, wish: Wish, told: Told) -> Separated:
        """Separate a recording.

        Args:
            token: of a recording that was heard.
            model: name of the model.
            wish: what is wanted.
            told: is told how far it is.

        Raises:
            OSError, ValueError: if it is not here any more, or something cannot be separated.
        """
        with self.shelf.using(token) as folder:
            heard = Heard.read(folder)
            self._check_number(heard, wish)
            separator = self.load(model)
            path = self.shelf.source(token)
            told.duration_seconds = heard.player.duration_seconds
            runs = folder / "results"
            runs.mkdir(exist_ok=True)
            run = runs / str(len(list(runs.iterdir())) + 1)
            recording = Input(path, plain_name(path), is_spooled=True)
            result = separate_file(
                recording, run, separator=separator, progress=told, **wish.options()
            )
            return self._made(heard, run / recording.folder_name, result, told)

    def _hear(self, token: str, folder: Path, model: str, told: Told) -> Heard:
        path = self.shelf.source(token)
        told.begin("reading")
        player = self._playable(open_recording(path, None), player_path(folder), told)
        told.duration_seconds = player.duration_seconds
        told.begin("loading the model")
        separator = self.load(model)
        source = open_recording(path, None)
        with told.listening(path) as heard:
            analysis = separator.analyse(Watched(source, heard), DEFAULT_OVERLAP)
        plan = separator.plan(analysis, Wanted(levels=LEVELS))
        found = [describe_detection(each, analysis) for each in plan.detections]
        return Heard(token, path.name, model, player, tuple(map(Sound.of, found)))

    def _playable(self, source: AudioFile, target: Path, told: Told) -> Player:
        """Write the player of an upload, which ends where it is too long."""
        num_values = 0

        def check(block: Waveform) -> None:
            nonlocal num_values
            num_values += block.size
            rate, channels = source.sample_rate, source.num_channels
            self.limits.check_length(source.path.name, num_values, rate, channels)
            told.check()

        return write_player(source, target, check)

    def _check_number(self, heard: Heard, wish: Wish) -> None:
        number = wish.num_named
        if wish.level is not None:
            number += len(heard.at(wish.level))
        self.limits.check_stems(number)

    def _made(self, heard: Heard, folder: Path, result: SeparationResult, told: Told) -> Separated:
        """Make what the page shows of a result."""
        told.begin("preparing the players")
        named = [
            (Sound.of(stem), stem.file, stem.loudness_dbfs, False)
            for stem in result.stems
            if stem.file
        ]
        for group, file in result.residuals.items():
            rest = Sound(_RESIDUAL, None, None, None, ())
            named.append((rest, file, result.residual_loudness_dbfs.get(group), True))
        tracks = []
        for number, (sound, file, loudness, is_residual) in enumerate(named, start=1):
            player = folder.parent / f"{number}.wav"
            written = write_player(AudioFile(folder / file), player, lambda block: told.check())
            tracks.append(Track(sound, folder / file, written, loudness, is_residual))
        of_tracks = {track.file for track in tracks}
        others = [folder / name for name in result.files if folder / name not in of_tracks]
        archive = folder.parent / f"{folder.name}.zip"
        told.begin("packing", len(tracks) + len(others))
        _pack(folder, archive, told)
        return Separated(heard, result, tuple(tracks), tuple(others), archive)


def _pack(folder: Path, archive: Path, told: Told) -> None:
    """Put a folder into a ZIP file, as it is: audio does not become smaller."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as packed:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            packed.write(path, f"{folder.name}/{path.relative_to(folder).as_posix()}")
            told.advance(1)
