"""Continue a prompt with GPT-2: compile the ONNX file, then take the likeliest token, repeatedly.

    python examples/gpt2/run_inference.py --model gpt2_124M.onnx --compare onnxruntime
    python examples/gpt2/run_inference.py --model gpt2_124M.onnx --tokens 15496,11
    python examples/gpt2/run_inference.py --model gpt2_124M.onnx --vocab DIR --prompt "Hello,"

DIR holds GPT-2's ``vocab.json`` and ``merges.txt``; without it, prompt and result are token ids.
There is no key/value cache: every step computes the whole sequence. Exit codes: 0 ok, 1 the
model does not compile, 2 wrong options, 3 the comparison failed.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tokenizer import Tokenizer

TOLERANCE = 1e-3
DEFAULT_TOKENS = [15496, 11, 314, 1101, 257, 3303, 2746, 11]  # "Hello, I'm a language model,"

# InferenceSession and SessionOptions have the same methods here as in onnxruntime; so `Any`
# stands for either module's classes.
Session = Any


class PromptError(ValueError):
    """The model cannot take this prompt or continue it that far."""


@dataclass(frozen=True)
class Generation:
    """What a run produced, and how long each step took.

    ``logits`` is float32 ``[prompt + new - 1, vocab]``: the first step's at all positions of the
    prompt, then one row from the last position of each further step.
    """

    tokens: list[int]
    logits: np.ndarray
    seconds: list[float]

    @property
    def tokens_per_second(self) -> float:
        return len(self.tokens) / sum(self.seconds)


def open_session(module: Any, model: Path, threads: int | None) -> Session:
    """``module.InferenceSession`` over ``model``; ``module`` is compiler or onnxruntime."""
    options = None
    if threads is not None:
        options = module.SessionOptions()
        options.intra_op_num_threads = threads
    return module.InferenceSession(str(model), sess_options=options)


def longest_sequence(session: Session) -> int | None:
    """How many tokens the model takes: a static length, or the context its metadata tell."""
    length = session.get_inputs()[0].shape[1]
    if isinstance(length, int):
        return length
    context = session.get_modelmeta().custom_metadata_map.get("context")
    return None if context is None else int(context)


def logits_of(session: Session, tokens: list[int]) -> np.ndarray:
    """Logits float32 ``[len(tokens), vocab]`` after each token.

    A static model gets its full length: attention looks back only, so what stands behind the
    last real token changes nothing before it. Each row of a static batch gets the same tokens.
    """
    source = session.get_inputs()[0]
    batch, length = (size if isinstance(size, int) else None for size in source.shape)
    ids = np.zeros((batch or 1, length or len(tokens)), np.int64)
    ids[:, : len(tokens)] = tokens
    (logits,) = session.run(None, {source.name: ids})
    return logits[0, : len(tokens)]


def generate(session: Session, prompt: list[int], new_tokens: int) -> Generation:
    """Append the likeliest token ``new_tokens`` times."""
    tokens = list(prompt)
    seconds: list[float] = []
    rows: list[np.ndarray] = []
    for step in range(new_tokens):
        start = time.perf_counter()
        logits = logits_of(session, tokens)
        tokens.append(int(logits[-1].argmax()))
        seconds.append(time.perf_counter() - start)
        # A copy of the last row lets go of the rest: logits are large.
        rows.append(logits[-1:].copy() if step else logits)
    return Generation(tokens[len(prompt) :], np.concatenate(rows), seconds)


def check_prompt(session: Session, prompt: list[int], new_tokens: int) -> None:
    """Raise PromptError for a prompt that the model cannot take."""
    if not prompt:
        raise PromptError("the prompt is empty")
    if new_tokens < 1:
        raise PromptError("--new-tokens must be at least 1")
    vocab = session.get_outputs()[0].shape[2]
    wrong = [token for token in prompt if not 0 <= token < vocab]
    if wrong:
        raise PromptError(f"token {wrong[0]} is outside the model's vocabulary of {vocab}")
    # The last token is printed, never fed back.
    limit, needed = longest_sequence(session), len(prompt) + new_tokens - 1
    if limit is not None and needed > limit:
        raise PromptError(
            f"{len(prompt)} prompt tokens and {new_tokens} new ones need {needed} positions, "
            f"and the model has {limit}"
        )


def compare(ours: Generation, theirs: Generation) -> bool:
    """Print how two runs of a prompt differ; True if logits agree within 1e-3 and all tokens do.

    Once a token differs the sequences do, and the logits after it have no counterpart.
    """
    same = ours.tokens == theirs.tokens
    pairs = zip(ours.tokens, theirs.tokens, strict=True)
    wrong = next((step for step, (a, b) in enumerate(pairs) if a != b), len(ours.tokens) - 1)
    rows = len(ours.logits) - len(ours.tokens) + 1 + wrong
    difference = float(np.abs(ours.logits[:rows] - theirs.logits[:rows]).max())
    # Written so that a NaN fails.
    close = difference <= TOLERANCE
    print(f"onnxruntime:           {theirs.tokens_per_second:.1f} tokens/s", end="")
    print(f" (we run {ours.tokens_per_second / theirs.tokens_per_second:.2f} times as fast)")
    print(f"greatest difference:   {difference:.2e} between the logits", end="")
    print(f" ({'within' if close else 'NOT within'} {TOLERANCE:g})")
    print(f"same tokens:           {'yes' if same else f'NO, onnxruntime has {theirs.tokens}'}")
    return close and same


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Continue a prompt with a compiled GPT-2.")
    parser.add_argument("--model", type=Path, default=Path("gpt2_124M.onnx"))
    prompt = parser.add_mutually_exclusive_group()
    prompt.add_argument("--prompt", help="text; needs --vocab")
    prompt.add_argument("--tokens", help="token ids, separated by commas")
    parser.add_argument("--vocab", type=Path, help="folder with vocab.json and merges.txt")
    parser.add_argument("--new-tokens", type=int, default=20)
    parser.add_argument("--threads", type=int, help="default: all cores this process may use")
    parser.add_argument("--compare", choices=["onnxruntime"])
    return parser


def read_prompt(arguments: argparse.Namespace) -> tuple[list[int], Tokenizer | None]:
    """The prompt's token ids and, if ``--vocab`` is given, the tokenizer. Raises ValueError."""
    tokenizer = Tokenizer.from_folder(arguments.vocab) if arguments.vocab else None
    if arguments.tokens is not None:
        return [int(token) for token in arguments.tokens.split(",")], tokenizer
    if arguments.prompt is None:
        return DEFAULT_TOKENS, tokenizer
    if tokenizer is None:
        raise ValueError("--prompt needs --vocab DIR; without the files, give --tokens 15496,11")
    return tokenizer.encode(arguments.prompt), tokenizer


