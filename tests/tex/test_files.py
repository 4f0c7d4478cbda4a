"""TeX in many files: an arXiv folder is one document, and nothing outside of the corpus is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from nemo_kcpt.readers import Place, choose_readers, content_hash
from tests.readers.reading import found, records

MAIN = r"\documentclass{article}\begin{document}Main 1. %s\end{document}"


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_tex", ".tex").replace("_bbl", ".bbl").replace("_sty", ".sty")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def text_of(folder: Path) -> str:
    (record,) = records(folder)
    return " ".join(record["text"].split())


def details(folder: Path) -> list[str]:
    (item,) = found(folder)
    return [flaw.detail for flaw in item.flaws]


def test_a_folder_is_one_document(tmp_path: Path) -> None:
    main = r"\usepackage{own}\input{sec/a} \include{sec/b}\subfile{sec/c} \import{sec/}{d} \cite{x} \bibliography{refs}"
    write(
        tmp_path,
        p__main_tex=MAIN % main,
        p__sec__a_tex=r"A 2, \own. \input deeper",
        p__sec__deeper_tex="Deeper 3.",
        p__sec__b_tex="B 4.",
        p__sec__c_tex=r"\documentclass[../main.tex]{subfiles}\begin{document}C 5.\end{document} gone 99",
        p__sec__d_tex="D 6.",
        p__own_sty="\\ProvidesPackage{own}\n"
        "\\newcommand{\\own}{Own 7}\n\\def\\@hidden{99}\n\\setlength{\\parindent}{9pt}\n",
        p__main_bbl=r"\begin{thebibliography}{9}\bibitem{x} X. 2020.\end{thebibliography}",
    )
    assert [item.source for item in found(tmp_path)] == ["p/main.tex"]
    assert text_of(tmp_path) == "Main 1. A 2, Own 7. Deeper 3. B 4. C 5. D 6. [1] ## References [1] X. 2020."
    assert text_of(tmp_path / "p" / "main.tex") == text_of(tmp_path)
    assert details(tmp_path) == []


def test_a_head_that_only_sets_options_may_read_the_whole_document(tmp_path: Path) -> None:
    main = r"\documentclass{article}\input{macros}\begin{document}\kasumi{} and \option.\end{document}"
    write(
        tmp_path, letter_tex=r"\def\option{5}\input{main}", main_tex=main, macros_tex=r"\newcommand{\kasumi}{Kasumi 6}"
    )
    first, second = found(tmp_path)
    assert (first.source, first.record["text"]) == ("letter.tex", "Kasumi 6 and 5.")
    assert second.source == "main.tex"


def test_what_nobody_includes_is_a_document_of_its_own(tmp_path: Path) -> None:
    write(
        tmp_path,
        a__main_tex=MAIN % r"\input{part}",
        a__part_tex="Part 2.",
        a__alone_tex=r"Alone 3. \input{under}",
        a__under_tex="Under 4.",
        a__fig_tex=r"\documentclass{standalone}\begin{document}5\end{document}",
        b__x_tex=r"X 6. \input{y}",
        b__y_tex=r"Y 7. \input{x}",
        c__main_tex=MAIN % "",
        c__supp_tex=MAIN % "",
    )
    sources = [item.source for item in found(tmp_path)]
    assert sources == ["a/alone.tex", "a/main.tex", "b/x.tex", "c/main.tex", "c/supp.tex"]


def test_nothing_outside_is_read(tmp_path: Path) -> None:
    write(
        tmp_path,
        secret_tex="SECRET 9",
        in__main_tex=MAIN % rf"\input{{../secret}}\input{{{tmp_path}/secret}}\input{{x/../../secret}}\input{{link}}",
    )
    (tmp_path / "in" / "link.tex").symlink_to(tmp_path / "secret.tex")
    for place in (tmp_path / "in", tmp_path / "in" / "main.tex"):
        items = [item for item in found(place) if item.record]
        (item,) = items
        assert "SECRET" not in item.record["text"]
        assert [flaw.detail.split(": ", 1)[1].split(";")[0].split(" to ")[0] for flaw in item.flaws][:3] == [
            "outside of the folder, where nothing is read"
        ] * 3
        assert "link" in item.flaws[3].detail.split(": ", 1)[1]


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    write(tmp_path, main_tex=MAIN % r"\input{gone} \input{bad}")
    (tmp_path / "bad.tex").write_bytes(b"PK\x03\x04zip")
    assert text_of(tmp_path) == "Main 1."
    assert details(tmp_path)[0] == r"\input{gone}: no such file"
    assert details(tmp_path)[1].startswith(r"\input{bad}: is a ZIP archive")


def test_a_changed_part_is_another_corpus(tmp_path: Path) -> None:
    write(tmp_path, main_tex=MAIN % r"\input{part}\bibliography{r}", part_tex="Part 2.", main_bbl="x")

    def identity(path: Path) -> str:
        place = Place(name=str(path))
        return content_hash(place, choose_readers(place))

    for path in (tmp_path, tmp_path / "main.tex"):
        hashes = {identity(path)}
        for name in ("part.tex", "main.bbl"):
            (tmp_path / name).write_text(f"Changed for {path.name}.")
            hashes.add(identity(path))
        assert len(hashes) == 3


@pytest.mark.parametrize("inputenc", ["latin1", "utf8"])
def test_inputenc_decides_where_the_bytes_do_not(tmp_path: Path, inputenc: str) -> None:
    text = rf"\documentclass{{article}}\usepackage[{inputenc}]{{inputenc}}\begin{{document}}Caf%s\end{{document}}" % "é"
    (tmp_path / "a.tex").write_bytes(text.encode("latin-1" if inputenc == "latin1" else "utf-8"))
    assert text_of(tmp_path) == "Café"


def test_biblatex(tmp_path: Path) -> None:
    bbl = r"""\refsection{0}\datalist[entry]{nty/global//global/global}
    \entry{x}{article}{}
      \name{author}{2}{}{%
        {{hash=1}{%
           family={Abe},
           given={S.},
        }}%
        {{hash=2}{%
           family={Ito},
           given={K.},
        }}%
      }
      \field{journaltitle}{Nature}
      \field{title}{On {H$_2$O}}
      \field{volume}{12}
      \field{year}{2019}
      \field{pages}{1\bibrangedash 4}
    \endentry
    \enddatalist"""
    write(tmp_path, main_tex=MAIN % r"\textcite{x} \printbibliography", main_bbl=bbl)
    assert text_of(tmp_path) == "Main 1. Abe and Ito (2019) ## References S. Abe, K. Ito. On H₂O. Nature. 12:1–4 (2019)"
