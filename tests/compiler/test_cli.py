"""The command line: what goes in, what comes out where, and exit codes."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper
from sample_models import DIGIT, DIGITS, MODELS, graph_model, perceptron, reference, small_relu

import runtime
from compiler import stages
from compiler.cli import bench_command, main
from compiler.cli.arguments import COMMANDS, parse_arguments

ROOT = Path(__file__).parents[2]

Output = pytest.CaptureFixture[str]


def terrace(*arguments: object, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "compiler", *map(str, arguments)],
        cwd=ROOT,
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )


def call(*arguments: object) -> int:
    """The command line in this process."""
    return main([str(argument) for argument in arguments])


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "perceptron.onnx"
    onnx.save(perceptron(), path)
    return path


def feed() -> dict[str, np.ndarray]:
    return MODELS["perceptron"][1]()


# compile ------------------------------------------------------------------------------------


def test_a_model_alone_is_compiled_and_summarised(model: Path, capsys: Output) -> None:
    assert call(model) == 0
    first = capsys.readouterr().out
    assert call("compile", model) == 0
    second = capsys.readouterr().out
    assert "x: float32[rows, 24]" in first
    assert "kernels" in first and "sizes" in first and "seconds" in first
    assert "from the cache" in second and "from the cache" not in first


@pytest.mark.parametrize("stage", stages.NAMES)
def test_emitted_stages_compile_on(stage: str, model: Path, tmp_path: Path, capsys: Output) -> None:
    path, results = tmp_path / f"{stage}.mlir", tmp_path / "out.npz"
    assert call(model, "--emit", stage) == 0
    path.write_text(capsys.readouterr().out)
    np.savez(tmp_path / "in.npz", **feed())  # type: ignore[arg-type]
    assert call("run", path, "-i", f"@{tmp_path / 'in.npz'}", "-o", results) == 0
    want = reference(perceptron(), feed())
    np.testing.assert_allclose(np.load(results)["y"], want["y"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("kind", "sign"), [("llvm-ir", "define"), ("asm", ".loc")])
def test_emitted_code_is_text(kind: str, sign: str, model: Path, capsys: Output) -> None:
    assert call(model, f"--emit={kind}") == 0
    text = capsys.readouterr().out
    assert "terrace_run" in text and sign in text


def test_object_files_are_elf(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.o"
    assert call(model, "-o", path) == 0
    assert path.read_bytes()[:4] == b"\x7fELF"
    other = tmp_path / "arm.o"
    assert call(model, "-o", other, "--target-cpu", "aarch64") == 0
    assert other.read_bytes()[18] == 183  # EM_AARCH64


def test_programs_are_saved_and_run(model: Path, tmp_path: Path, capsys: Output) -> None:
    path = tmp_path / "m.terrace"
    assert call(model, "-o", path) == 0
    want = reference(perceptron(), feed())["y"]
    np.testing.assert_allclose(runtime.load(path)(feed()["x"]), want, rtol=1e-4, atol=1e-5)
    assert call("run", path) == 0
    assert "y: float32[1, 24]" in capsys.readouterr().out


@pytest.mark.parametrize("suffix", [".onnx", ".json", ".onnxtxt"])
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("passes", [[], ["-p", ""]], ids=["simplified", "as it is"])
def test_onnx_goes_out_again(name: str, suffix: str, passes: list[str], tmp_path: Path) -> None:
    make, inputs = MODELS[name]
    source, target = tmp_path / "in.onnx", tmp_path / f"out{suffix}"
    onnx.save(make(), source)
    assert call(source, "--emit=onnx", "-o", target, *passes) == 0
    written = onnx.load(target)
    for key, want in reference(make(), inputs()).items():
        got = reference(written, inputs())[key]
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
    if passes:
        assert [n.op_type for n in written.graph.node] == [n.op_type for n in make().graph.node]


def test_sizes_and_targets(model: Path, capsys: Output) -> None:
    assert call(model, "--dim", "rows=5", "--target-cpu", "haswell") == 0
    text = capsys.readouterr().out
    assert "float32[5, 24]" in text and "haswell" in text


def test_passes_are_shown_and_timed(model: Path, capsys: Output) -> None:
    assert call(model, "--print-ir-after-all", "--time-passes", "--emit=krnl", "--elide=16") == 0
    captured = capsys.readouterr()
    assert "// ---- after onnx-form-dispatches (krnl) ----" in captured.err
    assert "krnl-schedule" in captured.err and "100.0%" in captured.err
    assert "----" not in captured.out and "krnl.iterate" in captured.out
    assert len(captured.out) < 10000


def test_dumped_stages_can_be_edited_and_resumed(
    model: Path, tmp_path: Path, capsys: Output
) -> None:
    folder = tmp_path / "stages"
    assert call(model, "--dump-stages", folder) == 0
    assert sorted(p.name for p in folder.iterdir()) == sorted(f"{n}.mlir" for n in stages.NAMES)
    affine = folder / "affine.mlir"
    affine.write_text(affine.read_text().replace("math.sqrt", "math.sqrt "))
    assert call(affine) == 0
    capsys.readouterr()
    assert call(model, "--dump-stages", folder) == 1
    assert "--force" in capsys.readouterr().err
    assert call(model, "--dump-stages", folder, "--force") == 0


def test_locations_name_the_nodes(model: Path, capsys: Output) -> None:
    assert call(model, "--emit=affine", "--locations") == 0
    assert 'loc("norm"' in capsys.readouterr().out


# run ----------------------------------------------------------------------------------------


def test_run_takes_inputs_in_many_forms(tmp_path: Path, capsys: Output) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(small_relu("n"), path)
    x = np.float32([-1, 2, -3])
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "one.npz", anything=x)
    np.savez(tmp_path / "all.npz", x=x, unused=np.zeros(1))
    tensor = numpy_helper.from_array(x)
    (tmp_path / "x.pb").write_bytes(tensor.SerializeToString())
    for text in ("x=@{}/x.npy", "x=@{}/one.npz", "@{}/all.npz", "x=@{}/x.pb", "x=[-1, 2, -3]"):
        output = tmp_path / "out.npz"
        given = text.format(tmp_path)
        assert call("run", path, "-i", given, "-o", output, "--force") == 0, given
        np.testing.assert_array_equal(np.load(output)["y"], np.maximum(x, 0))
    assert "y: float32[3]  min 0" in capsys.readouterr().out


def test_run_compares_with_a_test_set(tmp_path: Path, capsys: Output) -> None:
    path, folder = tmp_path / "m.onnx", tmp_path / "test_data_set_0"
    onnx.save(small_relu("n"), path)
    folder.mkdir()
    x = np.float32([-1, 2, -3])
    for name, array in (("input_0", x), ("output_0", np.maximum(x, 0))):
        tensor = numpy_helper.from_array(array)
        (folder / f"{name}.pb").write_bytes(tensor.SerializeToString())
    assert call("run", path, "-i", folder) == 0
    assert "agrees" in capsys.readouterr().out
    (folder / "output_0.pb").write_bytes(numpy_helper.from_array(x).SerializeToString())
    assert call("run", path, "-i", folder) == 3
    assert "DIFFERS" in capsys.readouterr().out


def test_random_inputs_follow_the_seed(model: Path, tmp_path: Path) -> None:
    outputs = []
    for number, seed in enumerate((0, 0, 1)):
        path = tmp_path / f"{number}.npz"
        assert call("run", model, "--seed", seed, "--size", "rows=3", "-o", path) == 0
        outputs.append(np.load(path)["y"])
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert outputs[0].shape == (3, 24) and not np.array_equal(outputs[0], outputs[2])


@pytest.mark.parametrize("who", ["onnxruntime", "reference"])
def test_run_compares_with_others(who: str, capsys: Output) -> None:
    image = f"image=@{DIGIT}"
    arguments = ("run", DIGITS, "-i", image, "--compare", who, "--intermediates", "--repeat", 3)
    assert call(*arguments, "--threads", 1) == 0
    text = capsys.readouterr().out
    assert "agrees" in text and "all 11 tensors agree" in text and "median" in text


def test_run_writes_a_profile(model: Path, tmp_path: Path, capsys: Output) -> None:
    trace = tmp_path / "trace.json"
    assert call("run", model, "--profile", trace, "--threads", 1) == 0
    text = capsys.readouterr().out
    assert "the fastest run" in text and "between kernels" in text and "GFLOP/s" in text
    events = json.loads(trace.read_text())["traceEvents"]
    kernels = [event for event in events if event.get("cat") == "kernel"]
    assert kernels and all(event["args"]["nodes"] and event["dur"] > 0 for event in kernels)
    assert call("run", model, "--profile", trace) == 1
    assert "--force overwrites it" in capsys.readouterr().err


def test_bench_times_both_sides(model: Path, tmp_path: Path, capsys: Output) -> None:
    trace = tmp_path / "trace.json"
    options = ("--seconds", 0, "--threads", 1)
    assert call("bench", model, "--against", "onnxruntime", "--profile", trace, *options) == 0
    text = capsys.readouterr().out
    assert "agrees" in text and "ratio" in text and trace.exists()
    ours, other = (line.split()[2] for line in text.splitlines() if " least " in line)
    assert float(ours) > 0 and float(other) > 0
    assert call("bench", model, *options) == 0
    assert "ratio" not in capsys.readouterr().out


def test_bench_fails_where_results_differ(
    model: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Other:
        """A session that gives zeros."""

        def __init__(self) -> None:
            self.session = onnxruntime.InferenceSession(model)

        def get_outputs(self) -> list[object]:
            return self.session.get_outputs()

        def run(self, names: None, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
            return [np.zeros_like(array) for array in self.session.run(names, feed)]

    monkeypatch.setattr(bench_command, "onnxruntime_session", lambda *_: Other())
    assert call("bench", model, "--against", "onnxruntime", "--seconds", 0) == 3
    assert "DIFFERS" in capsys.readouterr().out


def test_the_first_node_that_differs_is_named(
    tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other side runs a model in which one node computes something else."""
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], name="first"),
        helper.make_node("Neg", ["a"], ["b"], name="second"),
        helper.make_node("Abs", ["b"], ["y"], name="third"),
    ]
    path = tmp_path / "m.onnx"
    onnx.save(graph_model("g", nodes, {"x": [16]}, ["y"]), path)
    original = onnxruntime.InferenceSession

    def other(source: object, *arguments: object, **options: object) -> object:
        data = Path(source).read_bytes() if isinstance(source, str) else source
        changed = onnx.load_from_string(data)  # type: ignore[arg-type]
        changed.graph.node[1].op_type = "Exp"
        return original(changed.SerializeToString(), *arguments, **options)

    monkeypatch.setattr(onnxruntime, "InferenceSession", other)
    assert call("run", path, "--compare", "onnxruntime", "--intermediates") == 3
    text = capsys.readouterr().out
    assert "first divergence: node 'second' (ai.onnx.Neg), output 'b'" in text


