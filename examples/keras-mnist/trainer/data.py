"""The data set: pictures of one size with their classes, as Keras's `mnist.npz` has them."""

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .store import Store, StoreError, name

ARRAYS = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True)
class Data:
    """Pictures from 0 to 1, of shape (count, height, width, 1), and the numbers of their classes."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    #: SHA-256 of the file.
    digest: str

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return int(max(self.y_train.max(), self.y_test.max())) + 1


def load(store: Store, url: str) -> Data:
    """Downloads the data set and reads it."""
    if url.endswith("/"):
        url = _only_file(store, url)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "data.npz")
        store.download(url, file)
        return read(file, url)


def _only_file(store: Store, folder: str) -> str:
    files = [url for url in store.list(folder) if url.endswith(".npz")]
    if len(files) != 1:
        found = ", ".join(name(url) for url in files) or "none"
        raise StoreError(f"{folder} must hold one .npz file; there is {found}")
    return files[0]


def read(file: Path, url: str) -> Data:
    """Reads a data set. Pickled objects in it are refused: they could run a program."""
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    try:
        with np.load(file, allow_pickle=False) as arrays:
            missing = [name for name in ARRAYS if name not in arrays]
            if missing:
                raise StoreError(f"{url} has no {', '.join(missing)}")
            x_train, y_train, x_test, y_test = (arrays[name] for name in ARRAYS)
    except (ValueError, OSError) as error:
        raise StoreError(f"{url} is no data set that numpy can read: {error}") from error
    for part, x, y in (("train", x_train, y_train), ("test", x_test, y_test)):
        if x.ndim != 3 or y.shape != x.shape[:1] or not len(x):
            raise StoreError(f"{url}: x_{part} is {x.shape} and y_{part} is {y.shape}; expected (n, height, width) and (n,)")
    if x_train.shape[1:] != x_test.shape[1:]:
        raise StoreError(f"{url}: pictures to train with are {x_train.shape[1:]}, those to test with {x_test.shape[1:]}")
    most = float(x_train.max()) or 1.0

    def scaled(x: np.ndarray) -> np.ndarray:
        return (x / most).astype("float32")[..., None]

    return Data(scaled(x_train), y_train.astype("int32"), scaled(x_test), y_test.astype("int32"), digest)
