"""Models through the stages: every stage's text compiles on to the same numbers."""

from __future__ import annotations

import gc
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx
import pytest
from sample_models import MODELS, Feed, perceptron, reference, small_relu
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr, UnitAttr
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    PatternRewriter,
    PatternRewriteWalker,
    RewritePattern,
    op_type_rewrite_pattern,
)

import compiler
import compiler.pipeline
from compiler import stages
from compiler.driver import Request, build, lower_request
from compiler.pipeline import Pipeline
from compiler.registry import _registered, find_pass, installed
from compiler.report import Report
from dialects import krnl
from runtime.errors import InputError, InternalError, InvalidModelError, UnsupportedError

EACH_MODEL = pytest.mark.parametrize("name", MODELS)
EACH_STAGE = pytest.mark.parametrize("stage", stages.NAMES)


def model_and_feed(name: str) -> tuple[onnx.ModelProto, Feed]:
    make, feed = MODELS[name]
    return make(), feed()


def check(got: dict[str, np.ndarray], want: dict[str, np.ndarray]) -> None:
    assert got.keys() == want.keys()
    for name, value in want.items():
        np.testing.assert_allclose(got[name], value, rtol=1e-4, atol=1e-5)


@EACH_STAGE
@EACH_MODEL
def test_text_of_every_stage_compiles_on(name: str, stage: str, tmp_path: Path) -> None:
    model, feed = model_and_feed(name)
    path = tmp_path / f"{stage}.mlir"
    path.write_text(compiler.lower(model, to=stage).as_text())
    low = compiler.lower(path, to=stage)
    assert low.stage == stage
    check(compiler.compile(path).run(feed), reference(model, feed))


@EACH_MODEL
def test_text_with_locations_keeps_the_nodes(name: str, tmp_path: Path) -> None:
    model, feed = model_and_feed(name)
    path = tmp_path / "affine.mlir"
    path.write_text(compiler.lower(model, to="affine").as_text(locations=True))
    network = compiler.compile(path)
    nodes = [node for entry in network.program.manifest["kernels"] for node in entry["nodes"]]
    assert set(nodes) & {node.name for node in model.graph.node}
    check(network.run(feed), reference(model, feed))


