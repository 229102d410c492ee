"""Recognise a handwritten digit: compile ``digits.onnx`` and run it on one image.

    python examples/digits/run.py [IMAGE.npy] [--model digits.onnx]

IMAGE.npy holds one image as float32 ``[1, 1, 8, 8]`` with values from 0 (paper) to 16 (ink).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import compiler

HERE = Path(__file__).parent
SHADES = " .:-=+*#%@"


def ascii_art(image: np.ndarray) -> str:
    """Draw ``image [height, width]`` (0 to 16) with two characters per pixel."""
    levels = np.clip(image / 16 * (len(SHADES) - 1), 0, len(SHADES) - 1).round().astype(int)
    return "\n".join("".join(SHADES[level] * 2 for level in row) for row in levels)


def bar_chart(probabilities: np.ndarray) -> str:
    """One line per digit: the digit, its probability, a bar of up to 40 characters."""
    return "\n".join(
        f"  {digit}  {probability:7.2%}  {'#' * round(40 * float(probability))}".rstrip()
        for digit, probability in enumerate(probabilities)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Recognise a handwritten digit.")
    parser.add_argument("image", type=Path, nargs="?", default=HERE / "digit.npy")
    parser.add_argument("--model", type=Path, default=HERE / "digits.onnx")
    arguments = parser.parse_args()

    image = np.load(arguments.image)
    net = compiler.compile(arguments.model)
    probabilities = net(image)

    print(ascii_art(image[0, 0]))
    print(f"\nprobabilities:\n{bar_chart(probabilities[0])}")
    print(f"\nThis is a {probabilities[0].argmax()}.")


if __name__ == "__main__":
    main()
