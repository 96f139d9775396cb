import math
import warnings
from collections.abc import Iterator

import numpy as np
import pytest

from uss.evaluation.lists import aggregates
from uss.evaluation.lists.aggregates import Aggregate, aggregate, class_means, class_medians

NAN = math.nan


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_statistics_by_hand(rng: np.random.Generator) -> None:
    """The medians of the classes are 2 and 15; the third class has none."""
    values = np.array([1.0, 2.0, NAN, 30.0, 10.0, 20.0, NAN])
    classes = ["dog", "dog", "dog", "dog", "cat", "cat", "cow"]
    result = aggregate(values, classes, rng)
    assert result.mean == pytest.approx(63.0 / 5)
    assert result.median == 10.0
    assert result.class_median == pytest.approx((2.0 + 15.0) / 2)
    assert (result.num, result.num_undefined) == (5, 2)


def test_classes_by_hand() -> None:
    values = np.array([5.0, 1.0, NAN, 2.0, 30.0, NAN])
    classes = ["cat", "dog", "dog", "dog", "dog", "cow"]
    medians, means = class_medians(values, classes), class_means(values, classes)
    assert list(medians) == list(means) == ["cat", "cow", "dog"]
    assert (medians["cat"], medians["dog"]) == (5.0, 2.0)
    assert (means["cat"], means["dog"]) == (5.0, 11.0)
    assert math.isnan(medians["cow"]) and math.isnan(means["cow"])
    assert class_medians(np.array([]), []) == class_means(np.array([]), []) == {}


def test_without_classes(rng: np.random.Generator) -> None:
    result = aggregate(np.array([1.0, 3.0]), None, rng)
    assert result.class_median is None and result.class_median_interval is None
    assert result.mean == result.median == 2.0


@pytest.mark.parametrize("values", [[], [NAN], [NAN, NAN]], ids=str)
def test_nothing_defined(values: list[float], rng: np.random.Generator) -> None:
    result = aggregate(np.array(values), ["dog"] * len(values), rng)
    statistics = [result.mean, result.median, result.class_median, *result.mean_interval]
    assert np.isnan([*statistics, *result.median_interval]).all()
    assert result.class_median_interval is not None
    assert np.isnan(result.class_median_interval).all()
    assert (result.num, result.num_undefined) == (0, len(values))


def test_one_value(rng: np.random.Generator) -> None:
    ends = (-3.7, -3.7)
    assert aggregate(np.array([NAN, -3.7]), ["dog", "cat"], rng) == Aggregate(
        mean=-3.7,
        median=-3.7,
        class_median=-3.7,
        mean_interval=ends,
        median_interval=ends,
        class_median_interval=ends,
        num=1,
        num_undefined=1,
    )


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution(
    rng: np.random.Generator,
) -> None:
    """For many values the bootstrap finds mean ± 1.96 standard errors."""
    values = rng.standard_normal(2000)
    result = aggregate(values, None, rng, num_resamples=4000)
    error = 1.96 * values.std() / math.sqrt(2000)
    assert result.mean_interval == pytest.approx(
        (values.mean() - error, values.mean() + error), abs=0.1 * error
    )
    # The median of normal values has a variance of pi/2 times that of the mean.
    width = result.median_interval[1] - result.median_interval[0]
    assert width == pytest.approx(2.0 * error * math.sqrt(math.pi / 2.0), rel=0.2)


def test_two_values_give_three_means() -> None:
    """Of the means 0, 1/2 and 1, a quarter, a half and a quarter are drawn."""
    result = aggregate(np.array([0.0, 1.0]), None, np.random.default_rng(1))
    assert result.mean_interval == result.median_interval == (0.0, 1.0)


def test_classes_are_drawn_for_the_class_median(rng: np.random.Generator) -> None:
    """Of the medians 0 and 90, both, neither or one of each are drawn."""
    values, classes = np.array([0.0, 0.0, 0.0, 90.0]), ["dog", "dog", "dog", "cat"]
    result = aggregate(values, classes, rng)
    assert result.class_median == 45.0
    assert result.class_median_interval == (0.0, 90.0)


def test_classes_that_are_alike_leave_no_doubt(rng: np.random.Generator) -> None:
    values, classes = np.array([0.0, 2.0, 1.0]), ["dog", "dog", "cat"]
    result = aggregate(values, classes, rng)
    assert result.class_median == 1.0
    assert result.class_median_interval == (1.0, 1.0)


def test_the_same_seed_gives_the_same_intervals(rng: np.random.Generator) -> None:
    values, classes = rng.standard_normal(50), ["dog", "cat"] * 25
    first, second = (aggregate(values, classes, np.random.default_rng(7)) for _ in range(2))
    other = aggregate(values, classes, np.random.default_rng(8))
    assert first == second
    assert first.mean_interval != other.mean_interval
    without = aggregate(values, None, np.random.default_rng(7))
    assert without.median_interval == first.median_interval


def test_blocks_change_nothing(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    values, classes = rng.standard_normal(30), ["dog", "cat", "cow"] * 10
    whole = aggregate(values, classes, np.random.default_rng(3))
    for block_values in (1, 70):
        monkeypatch.setattr(aggregates, "_BLOCK_VALUES", block_values)
        assert aggregate(values, classes, np.random.default_rng(3)) == whole


def test_the_order_of_mixtures_does_not_matter_to_statistics(rng: np.random.Generator) -> None:
    values = rng.standard_normal(40)
    classes = [f"class {index % 7}" for index in range(40)]
    order = rng.permutation(40)
    expected = aggregate(values, classes, rng)
    result = aggregate(values[order], [classes[index] for index in order], rng)
    assert result.class_median == pytest.approx(expected.class_median)
    assert result.median == expected.median


def test_infinite_values_are_a_mistake_of_the_metric(rng: np.random.Generator) -> None:
    with pytest.raises(AssertionError, match="capped"):
        aggregate(np.array([1.0, math.inf]), None, rng)


def test_each_value_has_a_class(rng: np.random.Generator) -> None:
    with pytest.raises(AssertionError, match="class"):
        aggregate(np.array([1.0, 2.0]), ["dog"], rng)
