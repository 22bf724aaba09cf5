"""The figure of a card: the leak of isotropic noise beside that of the obfuscator."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from sfumato.privacy.card import PrivacyCard
from sfumato.report.common.numerals import number
from sfumato.report.common.palette import light
from sfumato.report.common.svg import Size, blank, legend


def isotropic_curve(card: PrivacyCard, size: Size) -> Figure:
    """Leak against the scale of isotropic noise; a level for the audited obfuscator."""
    figure, (axes,) = blank(size)
    points = card.baselines.isotropic
    sigmas = [point.sigma for point in points]
    axes.errorbar(
        sigmas,
        [point.leak.mean for point in points],
        yerr=[point.leak.high - point.leak.mean for point in points],
        color=light("isotropic"),
        marker="X",
        markersize=7,
        markeredgewidth=0,
        elinewidth=0.9,
        label="isotropic noise, the strongest attack",
    )
    axes.plot(
        sigmas,
        [point.closed_form.mean for point in points],
        color=light("muted"),
        linestyle=":",
        label="isotropic noise, closed form of the linear decoder",
    )
    axes.axhline(card.leak.mean, color=light("ours"), label="the audited obfuscator")
    axes.axhspan(card.leak.low, card.leak.high, color=light("ours"), alpha=0.15, linewidth=0)
    _scale_axis(axes, sigmas)
    axes.set_ylabel("leak (less is better)")
    legend(figure, axes, columns=1 if size.narrow else 2)
    return figure


def _scale_axis(axes: Axes, sigmas: list[float]) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(sigmas))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value, 2)))
    axes.set_xlabel("scale σ of isotropic noise, in units of the records")
    axes.set_ylim(min(0.0, axes.get_ylim()[0]), max(1.0, axes.get_ylim()[1]))
