import json
from dataclasses import asdict

from uss.metrics.tagger_score import TaggerScore
from uss.results.stem_scores import StemCandidate, best_of, candidates_in


def scored(f1: float) -> TaggerScore:
    return TaggerScore(f1, f1, f1)


def test_the_highest_is_the_best_and_of_equal_ones_the_first() -> None:
    assert best_of([scored(0.2), scored(0.9), scored(0.5)]) == 1
    assert best_of([scored(0.2), scored(0.9), scored(0.9)]) == 1
    assert best_of([scored(0.0), scored(0.0)]) == 0


def test_without_scores_it_is_the_first() -> None:
    assert best_of([None, None]) == 0


def test_candidates_survive_json() -> None:
    candidates = (
        StemCandidate("flowsep-hive", 4, scored(0.5), kept=True),
        StemCandidate(None, None, None, kept=False),
    )
    content = json.loads(json.dumps([asdict(each) for each in candidates]))
    assert candidates_in(content) == candidates
