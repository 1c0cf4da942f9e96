"""What a paper that uses this campaign has to cite, as BibTeX."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Citation:
    """One BibTeX entry, and the words in a campaign's programs and settings that call for it.

    calls: in small letters; a setting is the word ``key=value``: all of a comparison's, the
        sampler's of a campaign
    """

    key: str
    calls: tuple[str, ...]
    bibtex: str


def _entry(kind: str, key: str, **fields: str) -> str:
    body = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
    return f"@{kind}{{{key},\n{body}\n}}"


def _article(key: str, **fields: str) -> str:
    return _entry("article", key, **fields)


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
    Citation(
        "dpgen2020",
        ("sampler.type=committee",),
        _article(
            "dpgen2020",
            author="Zhang, Yuzhi and Wang, Haidi and Chen, Weijie and Zeng, Jinzhe and others",
            title="{DP-GEN}: A concurrent learning platform for the generation of reliable deep "
            "learning based potential energy models",
            journal="Comput. Phys. Commun.",
            volume="253",
            pages="107206",
            year="2020",
            doi="10.1016/j.cpc.2020.107206",
        ),
    ),
    Citation(
        "zhang2019",
        ("sampler.type=committee",),
        _article(
            "zhang2019",
            author="Zhang, Linfeng and Lin, De-Ye and Wang, Han and Car, Roberto and E, Weinan",
            title="Active learning of uniformly accurate interatomic potentials for materials "
            "simulation",
            journal="Phys. Rev. Mater.",
            volume="3",
            pages="023804",
            year="2019",
            doi="10.1103/PhysRevMaterials.3.023804",
        ),
    ),
    Citation(
        "hair2021",
        ("sampler.type=hybrid",),
        _article(
            "hair2021",
            author="Liu, Yue and Yu, Peiping and Wu, Yu and Yang, Hao and Xie, Miao and Huai, "
            "Liyuan and Goddard, William A. and Cheng, Tao",
            title="The {DFT-ReaxFF} hybrid reactive dynamics method with application to the "
            "reductive decomposition reaction of the {TFSI} and {DOL} electrolyte at a "
            "lithium--metal anode surface",
            journal="J. Phys. Chem. Lett.",
            volume="12",
            pages="1300",
            year="2021",
            doi="10.1021/acs.jpclett.0c03720",
        ),
    ),
    Citation(
        "gonzalez1985",
        ("sampler.choice=farthest", "sampler.choice=unlike-atoms"),
        _article(
            "gonzalez1985",
            author="Gonzalez, Teofilo F.",
            title="Clustering to minimize the maximum intercluster distance",
            journal="Theor. Comput. Sci.",
            volume="38",
            pages="293--306",
            year="1985",
            doi="10.1016/0304-3975(85)90224-5",
        ),
    ),
    Citation(
        "zaverkin2021",
        ("sampler.choice=unlike-atoms",),
        _article(
            "zaverkin2021",
            author='Zaverkin, Viktor and K{\\"a}stner, Johannes',
            title="Exploration of transferable and uniformly accurate neural network interatomic "
            "potentials using optimal experimental design",
            journal="Mach. Learn.: Sci. Technol.",
            volume="2",
            pages="035009",
            year="2021",
            doi="10.1088/2632-2153/abe294",
        ),
    ),
    Citation(
        "mrmr2005",
        ("sampler.choice=mrmr",),
        _article(
            "mrmr2005",
            author="Peng, Hanchuan and Long, Fuhui and Ding, Chris",
            title="Feature selection based on mutual information: criteria of max-dependency, "
            "max-relevance, and min-redundancy",
            journal="IEEE Trans. Pattern Anal. Mach. Intell.",
            volume="27",
            pages="1226--1238",
            year="2005",
            doi="10.1109/TPAMI.2005.159",
        ),
    ),
    Citation(
        "airebo2000",
        ("pair_style=airebo",),
        _article(
            "airebo2000",
            author="Stuart, Steven J. and Tutein, Alan B. and Harrison, Judith A.",
            title="A reactive potential for hydrocarbons with intermolecular interactions",
            journal="J. Chem. Phys.",
            volume="112",
            pages="6472--6486",
            year="2000",
            doi="10.1063/1.481208",
        ),
    ),
    # Neither the file's head nor LAMMPS' documentation names a publication.
    Citation(
        "eim2010",
        ("pair_style=eim",),
        _entry(
            "misc",
            "eim2010",
            author="Zhou, Xiaowang",
            title="Embedded-ion method potentials, file ffield.eim of {LAMMPS}",
            year="2010",
            note="``submitted for publication'' says LAMMPS' documentation of pair\\_style eim",
        ),
    ),
    Citation(
        "reaxff2001",
        ("pair_style=reax",),
        _article(
            "reaxff2001",
            author="van Duin, Adri C. T. and Dasgupta, Siddharth and Lorant, Francois and "
            "Goddard, William A.",
            title="{ReaxFF}: A reactive force field for hydrocarbons",
            journal="J. Phys. Chem. A",
            volume="105",
            pages="9396--9409",
            year="2001",
            doi="10.1021/jp004368u",
        ),
    ),
    Citation(
        "reaxff-cho2008",
        ("ffield.reax.cho",),
        _article(
            "reaxff-cho2008",
            author="Chenoweth, Kimberly and van Duin, Adri C. T. and Goddard, William A.",
            title="{ReaxFF} reactive force field for molecular dynamics simulations of "
            "hydrocarbon oxidation",
            journal="J. Phys. Chem. A",
            volume="112",
            pages="1040--1053",
            year="2008",
            doi="10.1021/jp709896w",
        ),
    ),
    Citation(
        "snap2015",
        ("pair_style=snap",),
        _article(
            "snap2015",
            author="Thompson, A. P. and Swiler, L. P. and Trott, C. R. and Foiles, S. M. and "
            "Tucker, G. J.",
            title="Spectral neighbor analysis method for automated generation of quantum-accurate "
            "interatomic potentials",
            journal="J. Comput. Phys.",
            volume="285",
            pages="316--330",
            year="2015",
            doi="10.1016/j.jcp.2014.12.018",
        ),
    ),
    Citation(
        "zuo2020",
        ("zuo_jpca2020",),
        _article(
            "zuo2020",
            author="Zuo, Yunxing and Chen, Chi and Li, Xiangguo and Deng, Zhi and others",
            title="Performance and cost assessment of machine learning interatomic potentials",
            journal="J. Phys. Chem. A",
            volume="124",
            pages="731--745",
            year="2020",
            doi="10.1021/acs.jpca.9b08723",
        ),
    ),
    Citation(
        "kaplan-meier1958",
        ("statistics=kaplan-meier",),
        _article(
            "kaplan-meier1958",
            author="Kaplan, E. L. and Meier, Paul",
            title="Nonparametric estimation from incomplete observations",
            journal="J. Am. Stat. Assoc.",
            volume="53",
            pages="457--481",
            year="1958",
            doi="10.1080/01621459.1958.10501452",
        ),
    ),
    Citation(
        "mantel1966",
        ("statistics=log-rank",),
        _article(
            "mantel1966",
            author="Mantel, Nathan",
            title="Evaluation of survival data and two new rank order statistics arising in its "
            "consideration",
            journal="Cancer Chemother. Rep.",
            volume="50",
            pages="163--170",
            year="1966",
        ),
    ),
    Citation(
        "holm1979",
        ("statistics=holm",),
        _article(
            "holm1979",
            author="Holm, Sture",
            title="A simple sequentially rejective multiple test procedure",
            journal="Scand. J. Stat.",
            volume="6",
            pages="65--70",
            year="1979",
        ),
    ),
)


def citations_for(words: Iterable[str]) -> tuple[Citation, ...]:
    """Entries called for by any of ``words`` (programs, methods, settings), in a fixed order."""
    text = " ".join(words).lower()
    return tuple(item for item in CITATIONS if any(call in text for call in item.calls))
