"""What a paper that uses this campaign has to cite, as BibTeX."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Citation:
    """One BibTeX entry, and the words in a campaign's programs and settings that call for it."""

    key: str
    calls: tuple[str, ...]
    bibtex: str


def _article(key: str, **fields: str) -> str:
    body = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
    return f"@article{{{key},\n{body}\n}}"


# The title of the method's paper is left to its DOI: we have not read it in a primary source.
CITATIONS = (
    Citation(
        "sis2023",
        ("",),
        _article(
            "sis2023",
            author="Xu and Shao and Jin and Wang",
            journal="J. Phys. Chem. C",
            year="2023",
            doi="10.1021/acs.jpcc.3c05522",
        ),
    ),
    Citation(
        "deepmdkit2023",
        ("deepmd",),
        _article(
            "deepmdkit2023",
            author="Zeng, Jinzhe and Zhang, Duo and Lu, Denghui and others",
            title="{DeePMD-kit} v2: A software package for deep potential models",
            journal="J. Chem. Phys.",
            volume="159",
            pages="054801",
            year="2023",
            doi="10.1063/5.0155600",
        ),
    ),
    Citation(
        "lammps2022",
        ("lammps",),
        _article(
            "lammps2022",
            author="Thompson, A. P. and Aktulga, H. M. and Berger, R. and others",
            title="{LAMMPS} -- a flexible simulation tool for particle-based materials modeling",
            journal="Comput. Phys. Commun.",
            volume="271",
            pages="108171",
            year="2022",
            doi="10.1016/j.cpc.2021.108171",
        ),
    ),
    Citation(
        "ase2017",
        ("ase",),
        _article(
            "ase2017",
            author="Larsen, Ask Hjorth and Mortensen, Jens J{\\o}rgen and others",
            title="The atomic simulation environment -- a {Python} library for working with atoms",
            journal="J. Phys.: Condens. Matter",
            volume="29",
            pages="273002",
            year="2017",
            doi="10.1088/1361-648X/aa680e",
        ),
    ),
    Citation(
        "gfn2",
        ("gfn2",),
        _article(
            "gfn2",
            author="Bannwarth, Christoph and Ehlert, Sebastian and Grimme, Stefan",
            title="{GFN2-xTB} -- an accurate and broadly parametrized self-consistent "
            "tight-binding quantum chemical method with multipole electrostatics and "
            "density-dependent dispersion contributions",
            journal="J. Chem. Theory Comput.",
            volume="15",
            pages="1652--1671",
            year="2019",
            doi="10.1021/acs.jctc.8b01176",
        ),
    ),
    Citation(
        "gfn1",
        ("gfn1",),
        _article(
            "gfn1",
            author="Grimme, Stefan and Bannwarth, Christoph and Shushkov, Philip",
            title="A robust and accurate tight-binding quantum chemical method for structures, "
            "vibrational frequencies, and noncovalent interactions of large molecular systems "
            "parametrized for all spd-block elements ({Z} = 1--86)",
            journal="J. Chem. Theory Comput.",
            volume="13",
            pages="1989--2009",
            year="2017",
            doi="10.1021/acs.jctc.7b00118",
        ),
    ),
    Citation(
        "cp2k2020",
        ("cp2k",),
        _article(
            "cp2k2020",
            author='K{\\"u}hne, Thomas D. and Iannuzzi, Marcella and Del Ben, Mauro and others',
            title="{CP2K}: An electronic structure and molecular dynamics software package",
            journal="J. Chem. Phys.",
            volume="152",
            pages="194103",
            year="2020",
            doi="10.1063/5.0007045",
        ),
    ),
    Citation(
        "qe2017",
        ("espresso", "pw.x"),
        _article(
            "qe2017",
            author="Giannozzi, P. and Andreussi, O. and Brumme, T. and others",
            title="Advanced capabilities for materials modelling with {Quantum ESPRESSO}",
            journal="J. Phys.: Condens. Matter",
            volume="29",
            pages="465901",
            year="2017",
            doi="10.1088/1361-648X/aa8f79",
        ),
    ),
    Citation(
        "csvr2007",
        ("csvr",),
        _article(
            "csvr2007",
            author="Bussi, Giovanni and Donadio, Davide and Parrinello, Michele",
            title="Canonical sampling through velocity rescaling",
            journal="J. Chem. Phys.",
            volume="126",
            pages="014101",
            year="2007",
            doi="10.1063/1.2408420",
        ),
    ),
)


def citations_for(words: Iterable[str]) -> tuple[Citation, ...]:
    """Entries called for by any of ``words`` (programs, methods, settings), in a fixed order."""
    text = " ".join(words).lower()
    return tuple(item for item in CITATIONS if any(call in text for call in item.calls))