def test_what_the_other_side_cannot_run_is_said(tmp_path: Path, capsys: Output) -> None:
    path = tmp_path / "m.mlir"
    assert call(DIGITS, "--emit=affine", "-o", path) == 0
    assert call("run", path, "--compare", "onnxruntime") == 1
    assert "cannot run" in capsys.readouterr().err


# opt, inspect, doctor -----------------------------------------------------------------------


def test_opt_reads_text_and_writes_text(model: Path, tmp_path: Path) -> None:
    krnl = terrace(model, "--emit=krnl")
    affine = terrace("opt", "-", "-p", "lower-affine,expand-math", text=krnl.stdout)
    assert affine.returncode == 0, affine.stderr
    path = tmp_path / "affine.mlir"
    path.write_text(affine.stdout)
    output = tmp_path / "llvm.mlir"
    assert call("opt", path, "-p", "lower-llvm,cse,verify-stage{stage=llvm}", "-o", output) == 0
    assert "llvm.func" in output.read_text()


def test_opt_without_passes_only_prints(model: Path, capsys: Output) -> None:
    assert call("opt", model) == 0
    assert '"onnx.MatMul.v13"' in capsys.readouterr().out


def test_kernels_are_explained(capsys: Output) -> None:
    assert call(DIGITS, "--explain") == 0
    text = capsys.readouterr().out
    for word in ("conv3x3", "a tile of", "one thread:", "registers"):
        assert word in text, word


