"""Networks: programs on a device, ready to run."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from runtime.arguments import accept, accept_output, check_shape
from runtime.dtypes import numpy_dtype
from runtime.errors import InputError
from runtime.hal import open_device
from runtime.hal.device import Device
from runtime.manifest import TensorSpec
from runtime.memory import Span, address_of, check_disjoint
from runtime.plan import Plan
from runtime.program import Program
from runtime.recycling import Recycler

_ndarray = np.ndarray


def load(
    program: str | os.PathLike[str] | Program,
    device: str | Device = "cpu",
    verify: bool | None = None,
) -> Network:
    """Loads a program, or the program file at a path, on a device.

    ``device`` is a URI such as ``cpu:threads=1``; ``verify`` is as for ``Program.load``.

    Raises:
        InvalidModelError: the file is no program file, or damaged.
        DeviceError: no such device, or the program is compiled for another one.
        OSError: the file cannot be opened.
    """
    if not isinstance(program, Program):
        program = Program.load(program, verify)
    return Network(program, device)


class Network:
    """A program loaded on a device. Any number of threads may run it at a time.

    Inputs are numpy arrays of exactly the dtype and shape that ``inputs`` asks for, or anything
    with ``__dlpack__`` or ``__array_interface__``; they are copied only if they are not contiguous,
    aligned and native. Outputs are new arrays on 64-byte boundaries.

    Every run raises InputError for inputs that do not fit (missing, unknown, wrong dtype, rank or
    size), and what the program itself reports: InputError, DeviceError or InternalError, naming the
    node.
    """

    def __init__(self, program: Program, device: str | Device = "cpu") -> None:
        self.device = open_device(device) if isinstance(device, str) else device
        self.program = program
        self.executable = self.device.load(program)
        self._plan = self.executable.plan
        self._invoke = self.executable.invoke
        self._block = Recycler(len(program.outputs)).block
        self._dtypes = tuple(numpy_dtype(spec.dtype) for spec in program.inputs)
        self._input_names = tuple(spec.name for spec in program.inputs)
        self._pick = _picker(self._input_names)
        self._output_names = tuple(spec.name for spec in program.outputs)

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """Name, dtype and shape of every input, in order."""
        return self.program.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """Name, dtype and shape of every output, in order."""
        return self.program.outputs

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What the model says about itself: producer, graph name, version, custom entries."""
        return self.program.metadata

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the program file; see ``Program.save``."""
        self.program.save(path)

    def __call__(self, *arrays: Any, **named: Any) -> Any:
        """Runs on inputs in order or by name. One output is an array, several are a tuple."""
        in_order = not named and len(arrays) == len(self._dtypes)
        results = self._run(arrays if in_order else self._in_order(arrays, named))
        return results[0] if len(results) == 1 else tuple(results)

    def run(self, feed: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Runs on inputs by name and gives the outputs by name."""
        return dict(zip(self._output_names, self.run_in_order(feed), strict=True))

    def run_in_order(self, feed: Mapping[str, Any]) -> list[np.ndarray]:
        """Runs on inputs by name and gives all outputs, in order."""
        return self._run(self._by_name(feed))

    def run_into(self, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> None:
        """Runs and writes all outputs into the caller's arrays, which must not share memory.

        They must be contiguous, aligned to their elements, writeable and of the outputs' dtypes and
        shapes. An output whose size only the data tell is copied into its array, which must have
        that size.
        """
        _check_names("output", self._output_names, outputs)
        arrays = self._accept_all(self._by_name(inputs))
        plan = self._plan(tuple(array.shape for array in arrays))
        targets = self._targets(plan, outputs)
        read = _spans("input", self._input_names, arrays)
        written = _spans("output", self._output_names, targets)
        check_disjoint(read, written)
        addresses = [address for _, address, _ in written]
        for index in plan.unknown:
            addresses[index] = 0
        created = self._invoke(plan, [address for _, address, _ in read], addresses)
        for index, result in created or ():
            check_shape(self.outputs[index], result.shape, targets[index].shape)
            np.copyto(targets[index], result)

    # The hot path: no call here that a small model's run would feel.
    def _run(self, arrays: Sequence[Any]) -> list[np.ndarray]:
        shapes = []
        sources = []
        for array, dtype in zip(arrays, self._dtypes, strict=True):
            if type(array) is not _ndarray or array.dtype is not dtype:
                return self._run(self._accept_all(arrays))
            flags = array.flags
            if not (flags.c_contiguous and flags.aligned):
                return self._run(self._accept_all(arrays))
            shapes.append(array.shape)
            sources.append(address_of(array))
        plan = self._plan(tuple(shapes))
        results: list[Any] = []
        targets = []
        for shape, dtype, nbytes in plan.outputs:
            if -1 in shape:
                result, target = None, 0
            else:
                result, target = self._block(shape, dtype, nbytes)
            results.append(result)
            targets.append(target)
        created = self._invoke(plan, sources, targets)
        if created is not None:
            for index, array in created:
                results[index] = array
        return results

    def _accept_all(self, arrays: Sequence[Any]) -> list[np.ndarray]:
        specs = zip(self.inputs, self._dtypes, arrays, strict=True)
        return [accept(spec, dtype, array) for spec, dtype, array in specs]

    def _by_name(self, feed: Mapping[str, Any]) -> Sequence[Any]:
        """The inputs in the signature's order."""
        if len(feed) != len(self._dtypes):
            return self._in_order((), feed)
        try:
            return self._pick(feed)
        except KeyError:
            return self._in_order((), feed)

    def _in_order(self, arrays: Sequence[Any], named: Mapping[str, Any]) -> list[Any]:
        """The inputs in the signature's order, the first from ``arrays``, the rest by name."""
        if len(arrays) > len(self._input_names):
            raise InputError(
                f"{len(arrays)} inputs are given, the network has {len(self._input_names)}: "
                f"{_list(self._input_names)}"
            )
        if doubles := named.keys() & set(self._input_names[: len(arrays)]):
            raise InputError(f"input {_list(sorted(doubles))} is given by position and by name")
        rest = self._input_names[len(arrays) :]
        _check_names("input", rest, named)
        return [*arrays, *(named[name] for name in rest)]

    def _targets(self, plan: Plan, outputs: Mapping[str, Any]) -> list[np.ndarray]:
        return [
            accept_output(spec, dtype, shape, outputs[spec.name])
            for spec, (shape, dtype, _) in zip(self.outputs, plan.outputs, strict=True)
        ]

    def __repr__(self) -> str:
        inputs = ", ".join(map(str, self.inputs))
        outputs = ", ".join(map(str, self.outputs))
        return f"<Network ({inputs}) -> ({outputs}) on {self.device.uri}>"


def _picker(names: Sequence[str]) -> Callable[[Mapping[str, Any]], Sequence[Any]]:
    """What takes the values of some keys out of a mapping, in order."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda feed: [feed[name] for name in names]


def _check_names(kind: str, expected: Sequence[str], given: Mapping[str, Any]) -> None:
    missing = [name for name in expected if name not in given]
    unknown = [name for name in given if name not in expected]
    problems = [f"missing {_list(missing)}"] if missing else []
    problems += [f"unknown {_list(unknown)}"] if unknown else []
    if problems:
        raise InputError(f"{kind}s: {'; '.join(problems)}; expected {_list(expected)}")


def _spans(kind: str, names: Sequence[str], arrays: Sequence[np.ndarray]) -> list[Span]:
    return [
        (f"{kind} '{name}'", address_of(array), array.nbytes)
        for name, array in zip(names, arrays, strict=True)
    ]


def _list(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names) if names else "none"
