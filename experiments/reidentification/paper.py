"""Spec 4, table 4 with the deviations of table A.1: Market-1501 and ResNet-50, per cent."""

from __future__ import annotations

MEASURES = {
    "mean_average_precision": "mAP",
    "rank_1": "rank 1",
    "rank_5": "rank 5",
    "rank_10": "rank 10",
}

_MEANS: dict[str, tuple[tuple[float, ...], ...]] = {
    "parallel": (
        (25.87, 51.46, 70.21, 76.81),
        (23.49, 48.44, 67.85, 74.67),
        (20.74, 44.04, 64.32, 72.27),
    ),
    "bootstrap-hard": (
        (25.76, 51.08, 70.11, 77.06),
        (23.40, 48.25, 67.34, 74.40),
        (19.87, 42.87, 63.37, 71.40),
    ),
    "bootstrap-soft": (
        (25.50, 50.47, 69.43, 76.32),
        (24.08, 49.51, 68.77, 75.62),
        (20.72, 43.86, 64.49, 72.55),
    ),
    "forward-argmax": (
        (21.17, 45.88, 64.79, 71.69),
        (18.91, 42.11, 62.12, 69.99),
        (15.34, 36.06, 56.23, 64.55),
    ),
    "se-snn": (
        (27.30, 53.21, 71.03, 77.38),
        (24.72, 49.87, 68.90, 76.10),
        (21.32, 44.86, 65.03, 72.93),
    ),
}
_STDS: dict[str, tuple[tuple[float, ...], ...]] = {
    "parallel": ((0.41, 0.83, 0.75, 0.98), (0.56, 0.82, 0.74, 0.62), (1.25, 2.04, 1.48, 1.56)),
    "bootstrap-hard": (
        (0.60, 0.76, 1.34, 1.12),
        (0.70, 0.97, 0.57, 0.77),
        (0.93, 1.82, 1.55, 0.97),
    ),
    "bootstrap-soft": (
        (0.78, 0.93, 0.85, 0.95),
        (0.82, 1.48, 1.45, 1.38),
        (0.51, 1.11, 0.85, 0.61),
    ),
    "forward-argmax": (
        (1.03, 1.64, 1.98, 1.53),
        (0.82, 1.50, 1.12, 0.86),
        (0.56, 1.48, 1.63, 1.97),
    ),
    "se-snn": ((0.43, 1.11, 0.88, 0.74), (0.24, 0.68, 0.67, 0.44), (0.94, 1.46, 1.42, 1.11)),
}
_RATES = (0.1, 0.2, 0.5)
_CLEAN = {"parallel": 67.66, "se-snn": 70.20}


def said(method: str, rate: float) -> str:
    """mAP and ranks 1, 5, 10 as the paper has them; empty where it has none.

    Without wrong labels it gives mAP alone, in the text, and no deviation.
    """
    if rate == 0 and method in _CLEAN:
        return f"{_CLEAN[method]:.2f}"
    if rate not in _RATES or method not in _MEANS:
        return ""
    at = _RATES.index(rate)
    pairs = zip(_MEANS[method][at], _STDS[method][at], strict=True)
    return ", ".join(f"{mean:.2f} ± {std:.2f}" for mean, std in pairs)
