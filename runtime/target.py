"""Whether object code for a target can run on this machine."""

from __future__ import annotations

from runtime.cpus import cpu_identity
from runtime.errors import DeviceError
from runtime.manifest import Target

# The x86-64 psABI's levels, each beyond the one before it; LLVM knows them as CPUs.
_V2 = ("cx16", "popcnt", "sahf", "sse3", "sse4.1", "sse4.2", "ssse3")
_V3 = (*_V2, "avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe", "xsave")
_V4 = (*_V3, "avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl")
_LEVELS = {"x86-64-v2": _V2, "x86-64-v3": _V3, "x86-64-v4": _V4}
_BASELINES = frozenset({"", "generic", "x86-64", "generic-rv64"})

# Features that tune code or describe the baseline, and that LLVM does not report for a host.
_TUNING = ("prefer-", "fast-", "slow-", "tuning-", "tune-", "allow-", "false-deps-", "no-bypass-")
_IMPLIED = frozenset({"64bit-mode", "x87", "nopl", "evex512"})


def check_target(target: Target) -> None:
    """Refuses a target that this machine cannot run.

    Raises:
        DeviceError: another architecture or system, or CPU features that the host lacks; the
            message lists them.
    """
    if target.identity and target.identity == cpu_identity():
        return
    import llvmlite.binding as llvm

    host_triple = llvm.get_process_triple()
    if target.triple and _system(target.triple) != _system(host_triple):
        raise DeviceError(f"the program is compiled for {target.triple}, this is {host_triple}")
    if missing := sorted(_required_features(target) - _host_features()):
        raise DeviceError(
            f"the program needs CPU features that this machine lacks: {', '.join(missing)}",
            hint="compile it for this machine, or for a lower level such as x86-64-v3",
        )


def _system(triple: str) -> tuple[str, str, str]:
    """Architecture, system and object format; vendor and environment make no difference to code."""
    import llvmlite.binding as llvm

    parts = llvm.get_triple_parts(triple)
    return parts.Arch, parts.OS, parts.ObjectFormat


def _required_features(target: Target) -> set[str]:
    import llvmlite.binding as llvm

    required = set(_LEVELS.get(target.cpu, ()))
    listed = target.features.split(",") if target.features else []
    features = (item[1:] for item in listed if item.startswith("+"))
    required.update(feature for feature in features if not _is_tuning(feature))
    known = target.cpu in _BASELINES or target.cpu in _LEVELS
    host = llvm.get_host_cpu_name()
    if not known and not listed and target.cpu != host:
        raise DeviceError(f"the program is compiled for the CPU '{target.cpu}', this is a {host}")
    return required


def _is_tuning(feature: str) -> bool:
    return feature.startswith(_TUNING) or feature in _IMPLIED


def _host_features() -> frozenset[str]:
    import llvmlite.binding as llvm

    return frozenset(name for name, present in llvm.get_host_cpu_features().items() if present)
