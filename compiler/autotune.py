"""Schedules that are measured: what `--autotune` does between `lower-krnl` and `krnl-schedule`.

`krnl-schedule` decides by a description of the machine: how many registers, how large the first
cache. A kernel may run faster on a schedule for another one, say with fewer registers, which makes
lower tiles. So each kernel that does enough is scheduled for some such machines, and those
schedules that differ are compiled and timed on this one, each as a program of its own, on one
thread. The best stands on the kernel, for the pass to take and for people to read:

    func.func @conv1x1(...) attributes {krnl.kernel, krnl.tuned = {registers = 8 : i64}}

It is kept in the cache under the kernel's text, so that no kernel is measured twice. Results do
not depend on it, but for the order in which floats are added.
"""

from __future__ import annotations

import json
from collections.abc import Container, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from xdsl.dialects.builtin import (
    DYNAMIC_INDEX,
    ArrayAttr,
    DictionaryAttr,
    MemRefType,
    ModuleOp,
    StringAttr,
)
from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, Region, SSAValue
from xdsl.passes import ModulePass

from compiler.kernels import independent_kernels
from compiler.lowered import Lowered, remaining_passes
from compiler.model_cache import compiler_identity
from compiler.object_cache import ObjectCache, content_key
from compiler.pipeline import Observer, make_pass, run_passes
from compiler.report import Report
from compiler.timing import interleave
from dialects import hal, krnl
from passes.krnl.nests import work_of
from passes.krnl.schedule import TUNED, ScheduleKrnl
from runtime.dtypes import numpy_dtype
from runtime.errors import InputError

if TYPE_CHECKING:
    from runtime.network import Network

Choice = dict[str, int]
"""Options of `krnl-schedule` that are not as for all other kernels."""

LEAST_WORK = 200_000
"""Scalar operations of a kernel from which on it is measured: some 20 us."""

SECONDS = 0.05
"""Each schedule is timed so long, or a few blocks of runs."""

WORTHWHILE = 0.97
"""The most of the usual schedule's time that is worth another one: less is noise."""


def tune(low: Lowered, observers: Sequence[Observer], verified: Container[str]) -> None:
    """Brings a module to the `krnl` stage, in place, with the schedules that are the fastest here.

    ``observers`` and ``verified`` are as for `compiler.pipeline.run_passes`.

    Raises:
        InputError: the module has schedules already.
        DeviceError: this machine cannot run code for the target.
    """
    passes = [make_pass(text) for text in remaining_passes(low.module, "krnl", low.target)]
    places = [place for place, each in enumerate(passes) if isinstance(each, ScheduleKrnl)]
    if not places:
        raise InputError(
            "there are no schedules to choose: the module stands below krnl-schedule",
            hint="start from the model, or leave --autotune out",
        )
    (place,) = places
    run_passes(low.module, low.ctx, passes[:place], low.report, low.stage, observers, verified)
    schedule = passes[place]
    assert isinstance(schedule, ScheduleKrnl)
    _Tuning(low, schedule, passes[place + 1 :]).run()
    run_passes(low.module, low.ctx, passes[place:], low.report, "krnl", observers, verified)


