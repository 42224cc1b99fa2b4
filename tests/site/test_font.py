"""The font for formulas that a site carries: what is in it, when, and that a browser lets it grow."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from explain.errors import InputError
from explain.site import font
from explain.site.build import build_site
from explain.site.settings import read_settings
from tests.site.places import outputs, write
from tests.site.test_browser import CHROMIUM, asked

ttLib = pytest.importorskip("fontTools.ttLib")
pytest.importorskip("brotli")
pytest.importorskip("ziamath")

TALL = r"$$\sqrt{\frac{\sum_k x_k}{1 + \frac{a}{b}}} = \begin{pmatrix} 1 \\ 2 \\ 3 \\ 4 \end{pmatrix}$$"
PAGE = f"# A\n\nInline $(x)$ and $\\sqrt{{h}}$.\n\n{TALL}\n"


def stix() -> Path:
    found = font.font_of(read_settings(Path("nowhere")), Path("nowhere"))
    assert found is not None and found.name == "STIXTwoMath-Regular.ttf"
    return found


def test_the_symbols_of_a_page_are_those_of_its_formulas() -> None:
    html = "z <math><mi>x</mi><mo>&lt;</mo><annotation>\\q</annotation></math> y <math>\n<mn>1</mn></math>"
    assert font.symbols(html) == "\n1<x"
    assert {"x", "𝑥", "ℎ", "𝜃", "√", "∂", "𝜕"} <= set(font.wanted(["xh", "θ∂"]))


def test_a_subset_is_small_keeps_what_grows_and_is_always_the_same() -> None:
    made = font.subset(stix(), font.wanted(["x∑"]))
    assert made == font.subset(stix(), font.wanted(["x∑"])) and len(made) < 60_000
    cut = ttLib.TTFont(io.BytesIO(made))
    names = cut.getBestCmap()
    assert ord("𝑥") in names and ord("α") not in names
    grown = cut["MATH"].table.MathVariants
    tall = dict(zip(grown.VertGlyphCoverage.glyphs, grown.VertGlyphConstruction, strict=True))
    for sign in "(√∑{":
        assert len(tall[names[ord(sign)]].MathGlyphVariantRecord) > 1, sign
    assert tall[names[ord("√")]].GlyphAssembly is not None, "roots of any height"
    assert "Open Font License" in str(cut["name"].getDebugName(13))


def test_a_site_carries_the_font_that_is_installed_or_named_or_none(tmp_path: Path) -> None:
    src = write(tmp_path / "src", {"a.md": PAGE})

    def found(setting: str) -> dict[str, bytes]:
        write(src, {"site.toml": f'math_font = "{setting}"\n' if setting else ""})
        assert not build_site(src, tmp_path / "out", cache=tmp_path / "cache").problems
        return outputs(tmp_path / "out")

    installed = found("")
    assert b"@font-face" in installed["assets/site.css"] and b"url(assets/math.woff2)" in installed["404.html"]
    (src / "own.ttf").write_bytes(stix().read_bytes())
    named = found("own.ttf")
    assert named["assets/math.woff2"] == installed["assets/math.woff2"] and "own.ttf" not in named
    (src / "own.ttf").unlink()
    without = found("none")
    assert "assets/math.woff2" not in without and b"@font-face" not in without["assets/site.css"]
    again = found("")
    assert again == installed, "the same bytes for the same sources"
    write(src, {"b.md": "# B\n\n$\\alpha$\n"})
    assert len(found("")["assets/math.woff2"]) > len(installed["assets/math.woff2"]), "a new letter is put in"


def test_what_is_no_font_is_refused(tmp_path: Path) -> None:
    src = write(tmp_path / "src", {"a.md": PAGE, "site.toml": 'math_font = "no.otf"\n'})
    with pytest.raises(InputError, match=r"site\.toml: math_font: there is no file"):
        build_site(src, tmp_path / "out", cache=tmp_path / "cache")
    (src / "no.otf").write_bytes(b"no font")
    with pytest.raises(InputError, match="is no font"):
        build_site(src, tmp_path / "out", cache=tmp_path / "cache")
    plain = ttLib.TTFont(stix())
    del plain["MATH"]
    plain.save(src / "no.otf")
    with pytest.raises(InputError, match="has no table MATH"):
        build_site(src, tmp_path / "out", cache=tmp_path / "cache")


def test_without_the_tools_a_named_font_is_an_error_and_none_is_embedded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(font, "find_spec", lambda name: None)
    src = write(tmp_path / "src", {"a.md": PAGE})
    assert not build_site(src, tmp_path / "out", cache=tmp_path / "cache").problems
    assert "assets/math.woff2" not in outputs(tmp_path / "out")
    write(src, {"site.toml": 'math_font = "a.md"\n'})
    with pytest.raises(InputError, match="not installed") as caught:
        build_site(src, tmp_path / "out", cache=tmp_path / "cache")
    assert "explain-grad[font]" in str(caught.value.hint)


@pytest.mark.skipif(CHROMIUM is None, reason="no browser is installed")
def test_a_browser_uses_it_and_roots_and_brackets_grow(tmp_path: Path) -> None:
    src = write(tmp_path / "src", {"index.md": PAGE})
    build_site(src, tmp_path / "out", cache=tmp_path / "cache")
    probe = (
        "await document.fonts.ready; const faces = [...document.fonts].map((f) => [f.family, f.status]);"
        "const high = (what) => [...document.querySelectorAll(what)].map((e) => e.getBoundingClientRect().height);"
        "const open = [...document.querySelectorAll('mo')].filter((e) => e.textContent === '(')"
        ".map((e) => e.getBoundingClientRect().height); return [faces, high('msqrt'), open]"
    )
    faces, roots, brackets = asked(tmp_path / "out/index.html", probe)
    assert [[family.strip('"'), status] for family, status in faces] == [["Site Math", "loaded"]]
    assert roots[1] > 2.5 * roots[0] and brackets[1] > 3 * brackets[0]
