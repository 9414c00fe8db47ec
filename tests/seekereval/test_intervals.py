"""intervals: errors of clustered means as others compute them, and runs compared item by item."""

import json
from math import sqrt
from statistics import stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st
from material import shared

from seekereval.intervals import clustered, paired

SCORES = st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from("abcde")), min_size=1, max_size=30)


def test_recorded_errors_agree() -> None:
    lines = (shared("extraction-examples") / "examples.jsonl").read_text().splitlines()
    rows = [row for row in map(json.loads, lines) if row["kind"] == "stderr"]
    assert rows
    for row in rows:
        found = clustered(row["response"]["scores"], row["response"]["clusters"])
        assert found.mean == pytest.approx(row["expected"]["mean"], abs=1e-6), row["id"]
        assert found.stderr == pytest.approx(row["expected"]["inspect_ai_clustered"], abs=1e-6), row["id"]


@given(SCORES)
def test_it_is_the_double_sum_over_pairs_of_one_cluster(rows: list[tuple[float, str]]) -> None:
    values, clusters = [value for value, _ in rows], [cluster for _, cluster in rows]
    found = clustered(values, clusters)
    mean, count = sum(values) / len(values), len(set(clusters))
    assert (found.mean, found.n, found.clusters) == (pytest.approx(mean), len(values), count)
    if count == 1:
        assert found.stderr is None and found.ci95 is None
        return
    pairs = sum((a - mean) * (b - mean) for a, c in rows for b, d in rows if c == d)
    assert found.stderr == pytest.approx(sqrt(max(pairs, 0) * count / (count - 1)) / len(values), abs=1e-9)
    assert found.ci95 == pytest.approx((mean - 1.959964 * found.stderr, mean + 1.959964 * found.stderr), abs=1e-6)


def test_of_single_items_it_is_the_textbooks_error() -> None:
    values = [1.0, 0, 1, 1, 0, 0.5]
    assert clustered(values, range(6)).stderr == pytest.approx(stdev(values) / sqrt(6))


def test_items_of_one_video_that_agree_count_as_one() -> None:
    apart = clustered([1.0, 0, 1, 0], "abcd").stderr
    together = clustered([1.0, 1, 0, 0] * 5, list("aabb") * 5).stderr
    assert apart and together and together > apart


def test_there_is_no_mean_of_nothing() -> None:
    with pytest.raises(ValueError, match="a mean of no values"):
        clustered([], [])
    with pytest.raises(ValueError):
        paired([1.0], [1.0, 0.0], "a")


def test_a_difference_of_two_runs() -> None:
    first, second = [0.0, 1, 0, 1, 0, 0, 1, 0], [1.0, 1, 1, 1, 0, 1, 1, 0]
    found = paired(first, second, "aabbccdd")
    assert (found.first, found.second, found.difference.mean) == (0.375, 0.75, 0.375)
    # clusters sum to 1, 1, 1, 0 of two items each: squares of their distance from 0.75, times 4/3, over 8
    stderr = sqrt((3 * 0.25**2 + 0.75**2) * 4 / 3) / 8
    assert found.difference.stderr == pytest.approx(stderr)
    assert found.p == pytest.approx(0.0027, abs=1e-4)


def test_equal_runs_differ_by_chance_only() -> None:
    assert paired([1.0, 0, 1], [1.0, 0, 1], "abc").p == 1.0
    assert paired([1.0, 0, 0], [0.0, 1, 0], "abc").p == 1.0
    assert paired([1.0, 0], [1.0, 1], "aa").p is None


def test_the_same_difference_in_every_video_is_no_certainty() -> None:
    """Its error is 0, and yet three videos that agree are no more than three tosses of a coin."""
    assert paired([0.0] * 3, [1.0] * 3, "abc").p == 0.25


@given(SCORES)
def test_turned_round_only_the_sign_changes(rows: list[tuple[float, str]]) -> None:
    clusters = [cluster for _, cluster in rows]
    first, second = [value for value, _ in rows], [float(cluster > "b") for cluster in clusters]
    there, back = paired(first, second, clusters), paired(second, first, clusters)
    assert there.difference.mean == -back.difference.mean and there.p == back.p
    assert there.p is None or 0 <= there.p <= 1
