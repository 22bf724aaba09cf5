"""What is to say about keys, about a change as a whole, and about what comes with it."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from torch import Tensor, nn

from sfumato.noise import LocationScale
from sfumato.placement.finding import Finding, about, about_key
from sfumato.placement.settings import Rule, Setting
from sfumato.placement.twins import KERNELS, has_bayesian_kernel, torch_type

Rules = Mapping[nn.Module, Rule]
Names = Mapping[nn.Module, list[str]]


def check_key(
    rule: Rule, names: Sequence[str], rules: Rules, targets: Rules, said: Sequence[Finding]
) -> list[Finding]:
    """What is to say about a key that changes nothing.

    Args:
        rule: the key's.
        names: those of the model's modules.
        rules: of each module that a key decides, the rule.
        targets: of each module that changes, the rule.
        said: the findings about modules.
    """
    key = rule.key
    if key in names:
        return []
    matched = [name for name in names if fnmatchcase(name, key)]
    if not matched:
        close = get_close_matches(key, names, n=3, cutoff=0.5)
        hint = f"did you mean {', '.join(map(repr, close))}?" if close else "see named_modules()"
        return [about_key("error", key, "matches no layer", hint)]
    if rule.kind == "none" or any(other.key == key for other in targets.values()):
        return []
    covered = {part for unit in targets for part in unit.modules()}
    if all(module in covered for module, other in rules.items() if other.key == key):
        return [about_key("note", key, "decides nothing", "other keys decide all that it matches")]
    if any(finding.severity == "error" and finding.name in matched for finding in said):
        return []
    kind = "changed" if rule.kind == "function" else rule.kind
    text = f"matches nothing that could become {kind}"
    return [about_key("error", key, text, "the notes on what it matches say why")]


def check_overlaps(_: nn.Module, targets: Rules, names: Names) -> list[Finding]:
    """Layers that lie inside another one that changes as a whole."""
    return [
        about(
            "error",
            names[part][0],
            part,
            f"lies inside {names[unit][0] or 'the model itself'}, which another key changes",
            "leave one of the two keys out",
        )
        for unit in targets
        for part in unit.modules()
        if part is not unit and part in targets
    ]


def check_encoders(model: nn.Module, targets: Rules, names: Names) -> list[Finding]:
    """Encoders whose shortcut for padded batches, which returns zeros there, is lost."""
    found: list[Finding] = []
    for encoder in model.modules():
        if isinstance(encoder, nn.TransformerEncoder) and encoder.use_nested_tensor:
            first = encoder.layers[0]
            if first in targets:
                text = "ends its encoder's shortcut for padding: those steps are no longer zeros"
                remedy = "they are no zeros in training either: mask them where they are read"
                found.append(about("note", names[first][0], first, text, remedy))
    return found


def check_copy(model: nn.Module) -> list[Finding]:
    """What keeps the model from being copied."""
    tensors = [*model.parameters(), *model.buffers()]
    memo = {id(tensor): tensor for tensor in tensors if tensor.is_leaf}  # these are not copied
    try:
        copy.deepcopy(model, memo)
    except (RuntimeError, TypeError, ValueError) as error:
        if found := _with_graphs(model):
            return found
        reason = str(error).split("\n")[0]
        return [about("error", "", model, f"cannot be copied: {reason}", "take that off it first")]
    return []


def _with_graphs(model: nn.Module) -> list[Finding]:
    return [
        about(
            "error",
            name,
            module,
            f"cannot be copied: {attribute} is the outcome of a computation with gradients",
            "detach it, or remove the hook that computes it (weight norm, pruning)",
        )
        for name, module in model.named_modules()
        for attribute, value in [*vars(module).items(), *module._buffers.items()]
        if isinstance(value, Tensor) and not value.is_leaf
    ]


def consequences(module: nn.Module, setting: Setting) -> list[tuple[str, str]]:
    """What comes with the change: pairs of a predicate and a remedy."""
    if setting.kind == "stochastic":
        return _of_a_stochastic_layer(module, setting)
    found: list[tuple[str, str]] = []
    if setting.estimator != "auto" and not has_bayesian_kernel(module):
        text = f"has its weights drawn once per call: {setting.estimator!r} is for Linear and Conv"
        found.append((text, "leave estimator out"))
    if isinstance(module, nn.Embedding) and module.padding_idx is not None:
        found.append(("has a padding row that is drawn like the others", "mask its output"))
    odd = [(n, p.dtype) for n, p in module.named_parameters() if not p.is_floating_point()]
    found += [(f"has a {name} of {dtype}, which is not drawn", "") for name, dtype in odd]
    return found


def _of_a_stochastic_layer(module: nn.Module, setting: Setting) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    bare = torch_type(module) in KERNELS and module._parameters.get("bias") is None
    if bare and isinstance(setting.noise, LocationScale):
        found.append(("has no bias and gets one, zero for the location, to hold its scale", ""))
    if isinstance(module, nn.RNNBase):
        text = "passes on a sample of its output sequence, but its state without noise"
        found.append((text, "read the output where the noise matters"))
    if setting.bound is not None:
        text = f"is clamped to {setting.bound}, which changes what lies outside"
        found.append((text, "choose a wider bound to keep it"))
    return found
