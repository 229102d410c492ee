"""The Python in README and docs runs, page by page; examples run; generated pages are current."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLES = sorted((ROOT / "examples").glob("0*.py"))

CODE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run_python(arguments: list[str], folder: Path) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize(
    "page", [page for page in PAGES if CODE.search(page.read_text())], ids=lambda page: page.stem
)
def test_code_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    script = tmp_path / "page.py"
    script.write_text("\n".join(CODE.findall(page.read_text())))
    run_python([str(script)], tmp_path)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
def test_examples_run(example: Path, tmp_path: Path) -> None:
    assert len(run_python([str(example)], tmp_path).splitlines()) >= 4


def test_the_main_example_reads_a_digit(tmp_path: Path) -> None:
    text = run_python([str(ROOT / "examples" / "digits" / "run.py")], tmp_path)
    assert "This is a 6." in text


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_generated_pages_are_current(tmp_path: Path) -> None:
    run_python([str(ROOT / "docs" / "generate.py"), str(tmp_path)], tmp_path)
    for made in tmp_path.glob("*.md"):
        current = (ROOT / "docs" / made.name).read_text()
        assert current == made.read_text(), f"{made.name} has changed, run: python docs/generate.py"