def test_inspect_lists_what_there_is(capsys: Output) -> None:
    assert call("inspect", DIGITS) == 0
    text = capsys.readouterr().out
    for word in ("opset", "image", "probabilities", "Conv", "kernels", "conv1", "weights"):
        assert word in text, word


def test_inspect_lists_what_cannot_be_compiled(tmp_path: Path, capsys: Output) -> None:
    node = helper.make_node("Frob", ["x"], ["y"], name="frob", domain="com.example")
    model = graph_model("g", [node], {"x": [4]}, ["y"])
    model.opset_import.add(domain="com.example", version=1)
    onnx.save(model, tmp_path / "m.onnx")
    assert call("inspect", tmp_path / "m.onnx") == 0
    text = capsys.readouterr().out
    assert "com.example.Frob" in text and "cannot be compiled" in text and "'frob'" in text


def test_doctor_says_that_all_is_well(capsys: Output) -> None:
    assert call("doctor") == 0
    text = capsys.readouterr().out
    for word in ("Python", "xdsl", "llvmlite", "vectors", "cache", "threads     work"):
        assert word in text, word


# Usage, streams and exit codes --------------------------------------------------------------


def test_compile_is_implied() -> None:
    for argv in (["m.onnx"], ["--emit=krnl", "m.onnx"], ["compile", "m.onnx"]):
        assert parse_arguments(argv).command == "compile"
    for name in COMMANDS[1:]:
        assert parse_arguments([name] if name == "doctor" else [name, "m"]).command == name


