"""The example models are right before any compiler of ours touches them.

onnxruntime runs the digit recogniser and tiny GPT-2s; a plain-numpy GPT-2, written from the paper
and not from the graph, is the second opinion; the tokenizer meets arbitrary strings.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

EXAMPLES = Path(__file__).parents[2] / "examples"
Array = np.ndarray


def load(folder: str, name: str) -> ModuleType:
    """Import a script of an example, which finds its neighbours as when run from its folder."""
    sys.path.insert(0, str(EXAMPLES / folder))
    try:
        return import_module(name)
    finally:
        del sys.path[0]


network = load("digits", "network")
gpt2 = load("gpt2", "gpt2")
weights = load("gpt2", "weights")
make_model = load("gpt2", "make_model")
tokenizer = load("gpt2", "tokenizer")
run_inference = load("gpt2", "run_inference")

CONFIG = gpt2.Config(layers=2, heads=4, embedding=32, vocab=61, context=24)


def session_of(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def run(path: Path, inputs: dict[str, Array]) -> Array:
    """The only output of a model in onnxruntime."""
    (output,) = session_of(path).run(None, inputs)
    assert isinstance(output, np.ndarray)
    return output


# --- digits ---------------------------------------------------------------------------------


def test_digits_model_is_accurate_on_the_held_out_images():
    held_out = np.load(EXAMPLES / "digits" / "digits_test.npz")
    path = EXAMPLES / "digits" / "digits.onnx"
    probabilities = run(path, {"image": held_out["image"]})
    hits = int((probabilities.argmax(axis=1) == held_out["label"]).sum())
    stated = session_of(path).get_modelmeta().custom_metadata_map["test_accuracy"]
    assert len(held_out["label"]) == 360
    assert hits / 360 >= 0.97
    assert stated.startswith(f"{hits / 360:.4f} ({hits} of 360")
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_digits_model_is_small_symbolic_and_named():
    path = EXAMPLES / "digits" / "digits.onnx"
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert path.stat().st_size < 150_000
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert all(node.name for node in model.graph.node)
    assert model.doc_string


def test_digit_image_is_held_out_and_recognised():
    image = np.load(EXAMPLES / "digits" / "digit.npy")
    held_out = np.load(EXAMPLES / "digits" / "digits_test.npz")
    assert image.dtype == np.float32 and image.shape == (1, 1, 8, 8)
    np.testing.assert_array_equal(image, held_out["image"][:1])
    probabilities = run(EXAMPLES / "digits" / "digits.onnx", {"image": image})
    assert probabilities[0].argmax() == held_out["label"][0]


def test_network_gradients_are_the_derivatives():
    rng = np.random.default_rng(1)
    layers = [
        network.Conv3x3.create(rng, 1, 2, padding=1),
        network.Relu(),
        network.Conv3x3.create(rng, 2, 3, padding=0),
        network.MaxPool2x2(),
        network.Flatten(),
        network.Gemm.create(rng, 12, 4),
    ]
    for layer in layers:
        layer.parameters = {name: value.astype(float) for name, value in layer.parameters.items()}
    image, label = rng.random((1, 1, 6, 6)), np.array([2])

    def logits() -> Array:
        x = image
        for layer in layers:
            x = layer.forward(x)
        return x

    def loss() -> float:
        x = logits()[0]
        return float(np.log(np.exp(x).sum()) - x[2])

    gradient = network.cross_entropy_gradient(logits(), label)
    for layer in reversed(layers):
        gradient = layer.backward(gradient)
    for layer in layers:
        for name, parameter in layer.parameters.items():
            spot = tuple(rng.integers(parameter.shape))
            expected = float(layer.gradients[name][spot])
            before = parameter[spot]
            parameter[spot] = before + 1e-6
            above = loss()
            parameter[spot] = before - 1e-6
            below = loss()
            parameter[spot] = before
            assert (above - below) / 2e-6 == pytest.approx(expected, rel=1e-4, abs=1e-8)


# --- GPT-2's graph --------------------------------------------------------------------------


def noise(seed: int) -> dict[str, Array]:
    """Parameters large enough for every part of the network to matter."""
    rng = np.random.default_rng(seed)
    return {
        name: rng.normal(0, 0.3, shape).astype(np.float32)
        for name, shape in CONFIG.parameter_shapes().items()
    }


def write_safetensors(path: Path, arrays: dict[str, Array], dtype: str, prefix: str = "") -> None:
    """The format as published: u64 header length, JSON, bytes. BF16 keeps the upper 16 bits."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    blobs: list[bytes] = []
    offset = 0
    for name, array in arrays.items():
        stored = (array.view("<u4") >> 16).astype("<u2") if dtype == "BF16" else array
        blobs.append(stored.tobytes())
        offsets = [offset, offset + len(blobs[-1])]
        header[prefix + name] = {"dtype": dtype, "shape": array.shape, "data_offsets": offsets}
        offset = offsets[1]
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(blobs))


