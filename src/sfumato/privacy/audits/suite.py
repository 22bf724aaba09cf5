"""Which attacks an audit runs, and at which K."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

from sfumato.errors import SettingError
from sfumato.privacy.attacks.attribute import AttributeAttack, balance, brightness
from sfumato.privacy.attacks.base import Attack
from sfumato.privacy.attacks.label import LabelAttack
from sfumato.privacy.attacks.linear import LinearAttack
from sfumato.privacy.attacks.linkage import LinkageAttack
from sfumato.privacy.attacks.membership import MembershipAttack
from sfumato.privacy.attacks.network import NetworkAttack
from sfumato.privacy.attacks.posterior import MapAttack
from sfumato.privacy.attacks.reader import ReaderSettings
from sfumato.privacy.attacks.selection import SelectionAttack
from sfumato.privacy.audits.identity import checksum
from sfumato.privacy.audits.plan import AuditPlan
from sfumato.privacy.control import MUST_FIND, Kind

MUST_READ = 0.75
"""How often an attribute of two values must be told rightly where nothing is hidden."""


@final
@dataclass(frozen=True)
class Entry:
    """An attack of an audit.

    Args:
        attack: the attack.
        averages: whether it is run at every K, or at the smallest alone.
        stored: whether it is run on a stored release set too.
        served: whether it is run on records served under the learned selection too, at every K.
        reconstructs: whether it may reconstruct records; it is then run on isotropic noise of
            several scales.
        finds: the headline that it must reach where nothing is hidden; None where it looks for
            something that isotropic noise does not show.
        fails: whether it must be near chance where nothing is left.
        planted: the control that holds what only this kind of attack finds.
    """

    attack: Attack
    averages: bool = True
    stored: bool = True
    served: bool = False
    reconstructs: bool = False
    finds: float | None = None
    fails: bool = True
    planted: Kind | None = None


def entries(
    attacks: Sequence[Attack] | None, plan: AuditPlan, more: Sequence[Attack] = ()
) -> tuple[Entry, ...]:
    """The default suite or the attacks given, and more.

    Raises:
        SettingError: no attack, one that is none, or two of one name.
    """
    suite = default_suite(plan)
    own = {type(entry.attack): entry for entry in suite}
    listed = suite if attacks is None else tuple(_entry(one, own) for one in attacks)
    listed += tuple(_entry(one, own) for one in more)
    for entry in listed:
        if not isinstance(entry.attack, Attack):
            raise SettingError(
                f"an attack is a sfumato.privacy.attacks.Attack, not {type(entry.attack).__name__}"
            )
    names = [entry.attack.name for entry in listed]
    if not names or len(set(names)) < len(names):
        raise SettingError(f"an audit needs attacks with names of their own, not {names}")
    return listed


def _entry(attack: Attack, known: Mapping[type, Entry]) -> Entry:
    """An attack of the package has the controls of its kind; any other may reconstruct."""
    if type(attack) in known:
        return replace(known[type(attack)], attack=attack, averages=True)
    if isinstance(attack, MembershipAttack):  # of the model: noise at its door changes nothing
        return Entry(attack, averages=False, stored=False, fails=False)
    planted = "binary" if isinstance(attack, NetworkAttack) else None
    return Entry(attack, reconstructs=True, served=True, planted=planted)


def default_suite(plan: AuditPlan) -> tuple[Entry, ...]:
    """Every attack of the package, with the budget of the plan."""
    reader = ReaderSettings(steps=100, draws=4096) if plan.quick else ReaderSettings()
    inference = [
        Entry(AttributeAttack(brightness, settings=reader), averages=False, finds=MUST_READ),
        Entry(AttributeAttack(balance, settings=reader), averages=False, finds=MUST_READ),
        Entry(LabelAttack(reader), averages=False, stored=False, planted="shifted"),
        Entry(SelectionAttack(), averages=False, stored=False, planted="scaled"),
    ]
    reconstruction = [LinearAttack(), MapAttack(steps=60 if plan.quick else 200)]
    suite = [Entry(attack, served=True, reconstructs=True) for attack in reconstruction]
    if plan.decoder.steps:
        network = NetworkAttack(plan.decoder)
        suite.append(Entry(network, served=True, reconstructs=True, planted="binary"))
    return (*suite, Entry(LinkageAttack(), served=True, finds=MUST_FIND), *inference)


def described(attack: Attack) -> dict[str, Any]:
    """Type and settings of an attack, as JSON values: equal attacks are described equally."""
    return {
        "type": type(attack).__qualname__,
        "name": attack.name,
        "settings": _plain(attack),
        "sha256": checksum(attack),  # of the content of tensors, records and modules as well
    }


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    inside = getattr(value, "__dict__", None)
    if not inside:  # no settings; an address in its repr would differ from run to run
        return type(value).__qualname__
    return {key: _plain(item) for key, item in sorted(inside.items())}
