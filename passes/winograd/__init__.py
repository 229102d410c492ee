"""Winograd's minimal filtering for convolutions with 3x3 kernels.

`matrices` has the transformations, `integers` those of integers, `cost` says what they cost on a
target. Used by
`onnx-apply-winograd`, which decides, and by the lowering of `onnx.WinogradConv`.
"""
