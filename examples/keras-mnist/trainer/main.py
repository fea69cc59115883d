"""From the environment to a model in the object store."""

import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from . import report
from .checkpoint import Checkpoints
from .data import load
from .settings import SettingsError, read
from .store import Store, StoreError

#: As a shell reports a program that SIGTERM ended: the training is not done.
STOPPED = 128 + signal.SIGTERM
FAILED = 1
MISUSED = 2


def main(environment: Mapping[str, str]) -> int:
    """Trains, and returns the exit code."""
    try:
        settings = read(environment)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return MISUSED
    # A pod that is evicted gets SIGTERM, and half a minute.
    asked_to_stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: asked_to_stop.append(number))
    try:
        return _run(settings, lambda: bool(asked_to_stop))
    except StoreError as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED


def _run(settings, stop) -> int:
    store = Store(settings.addressing)
    say(f"downloading {settings.dataset}")
    data = load(store, settings.dataset)
    say(f"{len(data.x_train)} pictures to train with, {len(data.x_test)} to test with, {data.classes} classes")

    # Keras takes seconds to import; a wrong environment is told of before.
    from .model import build
    from .training import Stopped, train

    model = build(data, settings)
    fingerprint = {"data": data.digest, "model": model.to_json(), **settings.hyperparameters()}
    checkpoints = Checkpoints(store, settings.checkpoints, fingerprint)
    try:
        progress = train(model, data, settings, checkpoints, stop, say)
    except Stopped:
        say(f"stopped; {checkpoints.url} has all that was done")
        return STOPPED

    values = report.metrics(model, data, settings, progress)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "model.keras")
        model.save(file)
        store.upload(file, settings.output + file.name)
    store.upload_text(report.as_json(values), settings.output + "metrics.json")
    store.upload_text(report.page(values), settings.output + "report.md")
    # Only now: until the model is there, the checkpoint is all there is.
    checkpoints.remove()
    say(f"accuracy {values['accuracy']:.4f}; the model is {settings.output}model.keras")
    return 0


def say(text: str) -> None:
    """Prints a line at once: logs are followed live."""
    print(text, flush=True)
