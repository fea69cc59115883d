"""The model: a small convolutional network for pictures from 8 by 8 on."""

import keras

from .data import Data
from .settings import Settings


def build(data: Data, settings: Settings) -> keras.Model:
    """A compiled model with weights that depend on the seed alone."""
    # Names of layers are numbered through a process; a model is the same in every one.
    keras.utils.clear_session()
    keras.utils.set_random_seed(settings.seed)
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input(data.x_train.shape[1:]),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.25, seed=settings.seed),
            layers.Dense(64, activation="relu"),
            layers.Dense(data.classes, activation="softmax"),
        ],
        name="digits",
    )
    model.compile(
        optimizer=keras.optimizers.Adam(settings.learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model
