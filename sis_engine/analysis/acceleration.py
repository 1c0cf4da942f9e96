"""The acceleration ratio: MD gained over reference calculations paid for."""

from __future__ import annotations


def acceleration_ratio(
    longest_audited_ps: float | None, n_evaluations: int, reference_timestep_fs: float
) -> float | None:
    """Longest audited continuous MD of the final model over (all evaluations x reference timestep).

    ``None`` until there is an audited survivor, or where nothing was evaluated.
    """
    if longest_audited_ps is None or n_evaluations <= 0:
        return None
    return longest_audited_ps * 1000.0 / (n_evaluations * reference_timestep_fs)


def acceleration_ratio_paper(md_ps: float | None, reference_md_ps: float) -> float | None:
    """MD length over reference MD length, as Xu et al. 2023 count it (no single points)."""
    if md_ps is None or not reference_md_ps > 0.0:
        return None
    return md_ps / reference_md_ps
