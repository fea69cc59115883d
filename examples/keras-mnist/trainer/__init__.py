"""The parts of the training program: settings, store, data, model, checkpoints, training, report."""
