"""The tables of the page of obfuscated training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from sfumato.report.common.numerals import NOTHING, accuracy, grouped, leak, number, percent, short
from sfumato.report.common.tables import Cell, Row, Table
from sfumato.report.obfuscation.baselines import class_mean, few, isotropic

_ROUND_ROWS = (  # key, title, about, how it is written, strong
    ("clean_only", "Clean part only", "no released record", accuracy, False),
    ("with_released", "With released records", "screened, clean test records", accuracy, True),
    ("with_released_unscreened", "The same, unscreened", "every pixel, always", accuracy, False),
    ("obfuscated_test", "On obfuscated test records", "label unknown", accuracy, False),
    ("leak", "Leak", "the worst attacker below", leak, True),
    ("leak_linear", "Leak, linear decoder", "closed form", leak, False),
    ("leak_decoder", "Leak, trained decoder", "fresh draws", leak, False),
    ("served_leak", "Leak of served records", "linear decoders only", leak, False),
    ("constant_image", "Constant-image test", "says the noise's label", accuracy, False),
)


def rounds_table(results: Mapping[str, Any]) -> Table:
    """One column per round, one row per quantity that any round has."""
    rounds: Sequence[Mapping[str, Any]] = results["rounds"]
    table = Table(["clean part", *(percent(entry["fraction"]) for entry in rounds)])
    for key, title, about in (
        ("clean_records", "Clean records", "seen by the compute as they are"),
        ("releases", "Releases", "of one record, so far"),
    ):
        if any(key in entry for entry in rounds):
            cells = [_count(entry.get(key)) for entry in rounds]
            table.rows.append(Row(title, about, cells))
    for key, title, about, write, strong in _ROUND_ROWS:
        if any(entry.get(key) for entry in rounds):
            cells = [write(entry.get(key)) for entry in rounds]
            table.rows.append(Row(title, about, cells, strong))
    return table


def baselines_table(results: Mapping[str, Any]) -> Table:
    """Ours and every baseline with its accuracy and leak, fraction by fraction."""
    table = Table(["", "accuracy, %", "leak"])
    for entry in results["rounds"]:
        curve = isotropic(results, entry["fraction"])
        mean = class_mean(results, entry["fraction"])
        if curve or mean:
            table.rows.extend(_against(entry, curve, few(results, entry["fraction"]), mean))
    if table.rows:
        ceiling = [accuracy(results["ceiling"]), NOTHING]
        table.rows.append(Row("All records clean", "the ceiling", ceiling))
    return table


def _against(
    entry: Mapping[str, Any],
    curve: Sequence[Mapping[str, Any]],
    chosen: Sequence[Mapping[str, Any]],
    mean: Mapping[str, Any] | None,
) -> list[Row]:
    ours = [accuracy(entry["with_released"]), leak(entry["leak"])]
    unscreened = [accuracy(entry.get("with_released_unscreened")), leak(entry["leak"])]
    rows = [
        Row(f"clean part {percent(entry['fraction'])}", "", []),
        Row("Learned noise", "", ours, strong=True),
        Row("Learned noise, unscreened", "", unscreened),
    ]
    for one in curve:
        title = f"Isotropic noise, σ\u00a0=\u00a0{short(one['sigma'])}"
        rows.append(Row(title, "", [accuracy(one["accuracy"]), leak(one["leak"])]))
    for one in chosen:
        title = f"Only {percent(one['share'])} released, σ\u00a0=\u00a0{short(one['sigma'])}"
        about = f"each released record leaks {short(round(one['leak_released']['mean'], 2))}"
        rows.append(Row(title, about, [accuracy(one["accuracy"]), leak(one["leak"])]))
    if mean is not None:
        title = f"Class mean + noise, σ\u00a0=\u00a0{short(mean['sigma'])}"
        rows.append(Row(title, "", [accuracy(mean["accuracy"]), leak(mean["leak"])]))
    clean: list[Cell] = [accuracy(entry["clean_only"]), "nothing released"]
    return [*rows, Row("Clean part only", "", clean)]


_TRADE_OFF = {
    "isotropic_accuracy_at_leak": ("Its accuracy at the learned noise's leak", "accuracy, %"),
    "isotropic_leak_at_accuracy": ("Its leak at the learned noise's accuracy", "leak"),
    "accuracy": ("Learned noise", "accuracy, %"),
    "leak": ("Learned noise", "leak"),
}


def trade_off_table(results: Mapping[str, Any]) -> Table:
    """What the curve of isotropic noise reaches where the learned noise stands."""
    table = Table(["read off the curve of isotropic noise", ""])
    for key, value in (results.get("trade_off") or {}).items():
        words = key.replace("_", " ")
        title, about = _TRADE_OFF.get(key, (words[:1].upper() + words[1:], ""))
        table.rows.append(Row(title, about, [_read_off(value, is_leak="leak" in about)]))
    return table


def _read_off(value: Any, *, is_leak: bool) -> Cell:
    if value is None or isinstance(value, Mapping):
        return leak(value) if is_leak else accuracy(value)
    return number(value, 3) if is_leak else number(100 * value, 1)


def released_table(released: Mapping[str, Any]) -> Table:
    """What training on releases alone reached."""
    table = Table(["", ""])
    table.rows.append(Row("Released records", "trained on", [_count(released["records"])]))
    if released.get("clean_records"):
        clean = [_count(released["clean_records"])]
        table.rows.append(Row("Clean records", "trained on", clean))
    about = f"on {released['tested_on']}, %" if "tested_on" in released else "%"
    table.rows.append(Row("Accuracy", about, [accuracy(released["accuracy"])], strong=True))
    return table


def shards_table(manifest: Mapping[str, Any]) -> Table:
    """The files of a release."""
    table = Table(["file", "records", "sha256"])
    for shard in manifest["shards"]:
        digest = Markup("<code>{}</code>").format(shard["sha256"])
        table.rows.append(Row(shard["file"], "", [_count(shard["rows"]), digest]))
    return table


def _count(value: Any) -> Cell:
    if value is None:
        return NOTHING
    return grouped(value) if isinstance(value, int) else short(value)
