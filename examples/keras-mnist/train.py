"""Trains a classifier of small pictures: data from the object store, model to the object store.

All that it is told is in the environment that hcb compiles; see README.md beside this file.
"""

import os
import sys

# Keras reads it when it is first imported.
os.environ.setdefault("KERAS_BACKEND", "jax")

from trainer.main import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main(os.environ))
