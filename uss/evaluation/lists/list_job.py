"""A list evaluated as a whole: it can be stopped and goes on, and its results are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uss.core.arrays import Float32
from uss.core.errors import InputError
from uss.evaluation.fingerprint import describe_models, file_sha256, hashes, root_hash
from uss.evaluation.job_settings import JobSettings
from uss.evaluation.journal import Journal, Progress, no_progress, open_journal, output_folder
from uss.evaluation.lists.class_chart import draw_classes
from uss.evaluation.lists.condition_maker import ConditionKind
from uss.evaluation.lists.evaluating import ListEvaluation, ListSettings
from uss.evaluation.lists.list_results import summarise, write_csv
from uss.evaluation.lists.mixture_list import read_list
from uss.evaluation.lists.row_scores import RowScores
from uss.evaluation.lists.score_networks import ScoreNetworks
from uss.evaluation.lists.scoring import DEFAULT_METRICS, Metric, score_names
from uss.evaluation.lists.set_scores import set_scores
from uss.evaluation.result_formats import without_nan, write_json
from uss.separation.fitting import shares_bins
from uss.separation.separator import Separator


@dataclass(frozen=True, kw_only=True)
class ListJobSettings(JobSettings):
    """How a list is evaluated.

    Attributes:
        conditions: what the separator is asked with; None for the oracle, and class averages for
            the classes that the model has queries for.
        metrics: which scores; None for the customary ones.
        keep_going: rows that cannot be evaluated are noted instead of ending the evaluation.
        clap: what scores ``clap-score``; None for the separator's own.
        embedder: what makes embeddings, see ``embedder_of``; None for the separator's tagger.
        references: a folder whose audio FAD and KAD compare with; None for the list's targets.
        trust_checkpoint: see ``load_text_encoder``.
    """

    conditions: Sequence[ConditionKind] | None = None
    metrics: Sequence[Metric] | None = None
    keep_going: bool = False
    clap: str | None = None
    embedder: str | None = None
    references: Path | None = None
    trust_checkpoint: bool = False


class ListJob:
    """A list that was read, so that what is wrong with it is known before a model is loaded.

    Args:
        settings: what is evaluated, and how.

    Raises:
        OSError, InputError: if the list is missing or makes no sense.
    """

    def __init__(self, settings: ListJobSettings) -> None:
        self.settings = settings
        self._rows = read_list(settings.path)[: settings.limit]

    def run(self, separator: Separator, progress: Progress = no_progress) -> dict[str, Any]:
        """Evaluate what no earlier run has, and write the results.

        Args:
            separator: what is evaluated.
            progress: called as mixtures are evaluated.

        Returns:
            What ``results.json`` holds.

        Raises:
            OSError, InputError: if audio, the model or the output folder is not as it should be,
                or no mixture could be evaluated.
        """
        output, settings = self.settings.output, self._list_settings(separator)
        networks = self._networks(separator, settings)
        described = {**self._described(separator, settings), **networks.described}
        evaluation = ListEvaluation(
            separator,
            str(self.settings.path),
            self._rows,
            self.settings.audio_root,
            settings,
            networks.scores,
            networks.embedding,
        )
        references = networks.embeddings_of(self.settings.references)
        with output_folder(output):
            journal = open_journal(output, described)
            scores = _evaluate_rest(evaluation, journal, len(self._rows), progress)
        if networks.embedding is not None:
            networks.embedding.targets.save()
        names = score_names(settings.metrics)
        content = {
            **summarise(scores, settings.outputs, names),
            "sets": self._sets(scores, settings, references),
            "settings": described,
            "model": {"name": self.settings.model_name, **hashes(described)},
            "list": str(self.settings.path),
            "command": self.settings.command,
        }
        write_csv(output / "results.csv", self._rows, scores, settings.outputs, names)
        _draw(output / "classes.png", content, settings)
        write_json(output / "results.json", content)
        journal.finish()
        if not content["num_mixtures"]:
            raise InputError(
                f"none of {len(scores)} mixtures could be evaluated; the first: {scores[0].error}"
            )
        return content

    def _list_settings(self, separator: Separator) -> ListSettings:
        asked = self.settings
        return ListSettings(
            conditions=tuple(dict.fromkeys(asked.conditions or self._conditions(separator))),
            metrics=tuple(dict.fromkeys(asked.metrics or DEFAULT_METRICS)),
            overlap=asked.overlap,
            is_joint=shares_bins(separator.model, asked.joint),
            keep_going=asked.keep_going,
            optional=() if asked.conditions else ("class-average",),
        )

    def _networks(self, separator: Separator, settings: ListSettings) -> ScoreNetworks:
        asked = self.settings
        return ScoreNetworks.of(
            settings.metrics,
            separator,
            f"targets of {file_sha256(asked.path)}",
            clap=asked.clap,
            embedder=asked.embedder,
            trust_checkpoint=asked.trust_checkpoint,
        )

    def _sets(
        self, scores: Sequence[RowScores], settings: ListSettings, references: Float32 | None
    ) -> Any:
        """What FAD and KAD are, and of what; None where nobody asked for them."""
        found = set_scores(scores, settings.outputs, settings.metrics, references)
        if found is None:
            return None
        named = self.settings.references
        return without_nan({"references": "targets" if named is None else str(named), **found})

    def _conditions(self, separator: Separator) -> list[ConditionKind]:
        has_classes = any(row.class_name or row.mids for row in self._rows)
        if has_classes and separator.class_queries is not None:
            return ["oracle", "class-average"]
        return ["oracle"]

    def _described(self, separator: Separator, settings: ListSettings) -> dict[str, Any]:
        """What the scores of a row depend on."""
        return {
            **describe_models(separator),
            "list_sha256": file_sha256(self.settings.path),
            "audio_root_hash": root_hash(self.settings.audio_root),
            "conditions": settings.conditions,
            "optional_conditions": settings.optional,
            "metrics": settings.metrics,
            "overlap": settings.overlap,
            "joint": settings.is_joint,
        }


def _evaluate_rest(
    evaluation: ListEvaluation, journal: Journal, num_rows: int, progress: Progress
) -> list[RowScores]:
    """Evaluate what no earlier run has; returns the scores of all rows in their order."""
    found = {each.row: each for each in map(RowScores.from_json, journal.records)}
    # What went wrong may have been mended.
    done = {index for index, each in found.items() if not each.error and index < num_rows}
    rest = [index for index in range(num_rows) if index not in done]
    if rest:
        evaluation.check()
    progress(len(done), num_rows)
    for number, scores in enumerate(evaluation.scores(rest), start=len(done) + 1):
        journal.append(scores.as_json())
        found[scores.row] = scores
        progress(number, num_rows)
    return [found[index] for index in range(num_rows)]


def _draw(path: Path, content: Mapping[str, Any], settings: ListSettings) -> None:
    """Draw the classes, if there are any and their SDRi was measured."""
    if not content["classes"] or "sdr" not in settings.metrics:
        return
    classes: dict[str, dict[str, float | None]] = {
        name: {str(condition): outputs[condition]["SDRi"] for condition in settings.conditions}
        for name, outputs in content["classes"].items()
    }
    draw_classes(path, classes, settings.conditions)
