"""Writes `digits.npz`, a data set in the form of Keras's `mnist.npz`, without a download.

It holds 1,797 handwritten digits of 8 by 8 pixels, from the test set of "Optical Recognition of
Handwritten Digits" (E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, CC BY 4.0), which
scikit-learn ships.
"""

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

TEST_SHARE = 0.2


def write(path: Path) -> None:
    """Writes the data set; the same bytes each time."""
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    pictures, classes = digits.images[order].astype("uint8"), digits.target[order].astype("uint8")
    test = int(len(order) * TEST_SHARE)
    np.savez_compressed(
        path,
        x_train=pictures[test:],
        y_train=classes[test:],
        x_test=pictures[:test],
        y_test=classes[:test],
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python make_dataset.py FILE.npz")
    write(Path(sys.argv[1]))
    print(f"wrote {sys.argv[1]}")
