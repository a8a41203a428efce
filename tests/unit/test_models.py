"""The two trained models: alike on the tutorial's request, different on one flower, and safe in the cache."""

from __future__ import annotations

import threading
from pathlib import Path

import joblib
import pytest
from sklearn.datasets import load_iris

from kserve_nb.clusters.embedded.node.runtime import iris_models

NAMES = ("model", "model-2")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(iris_models, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache"


def test_both_models_give_the_same_answer_to_the_tutorials_request() -> None:
    answers = [iris_models.train(name).predict(iris_models.PAYLOAD).tolist() for name in NAMES]

    assert answers == [[1, 1], [1, 1]]


def test_they_disagree_on_one_named_flower_and_the_second_is_right() -> None:
    features, species = load_iris(return_X_y=True)
    answers = [int(iris_models.train(name).predict([iris_models.DISAGREEMENT])[0]) for name in NAMES]

    row = features.tolist().index(iris_models.DISAGREEMENT)
    assert answers == [1, 2] and species[row] == 2


def test_the_second_is_the_better_one() -> None:
    features, species = load_iris(return_X_y=True)

    scores = [iris_models.train(name).score(features, species) for name in NAMES]

    assert 0.95 < scores[0] < scores[1]


@pytest.mark.parametrize(("uri", "name"), [
    ("gs://kfserving-examples/models/sklearn/1.0/model", "model"),
    ("gs://kfserving-examples/models/sklearn/1.0/model-2", "model-2"),
    ("gs://kserve-examples/models/sklearn/1.0/model", "model"),
    ("gs://kserve-examples/models/sklearn/1.0/model-2/", "model-2"),
    ("gs://kfserving-examples/models/sklearn/1.0/model-3", None),
    ("gs://kfserving-examples/models/xgboost/iris", None),
    ("s3://kfserving-examples/models/sklearn/1.0/model", None),
])
def test_the_tutorials_addresses_mean_them(uri: str, name: str | None) -> None:
    assert iris_models.name_of(uri) == name


def test_many_at_once_write_whole_files(cache: Path, tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.joblib" for number in range(8)]
    threads = [threading.Thread(target=iris_models.save, args=("model-2", file)) for file in files]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all(joblib.load(file).predict([iris_models.DISAGREEMENT])[0] == 2 for file in files)
    assert [file.name for file in (cache / "model-2").iterdir()] == [iris_models.FILE]


def test_a_cache_that_cannot_be_written_is_done_without(cache: Path, tmp_path: Path) -> None:
    cache.write_text("a file where a folder should be")
    file = tmp_path / "model.joblib"

    iris_models.save("model", file)

    assert joblib.load(file).predict([iris_models.DISAGREEMENT])[0] == 1
