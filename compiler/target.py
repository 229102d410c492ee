"""The machine that code is generated for: what LLVM is told, and what schedules need to know."""

from __future__ import annotations

import importlib.util
import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from compiler.object_cache import ObjectCache, content_key, file_status
from runtime.cpus import available_cpus, cpu_identity
from runtime.errors import UnsupportedError

_KIB = 1024
_TRIPLES = {
    "x86_64": "x86_64-unknown-linux-gnu",
    "aarch64": "aarch64-unknown-linux-gnu",
    "riscv64": "riscv64-unknown-linux-gnu",
}
_ALIASES = {
    "x86_64": "x86-64-v3@x86_64",
    "amd64": "x86-64-v3@x86_64",
    "aarch64": "generic@aarch64",
    "arm64": "generic@aarch64",
    "riscv64": "generic-rv64@riscv64",
}
_FEATURES = {"generic": "+neon,+fp-armv8", "generic-rv64": "+m,+a,+f,+d,+c,+v"}

# LLVM ends the process when it meets a CPU that it does not know, so we list those that we pass on.
_CPUS: dict[str, dict[tuple[int, int], str]] = {
    "x86_64": {
        (128, 16): "x86-64 x86-64-v2 core2 nehalem westmere sandybridge ivybridge",
        (256, 16): (
            "x86-64-v3 haswell broadwell skylake alderlake raptorlake meteorlake arrowlake"
            " sierraforest znver1 znver2 znver3"
        ),
        (512, 32): (
            "x86-64-v4 skylake-avx512 cascadelake cooperlake cannonlake icelake-client"
            " icelake-server tigerlake rocketlake sapphirerapids emeraldrapids graniterapids"
            " znver4 znver5"
        ),
    },
    "aarch64": {
        (128, 32): (
            "generic cortex-a53 cortex-a72 cortex-a76 cortex-a78 neoverse-n1 neoverse-n2"
            " neoverse-v1 neoverse-v2 apple-m1 apple-m2 apple-m3 apple-m4 ampere1"
        ),
    },
    "riscv64": {(128, 32): "generic-rv64 sifive-u74 sifive-x280 spacemit-x60"},
}
"""CPUs by architecture and (bits, number) of their vector registers."""

_VNNI = (
    "cascadelake cooperlake icelake-client icelake-server tigerlake rocketlake sapphirerapids"
    " emeraldrapids graniterapids znver4 znver5 alderlake raptorlake meteorlake arrowlake"
    " sierraforest"
)
"""x86-64 CPUs that multiply groups of four bytes (AVX-512 VNNI or AVX-VNNI)."""


