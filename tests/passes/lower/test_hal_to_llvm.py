"""The host program in machine code: sizes, checks, control flow, and memory that is given back."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from compiler.ir_text import new_context, parse_module
from compiler.linking import link
from compiler.target import Target
from passes.hal.plan_memory import PlanMemory
from passes.lower import hal_to_llvm
from passes.lower.affine_to_llvm import AffineToLLVM
from runtime.errors import InputError, InternalError
from runtime.network import Network

assert hal_to_llvm.lower_program, "its import registers the rule for hal.program"

TWICE = """
func.func @twice(%a: memref<?xf32>, %r: memref<?xf32>, %n: index) {
  affine.for %i = 0 to %n {
    %x = affine.load %a[%i] : memref<?xf32>
    %y = arith.addf %x, %x : f32
    affine.store %y, %r[%i] : memref<?xf32>
  }
  return
}"""
ARGUMENT = '{{name = "{}", element = {}, dims = {}}}'


def entry(name: str, dims: str, element: str = "f32") -> str:
    """An argument or result of the program's signature."""
    return ARGUMENT.format(name, element, dims)


def lowered(body: str, inputs: list[str], outputs: list[str], kernels: str = TWICE):
    """The llvm stage of a host program, and its context."""
    ctx = new_context()
    signature = f"inputs = [{', '.join(inputs)}], outputs = [{', '.join(outputs)}]"
    program = f'"hal.program"() <{{sym_name = "main", {signature}}}> ({{ {body} }}) : () -> ()'
    module = parse_module(f"builtin.module {{ {program} {kernels} }}", ctx)
    for each in (PlanMemory(), AffineToLLVM()):
        each.apply(ctx, module)
    module.verify()
    return ctx, module


def network(body: str, inputs: list[str], outputs: list[str], kernels: str = TWICE) -> Network:
    """A host program, ready to run."""
    ctx, module = lowered(body, inputs, outputs, kernels)
    return Network(link(module, ctx, Target.host()))


def floats(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.float32)


FOUR_TIMES = """
%x = "hal.input"() <{index = 0 : i64, dims = ["n"]}> : () -> memref<?xf32>
%t = "hal.alloc"() <{dims = ["n"]}> : () -> memref<?xf32>
"hal.dispatch"(%x, %t) <{callee = @twice, sizes = ["n"], written = 1 : i64}>
  : (memref<?xf32>, memref<?xf32>) -> ()
%y = "hal.output"() <{index = 0 : i64, dims = ["n"]}> : () -> memref<?xf32>
"hal.dispatch"(%t, %y) <{callee = @twice, sizes = ["n"], written = 1 : i64}>
  : (memref<?xf32>, memref<?xf32>) -> ()
"""


def test_one_program_runs_all_sizes() -> None:
    net = network(FOUR_TIMES, [entry("x", '["n"]')], [entry("y", '["n"]')])
    for count in (1, 0, 7, 1000, 3):
        np.testing.assert_array_equal(net.run({"x": floats(count)})["y"], floats(count) * 4)


def test_a_size_is_computed_once() -> None:
    body = FOUR_TIMES.replace('["n"], written', '["(n + 1) // 3"], written')
    _, module = lowered(body, [entry("x", '["n"]')], [entry("y", '["n"]')])
    run = next(
        str(op) for op in module.ops if '"terrace_run"' in str(op) or "@terrace_run" in str(op)
    )
    assert run.count("udiv") == 1


def test_plan_is_made_only_where_sizes_vary() -> None:
    _, module = lowered(FOUR_TIMES, [entry("x", '["n"]')], [entry("y", '["n"]')])
    assert "@terrace_plan" in str(module) and "hal.arena_bytes" not in module.attributes
    assert str(module).count('"noimplicitfloat"') == 2, "host programs are not searched for vectors"
    static = """
    %x = "hal.input"() <{index = 0 : i64, dims = []}> : () -> memref<4xf32>
    %y = "hal.output"() <{index = 0 : i64, dims = []}> : () -> memref<4xf32>
    "hal.copy"(%x, %y) : (memref<4xf32>, memref<4xf32>) -> ()
    """
    _, module = lowered(static, [entry("x", '["4"]')], [entry("y", '["4"]')])
    assert "@terrace_plan" not in str(module) and "hal.arena_bytes" in module.attributes


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ("2 * n + 1", lambda n, m: 2 * n + 1),
        ("n * m", lambda n, m: n * m),
        ("n // 3", lambda n, m: n // 3),
        ("n // m", lambda n, m: n // max(m, 1)),
        ("n % m", lambda n, m: n % max(m, 1)),
        ("max(n, m)", max),
        ("min(n, m) + 2", lambda n, m: min(n, m) + 2),
    ],
)
def test_sizes_of_results_follow_from_those_of_arguments(size, expected) -> None:
    body = f"""
    %x = "hal.input"() <{{index = 0 : i64, dims = ["n", "m"]}}> : () -> memref<?x?xf32>
    %y = "hal.output"() <{{index = 0 : i64, dims = ["{size}"]}}> : () -> memref<?xf32>
    "hal.clear"(%y) : (memref<?xf32>) -> ()
    """
    net = network(body, [entry("x", '["n", "m"]')], [entry("y", f'["{size}"]')])
    for n, m in ((4, 3), (5, 7), (1, 1), (6, 0), (0, 2)):
        result = net.run({"x": np.zeros((n, m), np.float32)})["y"]
        assert result.shape == (expected(n, m),) and not result.any()


