"""Training: it learns, it stops and goes on exactly, and it says what it did."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from trainer.checkpoint import Checkpoints
from trainer.data import load
from trainer.model import build
from trainer.settings import read
from trainer.store import Store
from trainer.training import Stopped, train

PROGRAM = Path(__file__).parent.parent


def settings_for(place: str, digits: Path, **more: str):
    told = {"HCB_INPUT_DATASET": digits.as_uri(), "HCB_OUTPUT_MODEL": place, "EPOCHS": "2", "BATCH_SIZE": "128"}
    return read(told | more)


def run(settings, stop_after: int | None = None, told: list[str] | None = None):
    """Trains in a fresh model, as a fresh process would, and returns its weights."""
    store = Store()
    data = load(store, settings.dataset)
    model = build(data, settings)
    fingerprint = {"data": data.digest, "model": model.to_json(), **settings.hyperparameters()}
    steps = iter(range(10**9))
    stop = (lambda: next(steps) + 1 == stop_after) if stop_after else (lambda: False)
    tell = told.append if told is not None else print
    progress = train(model, data, settings, Checkpoints(store, settings.checkpoints, fingerprint), stop, tell)
    return progress, [keras.ops.convert_to_numpy(variable) for variable in model.variables]


@pytest.mark.parametrize("stop_after", [1, 5, 12, 13, 20])
def test_a_training_that_was_stopped_goes_on_exactly(tmp_path, digits, stop_after):
    whole, expected = run(settings_for((tmp_path / "whole").as_uri(), digits))
    # 1,438 pictures in batches of 128 are 12 steps.
    settings = settings_for((tmp_path / "parts").as_uri(), digits)
    with pytest.raises(Stopped):
        run(settings, stop_after)
    told: list[str] = []
    progress, weights = run(settings, told=told)
    epoch, step = divmod(stop_after - 1, 12)
    assert told[0] == f"From the checkpoint: epoch {epoch + 1}, after step {step + 1}."
    assert progress.history == whole.history
    assert progress.resumed == 1
    for one, other in zip(weights, expected, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, "From the checkpoint: epoch 1, after step 3."),
        ({"EPOCHS": "3"}, "From the checkpoint: epoch 1, after step 3."),
        ({"LEARNING_RATE": "0.1"}, "From the start: the checkpoint is of other data or other parameters."),
    ],
)
def test_only_the_same_training_is_continued(tmp_path, digits, change, told):
    with pytest.raises(Stopped):
        run(settings_for(tmp_path.as_uri(), digits), 3)
    lines: list[str] = []
    run(settings_for(tmp_path.as_uri(), digits, **change), told=lines)
    assert lines[0] == told


def test_a_checkpoint_that_cannot_be_read_is_no_end(tmp_path, digits):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "checkpoint.npz").write_bytes(b"half of a")
    lines: list[str] = []
    run(settings_for(tmp_path.as_uri(), digits), told=lines)
    assert lines[0].startswith("From the start: the checkpoint cannot be read")


def program(place: str, digits: Path, **more: str) -> subprocess.Popen:
    told = {"HCB_INPUT_DATASET": digits.as_uri(), "HCB_OUTPUT_MODEL": place, "HCB_WORKLOAD": "digits"}
    command = [sys.executable, "train.py"]
    return subprocess.Popen(
        command, cwd=PROGRAM, env=os.environ | told | more, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def test_the_program_is_stopped_goes_on_and_leaves_a_model(place, digits, tmp_path):
    stopped = program(place, digits, EPOCHS="500")
    for line in stopped.stdout:
        if line.startswith("epoch 2/"):
            break
    stopped.send_signal(signal.SIGTERM)
    rest = stopped.communicate(timeout=60)[0]
    assert "has all that was done" in rest
    assert stopped.returncode == 143

    done = program(place, digits, EPOCHS="12")
    said = done.communicate(timeout=120)[0]
    if done.returncode == 0 and "From the checkpoint: epoch 13" in said:
        pytest.fail("it was stopped too late to prove anything")
    assert done.returncode == 0, said
    assert "From the checkpoint: epoch " in said

    store = Store()
    back = tmp_path / "back"
    back.mkdir()
    for name in ("model.keras", "metrics.json", "report.md"):
        store.download(place + name, back / name)
    assert not store.exists(place + "checkpoints/checkpoint.npz")
    metrics = json.loads((back / "metrics.json").read_text())
    assert metrics["accuracy"] >= 0.95
    assert (metrics["resumed"], len(metrics["history"])) == (1, metrics["epochs"])
    assert sum(map(sum, metrics["confusion"])) == 359
    assert (back / "report.md").read_text().startswith("# digits\n")

    data = load(store, digits.as_uri())
    model = keras.saving.load_model(back / "model.keras")
    assert model.evaluate(data.x_test, data.y_test, verbose=0, return_dict=True)["accuracy"] == pytest.approx(metrics["accuracy"])


def test_a_wrong_environment_ends_at_once(digits):
    wrong = program("s3://", digits, EPOCHS="x")
    assert "EPOCHS: `x` is no whole number" in wrong.communicate(timeout=60)[0]
    assert wrong.returncode == 2