@pytest.mark.parametrize(
    "argv",
    [
        ["m.onnx", "--emit=cuda"],
        ["m.onnx", "--dim", "rows"],
        ["m.onnx", "--dim", "rows=-1"],
        ["--no-such-option"],
        ["run"],
        ["m.onnx", "--elide", "many"],
    ],
)
def test_wrong_usage_is_2(argv: list[str], capsys: Output) -> None:
    assert main(argv) == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["--help"], [], ["run", "--help"], ["--version"]])
def test_help_is_no_error(argv: list[str], capsys: Output) -> None:
    assert main(argv) == 0
    assert "terrace" in capsys.readouterr().out


def test_devices_that_are_not_there_are_4(capsys: Output) -> None:
    assert call("run", DIGITS, "--threads", 0) == 4
    assert "threads" in capsys.readouterr().err


def test_bugs_are_70(model: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("oops")

    monkeypatch.setattr("compiler.cli.compile_command.request_of", broken)
    assert call(model) == 70
    text = capsys.readouterr().err
    assert "internal error: KeyError: 'oops'" in text and "Traceback" not in text
    assert call("compile", "--debug", model) == 70
    assert "Traceback" in capsys.readouterr().err


def test_results_are_all_that_is_on_standard_output(model: Path) -> None:
    done = terrace(model, "--emit=krnl", "--time-passes")
    assert done.stdout.startswith("builtin.module")
    assert "krnl-schedule" in done.stderr


def test_a_reader_that_leaves_early_is_no_error(model: Path) -> None:
    command = f"{sys.executable} -m compiler {model} --emit=llvm | head -1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def wait_until_it_compiles(pid: int) -> None:
    """Until numpy is loaded, which is at work, not while the command line's modules are."""
    maps = Path(f"/proc/{pid}/maps")
    deadline = time.monotonic() + 20
    while maps.exists() and "numpy" not in maps.read_text() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.2)


def test_interrupts_are_130(model: Path) -> None:
    environment = os.environ | {"TERRACE_CACHE": "0"}
    process = subprocess.Popen(
        [sys.executable, "-m", "compiler", str(DIGITS)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until_it_compiles(process.pid)
    process.send_signal(signal.SIGINT)
    _, text = process.communicate()
    # Interrupted within an `exec`, Python ends itself by the signal, which a shell calls 130 too.
    assert process.returncode in (130, -signal.SIGINT)
    assert text == "terrace: interrupted\n"


def test_a_cached_compile_is_fast() -> None:
    assert terrace(DIGITS).returncode == 0
    # The processor's time with the interpreter's start, which is the clock's where nobody else
    # works. Measured: 0.16 s.
    times = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert "from the cache" in terrace(DIGITS).stdout
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(times) < 0.6
