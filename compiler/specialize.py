"""Networks for models that say too little to be compiled once for all shapes.

An operator may need a size as a number, or an input may have no known rank. Such a model is
compiled for the shapes of each run's inputs, when they are first met.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

from xdsl.dialects.builtin import ArrayAttr, DictionaryAttr, ModuleOp, StringAttr
from xdsl.ir import Attribute

from compiler.driver import Request, read
from compiler.linking import metadata_entries, plain
from compiler.lowered import main_function
from compiler.signature import NodeArg, named_size, type_name
from dialects.onnx.types import dims_of, dtype_of, is_tensor
from passes.onnx.check_operators import UnsupportedOperators
from runtime.errors import InputError, UnsupportedError
from runtime.network import Network

log = logging.getLogger("terrace")

SHAPES_KEPT = 16

Shapes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Signature:
    """Inputs and outputs of a model as it declares them, and its metadata.

    ``is_open`` says whether all inputs are tensors, some with a shape that only a run tells.
    """

    inputs: list[NodeArg]
    outputs: list[NodeArg]
    metadata: Mapping[str, Any]
    is_open: bool


class Specialized:
    """Networks by the shapes of inputs; those used last are kept. ``reason`` says why."""

    def __init__(
        self, request: Request, load: Callable[[Request], Network], error: UnsupportedError
    ) -> None:
        module = read(request).module
        self.reason = error.message
        self.signature = _declared(module)
        if isinstance(error, UnsupportedOperators) or not self.signature.is_open:
            raise error
        log.warning(
            "%s cannot be compiled for all shapes (%s); it is compiled for those of each run",
            request.source.label,
            error.message,
        )
        self._request = request
        self._load = load
        self._lock = Lock()
        self._networks: OrderedDict[Shapes, Network] = OrderedDict()

    @property
    def shapes(self) -> list[dict[str, tuple[int, ...]]]:
        """The inputs' shapes of the networks that are kept."""
        names = [entry.name for entry in self.signature.inputs]
        return [dict(zip(names, shapes, strict=True)) for shapes in self._networks]

    def network(self, feed: Mapping[str, Any]) -> Network:
        """The network for the shapes of these inputs.

        Raises InputError for inputs that are missing or unknown, and what compiling raises.
        """
        names = [entry.name for entry in self.signature.inputs]
        if feed.keys() != set(names):
            raise InputError(f"inputs are {sorted(feed)}; expected {sorted(names)}")
        shapes = tuple(_shape(name, feed[name]) for name in names)
        with self._lock:
            found = self._networks.get(shapes)
            if found is None:
                found = self._load(
                    replace(self._request, shapes=dict(zip(names, shapes, strict=True)))
                )
                log.info("compiled %s for %s", self._request.source.label, shapes)
                self._networks[shapes] = found
                if len(self._networks) > SHAPES_KEPT:
                    self._networks.popitem(last=False)
            self._networks.move_to_end(shapes)
            return found


def _shape(name: str, value: Any) -> tuple[int, ...]:
    if not hasattr(value, "shape"):
        raise InputError(f"input '{name}' is a {type(value).__name__}, not an array")
    return tuple(value.shape)


def _declared(module: ModuleOp) -> Signature:
    main = main_function(module)
    names = plain(module.attributes.get("onnx.dim_params", DictionaryAttr({})))
    arguments, results = main.body.block.args, main.get_return_op()
    assert results is not None
    tensors = all(is_tensor(argument.type) for argument in arguments)
    sizes = [dims_of(argument.type) for argument in arguments]
    static = all(dims is not None and all(isinstance(d, int) for d in dims) for dims in sizes)
    return Signature(
        [
            _argument(entry, value.type, names)
            for entry, value in zip(_entries(main.arg_attrs), arguments, strict=True)
        ],
        [
            _argument(entry, entry.get("onnx.declared_type", value.type), names)
            for entry, value in zip(_entries(main.res_attrs), results.operands, strict=True)
        ],
        metadata_entries(module),
        tensors and not static,
    )


def _entries(attributes: ArrayAttr[DictionaryAttr] | None) -> list[Mapping[str, Attribute]]:
    return [entry.data for entry in attributes] if attributes is not None else []


def _argument(entry: Mapping[str, Attribute], kind: Attribute, names: Mapping[str, str]) -> NodeArg:
    name = entry["onnx.name"]
    assert isinstance(name, StringAttr)
    if not is_tensor(kind):
        return NodeArg(name.data, str(kind), [])
    dims = dims_of(kind) or ()
    sizes = [named_size(d if isinstance(d, int) else str(d), names) for d in dims]
    return NodeArg(name.data, type_name(dtype_of(kind).name), sizes)
