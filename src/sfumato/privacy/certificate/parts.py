"""What is known of the regular layers: whether they clip, and treat each record by itself."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from sfumato.nn.clip import ClipNorm

# Of these the very classes treat the records of a batch one by one, whatever they are set to.
_ALONE = {
    nn.Identity, nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ReLU, nn.LeakyReLU, nn.ELU,
    nn.GELU, nn.SiLU, nn.Sigmoid, nn.Tanh, nn.Softplus, nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d,
    nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d,
    nn.AdaptiveAvgPool3d, ClipNorm,
}  # fmt: skip
_FIXED = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def clip_radius(pre: nn.Module) -> float | None:
    """C where it is sure that the regular layers end with `ClipNorm`."""
    while type(pre) is nn.Sequential and len(pre) and not changed(pre):
        pre = pre[len(pre) - 1]
    return pre.radius if type(pre) is ClipNorm and not changed(pre) else None


def unclear_clip(pre: nn.Module) -> str:
    """Why a `ClipNorm` among the regular layers bounds nothing, in words; empty where none is."""
    inside = [part for part in pre.modules() if isinstance(part, ClipNorm)]
    if not inside:
        return ""
    for part in pre.modules():
        if (isinstance(part, ClipNorm) or part is pre) and (how := changed(part)):
            return f"the {type(part).__name__} before the noise {how}: what it clips is not known"
        if isinstance(part, ClipNorm) and type(part) is not ClipNorm:
            return f"a {type(part).__name__} is not sf.nn.ClipNorm itself: what it clips is unknown"
    return (
        "the location is not bounded: sf.nn.ClipNorm must come last in a plain nn.Sequential, or "
        "alone"
    )


def mixing(pre: nn.Module) -> str:
    """What of the regular layers is known to mix the records of a batch, in words."""
    for part in pre.modules():
        name = type(part).__name__
        if isinstance(part, _BatchNorm) and (part.training or part.running_mean is None):
            return (
                f"the {name} before the noise mixes the records of a batch: call eval() on the "
                "obfuscator first"
            )
        if isinstance(part, nn.Flatten) and part.start_dim == 0:
            return f"the {name} before the noise mixes the records of a batch: flatten from 1 on"
    return ""


def unknown(pre: nn.Module) -> list[str]:
    """The kinds of regular layers that are not known to treat each record by itself."""
    found = {type(part).__name__ for part in pre.modules() if not _alone(part)}
    return sorted(found)


def changed(module: nn.Module) -> str:
    """What was hung on a module, so that its class does not say what it does; empty for nothing."""
    if module._forward_hooks or module._forward_pre_hooks:
        return "has a hook"
    own = [name for name in vars(module) if callable(getattr(type(module), name, None))]
    return f"has a {own[0]} of its own" if own else ""


def _alone(part: nn.Module) -> bool:
    if changed(part):
        return False
    kind = type(part)
    if kind in (nn.Flatten, nn.Unflatten):
        return (part.start_dim if isinstance(part, nn.Flatten) else part.dim) in range(1, 99)
    return kind is nn.Sequential or kind in _ALONE or kind in _FIXED
