"""Bad input: the right exit code, a message that names the place, and no traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from sample_models import DIGITS, graph_model, small_relu

from compiler.cli import main

Output = pytest.CaptureFixture[str]


def external(folder: Path, location: str) -> Path:
    """A model whose factor is said to lie at ``location``."""
    node = helper.make_node("Mul", ["x", "f"], ["y"], name="mul")
    model = graph_model("g", [node], {"x": [64]}, ["y"], {"f": np.ones(64, np.float32)})
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    path = folder / "m.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def saved(folder: Path, *nodes: onnx.NodeProto) -> Path:
    path = folder / "m.onnx"
    path.write_bytes(graph_model("g", nodes, {"x": [4]}, ["y"]).SerializeToString())
    return path


def written(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def corrupt(folder: Path) -> Path:
    return written(folder, "m.onnx", b"\x08\x0a\x3a\xff\xff\xff\xff\x7f" + b"garbage" * 50)


def truncated(folder: Path) -> Path:
    return written(folder, "m.onnx", DIGITS.read_bytes()[:-2000])


def no_graph(folder: Path) -> Path:
    return written(folder, "m.onnx", onnx.ModelProto(ir_version=10).SerializeToString())


def cycle(folder: Path) -> Path:
    return saved(
        folder,
        helper.make_node("Add", ["x", "b"], ["a"], name="one"),
        helper.make_node("Relu", ["a"], ["b"], name="two"),
        helper.make_node("Relu", ["b"], ["y"], name="three"),
    )


def undefined(folder: Path) -> Path:
    return saved(folder, helper.make_node("Add", ["x", "nowhere"], ["y"], name="sum"))


def absurd(folder: Path) -> Path:
    shape = [2**40, 2**20]
    return written(folder, "m.onnx", small_relu(*shape).SerializeToString())


def bad_text(folder: Path) -> Path:
    return written(folder, "m.mlir", b"builtin.module {\n  func.func @main( {\n}\n")


def bad_operation(folder: Path) -> Path:
    return written(folder, "m.mlir", b'builtin.module {\n  "krnl.frobnicate"() : () -> ()\n}\n')


def bad_onnxtxt(folder: Path) -> Path:
    return written(folder, "m.onnxtxt", b"<ir_version: 10> g (float[4 x) => () {}")


def not_utf8(folder: Path) -> Path:
    return written(folder, "m.mlir", b"\xff\xfe\x00")


def compiled(folder: Path) -> Path:
    return written(folder, "m.terrace", b"whatever")


MODELS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "no such file": (lambda folder: folder / "m.onnx", "m.onnx: there is no such file"),
    "no such text": (lambda folder: folder / "m.mlir", "m.mlir: there is no such file"),
    "a folder": (lambda folder: folder, "cannot be read"),
    "empty": (lambda folder: written(folder, "m.onnx", b""), "empty"),
    "corrupt": (corrupt, "m.onnx"),
    "truncated": (truncated, "m.onnx"),
    "no graph": (no_graph, "holds no graph"),
    "cycle": (cycle, "'one'"),
    "undefined name": (undefined, "nowhere"),
    "absurd size": (absurd, "absurd"),
    "missing external data": (lambda f: external(f, "gone.data"), "'gone.data' is missing"),
    "external data outside": (lambda f: external(f, "../gone.data"), "outside of the model's"),
    "syntax error": (bad_text, "m.mlir:2:"),
    "unknown operation": (bad_operation, "m.mlir:2:"),
    "onnxtxt syntax error": (bad_onnxtxt, "m.onnxtxt"),
    "not utf-8": (not_utf8, "m.mlir"),
    "a program": (compiled, "m.terrace"),
}


@pytest.mark.parametrize("command", ["compile", "run", "inspect"])
@pytest.mark.parametrize("kind", MODELS)
def test_bad_models_are_1(kind: str, command: str, tmp_path: Path, capsys: Output) -> None:
    make, message = MODELS[kind]
    assert main([command, str(make(tmp_path))]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert captured.err.startswith("terrace: error:") and "Traceback" not in captured.err


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("image=@missing.npy", "missing.npy"),
        ("picture=[1]", "its inputs are image"),
        ("image=[1, 2", "no float32 array"),
        ("image=[1, 2]", "rank 1"),
        ("image=@{}/wide.npy", "dtype float64"),
        ("image=@{}/text.npy", "text.npy"),
        ("image=@{}/text.pb", "text.pb holds no tensor"),
        ("@{}/wide.npy", "is no .npz file"),
        ("image=@{}/two.npz", "has no array 'image'"),
        ("image", "is no input"),
    ],
)
def test_bad_inputs_are_1(given: str, message: str, tmp_path: Path, capsys: Output) -> None:
    np.save(tmp_path / "wide.npy", np.zeros((1, 1, 8, 8)))
    np.savez(tmp_path / "two.npz", a=np.zeros(1), b=np.zeros(1))
    written(tmp_path, "text.npy", b"no array")
    written(tmp_path, "text.pb", b"no tensor")
    assert main(["run", str(DIGITS), "-i", given.format(tmp_path)]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--dim", "lines=3"], "'lines'"),
        (["-p", "onnx-fald"], "onnx-fold"),
        (["-p", "onnx-fold{limit=x}"], "onnx-fold"),
        (["--target-cpu", "z80"], "z80"),
        (["--emit=program"], "-o"),
        (["-o", "result.unknown"], "--emit"),
        (["-o", "no-such-folder/m.terrace"], "no-such-folder"),
    ],
)
def test_bad_options_are_1(options: list[str], message: str, capsys: Output) -> None:
    assert main([str(DIGITS), *options]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["{model}", "--emit=krnl", "-o", "{out}"],
        ["{model}", "--emit=obj", "-o", "{out}"],
        ["{model}", "--emit=program", "-o", "{out}"],
        ["run", "{model}", "-o", "{out}"],
        ["opt", "{model}", "-o", "{out}"],
    ],
    ids=lambda arguments: arguments[0] + arguments[1],
)
def test_nothing_is_overwritten_unless_asked(
    arguments: list[str], tmp_path: Path, capsys: Output
) -> None:
    out = written(tmp_path, "out.npz", b"precious")
    argv = [text.format(model=DIGITS, out=out) for text in arguments]
    assert main(argv) == 1
    assert "exists" in capsys.readouterr().err
    assert out.read_bytes() == b"precious"
    assert main([*argv, "--force"]) == 0
    assert out.read_bytes() != b"precious"


def test_a_file_that_appears_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    from compiler.cli.output import write_file
    from runtime.errors import InputError

    out = tmp_path / "out"

    def writer(path: Path) -> None:
        path.write_text("ours")
        out.write_text("theirs")

    with pytest.raises(InputError, match="exists"):
        write_file(out, False, writer)
    assert out.read_text() == "theirs"
    assert list(tmp_path.iterdir()) == [out]


def test_elided_text_does_not_compile(tmp_path: Path, capsys: Output) -> None:
    path = tmp_path / "short.mlir"
    assert main([str(DIGITS), "--emit=affine", "--elide=64", "-o", str(path)]) == 0
    assert main([str(path)]) == 1
    assert "elided" in capsys.readouterr().err