def test_sizes_that_contradict_each_other_are_refused() -> None:
    body = """
    %x = "hal.input"() <{index = 0 : i64, dims = ["n"]}> : () -> memref<?xf32>
    %z = "hal.input"() <{index = 1 : i64, dims = ["n"]}> : () -> memref<?xf32>
    %y = "hal.output"() <{index = 0 : i64, dims = ["n"]}> : () -> memref<?xf32>
    "hal.copy"(%z, %y) : (memref<?xf32>, memref<?xf32>) -> ()
    """
    net = network(body, [entry("x", '["n"]'), entry("z", '["n"]')], [entry("y", '["n"]')])
    np.testing.assert_array_equal(net.run({"x": floats(3), "z": floats(3)})["y"], floats(3))
    with pytest.raises(InputError, match="'z'"):
        net.run({"x": floats(3), "z": floats(4)})


@pytest.mark.parametrize("broadcast", [False, True])
def test_checks_end_a_run_with_their_numbers(broadcast: bool) -> None:
    flag = ", broadcast = true" if broadcast else ""
    body = f"""
    %x = "hal.input"() <{{index = 0 : i64, dims = ["n"]}}> : () -> memref<?xf32>
    %z = "hal.input"() <{{index = 1 : i64, dims = ["m"]}}> : () -> memref<?xf32>
    "hal.check"() <{{lhs = "n", rhs = "m", message = "{{0}} is not {{1}}"{flag}}}> : () -> ()
    %y = "hal.output"() <{{index = 0 : i64, dims = ["n"]}}> : () -> memref<?xf32>
    "hal.copy"(%x, %y) : (memref<?xf32>, memref<?xf32>) -> ()
    """
    net = network(body, [entry("x", '["n"]'), entry("z", '["m"]')], [entry("y", '["n"]')])
    net.run({"x": floats(3), "z": floats(3)})
    with pytest.raises(InputError, match="3 is not 5"):
        net.run({"x": floats(3), "z": floats(5)})
    if broadcast:
        net.run({"x": floats(3), "z": floats(1)})
    else:
        with pytest.raises(InputError, match="3 is not 1"):
            net.run({"x": floats(3), "z": floats(1)})


GIVEN = """
%k = "hal.input"() <{index = 0 : i64, dims = []}> : () -> memref<1xi64>
%x = "hal.input"() <{index = 1 : i64, dims = ["n"]}> : () -> memref<?xf32>
"hal.symbols"(%k) <{symbols = ["k"]}> : (memref<1xi64>) -> ()
%t = "hal.alloc"() <{dims = ["k"]}> : () -> memref<?xf32>
"hal.dispatch"(%x, %t) <{callee = @twice, sizes = ["k"], written = 1 : i64}>
  : (memref<?xf32>, memref<?xf32>) -> ()
CHECK
"hal.give"(%t) <{index = 0 : i64, dims = ["k"]}> : (memref<?xf32>) -> ()
"""
GIVEN_INPUTS = [entry("k", '["1"]', "i64"), entry("x", '["n"]')]


def test_results_whose_size_data_tell() -> None:
    net = network(GIVEN.replace("CHECK", ""), GIVEN_INPUTS, [entry("y", '["k"]')])
    for count in (0, 1, 5):
        result = net.run({"k": np.array([count]), "x": floats(9)})["y"]
        np.testing.assert_array_equal(result, floats(count) * 2)


def resident_bytes() -> int:
    """Memory that this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("fails", [False, True])
def test_the_heap_is_given_back(fails: bool) -> None:
    check = '"hal.check"() <{lhs = "k", rhs = "n + 1", message = "no"}> : () -> ()'
    net = network(
        GIVEN.replace("CHECK", check if fails else ""), GIVEN_INPUTS, [entry("y", '["k"]')]
    )
    count = 1 << 20
    feed = {"k": np.array([count]), "x": floats(count)}
    before = 0
    for number in range(30):
        if fails:
            with pytest.raises(InputError, match="no"):
                net.run(feed)
        else:
            net.run(feed)
        if number == 4:
            before = resident_bytes()
    # 25 runs that kept their 4 MB would hold 100 MB.
    assert resident_bytes() - before < 30 << 20


def test_what_cannot_be_lowered_is_an_error() -> None:
    body = '%c = "arith.constant"() <{value = 1 : index}> : () -> index'
    with pytest.raises(InternalError, match="cannot stand in a host program"):
        lowered(body, [], [])
    body = '%t = "hal.alloc"() <{dims = ["k"]}> : () -> memref<?xf32>'
    with pytest.raises(InternalError, match="size 'k' is used before"):
        lowered(body, [], [])


def test_every_heap_buffer_is_freed_on_the_way_out() -> None:
    _, module = lowered(GIVEN.replace("CHECK", ""), GIVEN_INPUTS, [entry("y", '["k"]')])
    text = str(module)
    run = text[text.index("@terrace_run") :]
    assert re.search(r"llvm.call @free\b", run)
