"""Passes on the `onnx` stage: an imported model comes in, dispatches go out."""
