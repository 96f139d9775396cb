"""What an evaluation shows beside its progress."""

import logging

import numpy as np
import pytest

from pipelines.evaluate.progress import quiet_detection
from tests.uss.evaluation.conftest import CAT, DOG, make_separator, tone
from uss.audio import Recording


def test_classes_without_a_query_are_not_named_for_every_scene(
    caplog: pytest.LogCaptureFixture,
) -> None:
    separator = make_separator(DOG)
    recording = Recording(np.atleast_2d(tone(6_000.0)), 32_000)
    analysis = separator.analyse(recording)
    assert analysis.probabilities[:, CAT].max() > 0.9
    with caplog.at_level(logging.INFO):
        with quiet_detection():
            separator.detector.detect_level(analysis, 3)
        assert not caplog.records
        separator.detector.detect_level(analysis, 3)
    assert "Cat was detected, but the model has no query" in caplog.text
