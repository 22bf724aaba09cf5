"""Which layer becomes what: keys against names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, final

from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from sfumato.errors import SettingError
from sfumato.placement.finding import Finding, about
from sfumato.placement.obstacles import is_candidate, is_whole, obstacle, own_parameters
from sfumato.placement.remarks import (
    check_copy,
    check_encoders,
    check_key,
    check_overlaps,
    consequences,
)
from sfumato.placement.settings import Rule, Setting, Spec, read_rules
from sfumato.placement.ties import check_references, check_ties


@final
@dataclass
class Plan:
    """What a spec makes of a model.

    `modules`: the model's modules by name; `keys`: of the spec; `names`: all names of each module;
    `rules`: of the modules that a key decides, the rule; `targets`: of those that change, the rule;
    `findings`: what is to say.
    """

    modules: dict[str, nn.Module]
    keys: list[str]
    names: dict[nn.Module, list[str]] = field(default_factory=dict)
    rules: dict[nn.Module, Rule] = field(default_factory=dict)
    targets: dict[nn.Module, Rule] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name, module in self.modules.items():
            self.names.setdefault(module, []).append(name)

    def say(self, severity: Any, name: str, reason: str, remedy: str = "") -> None:
        """Add a finding about the module called `name`."""
        self.findings.append(about(severity, name, self.modules[name], reason, remedy))

    @property
    def errors(self) -> list[Finding]:
        """What forbids the change."""
        return [finding for finding in self.findings if finding.severity == "error"]


def planned(model: nn.Module, spec: Spec, usual: Mapping[str, Any]) -> Plan:
    """What `spec` makes of `model`, which is only looked at.

    Args:
        model: the model.
        spec: layers by name or pattern.
        usual: the settings of layers that bring none of their own.

    Raises:
        SettingError: `model` is no module, or `spec` no mapping from text.
    """
    if not isinstance(model, nn.Module):
        raise SettingError(f"a model is a torch.nn.Module, not {type(model).__name__}")
    rules, findings = read_rules(spec, usual)
    modules = dict(model.named_modules(remove_duplicate=False))
    plan = Plan(modules, [rule.key for rule in rules], findings=findings)
    _decide(plan, rules)
    for module, rule in plan.rules.items():
        if rule.kind != "none":
            _judge(plan, module, rule)
    for rule in rules:
        plan.findings += check_key(
            rule, list(plan.modules), plan.rules, plan.targets, plan.findings
        )
    for check in (check_overlaps, check_ties, check_references, check_encoders):
        plan.findings += check(model, plan.targets, plan.names)
    plan.findings += check_copy(model)
    plan.findings.sort(key=lambda finding: finding.severity != "error")
    return plan


def _decide(plan: Plan, rules: Sequence[Rule]) -> None:
    """Find the rule for each module: an exact name before patterns, of several the last."""
    exact = {rule.key for rule in rules if rule.key in plan.modules}
    for module, names in plan.names.items():
        named = [rule for rule in rules if rule.key in exact and rule.key in names]
        if any(rule.value != named[0].value for rule in named):
            keys = " and ".join(repr(rule.key) for rule in named)
            text = f"is one layer under two names, and {keys} want different things of it"
            plan.say("error", names[0], text, "give it one of the keys")
        patterns = [r for r in rules if r.key not in exact and _matching(r.key, names)]
        if chosen := named or patterns:
            plan.rules[module] = chosen[-1]


def _matching(pattern: str, names: Sequence[str]) -> list[str]:
    return [name for name in names if fnmatchcase(name, pattern)]


def _judge(plan: Plan, module: nn.Module, rule: Rule) -> None:
    """Make `module` a target of `rule`, or say why it is none."""
    names = plan.names[module]
    exact = rule.key in names
    name = rule.key if exact else _matching(rule.key, names)[0]
    outer = _outer(name)
    around = next((n for n in outer if _is_closed(plan.modules[n], name, n)), None)
    if not exact and any(plan.modules[n] in plan.targets for n in outer):
        return  # it changes with a layer around it
    if around is not None:
        _judge_inside(plan, name, around, rule, exact)
    elif exact or is_candidate(module, rule.kind):
        _choose(plan, name, rule, exact)
    elif own_parameters(module) or is_whole(module):
        _leave(plan, name, rule)


def _outer(name: str) -> list[str]:
    """The names of the modules around it, the model's own first."""
    parts = name.split(".") if name else []
    return [".".join(parts[:depth]) for depth in range(len(parts))]


def _is_closed(module: nn.Module, inner: str, name: str) -> bool:
    """Whether `module`, called `name`, must not be changed at the place called `inner`."""
    step = inner[len(name) :].removeprefix(".").split(".")[0]
    return is_whole(module) or (step == "parametrizations" and is_parametrized(module))


def _judge_inside(plan: Plan, name: str, around: str, rule: Rule, exact: bool) -> None:
    module, outer = plan.modules[name], plan.modules[around]
    if not exact and (outer in plan.rules or not is_candidate(module, rule.kind)):
        return  # the pattern is about the outer one too, which has its own say
    where = f"{around or 'the model itself'} ({type(outer).__name__})"
    text = f"lies inside {where}, which changes as a whole or not at all"
    plan.say("error" if exact else "note", name, text, f'name that one, "{around}"')


def _choose(plan: Plan, name: str, rule: Rule, exact: bool) -> None:
    module = plan.modules[name]
    found = obstacle(name, module, rule.kind)
    if found is not None:
        severity = "error" if exact or found.hard else "note"
        leave = f', or leave it out, {{"{name}": None}}' if found.hard and not exact else ""
        plan.say(severity, name, found.reason, found.remedy + leave)
        return
    plan.targets[module] = rule
    matched = {n for key in plan.keys for n in _matching(key, plan.names[module])}
    if others := [n for n in plan.names[module] if n not in {*plan.keys, *matched}]:
        plan.say("note", name, f"also stands at {', '.join(others)}, which changes with it")
    if isinstance(rule.value, Setting):
        for reason, remedy in consequences(module, rule.value):
            plan.say("note", name, reason, remedy)


def _leave(plan: Plan, name: str, rule: Rule) -> None:
    """Say why a pattern leaves a module with parameters as it is."""
    module = plan.modules[name]
    found = obstacle(name, module, rule.kind)
    if found is not None:
        plan.say("note", name, found.reason, found.remedy)
        return
    own = ", ".join(own_parameters(module))
    plan.say("note", name, f"keeps {own} as it is", f'name it, "{name}", to change it as a whole')
