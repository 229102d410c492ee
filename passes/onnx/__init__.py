"""Passes on the `onnx` stage: a model as imported comes in, simplified and shaped for dispatches it goes out."""
