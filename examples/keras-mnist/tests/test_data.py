"""Data sets: the one of the example, and broken ones."""

import numpy as np
import pytest

import make_dataset
from trainer.data import load
from trainer.store import Store, StoreError


def test_the_data_set_is_the_same_each_time(digits, tmp_path):
    make_dataset.write(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == digits.read_bytes()


def test_pictures_are_scaled_and_split(place, digits):
    store = Store()
    store.upload(digits, place + "digits.npz")
    data = load(store, place + "digits.npz")
    assert data.x_train.shape == (1438, 8, 8, 1) and data.x_test.shape == (359, 8, 8, 1)
    assert (data.x_train.min(), data.x_train.max()) == (0.0, 1.0)
    assert data.classes == 10
    # A folder with one data set is as good.
    assert load(store, place).digest == data.digest
    store.upload(digits, place + "more.npz")
    with pytest.raises(StoreError, match="must hold one .npz file; there is digits.npz, more.npz"):
        load(store, place)


GOOD = {"x_train": np.ones((4, 8, 8)), "y_train": np.ones(4), "x_test": np.ones((2, 8, 8)), "y_test": np.ones(2)}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"y_test": None}, "has no y_test"),
        ({"x_train": np.ones((4, 64))}, r"x_train is \(4, 64\)"),
        ({"y_train": np.ones(3)}, r"y_train is \(3,\)"),
        ({"x_test": np.ones((2, 9, 9))}, r"those to test with \(9, 9\)"),
        ({"y_test": np.array([print, print], dtype=object)}, "is no data set that numpy can read"),
    ],
)
def test_a_broken_data_set_is_told(tmp_path, change, told):
    arrays = {name: value for name, value in (GOOD | change).items() if value is not None}
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(StoreError, match=told):
        load(Store(), (tmp_path / "x.npz").as_uri())


def test_what_is_no_archive_is_told(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"not a zip")
    with pytest.raises(StoreError, match="is no data set that numpy can read"):
        load(Store(), (tmp_path / "x.npz").as_uri())