def infer(arguments: argparse.Namespace, prompt: list[int], tokenizer: Tokenizer | None) -> int:
    """Compile, run, print, compare; returns the exit code. Raises PromptError and TerraceError."""
    import compiler

    start = time.perf_counter()
    session = open_session(compiler, arguments.model, arguments.threads)
    compile_seconds = time.perf_counter() - start
    check_prompt(session, prompt, arguments.new_tokens)
    ours = generate(session, prompt, arguments.new_tokens)

    def show(tokens: list[int]) -> str:
        return repr(tokenizer.decode(tokens)) if tokenizer else ",".join(map(str, tokens))

    print(f"model:                 {arguments.model}, input {session.get_inputs()[0].shape}")
    print(f"prompt:                {show(prompt)}")
    print(f"continuation:          {show(ours.tokens)}")
    print(f"compile time:          {compile_seconds:.2f} s")
    print(f"time to first token:   {ours.seconds[0] * 1e3:.1f} ms")
    print(f"speed:                 {ours.tokens_per_second:.1f} tokens/s")
    if arguments.compare is None:
        return 0

    import onnxruntime

    reference = open_session(onnxruntime, arguments.model, arguments.threads)
    return 0 if compare(ours, generate(reference, prompt, arguments.new_tokens)) else 3


def main(arguments: list[str] | None = None) -> int:
    parser = make_parser()
    options = parser.parse_args(arguments)
    model: Path = options.model
    if not model.is_file():
        script = Path(__file__).with_name("make_model.py")
        parser.error(f"no file {model}; make it with: python {script} --out {model}")
    try:
        prompt, tokenizer = read_prompt(options)
    except (ValueError, OSError) as error:
        parser.error(str(error))

    from runtime.errors import TerraceError

    try:
        return infer(options, prompt, tokenizer)
    except PromptError as error:
        parser.error(str(error))
    except TerraceError as error:
        print(error, file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
