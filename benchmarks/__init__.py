"""Measurements: how fast models run beside onnxruntime, and what compiling them costs.

    python -m benchmarks write             models with real shapes and random weights
    python -m benchmarks models DIR        our time and onnxruntime's, model by model
    python -m benchmarks roofline DIR      every kernel beside what the machine could do
    python -m benchmarks compile DIR       compile time by phase, cold and from the cache
    python -m benchmarks matmul            products with constant weights, share of the peak
    python -m benchmarks conv              convolutions, share of the peak
    python -m benchmarks overhead          the cost of one call of a tiny model
    python -m benchmarks gpt2 MODEL.onnx   logits, prefill, decode, compile time, memory

Parameters go from `__main__` to a command's file, which has each measurement done by a process of
its own (`child`), as rows with names and units (`table`), and keeps them as JSON (`results`) that
a later run compares with (`baseline`). See docs/benchmarks.md.
"""
