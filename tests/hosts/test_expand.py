"""``explain expand``: pages written anew, in place, checked, and refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from explain.cli import main
from tests.hosts.guides import snippet

PAGE = """\
# Squares

- one

  ```explain detail=brief
  #| claim: out wrt x = 2*x
  sum(x**2); x=[1,2]
  ```
- two

The gradient is {explain: 2*dot(x, x); x=[0,1]}, not `{explain: x}`.

```py
print("{explain: x}")
```
"""


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EXPLAIN_CACHE", str(tmp_path / "cache"))
    Path("page.md").write_text(PAGE)
    return Path("page.md")


def test_fences_and_formulas_are_replaced(page: Path) -> None:
    assert main(["expand", "page.md", "-o", "out/page.md"]) == 0
    text = Path("out/page.md").read_text()
    assert "```explain" not in text and "x.grad = tensor([2., 4.])" in text and "4\\,x`$, not `{explain: x}`." in text
    assert page.read_text() == PAGE and text.endswith('print("{explain: x}")\n```\n')
    html = MarkdownIt().render(text)
    assert html.count("<ul>") == 2 and html.index("tensor([2., 4.])") < html.index(
        "two"
    )  # the claims are a list in the list


def test_what_is_written_is_checked(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["expand", "page.md", "-o", "out.md", "--check"]) == 1 and not Path("out.md").exists()
    assert main(["expand", "page.md", "-o", "out.md"]) == 0
    assert main(["expand", "page.md", "-o", "out.md", "--check"]) == 0
    page.write_text(PAGE.replace("x=[1,2]", "x=[1,3]"))
    capsys.readouterr()
    assert main(["expand", "page.md", "-o", "out.md", "--check"]) == 1
    assert capsys.readouterr().err.startswith(
        "out.md: explain: not what page.md gives now; write it anew: explain expand page.md"
    )
    assert "tensor([2., 4.])" in Path("out.md").read_text()


def test_a_page_that_keeps_its_fences(page: Path) -> None:
    page.write_text(PAGE.replace("{explain: 2*dot(x, x); x=[0,1]}", "this"))
    assert main(["expand", "page.md", "--in-place"]) == 0
    text = page.read_text()
    assert "```explain" in text and text.count("explain begin") == 1 and "tensor([2., 4.])" in text
    assert main(["expand", "page.md", "--in-place"]) == 0 and page.read_text() == text
    page.write_text(text.replace("x=[1,2]", "x=[1,3]"))
    assert main(["expand", "page.md", "--in-place", "--check"]) == 1
    assert main(["expand", "page.md", "--in-place"]) == 0
    assert page.read_text().count("explain begin") == 1 and "tensor([2., 6.])" in page.read_text()
    assert main(["expand", "page.md", "-o", "out.md"]) == 0
    assert Path("out.md").read_text().count("tensor([2., 6.])") == 1


def test_a_folder(page: Path) -> None:
    Path("docs/deep").mkdir(parents=True)
    page.rename("docs/deep/page.md")
    Path("docs/plain.mdx").write_text("{explain: 2*x; x=1}\n\n```explain\n2*x; x=1\n```\n")
    assert main(["expand", "docs", "-o", "content", "--dialect", "mkdocs", "--lang", "zh"]) == 0
    assert "自动微分" in Path("content/deep/page.md").read_text() and "`$" not in Path("content/deep/page.md").read_text()
    assert (
        "{/* explain begin */}" in Path("content/plain.mdx").read_text()
        and "<!--" not in Path("content/plain.mdx").read_text()
    )


FAULTS = [
    ("```explain\n#| at: x=[1]\n#| claim: out wrt x = 3*x\nsum(x**2)\n```\n", "page.md:3: explain: the claim"),
    ("a\n\n```explain colour=red\nx\n```\n", "page.md:3: explain: there is no option 'colour'"),
    ("a\nb {explain: sum(q*)} c\n", "page.md:2: explain: "),
]


@pytest.mark.parametrize(("text", "words"), FAULTS)
def test_a_block_with_a_fault_has_its_line_and_nothing_is_written(
    page: Path, text: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    page.write_text(text)
    Path("out.md").write_text("as it was")
    assert main(["expand", "page.md", "-o", "out.md"]) == 1
    assert words in capsys.readouterr().err and Path("out.md").read_text() == "as it was"


@pytest.mark.parametrize("arguments", [["nowhere.md"], ["page.md", "--check"], ["page.md", "--in-place", "-o", "x"], ["."]])
def test_what_cannot_be_done_is_refused(page: Path, arguments: list[str]) -> None:
    assert main(["expand", *arguments]) == 2


def test_the_project_says_what_holds_for_its_pages(page: Path) -> None:
    Path("pyproject.toml").write_text(snippet("expand", "toml"))
    assert main(["expand", "page.md", "-o", "out.md"]) == 0
    assert "自动微分" in Path("out.md").read_text()


def test_the_commands_of_the_guide(page: Path) -> None:
    Path("notes").mkdir()
    Path("notes/a.md").write_text(snippet("expand", "md"))
    Path("lesson.md").write_text(PAGE)
    Path("README.md").write_text(snippet("expand", "md"))
    for line in snippet("expand", "sh").splitlines():
        assert main(line.split()[1:]) == 0, line
    assert (
        Path("lesson.out.md").exists() and Path("content/a.md").exists() and "explain end" in Path("README.md").read_text()
    )
