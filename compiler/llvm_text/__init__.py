"""The `llvm` dialect as text of LLVM IR (LLVM 22).

In: a module of the `llvm` stage. Out: text that LLVM parses, for the whole module
(`module_text`) or for every kernel alone (`kernel_modules`), so that each is compiled and cached
by itself.
"""

from compiler.llvm_text.modules import kernel_modules, module_text

__all__ = ["INDIRECT_CALL", "kernel_modules", "module_text"]

INDIRECT_CALL = "call void %"
"""Stands in the text of what runs loops in parallel: by the address of `parallel_for`."""
