"""Networks on the CPU: calling, checking what is passed, failing, threads."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runtime_programs import (
    PLAN,
    RUN,
    add_constant_program,
    add_program,
    compile_ir,
    dynamic_program,
    failing_program,
    positives_program,
    program,
    tensor,
)

import runtime
from runtime.elf import missing_symbols
from runtime.errors import DeviceError, InputError, InternalError, InvalidModelError
from runtime.executable import NativeExecutable
from runtime.network import Network
from runtime.program import Program

CPU = "cpu:threads=1"
A = np.arange(4, dtype=np.float32)
B = np.full(4, 10, np.float32)
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def add() -> Network:
    return runtime.load(add_program(), CPU)


@pytest.fixture(scope="module")
def dynamic() -> Network:
    return runtime.load(dynamic_program(), CPU)


def test_calls_by_position_name_and_feed(add: Network) -> None:
    for result in (add(A, B), add(A, b=B), add(b=B, a=A), add.run({"b": B, "a": A})["c"]):
        np.testing.assert_array_equal(result, A + B)


def test_outputs_are_new_and_aligned(add: Network) -> None:
    first, second = add(A, B), add(A, A)
    np.testing.assert_array_equal(first, A + B)
    assert first.ctypes.data % 64 == 0
    assert second.ctypes.data % 64 == 0


class Foreign:
    """Something that only speaks one protocol."""

    def __init__(self, array: np.ndarray, protocol: str) -> None:
        self._array = array
        if protocol == "array_interface":
            self.__array_interface__ = array.__array_interface__


class ForeignDlpack:
    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    def __dlpack__(self, **request: Any) -> Any:
        return self._array.__dlpack__(**request)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._array.__dlpack_device__()


def misaligned(array: np.ndarray) -> np.ndarray:
    block = np.zeros(array.nbytes + 1, np.uint8)[1:]
    view = block.view(array.dtype)
    view[:] = array
    assert not view.flags.aligned
    return view


def read_only(array: np.ndarray) -> np.ndarray:
    copy = array.copy()
    copy.flags.writeable = False
    return copy


class SubArray(np.ndarray):
    pass


def test_runs_at_the_same_time_share_the_cpus(
    add: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.executable.available_cpus", lambda: 4)
    executable = NativeExecutable(add.program, 8)
    # Alone a run takes what was asked for, even if that is more than there are.
    assert [executable._share(runs) for runs in (1, 2, 3, 4, 9)] == [8, 2, 1, 1, 1]


def test_results_in_order(add: Network) -> None:
    (result,) = add.run_in_order({"b": B, "a": A})
    np.testing.assert_array_equal(result, A + B)
    for feed in ({}, {"a": A}, {"a": A, "z": B}, {"a": A, "b": B, "z": B}):
        with pytest.raises(InputError):
            add.run_in_order(feed)


@pytest.mark.parametrize(
    "disguise",
    [
        lambda a: np.repeat(a, 2)[::2],
        misaligned,
        read_only,
        lambda a: a.astype(">f4"),
        lambda a: a.view(SubArray),
        lambda a: a.view(np.dtype(np.float32, metadata={"unit": "m"})),
        lambda a: Foreign(a, "array_interface"),
        ForeignDlpack,
        lambda a: runtime.open_device(CPU).view(a),
        memoryview,
    ],
    ids=[
        "strided",
        "misaligned",
        "read-only",
        "big-endian",
        "subclass",
        "metadata",
        "array_interface",
        "dlpack",
        "view",
        "buffer protocol",
    ],
)
def test_inputs_of_any_kind(add: Network, disguise: Any) -> None:
    result = add(disguise(A), disguise(B))
    assert type(result) is np.ndarray
    np.testing.assert_array_equal(result, A + B)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda n: n(A), "inputs: missing 'b'; expected 'b'"),
        (lambda n: n(), "missing 'a', 'b'"),
        (lambda n: n(A, B, A), "3 inputs are given, the network has 2: 'a', 'b'"),
        (lambda n: n(A, B, a=A), "'a' is given by position and by name"),
        (lambda n: n(A, B, z=A), "unknown 'z'"),
        (lambda n: n.run({"a": A, "z": B}), "missing 'b'; unknown 'z'; expected 'a', 'b'"),
        (lambda n: n(A, B.astype(np.float64)), "'b' has dtype float64, expected float32"),
        (lambda n: n(A, B.astype(">f8")), "'b' has dtype >f8, expected float32"),
        (lambda n: n(A[:3], B), r"'a' axis 0 has size 3, expected 4"),
        (lambda n: n(A, B[None]), r"'b' has rank 2"),
        (lambda n: n(1.0, B), r"'a' is a Python float(.|\n)*hint: .*asarray"),
        (lambda n: n([1.0] * 4, B), "'a' is a Python list"),
        (lambda n: n(None, B), "'a' is a Python NoneType"),
        (lambda n: n(object(), B), "'a' is a object, not an array"),
        (lambda n: n(np.array([{}] * 4), B), "'a' has dtype object"),
    ],
)
def test_bad_inputs_are_named(add: Network, call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call(add)
    np.testing.assert_array_equal(add(A, B), A + B)


def test_dlpack_on_another_device_is_refused(add: Network) -> None:
    class Elsewhere:
        def __dlpack__(self, **_: Any) -> Any:
            raise BufferError("memory of a GPU")

        def __dlpack_device__(self) -> tuple[int, int]:
            return (2, 0)

    with pytest.raises(InputError, match="input 'a' cannot be read as an array"):
        add(Elsewhere(), B)


def test_numpy_scalars_are_arrays() -> None:
    net = runtime.load(program(None, [tensor("x")], [tensor("y")]), "null")
    assert net(np.float32(3)).shape == ()
    with pytest.raises(InputError, match="dtype float64"):
        net(np.float64(3))


def test_run_into_writes_in_place(add: Network) -> None:
    out = np.zeros(4, np.float32)
    add.run_into({"a": A, "b": B}, {"c": out})
    np.testing.assert_array_equal(out, A + B)
    view = runtime.open_device(CPU).view(np.zeros(4, np.float32))
    add.run_into({"a": A, "b": B}, {"c": view})
    np.testing.assert_array_equal(view.numpy(), A + B)


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({}, "outputs: missing 'c'"),
        ({"c": np.zeros(4, np.float32), "d": A}, "unknown 'd'"),
        ({"c": np.zeros(4)}, "'c' has dtype float64"),
        ({"c": np.zeros(5, np.float32)}, r"'c' has shape \[5\], the run gives \[4\]"),
        ({"c": np.zeros(8, np.float32)[::2]}, "'c' is not C-contiguous"),
        ({"c": misaligned(A)}, "'c' is not aligned"),
        ({"c": read_only(A)}, "'c' is not writeable"),
        ({"c": np.zeros(4, ">f4")}, "'c' has dtype >f4"),
        ({"c": B}, r"output 'c' and input 'b' share memory|input 'b' and output 'c' share memory"),
        ({"c": [0.0] * 4}, "'c' is a Python list"),
    ],
)
def test_run_into_refuses(add: Network, outputs: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        add.run_into({"a": A, "b": B}, outputs)


def test_dynamic_sizes_are_planned_by_the_program(dynamic: Network) -> None:
    for batch in (1, 5, 0, 1000, 2):
        x = np.random.default_rng(batch).random((batch, 3), np.float32)
        np.testing.assert_array_equal(dynamic(x, 2 * x), x + 2 * x)


def test_the_programs_own_check_of_sizes(dynamic: Network) -> None:
    x = np.zeros((2, 3), np.float32)
    message = r"node 'add' \(ai.onnx.Add\): the batches differ \(inputs: x \[2, 3\], y \[3, 3\]\)"
    for _ in range(2):
        with pytest.raises(InputError, match=message):
            dynamic(x, np.zeros((3, 3), np.float32))


def test_plans_are_remembered_up_to_a_bound(dynamic: Network) -> None:
    plan = dynamic.executable.plan
    assert plan(((7, 3), (7, 3))) is plan(((7, 3), (7, 3)))
    first = plan(((7, 3), (7, 3)))
    for batch in range(100, 300):
        plan(((batch, 3), (batch, 3)))
    assert plan(((7, 3), (7, 3))) is not first


def test_sizes_that_only_the_data_tell() -> None:
    net = runtime.load(positives_program(), CPU)
    for data in ([1, -2, 3], [-2, -3], [], [5]):
        x = np.array(data, np.float32)
        result = net(x)
        np.testing.assert_array_equal(result, x[x > 0])
        result[:] = 7
    out = np.zeros(2, np.float32)
    net.run_into({"x": np.array([4, -9, 6], np.float32)}, {"y": out})
    assert out.tolist() == [4, 6]
    with pytest.raises(InputError, match=r"'y' has shape \[2\], the run gives \[1\]"):
        net.run_into({"x": np.array([4], np.float32)}, {"y": out})
    with pytest.raises(InputError, match="'pick': -1 is forbidden"):
        net(np.array([-1], np.float32))


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_allocated_outputs_are_freed() -> None:
    net = runtime.load(positives_program(), CPU)
    x = np.ones(1 << 20, np.float32)
    net(x)
    before = resident_bytes()
    for _ in range(50):
        net(x)
    bad = np.concatenate([x, [np.float32(-1)]])
    for _ in range(50):
        with pytest.raises(InputError):
            net(bad)
    assert resident_bytes() - before < 40 << 20


@pytest.mark.parametrize(
    ("kind", "error"), [("input", InputError), ("device", DeviceError), ("internal", InternalError)]
)
def test_failures_of_the_program(kind: str, error: type[Exception]) -> None:
    net = runtime.load(failing_program(kind), CPU)
    message = r"node 'pick' \(ai.onnx.Gather opset 13\): index 10 is not below 40"
    with pytest.raises(error, match=message):
        net(np.zeros(1, np.float32))


@pytest.mark.parametrize("code", [2, -1])
def test_unknown_failure_codes_are_internal_errors(code: int) -> None:
    with pytest.raises(InternalError, match=f"unknown code {code}"):
        runtime.load(failing_program(code=code), CPU)(np.zeros(1, np.float32))


def test_constants_anywhere_in_memory_reach_the_code(tmp_path: Path) -> None:
    constant = np.arange(9, dtype=np.float32)[1:]
    made = add_constant_program(constant)
    x = np.ones(8, np.float32)
    np.testing.assert_array_equal(runtime.load(made, CPU)(x), x + constant)
    assert made.constants["w"].ctypes.data % 64 == 0
    made.save(tmp_path / "p.terrace")
    net = runtime.load(tmp_path / "p.terrace", CPU)
    np.testing.assert_array_equal(net(x), x + constant)
    net.save(tmp_path / "again.terrace")
    np.testing.assert_array_equal(runtime.load(tmp_path / "again.terrace", CPU)(x), x + constant)


def test_types_that_numpy_lacks() -> None:
    text = (
        f"{RUN} {{\n  %x = load ptr, ptr %inputs\n  %y = load ptr, ptr %outputs\n"
        "  %v = load i32, ptr %x\n  store i32 %v, ptr %y\n  ret i64 0\n}\n"
    )
    spec = {"shape": [2], "dtype": "bfloat16"}
    net = runtime.load(program(text, [{"name": "x", **spec}], [{"name": "y", **spec}]), CPU)
    x = np.array([1.5, -2], ml_dtypes.bfloat16)
    np.testing.assert_array_equal(net(x), x)
    assert net(x).dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(net(runtime.open_device(CPU).view(x)), x)


def test_threads_share_a_network(dynamic: Network) -> None:
    failures: list[object] = []

    def work(seed: int) -> None:
        random = np.random.default_rng(seed)
        for _ in range(300):
            x = random.random((int(random.integers(0, 200)), 3), np.float32)
            result = dynamic(x, x)
            if not np.array_equal(result, x + x):
                failures.append(x.shape)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_absurd_sizes_are_device_errors() -> None:
    text = f"{PLAN} {{\n  ret i64 {2**60}\n}}\n{RUN} {{\n  ret i64 0\n}}\n"
    net = runtime.load(program(text, [tensor("x", "n")], [], arena_bytes=None), CPU)
    with pytest.raises(DeviceError, match="out of memory"):
        net(np.zeros(1, np.float32))
    huge = program(None, [tensor("x", "n")], [tensor("y", "n * 1099511627776 * 4096")])
    with pytest.raises(DeviceError, match="out of memory"):
        runtime.load(huge, "null")(np.zeros(512, np.float32))


def with_target(**target: str) -> Program:
    made = add_program()
    return Program(
        {**made.manifest, "target": {**made.manifest["target"], **target}}, made.objects, {}
    )


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({"triple": "riscv64-unknown-linux-gnu"}, "compiled for riscv64-unknown-linux-gnu"),
        ({"features": "+sse2,+warp-drive,-avx"}, "lacks: warp-drive"),
        ({"cpu": "kepler", "features": ""}, "compiled for the CPU 'kepler'"),
    ],
)
def test_code_for_other_machines_is_refused(target: dict[str, str], message: str) -> None:
    with pytest.raises(DeviceError, match=message):
        runtime.load(with_target(**target), CPU)
    assert runtime.load(with_target(**target), "null")(A, B).tolist() == [0, 0, 0, 0]


def test_cpu_levels_stand_for_their_features(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.target._host_features", lambda: frozenset({"sse2", "popcnt"}))
    with pytest.raises(DeviceError, match=r"avx2.*fma"):
        runtime.load(with_target(cpu="x86-64-v3", features=""), CPU)
    runtime.load(with_target(cpu="x86-64", features="+sse2,+prefer-256-bit"), CPU)


def test_vendors_in_triples_do_not_matter() -> None:
    triple = add_program().target.triple
    parts = triple.split("-")
    parts[1] = "pc"
    assert runtime.load(with_target(triple="-".join(parts)), CPU)(A, B)[1] == 11


LACKING = (
    "declare void @nobody_has_this()\ndeclare ptr @malloc(i64)\n"
    f"{RUN} {{\n  call void @nobody_has_this()\n  %m = call ptr @malloc(i64 8)\n  ret i64 0\n}}\n"
)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (b"garbage" * 20, "cannot be loaded"),
        (compile_ir(LACKING), "undefined: nobody_has_this$"),
        (compile_ir("define void @other() {\n  ret void\n}\n"), "terrace_run"),
    ],
    ids=["garbage", "undefined symbol", "no entry"],
)
def test_code_that_cannot_be_linked_is_refused(code: bytes, message: str) -> None:
    with pytest.raises(DeviceError, match=message):
        runtime.load(Program(add_program().manifest, {"main": code}, {}), CPU)


@given(st.data())
def test_the_search_for_undefined_symbols_survives_garbage(data: st.DataObject) -> None:
    image = bytearray(compile_ir(LACKING))
    for _ in range(5):
        image[data.draw(st.integers(6, len(image) - 1))] ^= data.draw(st.integers(1, 255))
    assert "malloc" not in missing_symbols([bytes(image[: data.draw(st.integers(6, 5000))])])


def test_a_program_without_code_is_refused() -> None:
    with pytest.raises(InvalidModelError, match="no object code"):
        runtime.load(Program(add_program().manifest, {}, {}), CPU)


def test_objects_are_linked_with_each_other_and_the_math_library() -> None:
    caller = (
        "declare float @half_tanh(float)\n"
        f"{RUN} {{\n  %x = load ptr, ptr %inputs\n  %y = load ptr, ptr %outputs\n"
        "  %v = load float, ptr %x\n  %w = call float @half_tanh(float %v)\n"
        "  store float %w, ptr %y\n  ret i64 0\n}\n"
    )
    callee = (
        "declare float @tanhf(float)\n"
        "define float @half_tanh(float %v) {\n  %t = call float @tanhf(float %v)\n"
        "  %h = fmul float %t, 0.5\n  ret float %h\n}\n"
    )
    made = program(caller, [tensor("x", 1)], [tensor("y", 1)])
    made.objects["callee"] = compile_ir(callee)
    x = np.array([0.3], np.float32)
    np.testing.assert_allclose(runtime.load(made, CPU)(x), np.tanh(x) / 2, rtol=1e-6)


def test_code_is_unloaded_with_its_network(monkeypatch: pytest.MonkeyPatch) -> None:
    import weakref

    net = runtime.load(add_program(), CPU)
    executable = weakref.ref(net.executable)
    assert isinstance(executable(), NativeExecutable)
    del net
    assert executable() is None


ALONE = """
import sys

FORBIDDEN = ("xdsl", "onnx", "numba", "compiler", "dialects", "passes", "ml_dtypes")

class Forbid:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in FORBIDDEN:
            raise ImportError(f"{name} must not be imported")

sys.meta_path.insert(0, Forbid())
import runtime
assert "numpy" not in sys.modules and "llvmlite" not in sys.modules
net = runtime.load(sys.argv[1], device=sys.argv[2])
import numpy as np
x = np.arange(1000, dtype=np.float32)
assert np.array_equal(net(x), 2 * x)
print("right")
"""


@pytest.mark.parametrize("threads", [1, 2])
def test_a_saved_program_runs_without_the_compiler(tmp_path: Path, threads: int) -> None:
    from runtime_programs import parallel_program

    parallel_program(1000, 10).save(tmp_path / "p.terrace")
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(tmp_path / "p.terrace"), f"cpu:threads={threads}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "right\n", "")
