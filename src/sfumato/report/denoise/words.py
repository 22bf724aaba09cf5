"""The words of the page of a search for wrong labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sfumato.report.common.numerals import grouped, number, percent

GLOSSARY = (
    ("suspicion", "How little the given label fits the record in the eyes of the trained network. "
     "A record may be unusual, or hard, and its label right all the same."),
    ("held wrong", "The records at the head of the list up to a bar that the score sets itself: "
     "where the network gives another class, or where confident learning says so."),
    ("precision", "Of the labels held wrong, the share that is wrong."),
    ("recall", "Of the wrong labels, the share that is held wrong."),
    ("average precision", "The mean precision over all wrong labels, from the top of the list "
     "down. Guessing gets the share of wrong labels."),
    ("p", "The share of labels that was asked to be made wrong; beside it stands how many were: "
     "with instance noise more of them, where p is small."),
    ("accuracy", "Of the network after its last epoch, on test records, on the mean path."),
    ("calibration error", "By how much the network's confidence and its accuracy differ, averaged "
     "over 15 bins of confidence and one for a confidence of exactly 1: the expected calibration "
     "error."),
    ("spread", "The mean log σ of the noise that stochastic layers put on a record."),
    ("mean ± std (n)", "Mean and standard deviation over n seeds."),
)  # fmt: skip


def title(results: Mapping[str, Any]) -> str:
    """What was searched, in one line."""
    name = str(results["data"]["name"]).rstrip("/").rsplit("/", 1)[-1]
    return f"{name}: labels that look wrong"


def facts(results: Mapping[str, Any]) -> list[str]:
    """The data and the run in short phrases."""
    data = results["data"]
    records = f"{grouped(data['train'])} labels searched"
    if data["test"]:
        records += f", {grouped(data['test'])} test records"
    shape = " × ".join(str(size) for size in data["shape"])
    lines = [records, f"records of {shape}", f"{len(data['classes'])} classes"]
    seeds = len({row["seed"] for row in results["rows"]})
    lines.append(f"{seeds} seed{'s' if seeds > 1 else ''}")
    date = results["provenance"].get("date")
    return [*lines, str(date)[:16].replace("T", " ")] if date else lines


def verdict(results: Mapping[str, Any]) -> list[str]:
    """What was found, in plain sentences."""
    count, total = results["flagged"], results["data"]["train"]
    chosen = headline_row(results)
    share = percent(round(count / total, 3))
    lines = [
        *learned_too_little(results),
        f"{grouped(count)} of {grouped(total)} labels look wrong ({share}).",
    ]
    found = chosen["detection"]
    if found is not None:
        lines.append(
            f"Of these, {percent(round(found['precision'], 3))} are wrong; of the wrong labels, "
            f"{percent(round(found['recall'], 3))} are among them."
        )
    elif chosen["wrong"] is None:
        lines.append(
            "Nobody knows how many of them are wrong: an unusual record with a right label looks "
            "suspicious too. Look at them from the top of the list down, and correct by hand."
        )
    lines += _on_test(results, chosen)
    if chosen["spread_auc"] is not None and chosen["spread_auc"] < 0.6:
        lines.append(
            "The spread of the stochastic layers alone does not tell the wrong labels "
            f"(AUC {number(chosen['spread_auc'], 2)}; guessing has 0.50)."
        )
    return lines


def learned_too_little(results: Mapping[str, Any]) -> list[str]:
    """A warning where the list means nothing, because the network knows too few of the labels.

    It has learned nothing where it gets less than a tenth of the way from naming the most common
    label always (`chance`) to knowing every label, and too little where it knows less than half.
    """
    chosen = headline_row(results)
    agreement = chosen.get("agreement")
    if agreement is None:  # an older run: what is held wrong is what it disagrees with
        agreement = 1 - results["flagged"] / results["data"]["train"]
    chance = chosen.get("chance") or 0.0
    nothing = agreement <= chance + 0.1 * (1 - chance)
    if not nothing and agreement >= 0.5:
        return []
    whose = "given" if chosen["wrong"] is None else "true"
    known = f"Its class is the {whose} label of {percent(round(agreement, 3))} of the records"
    if nothing and chance:
        known += f"; naming the most common label always gets {percent(round(chance, 3))}"
    return [
        f"Warning: the network has learned {'next to nothing' if nothing else 'too little'}, and "
        "the list of suspects means nothing.",
        f"{known}. Train longer (--epochs, --lr) or give another --model. If that does not help, "
        "the labels may not belong to these records.",
    ]


def _on_test(results: Mapping[str, Any], chosen: Mapping[str, Any]) -> list[str]:
    if chosen["accuracy"] is None:
        return []
    count = grouped(results["data"]["test"])
    known = results["data"]["held_out"] or results["noise"] == "none"
    whose = "test records" if known else "clean test records"
    line = (
        f"The network reaches {number(100 * chosen['accuracy'], 1)} % on {count} {whose}, "
        f"with a calibration error of {number(chosen['calibration_error'], 3)}."
    )
    if known:
        line += " Their labels were taken as right."
    return [line]


def headline_row(results: Mapping[str, Any]) -> Mapping[str, Any]:
    """The training that the list comes from."""
    keys = ("method", "rate", "seed")
    wanted = tuple(results["headline"][key] for key in keys)
    return next(row for row in results["rows"] if tuple(row[key] for key in keys) == wanted)


def about_list(results: Mapping[str, Any]) -> str:
    """Where the list comes from."""
    scores = {
        "loss": "the loss of the given label",
        "margin": "the margin between the best other class and the given one",
        "spread": "the spread of the noise in the stochastic layers",
        "cleanlab": "confident learning, with networks that did not see the record",
    }
    chosen = results["headline"]
    at = "" if chosen["rate"] is None else f" at p = {percent(chosen['rate'])}"
    return (
        f"By {scores[results['score']]}; method {chosen['method']}{at}, seed {chosen['seed']}. "
        "Under each picture: the label as given, an arrow, and the class the network would give."
    )


def about_certainty(results: Mapping[str, Any]) -> str:
    """What the pictures of certainty are ordered by."""
    if results["headline"]["doubt"] == "spread":
        return (
            "By the mean log σ of the stochastic layers (spec 4, fig. 3c). It does not look at the "
            "label."
        )
    return (
        "By the entropy of the prediction: this method has no stochastic layer whose noise could "
        "tell. It does not look at the label."
    )