def upstream(tool: str, *arguments: str, text: str) -> str:
    found = shutil.which(tool)
    if found is None:
        pytest.skip(f"{tool} is not installed (Debian package mlir-22-tools)")
    done = subprocess.run(
        [found, *arguments], input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[:2000]
    return done.stdout


@pytest.mark.parametrize("stage", ["affine", "llvm"])
@EACH_MODEL
def test_upstream_accepts_the_lower_stages(name: str, stage: str) -> None:
    text = compiler.lower(model_and_feed(name)[0], to=stage).as_text()
    assert "func" in upstream("mlir-opt-22", "--allow-unregistered-dialect", text=text)


@EACH_MODEL
def test_upstream_translates_the_llvm_stage(name: str) -> None:
    text = compiler.lower(model_and_feed(name)[0], to="llvm").as_text()
    assert "@terrace_run" in upstream("mlir-translate-22", "--mlir-to-llvmir", text=text)


def test_the_default_pipeline_is_one_text() -> None:
    model, feed = model_and_feed("perceptron")
    pipeline = compiler.Pipeline.default()
    assert pipeline.names[-1] == "lower-llvm"
    assert "vector-bits=256" in str(compiler.Pipeline.default("haswell"))
    check(compiler.compile(model, passes=pipeline).run(feed), reference(model, feed))


def test_a_pipeline_may_end_early() -> None:
    model, feed = model_and_feed("perceptron")
    network = compiler.compile(model, passes="onnx-infer-shapes,onnx-fold")
    check(network.run(feed), reference(model, feed))


def test_dispatches_are_not_formed_twice() -> None:
    names = "onnx-bind-parameters,onnx-assign-layouts,onnx-form-dispatches"
    model, feed = model_and_feed("perceptron")
    low = compiler.lower(model, to="onnx")
    low.run(names)
    assert low.stage == "onnx"
    text = low.as_text()
    check(low.compile().run(feed), reference(model, feed))
    assert low.as_text() == text


def test_pipelines_are_edited_by_name() -> None:
    pipe = compiler.Pipeline("a{x=1,2},b,a{y=3}")
    assert pipe.names == ("a", "b", "a")
    assert str(pipe.after("a", "c,d{z=1}")) == "a{x=1,2},b,a{y=3},c,d{z=1}"
    assert str(pipe.before("a", "c")) == "c,a{x=1,2},b,a{y=3}"
    assert str(pipe.replace("b", "e")) == "a{x=1,2},e,a{y=3}"
    assert str(pipe.without("a")) == "b"
    assert str(pipe.until("b")) == "a{x=1,2}"
    assert str(pipe.with_option("a", "z=4")) == "a{x=1,2 z=4},b,a{y=3}"
    assert str(pipe.with_option("b", "z=4")) == "a{x=1,2},b{z=4},a{y=3}"
    with pytest.raises(InputError, match="no pass 'q'"):
        pipe.after("q", "c")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("onnx-fald", "did you mean onnx-fold"),
        ("onnx-fold{limit=many}", "onnx-fold"),
        ("onnx-fold{no-such-option=1}", "onnx-fold"),
        ("onnx-fold{", "onnx-fold"),
        ("verify-stage", "verify-stage"),
    ],
)
def test_mistakes_in_pipelines(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        compiler.Pipeline(text).passes()


class NameLoads(RewritePattern):
    """Marks every load of a kernel."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: krnl.LoadOp, rewriter: PatternRewriter) -> None:
        if "seen" not in op.attributes:
            op.attributes["seen"] = UnitAttr()
            rewriter.notify_op_modified(op)


@dataclass(frozen=True)
class MarkLoads(ModulePass):
    """A pass as users write them."""

    name: ClassVar[str] = "test-mark-loads"  # pyright: ignore
    note: str = "none"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        PatternRewriteWalker(NameLoads()).rewrite_module(op)
        op.attributes["test.note"] = StringAttr(self.note)


@pytest.fixture
def mark_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compiler.registry._registered", dict(_registered))
    compiler.register_pass(MarkLoads)


@pytest.mark.usefixtures("mark_loads")
def test_a_registered_pass_runs_where_it_stands() -> None:
    model, feed = model_and_feed("shuffle")
    pipe = compiler.Pipeline.default().after("lower-krnl", 'test-mark-loads{note="here"}')
    low = compiler.lower(model, to="krnl")
    low.run(compiler.Pipeline('test-mark-loads{note="again"}'))
    loads = [op for op in low.module.walk() if isinstance(op, krnl.LoadOp)]
    assert loads and all("seen" in op.attributes for op in loads)
    assert low.module.attributes["test.note"] == StringAttr("again")
    check(compiler.compile(model, passes=pipe).run(feed), reference(model, feed))


@pytest.mark.usefixtures("mark_loads")
def test_names_of_passes_are_unique() -> None:
    compiler.register_pass(MarkLoads)
    other = type("Other", (MarkLoads,), {})
    with pytest.raises(InputError, match="test-mark-loads"):
        compiler.register_pass(other)
    with pytest.raises(InputError, match="onnx-fold"):
        compiler.register_pass(type("Fold", (MarkLoads,), {"name": "onnx-fold"}))


class Entry:
    """An entry point as `importlib.metadata` has them."""

    name = MarkLoads.name

    def load(self) -> type[ModulePass]:
        return MarkLoads


def test_installed_packages_bring_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [Entry()])
    installed.cache_clear()
    try:
        assert find_pass("test-mark-loads") is MarkLoads
        low = compiler.lower(small_relu(), to="krnl", passes="onnx-infer-shapes,test-mark-loads")
        assert low.module.attributes["test.note"] == StringAttr("none")
    finally:
        installed.cache_clear()


@dataclass(frozen=True)
class Broken(ModulePass):
    """A pass with a bug."""

    name: ClassVar[str] = "test-broken"  # pyright: ignore

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        raise KeyError("oops")


def test_a_broken_pass_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compiler.registry._registered", dict(_registered))
    compiler.register_pass(Broken)
    with pytest.raises(InternalError, match="pass 'test-broken' failed: KeyError") as caught:
        compiler.compile(small_relu(), passes="onnx-infer-shapes,test-broken")
    assert isinstance(caught.value.__cause__, KeyError)


def test_sizes_are_fixed_by_name() -> None:
    model, feed = model_and_feed("perceptron")
    network = compiler.compile(model, dims={"rows": 7})
    assert network.inputs[0].shape == (7, 24)
    check(network.run(feed), reference(model, feed))
    with pytest.raises(InputError, match="lines"):
        compiler.compile(model, dims={"lines": 7})
    with pytest.raises(InputError, match="-1"):
        compiler.compile(model, dims={"rows": -1})


def test_sizes_of_texts_are_not_fixed(tmp_path: Path) -> None:
    path = tmp_path / "m.mlir"
    path.write_text(compiler.lower(perceptron()).as_text())
    with pytest.raises(InputError, match="cannot be fixed"):
        compiler.compile(path, dims={"rows": 7})


def test_all_forms_of_a_model_give_the_same(tmp_path: Path) -> None:
    model, feed = model_and_feed("shuffle")
    want = reference(model, feed)
    onnx.save(model, tmp_path / "m.onnx")
    onnx.save(model, tmp_path / "m.json", format="json")
    onnx.save(model, tmp_path / "m.onnxtxt", format="onnxtxt")
    data = model.SerializeToString()
    paths = [tmp_path / f"m{suffix}" for suffix in (".onnx", ".json", ".onnxtxt")]
    for form in (model, data, bytearray(data), memoryview(data), *paths, *map(str, paths)):
        check(compiler.compile(form).run(feed), want)
    with pytest.raises(InputError, match="list is no model"):
        compiler.compile([])  # type: ignore[arg-type]


@pytest.mark.parametrize("empty", [b"", bytearray()])
def test_empty_data_are_no_model(empty: bytes) -> None:
    with pytest.raises(InvalidModelError, match="empty"):
        compiler.compile(empty)


def test_lowering_does_not_go_back() -> None:
    low = compiler.lower(small_relu(), to="affine")
    with pytest.raises(InputError, match="stands on the affine stage"):
        low.advance("krnl")
    with pytest.raises(InputError, match="no stage 'cuda'"):
        compiler.lower(small_relu(), to="cuda")


def test_lowering_on_leaves_the_module_as_it_is() -> None:
    low = compiler.lower(small_relu(), to="krnl")
    before = low.as_text()
    assert low.lower("llvm").stage == "llvm"
    low.compile()
    assert low.as_text() == before


def test_the_report_counts_and_times() -> None:
    built = build(Request.of(MODELS["digits"][0]()), cache=False)
    report = built.report
    ran = [name for _, name, _ in report.passes if name != "verify"]
    assert ran == list(compiler.Pipeline.default().names)
    assert report.nodes == 20
    assert report.kernels == len({e["name"] for e in built.program.manifest["kernels"]}) >= 3
    assert set(report.stage_seconds()) == set(stages.NAMES)
    assert Report.from_json(built.program.manifest["report"]).kernels == report.kernels
    assert report.seconds > sum(report.stage_seconds().values()) > 0


def test_observers_see_every_pass_and_border() -> None:
    seen: list[tuple[str, str]] = []
    lower_request(
        Request.of(small_relu()), "affine", [lambda stage, name, *_: seen.append((stage, name))]
    )
    assert [stage for stage, name in seen if not name] == ["onnx", "krnl", "affine"]
    assert ("krnl", "lower-krnl") in seen


def test_what_users_bring_is_verified(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    verified: list[str] = []
    monkeypatch.setattr(
        compiler.pipeline, "verify_operations", lambda module, name: verified.append(name)
    )

    def passes_before(run: Callable[[], object]) -> list[str]:
        verified.clear()
        run()
        # Kernels are verified one by one.
        return list(dict.fromkeys(verified))

    text = tmp_path / "relu.krnl.mlir"
    low = compiler.lower(small_relu(), "krnl")
    text.write_text(low.as_text(), encoding="utf-8")
    assert passes_before(lambda: build(Request.of(small_relu()), cache=False)) == [
        "onnx-infer-shapes"
    ]
    assert passes_before(lambda: build(Request.of(text), cache=False)) == ["expand-math"]
    assert passes_before(low.compile) == ["expand-math"]
    assert passes_before(lambda: compiler.lower(small_relu(), "llvm"))[-1] == "lower-llvm"
    chosen = Pipeline.default().until("lower-llvm")
    request = Request.of(small_relu(), passes=chosen)
    assert "expand-math" in passes_before(lambda: build(request, cache=False))


def test_cycles_are_not_collected_while_a_model_compiles() -> None:
    enabled: list[bool] = []
    observers = [lambda *_: enabled.append(gc.isenabled())]
    build(Request.of(small_relu()), observers=observers)
    assert enabled and not any(enabled) and gc.isenabled()
    with pytest.raises(InputError):
        compiler.lower(small_relu(), "onnx", passes="no-such-pass")
    assert gc.isenabled()
    gc.disable()
    try:
        compiler.lower(small_relu(), "krnl")
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_unsupported_nodes_are_reported_together() -> None:
    nodes = [
        onnx.helper.make_node("Frobnicate", ["x"], ["h"], name="first", domain="com.example"),
        onnx.helper.make_node("Relu", ["h"], ["r"], name="fine"),
        onnx.helper.make_node("Twist", ["r"], ["y"], name="second", domain="com.example"),
    ]
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            nodes,
            "g",
            [onnx.helper.make_tensor_value_info("x", 1, [4])],
            [onnx.helper.make_tensor_value_info("y", 1, [4])],
        ),
        opset_imports=[
            onnx.helper.make_opsetid("", 21),
            onnx.helper.make_opsetid("com.example", 3),
        ],
        ir_version=10,
    )
    with pytest.raises(UnsupportedError) as caught:
        compiler.compile(model)
    message = str(caught.value)
    assert "2 nodes" in message
    assert "'first' (com.example.Frobnicate opset 3)" in message
    assert "'second' (com.example.Twist opset 3)" in message
    assert "fine" not in message