class _Tuning:
    """The kernels of one module; ``below`` are the passes behind `krnl-schedule` on its stage."""

    def __init__(self, low: Lowered, schedule: ScheduleKrnl, below: Sequence[ModulePass]) -> None:
        self._low = low
        self._schedule = schedule
        self._below = below
        self._cache = ObjectCache.default()

    def run(self) -> None:
        """Gives kernels the choices that are best."""
        calls = {
            op.callee.string_value(): op
            for op in self._low.module.walk()
            if isinstance(op, hal.DispatchOp)
        }
        kernels = [
            kernel
            for kernel in independent_kernels(self._low.module)
            if _can_be_timed(calls.get(kernel.sym_name.data)) and _work(kernel) >= LEAST_WORK
        ]
        for number, kernel in enumerate(kernels, 1):
            name = kernel.sym_name.data
            self._low.report.listener(f"measuring kernel {number} of {len(kernels)}: {name}")
            choice = self._known_or_measured(kernel, calls[name])
            if choice:
                entries = {option: krnl.integer(value) for option, value in choice.items()}
                kernel.attributes[TUNED] = DictionaryAttr(entries)

    def _known_or_measured(self, kernel: FuncOp, call: hal.DispatchOp) -> Choice:
        text = self._text(kernel)
        key = content_key(
            "schedule", text, repr(self._schedule), repr(self._low.target), compiler_identity()
        )
        known = self._cache.get(key)
        if known is not None:
            return json.loads(known)
        choice = self._measured(kernel, call)
        self._cache.put(key, json.dumps(choice).encode())
        return choice

    def _measured(self, kernel: FuncOp, call: hal.DispatchOp) -> Choice:
        """The best choice for a kernel; the usual one unless another is faster by enough."""
        candidates: dict[str, tuple[Choice, FuncOp]] = {}
        for choice in choices(self._schedule):
            scheduled = kernel.clone()
            replace(self._schedule, **choice).apply(self._low.ctx, ModuleOp([scheduled]))
            scheduled.detach()
            candidates.setdefault(self._text(scheduled), (choice, scheduled))
        if len(candidates) == 1:
            return {}
        networks = {
            text: self._network(scheduled, call) for text, (_, scheduled) in candidates.items()
        }
        usual = next(iter(networks))
        arguments = _arguments(networks[usual])
        calls = {
            text: lambda network=network: network(*arguments) for text, network in networks.items()
        }
        times = {text: timing.median_seconds for text, timing in interleave(calls, SECONDS).items()}
        best = min(times, key=times.__getitem__)
        return candidates[best if times[best] < WORTHWHILE * times[usual] else usual][0]

    def _network(self, kernel: FuncOp, call: hal.DispatchOp) -> Network:
        """A program that runs nothing but a kernel, on one thread."""
        low = Lowered(ModuleOp([program_of(call), kernel]), self._low.ctx, self._low.target)
        run_passes(low.module, low.ctx, self._below, Report(), "krnl", verified=())
        return low.compile("cpu:threads=1")

    def _text(self, kernel: FuncOp) -> str:
        """A kernel's text, which does not depend on its name."""
        named = kernel.clone()
        named.sym_name = StringAttr("kernel")
        return Lowered(ModuleOp([named]), self._low.ctx, self._low.target).as_text()


def choices(schedule: ScheduleKrnl) -> list[Choice]:
    """Machines to schedule a kernel for, the true one first."""
    return [
        {},
        {"registers": 3 * schedule.registers // 4},
        {"registers": schedule.registers // 2},
        {"vector_bits": schedule.vector_bits // 2},
        {"near_bytes": 0},
        {"near_bytes": 1 << 40},
    ]


def program_of(call: hal.DispatchOp) -> hal.ProgramOp:
    """A program with the buffers of a dispatch as inputs and outputs, and the dispatch."""
    count = len(call.buffers) - call.written.value.data
    block = Block()
    values: list[SSAValue] = []
    specs: list[list[DictionaryAttr]] = [[], []]
    for number, buffer in enumerate(call.buffers):
        is_written = number >= count
        kind, listed = buffer.type, specs[is_written]
        assert isinstance(kind, MemRefType)
        op = (hal.OutputOp if is_written else hal.InputOp).create(
            result_types=[kind],
            properties={"index": hal.number(len(listed)), "dims": hal.size_strings([])},
        )
        block.add_op(op)
        values.append(op.results[0])
        listed.append(
            DictionaryAttr(
                {
                    "name": StringAttr(f"buffer{number}"),
                    "element": kind.element_type,
                    "dims": hal.size_strings(kind.get_shape()),
                }
            )
        )
    block.add_op(hal.DispatchOp(call.callee.string_value(), values[:count], values[count:], []))
    return hal.ProgramOp(ArrayAttr(specs[0]), ArrayAttr(specs[1]), Region(block))


def _can_be_timed(call: hal.DispatchOp | None) -> bool:
    """Whether all sizes of a kernel are known."""
    if call is None or hal.sizes_of(call.sizes):
        return False
    kinds = [buffer.type for buffer in call.buffers]
    return all(isinstance(k, MemRefType) and DYNAMIC_INDEX not in k.get_shape() for k in kinds)


def _work(kernel: FuncOp) -> int:
    """Scalar operations of a kernel."""
    return sum(work_of(op) for op in kernel.body.block.ops if isinstance(op, krnl.IterateOp))


def _arguments(network: Network) -> list[np.ndarray]:
    """Numbers near 1, and zeros where they may be indices."""
    generator = np.random.default_rng(0)
    arrays: list[np.ndarray] = []
    for spec in network.inputs:
        shape = [size for size in spec.shape if isinstance(size, int)]
        made: np.ndarray = np.zeros(shape)
        if "float" in spec.dtype:
            made = generator.uniform(0.5, 1, shape)
        arrays.append(made.astype(numpy_dtype(spec.dtype)))
    return arrays
