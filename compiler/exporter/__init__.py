"""Modules of the `onnx` stage go out again as ONNX models.

Node names, domains, metadata, functions, subgraphs and symbolic sizes come back as they were; the
types of values are the IR's. Every domain gets one opset under which all its operations have the
version they have in the IR: the imported one where that holds, else the smallest. Constants are
initializers, or `Constant` nodes where they came from such nodes. Exporters' stack traces go
where `compiler.importer` finds them; other metadata and doc strings of single nodes are not kept.
"""

from compiler.exporter.saving import export_model, save_model

__all__ = ["export_model", "save_model"]
