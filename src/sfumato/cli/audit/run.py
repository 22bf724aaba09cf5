"""Auditing an obfuscator, as `sfumato audit` does it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from torch import nn

import sfumato as sf
from sfumato.cli.audit.command import AuditOptions
from sfumato.cli.audit.results import write_results
from sfumato.cli.common.bounds import BoundPassed
from sfumato.cli.common.folder import RunFolder
from sfumato.cli.common.models import check_fit, new_model
from sfumato.cli.common.progress import Display
from sfumato.cli.common.settings import load_weights, open_data, worker_count
from sfumato.data import Records, load, open_released, splits, stratified_order, take
from sfumato.data.order import SPLIT_SEED
from sfumato.errors import SettingError
from sfumato.files import atomic, read_json
from sfumato.privacy.attacks import Attack
from sfumato.privacy.attacks.membership import MembershipAttack
from sfumato.privacy.audits.limits import Bounds
from sfumato.privacy.audits.material import Chosen, chosen, released_folder
from sfumato.privacy.audits.store import CARD, PAGE
from sfumato.privacy.card import PrivacyCard
from sfumato.report import validate_card, write_card

BOUNDS = ("max_leak", "max_leak_95", "max_linkage", "max_epsilon")
MEMBERS = 2000
"""So many records of each part are looked at for membership."""


def audit_obfuscator(options: AuditOptions, folder: RunFolder) -> list[str]:
    """Audit, write the card, and hold it against the bounds.

    Returns:
        The lines to print at the end.

    Raises:
        BoundPassed: the card breaks a bound that was given.
    """
    Bounds(**{name: getattr(options, name) for name in BOUNDS})  # wrong ones before the work
    place = _place(options.obfuscator)
    obfuscator = sf.Obfuscator.load(place, unaudited_ok=True)
    data = _data(options)
    some = data if isinstance(data, Records) else data[0]
    with Display(folder.path) as display:
        card = sf.audit(
            obfuscator,
            data,
            model=_model(options, some),
            releases=options.releases,
            seeds=range(options.seeds),
            more=_membership(options, some),
            released=options.released,
            budget="quick" if options.quick else "full",
            delta=options.delta,
            attacked=options.attacked,
            folder=folder.path / "cells",
            workers=worker_count(options.workers),
            progress=lambda event: _show(display, event),
        )
    validate_card(read_json(card.save(folder.path)))
    write_card(card, folder.path)
    broken = card.broken_bounds(**{name: getattr(options, name) for name in BOUNDS})
    report = write_results(card, folder.settings, broken, folder.path)
    lines = [*card.verdict, *_signed(options, card, place, folder.path)]
    lines += [f"report: {report}", f"card: {folder.path / PAGE}"]
    if broken:
        raise BoundPassed(lines, broken)
    return lines


def _place(name: str) -> Path:
    path = Path(name)
    return path / "obfuscator" if (path / "obfuscator").is_dir() else path


def _data(options: AuditOptions) -> Records | tuple[Records, Records]:
    """Training and test records; of a released set the records that it was made of."""
    if options.released is None:
        return open_data(options.data, options.limit)
    if options.limit is not None:
        raise SettingError(
            "--limit cannot be used with --released, which is of all records: use --attacked"
        )
    some = _chosen(options)
    return take(load(options.data, "train" if some is None else some.split), None)


def _chosen(options: AuditOptions) -> Chosen | None:
    """Which records were released, where not all of the data were.

    Raises:
        SettingError: they are of other data.
    """
    assert options.released is not None
    some = chosen(Path(options.released))
    if some is not None and not _same(some.data, options.data):
        raise SettingError(f"{options.released} was released from --data {some.data}: audit that")
    return some


def _same(one: str, other: str) -> bool:
    if one == other:
        return True
    return Path(one).exists() and Path(one).resolve() == Path(other).resolve()


def _model(options: AuditOptions, data: Records) -> nn.Module | None:
    if options.weights is None:
        if options.model is not None:
            raise SettingError("--model needs --weights: an untrained model gives nothing away")
        return None
    model = new_model(options.model, data, 0, "model")
    check_fit(options.model, model, data.inputs, data.num_classes)
    load_weights(model, options.weights)
    return model.eval()


def _membership(options: AuditOptions, released: Records) -> list[Attack]:
    """The attack on the model's training set, where it is known which records were in it."""
    if options.clean is None:
        return []
    if options.released is None or options.weights is None:
        raise SettingError("--clean needs --released and --weights: the model trained on both")
    some = _chosen(options)
    released = released if some is None else released.subset(some.records)
    numbers = stratified_order(released.labels, SPLIT_SEED)[:MEMBERS].sort().values
    folder = released_folder(Path(options.released))
    attack = MembershipAttack(
        take(load(options.clean), MEMBERS),
        released.subset(numbers),
        take(splits(options.data)[1], MEMBERS),
        stored=open_released(folder).subset(numbers).inputs,
    )
    return [attack]


def _show(display: Display, event: dict[str, Any]) -> None:
    display.on_plan(event["epochs"])
    display.on_done(event["cell"], event)


def _signed(options: AuditOptions, card: PrivacyCard, place: Path, out: Path) -> list[str]:
    """Put the JSON, which holds no record, beside the obfuscator that it is about."""
    if not options.sign:
        return []
    if not card.trusted:
        return ["The card was not put into the obfuscator's folder: it is not to be trusted."]
    if not card.complete and not options.sign_partial:
        return [
            "The card was not put into the obfuscator's folder: the audit was quick or of few "
            "attacks. Audit in full, or add --sign_partial."
        ]
    with atomic(place / CARD) as part:
        shutil.copyfile(out / CARD, part)
    return []
