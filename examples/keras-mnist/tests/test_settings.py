"""What the environment says."""

import pytest

from trainer.settings import SettingsError, read

LEAST = {"HCB_INPUT_DATASET": "s3://data/digits.npz", "HCB_OUTPUT_MODEL": "s3://models/digits"}


def test_what_is_left_out_has_a_default():
    settings = read(LEAST)
    assert settings.output == "s3://models/digits/"
    assert settings.checkpoints == "s3://models/digits/checkpoints/"
    assert (settings.epochs, settings.batch_size, settings.addressing) == (12, 32, "path")


def test_what_hcb_compiles_is_taken():
    told = {"HCB_CHECKPOINTS": "s3://elsewhere/", "EPOCHS": "3", "LEARNING_RATE": "0.01", "HCB_S3_ADDRESSING": "virtual"}
    settings = read(LEAST | told)
    assert settings.checkpoints == "s3://elsewhere/"
    assert (settings.epochs, settings.learning_rate, settings.addressing) == (3, 0.01, "virtual")


def test_all_mistakes_are_told_at_once():
    with pytest.raises(SettingsError) as told:
        read({"HCB_INPUT_DATASET": "/data", "EPOCHS": "many", "BATCH_SIZE": "0", "LEARNING_RATE": "nan", "HCB_S3_ADDRESSING": "x"})
    assert str(told.value).splitlines() == [
        "HCB_OUTPUT_MODEL is not set; hcb sets it from `data` of the workload",
        "HCB_INPUT_DATASET: `/data` is neither s3://BUCKET/KEY nor file:///PATH",
        "EPOCHS: `many` is no whole number",
        "BATCH_SIZE: 0 is too little; at least 1",
        "LEARNING_RATE: nan is too little; at least 1e-09",
        "HCB_S3_ADDRESSING: `x` is neither `path` nor `virtual`",
    ]


def test_more_epochs_are_no_other_training_and_another_rate_is():
    def parameters(**told):
        return read(LEAST | told).hyperparameters()

    assert parameters(EPOCHS="5") == parameters(EPOCHS="9")
    assert parameters(LEARNING_RATE="0.1") != parameters(LEARNING_RATE="0.2")
