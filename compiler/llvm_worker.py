"""LLVM IR text to machine code, and the loop of a process that does nothing else.

LLVM works under one lock per process, so code generation is spread over processes. This file
imports llvmlite only and runs as a script: requests come on standard input, answers leave on
standard output, each a length in 8 bytes and that many bytes of JSON or result.
"""

from __future__ import annotations

import json
import signal
import struct
import sys
from functools import cache
from typing import IO, TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import llvmlite.binding as binding

Emit = Literal["object", "asm", "llvm-ir"]
Machine = tuple[str, str, str, str]
"""Triple, CPU, features and ABI name, as LLVM wants them."""

PIPELINE = "O2"
"""Names the optimisation pipeline: part of what identifies an object in the cache.

Chosen by measuring seven typical kernels. O3 makes none of them faster (a normalization takes 14 us
instead of 9), its code is a fifth larger and a tenth slower to make. Without unrolling LLVM takes a
third less time, but windows of 3x3 run 4 to 20 times slower. SLP vectorization costs 5 %.
"""


@cache
def target_machine(machine: Machine) -> binding.TargetMachine:
    """LLVM's description of a machine."""
    import llvmlite.binding as binding

    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    triple, cpu, features, abi = machine
    return binding.Target.from_triple(triple).create_target_machine(
        cpu=cpu, features=features, opt=3, reloc="pic", codemodel="default", abiname=abi
    )


def compile_text(text: str, machine: Machine, emit: Emit = "object") -> bytes:
    """Optimises a module of LLVM IR and emits it. Raises RuntimeError if LLVM rejects it."""
    import llvmlite.binding as binding

    target = target_machine(machine)
    module = binding.parse_assembly(text)
    module.triple = machine[0]
    module.data_layout = str(target.target_data)
    module.verify()
    _optimise(module, target)
    if emit == "object":
        return target.emit_object(module)
    return (target.emit_assembly(module) if emit == "asm" else str(module)).encode()


def _optimise(module: binding.ModuleRef, target: binding.TargetMachine) -> None:
    import llvmlite.binding as binding

    options = binding.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = True
    options.loop_interleaving = True
    options.slp_vectorization = True
    builder = binding.create_pass_builder(target, options)
    # A pass manager that runs twice aborts the process: a fresh one for each module.
    passes = builder.getModulePassManager()
    passes.run(module, builder)
    passes.close()
    builder.close()
    options.close()


def read_message(stream: IO[bytes]) -> bytes | None:
    """The next message, or None if the stream ends before its end."""
    header = stream.read(8)
    if len(header) < 8:
        return None
    (length,) = struct.unpack("<Q", header)
    message = stream.read(length)
    return message if len(message) == length else None


def write_message(stream: IO[bytes], message: bytes) -> None:
    """Sends a message."""
    stream.write(struct.pack("<Q", len(message)) + message)
    stream.flush()


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Compiles until there are no more requests. An answer begins with 1, or 0 for an error."""
    while (request := read_message(requests)) is not None:
        text, machine, emit = json.loads(request)
        try:
            answer = b"\1" + compile_text(text, tuple(machine), emit)
        except RuntimeError as error:
            answer = b"\0" + str(error).encode()
        write_message(answers, answer)


if __name__ == "__main__":
    # Ctrl-C reaches every process of a terminal; this one ends when its requests do.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve(sys.stdin.buffer, sys.stdout.buffer)
