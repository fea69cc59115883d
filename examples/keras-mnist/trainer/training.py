"""The training itself, step by step, so that it can stop and go on after any step."""

import time
from collections.abc import Callable, Iterator

import keras
import numpy as np

from .checkpoint import Checkpoints, Progress
from .data import Data
from .settings import Settings

#: Seconds between lines about the progress within an epoch.
TELL_EVERY = 5.0


class Stopped(Exception):
    """The training was asked to stop, and its state is saved."""


def train(
    model: keras.Model,
    data: Data,
    settings: Settings,
    checkpoints: Checkpoints,
    stop: Callable[[], bool] = lambda: False,
    tell: Callable[[str], None] = print,
) -> Progress:
    """Trains from the last checkpoint on, or from the start.

    Raises [`Stopped`] after a last checkpoint where `stop` says so.
    """
    steps = -(-len(data.x_train) // settings.batch_size)
    progress, origin = checkpoints.restore(model)
    tell(f"{origin[0].upper()}{origin[1:]}.")
    clock = _Clock(settings.checkpoint_seconds)
    while progress.epoch < settings.epochs:
        for step, (x, y) in _batches(data, settings, progress):
            # Keras forgets what it measured with each of these, so the means are kept here.
            progress.add(model.train_on_batch(x, y, return_dict=True), len(x))
            progress.step = step + 1
            progress.seconds += clock.lap()
            if clock.is_time_to_tell():
                tell(_line(progress, settings, steps))
            if stop():
                checkpoints.save(model, progress)
                raise Stopped
            if clock.is_time_to_save():
                checkpoints.save(model, progress)
                clock.saved()
        measured = progress.means()
        tested = model.evaluate(data.x_test, data.y_test, batch_size=256, verbose=0, return_dict=True)
        measured |= {f"test_{name}": float(value) for name, value in tested.items()}
        progress.history.append(measured)
        progress.next_epoch()
        progress.seconds += clock.lap()
        tell(f"epoch {progress.epoch}/{settings.epochs}: " + _numbers(measured))
    return progress


def _batches(data: Data, settings: Settings, progress: Progress) -> Iterator[tuple[int, tuple]]:
    """The batches of the next epoch that are not done. Their order depends on seed and epoch alone."""
    order = np.random.default_rng((settings.seed, progress.epoch)).permutation(len(data.x_train))
    size = settings.batch_size
    for step in range(progress.step, -(-len(order) // size)):
        chosen = order[step * size : (step + 1) * size]
        yield step, (data.x_train[chosen], data.y_train[chosen])


def _line(progress: Progress, settings: Settings, steps: int) -> str:
    where = f"epoch {progress.epoch + 1}/{settings.epochs}, step {progress.step}/{steps}: "
    return where + _numbers(progress.means())


def _numbers(values: dict) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {float(value):.4f}" for name, value in values.items())


class _Clock:
    def __init__(self, save_every: float) -> None:
        self._save_every = save_every
        now = time.monotonic()
        self._lap = self._saved = self._told = now

    def lap(self) -> float:
        before, self._lap = self._lap, time.monotonic()
        return self._lap - before

    def is_time_to_save(self) -> bool:
        return time.monotonic() - self._saved >= self._save_every

    def saved(self) -> None:
        self._saved = time.monotonic()

    def is_time_to_tell(self) -> bool:
        if time.monotonic() - self._told < TELL_EVERY:
            return False
        self._told = time.monotonic()
        return True
