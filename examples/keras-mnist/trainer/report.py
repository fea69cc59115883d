"""What is said of a trained model: numbers for programs, and a page for people."""

import json

import keras
import numpy as np

from .checkpoint import Progress
from .data import Data
from .settings import Settings


def metrics(model: keras.Model, data: Data, settings: Settings, progress: Progress) -> dict:
    """The numbers."""
    predicted = model.predict(data.x_test, batch_size=256, verbose=0).argmax(axis=1)
    confusion = np.zeros((data.classes, data.classes), dtype=int)
    np.add.at(confusion, (data.y_test, predicted), 1)
    return {
        "workload": settings.workload,
        "accuracy": float((predicted == data.y_test).mean()),
        "epochs": progress.epoch,
        "resumed": progress.resumed,
        "seconds": round(progress.seconds, 1),
        "parameters": int(model.count_params()),
        "hyperparameters": settings.hyperparameters(),
        "data": {
            "url": settings.dataset,
            "sha256": data.digest,
            "train": len(data.x_train),
            "test": len(data.x_test),
        },
        "history": progress.history,
        "confusion": confusion.tolist(),
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
    }


def as_json(values: dict) -> str:
    """The numbers as JSON."""
    return json.dumps(values, indent=2) + "\n"


def page(values: dict) -> str:
    """The report, in Markdown."""
    data, confusion = values["data"], np.array(values["confusion"])
    lines = [
        f"# {values['workload']}",
        "",
        f"**{values['accuracy']:.2%}** of {data['test']} pictures that it had not seen are told right. "
        f"Trained on {data['train']} pictures, {values['epochs']} epochs in {values['seconds']} s"
        + (f", taken up again {values['resumed']} times." if values["resumed"] else "."),
        "",
        f"Keras {values['keras']} on {values['backend']}; {values['parameters']} parameters; "
        + ", ".join(f"{name} {value}" for name, value in values["hyperparameters"].items())
        + ".",
        f"Data: `{data['url']}`, SHA-256 `{data['sha256']}`.",
        "",
        "| epoch | loss | accuracy | test loss | test accuracy |",
        "| ---: | ---: | ---: | ---: | ---: |",
    ]
    for number, epoch in enumerate(values["history"], 1):
        cells = (epoch["loss"], epoch["accuracy"], epoch["test_loss"], epoch["test_accuracy"])
        lines.append(f"| {number} | " + " | ".join(f"{cell:.4f}" for cell in cells) + " |")
    lines += ["", "| class | pictures | told right | most often taken for |", "| ---: | ---: | ---: | --- |"]
    for kind, row in enumerate(confusion):
        others = row.copy()
        others[kind] = 0
        mistaken = f"{others.argmax()} ({others.max()})" if others.any() else ""
        share = row[kind] / row.sum() if row.sum() else 0.0
        lines.append(f"| {kind} | {row.sum()} | {share:.1%} | {mistaken} |")
    return "\n".join(lines) + "\n"