def numpy_gpt2(p: dict[str, Array], ids: Array) -> Array:
    """GPT-2's forward pass in float64, one head of one sequence at a time."""

    def norm(x: Array, name: str) -> Array:
        centred = x - x.mean(-1, keepdims=True)
        deviation = np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
        return centred / deviation * p[f"{name}.weight"] + p[f"{name}.bias"]

    def linear(x: Array, name: str) -> Array:
        return x @ p[f"{name}.weight"] + p[f"{name}.bias"]

    def attend(q: Array, k: Array, v: Array) -> Array:
        rows = []
        for place in range(len(q)):
            seen = np.exp(k[: place + 1] @ q[place] / math.sqrt(q.shape[1]))
            rows.append(seen @ v[: place + 1] / seen.sum())
        return np.array(rows)

    def forward(tokens: Array) -> Array:
        x = p["wte.weight"][tokens] + p["wpe.weight"][: len(tokens)]
        for layer in range(CONFIG.layers):
            q, k, v = np.split(linear(norm(x, f"h.{layer}.ln_1"), f"h.{layer}.attn.c_attn"), 3, -1)
            heads = [np.split(part, CONFIG.heads, -1) for part in (q, k, v)]
            mixed = np.concatenate([attend(*head) for head in zip(*heads, strict=True)], -1)
            x = x + linear(mixed, f"h.{layer}.attn.c_proj")
            h = linear(norm(x, f"h.{layer}.ln_2"), f"h.{layer}.mlp.c_fc")
            h = h / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * h**3)))
            x = x + linear(h, f"h.{layer}.mlp.c_proj")
        return norm(x, "ln_f") @ p["wte.weight"].T

    p = {name: value.astype(np.float64) for name, value in p.items()}
    return np.stack([forward(tokens) for tokens in ids])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds one set of weights as safetensors and the models made from it."""
    folder = tmp_path_factory.mktemp("gpt2")
    write_safetensors(folder / "w.safetensors", noise(0), "F32", prefix="transformer.")
    source = weights.open_weights(folder / "w.safetensors", CONFIG.parameter_shapes())
    make_model.write_model(folder / "dynamic.onnx", CONFIG, None, source)
    make_model.write_model(folder / "static.onnx", CONFIG, (2, 8), source)
    return folder


def test_default_config_is_gpt2_124m():
    shapes = gpt2.Config().parameter_shapes().values()
    assert sum(math.prod(shape) for shape in shapes) == 124_439_808


@pytest.mark.parametrize(("batch", "sequence"), [(1, 1), (1, 7), (2, 8), (2, 24)])
def test_dynamic_graph_agrees_with_numpy(folder: Path, batch: int, sequence: int):
    ids = np.random.default_rng(sequence).integers(0, CONFIG.vocab, (batch, sequence))
    logits = run(folder / "dynamic.onnx", {"input_ids": ids})
    expected = numpy_gpt2(noise(0), ids)
    assert logits.dtype == np.float32 and logits.shape == (batch, sequence, CONFIG.vocab)
    assert expected.std() > 0.5
    np.testing.assert_allclose(logits, expected, atol=1e-4)


def test_static_graph_agrees_with_numpy_and_has_no_run_time_shapes(folder: Path):
    ids = np.random.default_rng(3).integers(0, CONFIG.vocab, (2, 8))
    logits = run(folder / "static.onnx", {"input_ids": ids})
    np.testing.assert_allclose(logits, numpy_gpt2(noise(0), ids), atol=1e-4)
    nodes = onnx.load(folder / "static.onnx", load_external_data=False).graph.node
    assert not {"Shape", "Range", "Slice", "Concat"} & {node.op_type for node in nodes}


def test_shape_inference_keeps_the_symbols(folder: Path):
    model = onnx.load(folder / "dynamic.onnx", load_external_data=False)
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    (output,) = inferred.graph.output
    dims = output.type.tensor_type.shape.dim
    assert [dim.dim_param or dim.dim_value for dim in dims] == ["batch", "sequence", 61]


def test_nodes_have_unique_names_like_pytorchs(folder: Path):
    nodes = onnx.load(folder / "dynamic.onnx", load_external_data=False).graph.node
    names = [node.name for node in nodes]
    assert len(set(names)) == len(names)
    assert {"/h.0/attn/c_attn/MatMul", "/h.1/mlp/act/Tanh", "/ln_f/LayerNormalization"} <= {*names}


def test_external_data_are_page_aligned_and_inside_the_file(folder: Path):
    model = onnx.load(folder / "dynamic.onnx", load_external_data=False)
    size = (folder / "dynamic.onnx.data").stat().st_size
    places = [
        {entry.key: entry.value for entry in tensor.external_data}
        for tensor in model.graph.initializer
        if tensor.data_location == onnx.TensorProto.EXTERNAL
    ]
    assert len(places) >= len(CONFIG.parameter_shapes())
    for place in places:
        assert place["location"] == "dynamic.onnx.data"
        assert int(place["offset"]) % 4096 == 0
        assert int(place["offset"]) + int(place["length"]) <= size


def test_random_weights_repeat_and_give_sensible_logits(tmp_path: Path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        source = weights.RandomWeights(5, CONFIG.layers)
        make_model.write_model(tmp_path / name / "m.onnx", CONFIG, None, source)
    for name in ("m.onnx", "m.onnx.data"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert not list(tmp_path.rglob("*.part"))
    ids = np.arange(20)[None]
    logits = run(tmp_path / "a" / "m.onnx", {"input_ids": ids})
    assert np.isfinite(logits).all() and 0.01 < logits.std() < 10


# --- GPT-2's weights ------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["F64", "F32", "F16", "BF16"])
def test_safetensors_data_types(tmp_path: Path, dtype: str):
    numpy_dtype = {"F64": np.float64, "F16": np.float16}.get(dtype, np.float32)
    values = {"ln_f.bias": np.array([0.5, -1.25, 3.0], numpy_dtype)}
    write_safetensors(tmp_path / "w.safetensors", values, dtype)
    read = weights.SafetensorsWeights(tmp_path / "w.safetensors").read("ln_f.bias", (3,))
    assert read.dtype == np.float32
    assert read.tolist() == [0.5, -1.25, 3.0]


def test_weights_from_an_onnx_file_by_name_and_by_order_of_use(folder: Path, tmp_path: Path):
    shapes = CONFIG.parameter_shapes()
    named = weights.open_weights(folder / "dynamic.onnx", shapes)
    model = onnx.load(folder / "dynamic.onnx")
    renamed = {name: f"onnx::{index}" for index, name in enumerate(sorted(shapes), 100)}
    for tensor in model.graph.initializer:
        tensor.name = renamed.get(tensor.name, tensor.name)
    for node in model.graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
    onnx.save(model, tmp_path / "renamed.onnx")
    by_use = weights.open_weights(tmp_path / "renamed.onnx", shapes)
    for name, expected in noise(0).items():
        np.testing.assert_array_equal(named.read(name, shapes[name]), expected)
        np.testing.assert_array_equal(by_use.read(name, shapes[name]), expected)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])


def garble(path: Path) -> None:
    path.write_bytes(b"\x10\0\0\0\0\0\0\0not a json header")


@pytest.mark.parametrize(
    ("damage", "message"), [(cut, "cut short"), (garble, "no valid safetensors header")]
)
def test_damaged_safetensors(tmp_path: Path, damage: Callable[[Path], None], message: str):
    path = tmp_path / "w.safetensors"
    write_safetensors(path, {"ln_f.bias": np.ones(3, np.float32)}, "F32")
    damage(path)
    with pytest.raises(weights.WeightsError, match=message):
        weights.SafetensorsWeights(path).read("ln_f.bias", (3,))


def test_weights_of_another_size_are_refused_and_leave_no_file(folder: Path, tmp_path: Path):
    config = gpt2.Config(layers=2, heads=4, embedding=64, vocab=61, context=24)
    source = weights.open_weights(folder / "w.safetensors", config.parameter_shapes())
    with pytest.raises(weights.WeightsError, match=r"wte.weight has shape \[61, 32\]"):
        make_model.write_model(tmp_path / "m.onnx", config, None, source)
    assert not list(tmp_path.iterdir())


# --- GPT-2's inference script ---------------------------------------------------------------


def test_greedy_tokens_are_the_same_static_dynamic_and_in_numpy(folder: Path):
    prompt = [3, 14, 15]
    dynamic = run_inference.generate(session_of(folder / "dynamic.onnx"), prompt, 6)
    static = run_inference.generate(session_of(folder / "static.onnx"), prompt, 6)
    tokens = list(prompt)
    for _ in range(6):
        tokens.append(int(numpy_gpt2(noise(0), np.array([tokens]))[0, -1].argmax()))
    assert dynamic.tokens == static.tokens == tokens[3:]
    assert dynamic.logits.shape == (8, CONFIG.vocab)
    assert run_inference.compare(static, dynamic)


def test_compare_notices_other_logits_and_nan(folder: Path):
    ours = run_inference.generate(session_of(folder / "dynamic.onnx"), [1, 2], 3)
    for wrong in (0.01, np.nan):
        for row in (0, 3):
            logits = ours.logits.copy()
            logits[row] += wrong
            theirs = run_inference.Generation(ours.tokens, logits, ours.seconds)
            assert not run_inference.compare(ours, theirs)


def test_compare_stops_at_the_first_other_token(folder: Path, capsys: pytest.CaptureFixture[str]):
    ours = run_inference.generate(session_of(folder / "dynamic.onnx"), [1, 2], 3)
    logits = ours.logits.copy()
    logits[3:] = 100.0
    tokens = [ours.tokens[0], ours.tokens[1] + 1, 0]
    assert not run_inference.compare(ours, run_inference.Generation(tokens, logits, ours.seconds))
    assert "0.00e+00 between the logits (within" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("model", "prompt", "new_tokens", "message"),
    [
        ("static", [1, 2, 3], 7, "need 9 positions, and the model has 8"),
        ("dynamic", [1] * 20, 6, "need 25 positions, and the model has 24"),
        ("dynamic", [61], 1, "outside the model's vocabulary of 61"),
        ("dynamic", [], 1, "prompt is empty"),
    ],
)
def test_prompts_that_do_not_fit(
    folder: Path, model: str, prompt: list[int], new_tokens: int, message: str
):
    session = session_of(folder / f"{model}.onnx")
    with pytest.raises(run_inference.PromptError, match=message):
        run_inference.check_prompt(session, prompt, new_tokens)


def test_script_from_text_to_text(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    # The script speaks to either module in the same way, so onnxruntime can stand in for ours.
    monkeypatch.setitem(sys.modules, "compiler", onnxruntime)
    (tmp_path / "vocab.json").write_text(json.dumps(TINY.ids), "utf-8")
    (tmp_path / "merges.txt").write_text("#version: 0.2\n", "utf-8")
    options = [
        "--model",
        str(folder / "static.onnx"),
        "--vocab",
        str(tmp_path),
        "--new-tokens",
        "4",
    ]
    options += ["--threads", "1", "--compare", "onnxruntime"]
    prompt = TINY.decode([7, 8, 9])
    assert run_inference.main([*options, "--prompt", prompt]) == 0
    by_text = capsys.readouterr().out
    assert run_inference.main([*options, "--tokens", "7,8,9"]) == 0
    by_ids = capsys.readouterr().out
    expected = run_inference.generate(session_of(folder / "static.onnx"), [7, 8, 9], 4)
    for printed in (by_text, by_ids):
        assert f"prompt:                {prompt!r}\n" in printed
        assert f"continuation:          {TINY.decode(expected.tokens)!r}\n" in printed
        assert "tokens/s" in printed and "same tokens:           yes" in printed


def test_missing_model_says_how_to_make_it():
    script = EXAMPLES / "gpt2" / "run_inference.py"
    command = [sys.executable, str(script), "--model", "gpt2_nowhere.onnx"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "make_model.py --out gpt2_nowhere.onnx" in result.stderr


# --- tokenizer ------------------------------------------------------------------------------


def make_tokenizer(pairs: list[tuple[str, str]]):
    """A vocabulary of the 256 bytes and the results of ``pairs``."""
    tokens = [*tokenizer.byte_characters(), *dict.fromkeys(a + b for a, b in pairs)]
    return tokenizer.Tokenizer({token: index for index, token in enumerate(tokens)}, pairs)


TINY = make_tokenizer(
    [("Ġ", "t"), ("h", "e"), ("Ġt", "he"), ("l", "l"), ("a", "a"), ("aa", "aa"), ("Ã", "©")]
)
TRICKY = st.text(
    st.sampled_from(list(" '’stlmdre \t\n\x1c\x85\xa0\u3000az09²Ⅷ一éǅ\u0301😀\u200d\0"))
)


def test_byte_characters_are_256_printable_and_different():
    characters = tokenizer.byte_characters()
    assert len(set(characters)) == 256
    assert characters[ord("a")] == "a" and characters[ord(" ")] == "Ġ" and characters[10] == "Ċ"
    assert characters[0xA0] == "ł" and characters[0xAD] == "Ń"
    assert characters.isprintable()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello, world!", ["Hello", ",", " world", "!"]),
        ("I'll we've 'S it's", ["I", "'ll", " we", "'ve", " '", "S", " it", "'s"]),
        ("a  b\n\n c   ", ["a", " ", " b", "\n\n", " c", "   "]),
        ("x1y22 33", ["x", "1", "y", "22", " 33"]),
        ("naïve Ünï 東京12²Ⅷ", ["naïve", " Ünï", " 東京", "12²Ⅷ"]),
        ("e\u0301 _a", ["e", "\u0301", " _", "a"]),
        ("a\u00a0\u00a0b\x1cc", ["a", "\u00a0", "\u00a0", "b", "\x1c", "c"]),
        (" \t 😀🏽", [" \t", " 😀🏽"]),
    ],
)
def test_words_are_those_of_the_published_pattern(text: str, words: list[str]):
    assert tokenizer.split_words(text) == words


@given(st.text() | TRICKY)
@settings(max_examples=300, deadline=None)
def test_text_survives_encoding(text: str):
    assert "".join(tokenizer.split_words(text)) == text
    assert TINY.decode(TINY.encode(text)) == text


def merge_one_by_one(pairs: list[tuple[str, str]], parts: list[str]) -> list[str]:
    """The training's view of the encoding: apply every merge in order, left to right."""
    for pair in pairs:
        index = 0
        while index + 1 < len(parts):
            if (parts[index], parts[index + 1]) == pair:
                parts[index : index + 2] = ["".join(pair)]
            index += 1
    return parts


