"""The models that benchmarks run: well-known architectures with random weights.

Each file builds one family with plain `onnx.helper`, as `torch.onnx.export` writes it: the layers'
real shapes, batch normalization folded into convolutions, attention and activations spelled out.
Weights are drawn from a generator whose seed is the model's name, and scaled so that activations
keep their size from layer to layer. `catalog` knows all of them, `folder` writes one.
"""
