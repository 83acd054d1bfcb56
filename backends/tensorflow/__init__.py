"""TensorFlow: serves SavedModels (`model.savedmodel/`)."""