@given(st.text("abc", max_size=12))
@settings(max_examples=200, deadline=None)
def test_merges_follow_their_order(word: str):
    pairs = [("a", "b"), ("b", "c"), ("ab", "c"), ("a", "a"), ("aa", "abc"), ("c", "c")]
    ids = make_tokenizer(pairs)
    assert [ids.tokens[index] for index in ids.encode(word)] == merge_one_by_one(pairs, list(word))


def test_encoding_merges_and_the_memory_give_the_same_ids():
    first = TINY.encode(" the hello aaaaa é the")
    assert [TINY.tokens[index] for index in first] == (
        ["Ġthe", "Ġ", "he", "ll", "o", "Ġ", "aaaa", "a", "Ġ", "Ã©", "Ġthe"]
    )
    assert TINY.encode(" the hello aaaaa é the") == first


def test_bytes_that_are_no_utf8_decode_to_the_replacement_character():
    euro = TINY.encode("€")
    assert len(euro) == 3
    assert TINY.decode(euro[:2]) == "\ufffd"


def test_vocabulary_files(tmp_path: Path):
    (tmp_path / "vocab.json").write_text(json.dumps(TINY.ids), "utf-8")
    (tmp_path / "merges.txt").write_text("#version: 0.2\nĠ t\nh e\nĠt he\n", "utf-8")
    read = tokenizer.Tokenizer.from_folder(tmp_path)
    assert read.encode(" the") == [TINY.ids["Ġthe"]]
    (tmp_path / "merges.txt").write_text("Ġ t h\n", "utf-8")
    with pytest.raises(ValueError, match="'Ġ t h' is not a pair"):
        tokenizer.Tokenizer.from_folder(tmp_path)
    with pytest.raises(ValueError, match="lacks 1 tokens, such as 'xy'"):
        tokenizer.Tokenizer(TINY.ids, [("x", "y")])