@dataclass(frozen=True)
class Target:
    """A CPU.

    ``triple``, ``cpu``, ``features`` and ``abi`` are LLVM's. ``vector_bits`` is the width of vector
    registers worth using, ``vector_registers`` their number. ``l1_bytes`` and ``l2_bytes`` are the
    data caches of one core, ``l3_bytes`` the shared one (0: none). ``cores`` may run our threads.
    """

    triple: str
    cpu: str
    features: str = ""
    vector_bits: int = 128
    vector_registers: int = 16
    l1_bytes: int = 32 * _KIB
    l2_bytes: int = 512 * _KIB
    l3_bytes: int = 8 * _KIB * _KIB
    cores: int = 1
    abi: str = ""

    @property
    def architecture(self) -> str:
        """The triple's first component."""
        return self.triple.partition("-")[0]

    @property
    def dot_products(self) -> str:
        """The instruction for dot products of short integers: none, pmaddwd, or vpdpbusd."""
        if self.architecture != "x86_64":
            return "none"
        vnni = ("avx512vnni", "avx512vl") if self.vector_bits == 512 else ("avxvnni",)
        if self.cpu in _VNNI.split() or all(map(self.has, vnni)):
            return "vpdpbusd"
        has_words = self.vector_bits < 512 or not self.features or self.has("avx512bw")
        return "pmaddwd" if has_words else "none"

    @property
    def dot_group(self) -> int:
        """How many products that instruction sums in each lane."""
        return {"none": 1, "pmaddwd": 2, "vpdpbusd": 4}[self.dot_products]

    @property
    def is_host(self) -> bool:
        """Whether this is the machine that we run on."""
        return self == Target.host()

    @property
    def function_attributes(self) -> str:
        """What every function is marked with, as LLVM IR text that starts with a space."""
        if self.architecture == "x86_64" and self.vector_bits == 512:
            # LLVM prefers 256 bits on most AVX-512 CPUs, for clock rates that no longer drop.
            return ' "prefer-vector-width"="512"'
        return ""

    def has(self, feature: str) -> bool:
        """Whether LLVM's feature (such as "avx512vnni") is switched on by name."""
        return f"+{feature}" in self.features.split(",")

    def lanes(self, element_bits: int) -> int:
        """How many elements of that size one vector register holds."""
        return max(1, self.vector_bits // element_bits)

    @staticmethod
    def host() -> Target:
        """The CPU that we run on."""
        return _host()

    @staticmethod
    def named(name: str) -> Target:
        """A target by name: "host", an architecture, an x86-64 CPU, or "cpu@triple".

        Raises UnsupportedError for an architecture that is not known.
        """
        return _named(name)


@cache
def _host() -> Target:
    triple, cpu, features = _ask_llvm_once()
    architecture = triple.partition("-")[0]
    present = {name[1:] for name in features.split(",") if name.startswith("+")}
    bits, registers = _vectors(architecture, present)
    l1, l2, l3 = _cache_bytes()
    return Target(
        triple=triple,
        cpu=cpu,
        features=features,
        vector_bits=bits,
        vector_registers=registers,
        l1_bytes=l1,
        l2_bytes=l2,
        l3_bytes=l3,
        cores=available_cpus(),
        abi=_abi(architecture),
    )


def _ask_llvm_once() -> tuple[str, str, str]:
    """The host's triple, CPU and features, from the user's cache if LLVM said them before."""
    identity, llvmlite = cpu_identity(), importlib.util.find_spec("llvmlite")
    if identity is None or llvmlite is None or llvmlite.origin is None:
        return _ask_llvm()
    installed = file_status(llvmlite.origin, os.stat(llvmlite.origin))
    host_cache, key = ObjectCache.default(), content_key("host", identity, installed)
    known = host_cache.get(key)
    if known is not None:
        triple, cpu, features = json.loads(known)
        return triple, cpu, features
    found = _ask_llvm()
    host_cache.put(key, json.dumps(found).encode())
    return found


def _ask_llvm() -> tuple[str, str, str]:
    import llvmlite.binding as binding

    features = binding.get_host_cpu_features().flatten()
    return binding.get_process_triple(), binding.get_host_cpu_name(), features


def _vectors(architecture: str, features: set[str]) -> tuple[int, int]:
    """Width in bits and number of the vector registers."""
    if architecture == "x86_64":
        if "avx512f" in features and "avx512vl" in features:
            return 512, 32
        return (256, 16) if "avx2" in features else (128, 16)
    return 128, 32


def _cache_bytes() -> tuple[int, int, int]:
    """Sizes of the data caches of levels 1 to 3, from sysfs where there is one."""
    sizes = {1: 32 * _KIB, 2: 512 * _KIB, 3: 8 * _KIB * _KIB}
    for index in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        try:
            kind, level, size = (
                (index / name).read_text().strip() for name in ("type", "level", "size")
            )
        except OSError:
            continue
        if kind != "Instruction" and size.endswith("K"):
            sizes[int(level)] = int(size[:-1]) * _KIB
    return sizes[1], sizes[2], sizes[3]


@cache
def _named(name: str) -> Target:
    if name in ("host", "native"):
        return _host()
    cpu, _, triple = _ALIASES.get(name, name).partition("@")
    architecture = triple.partition("-")[0] or "x86_64"
    if architecture not in _CPUS:
        known = ", ".join(_CPUS)
        raise UnsupportedError(f"no code is generated for '{architecture}'", hint=f"try {known}")
    for vectors, names in _CPUS[architecture].items():
        if cpu in names.split():
            return Target(
                triple=triple if "-" in triple else _TRIPLES[architecture],
                cpu=cpu,
                features=_FEATURES.get(cpu, ""),
                vector_bits=vectors[0],
                vector_registers=vectors[1],
                cores=available_cpus(),
                abi=_abi(architecture),
            )
    known = " ".join(_CPUS[architecture].values())
    raise UnsupportedError(f"unknown CPU '{cpu}'", hint=f"for {architecture} known are: {known}")


def _abi(architecture: str) -> str:
    return "lp64d" if architecture == "riscv64" else ""
