"""Write GPT-2 as an ONNX file with its weights in a second file beside it.

    python examples/gpt2/make_model.py --out gpt2_124M.onnx                  # any batch, sequence
    python examples/gpt2/make_model.py --out gpt2_124M.onnx --static 1x32
    python examples/gpt2/make_model.py --out gpt2_124M.onnx --weights model.safetensors

Without ``--weights`` the parameters are random (seeded): good for speed and for comparisons, not
for text. Parameters pass through memory one at a time, and the same options give the same bytes.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import BinaryIO

import numpy as np
import onnx
from gpt2 import Config, Gpt2Graph, Shape, make_model
from onnx import TensorProto, helper, numpy_helper
from weights import RandomWeights, Weights, open_weights

ALIGNMENT = 4096  # a memory page: every tensor can be mapped by itself
INLINE_BYTES = 1024  # smaller constants stay in the ONNX file, where shape inference sees them


def write_model(
    path: Path, config: Config, static: tuple[int, int] | None, weights: Weights
) -> None:
    """Write ``path`` and ``path`` + ``.data``. Raises WeightsError.

    Both appear only when complete: they are written beside their place and then renamed.
    """
    graph = Gpt2Graph(config, static)
    graph.build()
    data_path = path.with_name(f"{path.name}.data")
    partial = path.with_name(f"{path.name}.data.part")
    try:
        with partial.open("wb") as data:
            initializers = [
                external_tensor(name, weights.read(name, shape), data, data_path.name)
                for name, shape in config.parameter_shapes().items()
            ]
            initializers += [
                external_tensor(name, value, data, data_path.name)
                if value.nbytes > INLINE_BYTES
                else numpy_helper.from_array(value, name)
                for name, value in graph.constants.items()
            ]
        model = make_model(config, static, initializers, graph, metadata(config, weights))
        os.replace(partial, data_path)
        onnx.save(model, path)
    finally:
        partial.unlink(missing_ok=True)
    onnx.checker.check_model(path)


def external_tensor(name: str, value: np.ndarray, data: BinaryIO, location: str) -> TensorProto:
    """Append ``value`` to ``data`` at the next aligned offset and describe it."""
    data.write(bytes(-data.tell() % ALIGNMENT))
    tensor = TensorProto(
        name=name,
        data_type=helper.np_dtype_to_tensor_dtype(value.dtype),
        dims=value.shape,
        data_location=TensorProto.EXTERNAL,
    )
    place = {"location": location, "offset": str(data.tell()), "length": str(value.nbytes)}
    for key, text in place.items():
        tensor.external_data.add(key=key, value=text)
    data.write(value.data)
    return tensor


def metadata(config: Config, weights: Weights) -> dict[str, str]:
    """What a user of the file wants to know; ``context`` tells run_inference.py its limit."""
    sizes = {key: str(value) for key, value in vars(config).items()}
    return sizes | {"weights": weights.description}


def parse_static(text: str) -> Shape:
    """``1x32`` to ``(1, 32)``."""
    batch, _, sequence = text.partition("x")
    if not (batch.isdecimal() and sequence.isdecimal() and int(batch) and int(sequence)):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not of the form BATCHxSEQUENCE, such as 1x32"
        )
    return int(batch), int(sequence)


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Write GPT-2 as an ONNX file.")
    parser.add_argument("--out", type=Path, required=True, help="the .onnx file to write")
    for name, value in vars(Config()).items():
        parser.add_argument(f"--{name}", type=int, default=value, help=f"default {value}")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--static", type=parse_static, metavar="1x32", help="fix batch x sequence")
    shape.add_argument("--dynamic", action="store_true", help="leave both open (the default)")
    parser.add_argument("--seed", type=int, default=0, help="of the random weights; default 0")
    parser.add_argument(
        "--weights", type=Path, help="a local .safetensors or .onnx file with GPT-2's weights"
    )
    return parser


def main() -> None:
    parser = make_parser()
    arguments = parser.parse_args()
    out: Path = arguments.out
    start = time.perf_counter()
    try:
        config = Config(**{name: getattr(arguments, name) for name in vars(Config())})
        if arguments.static and arguments.static[1] > config.context:
            raise ValueError(f"--static is longer than the context of {config.context}")
        if arguments.weights:
            weights = open_weights(arguments.weights, config.parameter_shapes())
        else:
            weights = RandomWeights(arguments.seed, config.layers)
        write_model(out, config, arguments.static, weights)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    megabytes = [file.stat().st_size / 1e6 for file in (out, out.with_name(f"{out.name}.data"))]
    print(f"wrote {out} ({megabytes[0]:.2f} MB) and {out.name}.data ({megabytes[1]:.1f} MB)")
    print(f"in {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
