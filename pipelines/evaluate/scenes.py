"""What ``uss-evaluate`` does with scenes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pipelines.cli import counted
from pipelines.evaluate.progress import progress_bar, quiet_detection
from uss.evaluation.result_formats import align
from uss.evaluation.scenes.scene_job import SceneJob, SceneJobSettings, with_other_taggers
from uss.evaluation.scenes.scene_results import scene_table
from uss.separation.separator import Separator
from uss.taggers import TaggerNetwork


def evaluate_scenes(
    settings: SceneJobSettings,
    load: Callable[[], Separator],
    compared: Sequence[str],
    load_tagger: Callable[[str], TaggerNetwork],
) -> int:
    """Evaluate scenes, write the results and print them; returns the exit status.

    Args:
        settings: what is evaluated.
        load: loads the model, after the scenes have been read.
        compared: names or files of other taggers that are scored too.
        load_tagger: loads one of them.

    Raises:
        OSError, InputError: if a model is not as it should be; see also ``SceneJob.run``.
    """
    job = SceneJob(settings)
    own = load()
    detectors = with_other_taggers(own, ((name, load_tagger(name)) for name in compared))
    with quiet_detection(), progress_bar("scene") as show:
        content = job.run(detectors, show)
    print(f"{counted(content['num_scenes'], 'scene')} -> {settings.output}")
    print()
    print("\n".join(align(scene_table(content["detectors"]))))
    return 0
