"""Parameters and layers that are used in more than one place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

from sfumato.placement.finding import Finding, about
from sfumato.placement.settings import Rule
from sfumato.placement.twins import KERNELS, torch_type

Holder = tuple[nn.Module, str]
"""A module and the name that a parameter has in it."""


def check_ties(
    model: nn.Module, targets: Mapping[nn.Module, Rule], names: Mapping[nn.Module, list[str]]
) -> list[Finding]:
    """What is to say about parameters that a converted layer shares with another one."""
    unit_of = {part: unit for unit in targets for part in unit.modules()}
    found: list[Finding] = []
    for holders in _shared(model):
        units = list(dict.fromkeys(unit_of.get(module) for module, _ in holders))
        if len(units) > 1:
            found += _tie(holders, units, targets, names)
    return found


def retie(twins: Mapping[nn.Module, nn.Module]) -> None:
    """Share the kernels of twins whose plain layers shared theirs.

    Args:
        twins: the stochastic twin of each layer that owns one kernel.
    """
    first: dict[int, nn.Module] = {}
    for plain, made in twins.items():
        for name, parameter in plain._parameters.items():
            if parameter is not None:
                source = first.setdefault(id(parameter), made)
                made.register_parameter(name, source._parameters[name])


def check_references(
    model: nn.Module, targets: Mapping[nn.Module, Rule], names: Mapping[nn.Module, list[str]]
) -> list[Finding]:
    """Layers (or kernels) that a plain attribute holds too: it would go on holding the old one."""
    old: dict[int, nn.Module] = {id(unit): unit for unit in targets}
    for unit, rule in targets.items():
        if _form(unit, rule) == "kernel":
            old |= {id(parameter): unit for parameter in unit.parameters()}
    found: list[Finding] = []
    for module in model.modules():
        for attribute, value in vars(module).items():
            held = () if attribute in ("_modules", "_parameters") else _held(value)
            for unit in dict.fromkeys(old[id(item)] for item in held if id(item) in old):
                text = (
                    f"is also held by the attribute {attribute!r} of {type(module).__name__}, "
                    "which would keep the old one"
                )
                remedy = "hold it in a torch.nn.ModuleList, or look it up when it is called"
                found.append(about("error", names[unit][0], unit, text, remedy))
    return found


def _shared(model: nn.Module) -> Iterator[list[Holder]]:
    holders: dict[int, list[Holder]] = {}
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                holders.setdefault(id(parameter), []).append((module, name))
    yield from (places for places in holders.values() if len(places) > 1)


def _tie(
    holders: list[Holder],
    units: list[nn.Module | None],
    targets: Mapping[nn.Module, Rule],
    names: Mapping[nn.Module, list[str]],
) -> list[Finding]:
    """What is to say about one parameter that stands in several units (None: in no unit)."""
    changed = [unit for unit in units if unit is not None]
    kinds = {unit: _form(unit, targets[unit]) for unit in changed}
    places = [".".join(filter(None, (names[module][0], name))) for module, name in holders]
    shares = f"shares {' = '.join(places)}"

    def say(severity: Any, unit: nn.Module, text: str, remedy: str = "") -> Finding:
        return about(severity, names[unit][0], unit, f"{shares}, {text}", remedy)

    found: list[Finding] = []
    drawn = [unit for unit in changed if kinds[unit] == "bayesian"]
    alike = len(changed) == len(units) and _alike(changed, kinds, targets)
    for unit, kind in kinds.items():
        if kind == "kernel" and not alike:
            text = "and a stochastic layer can share it only with another one like it"
            remedy = "convert all that share it in the same way, or none, or untie them"
            found.append(say("error", unit, text, remedy))
        elif kind == "bayesian" and len(drawn) > 1:
            text = "and would draw it apart from the others"
            remedy = f"make {_parent(places)} Bayesian as a whole, which draws it once"
            found.append(say("error", unit, text, remedy))
        elif kind == "bayesian":
            found.append(say("note", unit, "as a mean only: this layer alone draws around it"))
        elif kind == "function":
            found.append(say("note", unit, "if what the function returns still does"))
    return found


def _form(unit: nn.Module, rule: Rule) -> str:
    if rule.kind != "stochastic":
        return rule.kind
    return "kernel" if torch_type(unit) in KERNELS else "trunk"


def _alike(
    units: list[nn.Module], kinds: Mapping[nn.Module, str], targets: Mapping[nn.Module, Rule]
) -> bool:
    """Whether all are stochastic layers of one setting; a shared weight makes them of one class."""
    value = targets[units[0]].value
    return all(kinds[unit] == "kernel" and targets[unit].value == value for unit in units)


def _parent(places: list[str]) -> str:
    """The innermost module around all of them, as a key."""
    common: list[str] = []
    for steps in zip(*(place.split(".")[:-1] for place in places), strict=False):
        if len(set(steps)) > 1:
            break
        common.append(steps[0])
    return f'"{".".join(common)}"' if common else '"", the whole model,'


def _held(value: Any, depth: int = 3) -> Iterator[Any]:
    """The modules and parameters in an attribute, looked for in containers of containers."""
    if isinstance(value, nn.Module | nn.Parameter):
        yield value
    elif depth and isinstance(value, Mapping | list | tuple | set | frozenset):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _held(item, depth - 1)
