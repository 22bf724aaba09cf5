"""The baselines of a run, by the clean part that they were run with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def isotropic(results: Mapping[str, Any], fraction: float) -> list[dict[str, Any]]:
    """The isotropic baselines of one clean part, in the order of their noise."""
    first = results["rounds"][0]["fraction"]
    entries = (results.get("baselines") or {}).get("isotropic") or []
    kept = [entry for entry in entries if entry.get("fraction", first) == fraction]
    return sorted(kept, key=lambda entry: entry["sigma"])


def few(results: Mapping[str, Any], fraction: float) -> list[dict[str, Any]]:
    """The rows of one clean part that release few records, the least noise first."""
    entries = (results.get("baselines") or {}).get("few") or []
    kept = [entry for entry in entries if entry["fraction"] == fraction]
    return sorted(kept, key=lambda entry: (entry["share"], entry["sigma"]))


def class_mean(results: Mapping[str, Any], fraction: float) -> dict[str, Any] | None:
    """Class mean + noise, if it was run with this clean part."""
    entry = (results.get("baselines") or {}).get("class_mean")
    first = results["rounds"][0]["fraction"]
    return entry if entry and entry.get("fraction", first) == fraction else None


def isotropic_at_no_more_leak(
    results: Mapping[str, Any], entry: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The most accurate isotropic noise that leaks no more than the learned noise of a round."""
    fair = [
        one
        for one in isotropic(results, entry["fraction"])
        if one["leak"]["mean"] <= entry["leak"]["mean"]
    ]
    return max(fair, key=lambda one: one["accuracy"]["mean"], default=None)


def fractions_with_baselines(results: Mapping[str, Any]) -> list[float]:
    """The clean parts, in the order of the rounds, that any baseline was run with."""
    known = [entry["fraction"] for entry in results["rounds"]]
    return [at for at in known if isotropic(results, at) or class_mean(results, at)]
