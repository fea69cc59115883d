"""What the environment says: where the data is, where results go, and how to train."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TypeVar

N = TypeVar("N", int, float)


class SettingsError(Exception):
    """The environment cannot be used; the text has one line for each mistake."""


@dataclass(frozen=True)
class Settings:
    """A training run."""

    workload: str
    #: URL of an `.npz` file, or of a folder (it ends in `/`) with one in it.
    dataset: str
    #: URL of the folder that gets the model, its metrics and the report.
    output: str
    #: URL of the folder of the checkpoint.
    checkpoints: str
    epochs: int
    batch_size: int
    learning_rate: float
    seed: int
    #: Seconds between checkpoints.
    checkpoint_seconds: float
    #: `path` or `virtual`: where the name of the bucket stands in requests.
    addressing: str

    def hyperparameters(self) -> dict[str, object]:
        """What must be the same for a checkpoint to be continued. More epochs are no other training."""
        chosen = ("batch_size", "learning_rate", "seed")
        return {name: value for name, value in asdict(self).items() if name in chosen}


def read(environment: Mapping[str, str]) -> Settings:
    """Reads the settings; says everything that is wrong at once."""
    problems: list[str] = []

    def url(name: str, default: str | None = None, folder: bool = False) -> str:
        value = environment.get(name, default)
        if not value:
            problems.append(f"{name} is not set; hcb sets it from `data` of the workload")
            return ""
        if not value.startswith(("s3://", "file://")):
            problems.append(f"{name}: `{value}` is neither s3://BUCKET/KEY nor file:///PATH")
        return value if value.endswith("/") or not folder else value + "/"

    def number(name: str, default: N, kind: Callable[[str], N], least: N) -> N:
        text = environment.get(name, str(default))
        try:
            value = kind(text)
        except ValueError:
            problems.append(f"{name}: `{text}` is no {'whole ' if kind is int else ''}number")
            return default
        if not value >= least:
            problems.append(f"{name}: {text} is too little; at least {least}")
        return value

    output = url("HCB_OUTPUT_MODEL", folder=True)
    settings = Settings(
        workload=environment.get("HCB_WORKLOAD", "training"),
        dataset=url("HCB_INPUT_DATASET"),
        output=output,
        checkpoints=url("HCB_CHECKPOINTS", f"{output or 's3://'}checkpoints/", folder=True),
        epochs=number("EPOCHS", 12, int, 1),
        batch_size=number("BATCH_SIZE", 32, int, 1),
        learning_rate=number("LEARNING_RATE", 0.001, float, 1e-9),
        seed=number("SEED", 1, int, 0),
        checkpoint_seconds=number("CHECKPOINT_SECONDS", 30.0, float, 0.0),
        addressing=environment.get("HCB_S3_ADDRESSING", "path"),
    )
    if settings.addressing not in ("path", "virtual"):
        problems.append(f"HCB_S3_ADDRESSING: `{settings.addressing}` is neither `path` nor `virtual`")
    if problems:
        raise SettingsError("\n".join(dict.fromkeys(problems)))
    return settings
