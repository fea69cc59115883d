"""Checkpoints: all state of a training, so that it goes on as if it had never stopped.

One object holds everything, and an object store replaces an object as a whole. So whatever ends the
program, and whenever, the checkpoint is a whole one.
"""

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import keras
import numpy as np

from .store import Store, StoreError

FILE = "checkpoint.npz"
FORMAT = 1


@dataclass
class Progress:
    """How far a training is."""

    #: Epochs that are done.
    epoch: int = 0
    #: Steps of the next epoch that are done.
    step: int = 0
    #: Pictures of the next epoch that were seen, and the sums of what was measured on them.
    seen: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    #: What was measured after each epoch.
    history: list[dict[str, float]] = field(default_factory=list)
    #: Seconds of training so far, in all runs.
    seconds: float = 0.0
    #: How often the training was taken up again.
    resumed: int = 0

    def add(self, measured: Mapping[str, float], count: int) -> None:
        """Counts what was measured on a batch."""
        self.seen += count
        for name, value in measured.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value) * count

    def means(self) -> dict[str, float]:
        """What was measured, over the epoch so far."""
        return {name: total / self.seen for name, total in self.sums.items()}

    def next_epoch(self) -> None:
        """The epoch is done."""
        self.epoch, self.step, self.seen, self.sums = self.epoch + 1, 0, 0, {}


class Checkpoints:
    """The checkpoint of one training."""

    def __init__(self, store: Store, folder: str, fingerprint: Mapping[str, object]) -> None:
        self._store = store
        self.url = folder + FILE
        text = json.dumps({"format": FORMAT, **fingerprint}, sort_keys=True)
        self._fingerprint = hashlib.sha256(text.encode()).hexdigest()

    def save(self, model: keras.Model, progress: Progress) -> None:
        """Saves the state."""
        arrays = {f"v{index}": keras.ops.convert_to_numpy(variable) for index, variable in enumerate(_variables(model))}
        head = {"fingerprint": self._fingerprint, "progress": asdict(progress)}
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, FILE)
            np.savez(file, head=np.array(json.dumps(head)), **arrays)
            self._store.upload(file, self.url)

    def restore(self, model: keras.Model) -> tuple[Progress, str]:
        """Puts the state into the model. Returns the progress, and in words where it comes from.

        A checkpoint of another training, or one that cannot be read, is left alone until the next save.
        """
        if not self._store.exists(self.url):
            return Progress(), "from the start: there is no checkpoint"
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, FILE)
            self._store.download(self.url, file)
            try:
                with np.load(file, allow_pickle=False) as arrays:
                    head = json.loads(str(arrays["head"]))
                    values = [arrays[f"v{index}"] for index in range(len(arrays) - 1)]
                progress = Progress(**head["progress"])
            except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
                return Progress(), f"from the start: the checkpoint cannot be read ({error})"
        if head["fingerprint"] != self._fingerprint:
            return Progress(), "from the start: the checkpoint is of other data or other parameters"
        variables = _variables(model)
        if [value.shape for value in values] != [tuple(variable.shape) for variable in variables]:
            return Progress(), "from the start: the checkpoint is of another model"
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        progress.resumed += 1
        return progress, f"from the checkpoint: epoch {progress.epoch + 1}, after step {progress.step}"

    def remove(self) -> None:
        """Removes the checkpoint of a training that is done."""
        try:
            self._store.delete(self.url)
        except StoreError as error:
            print(f"the checkpoint was not removed: {error}", flush=True)


def _variables(model: keras.Model) -> list:
    """Weights, the states of random generators, and the optimizer's state."""
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    return [*model.variables, *model.optimizer.variables]
