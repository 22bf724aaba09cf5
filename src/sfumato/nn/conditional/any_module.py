"""Any module, once for each category."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast, final

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from sfumato.errors import DataError, SettingError
from sfumato.nn.base import StochasticModule, check_positive
from sfumato.nn.conditional.copies import copies, kernel_operator, stacked, treats_steps_alone
from sfumato.nn.conditional.each import by_label, by_position, by_step
from sfumato.nn.conditional.hard import raw_by_module
from sfumato.nn.conditional.kernels import raw_under
from sfumato.nn.conditional.layout import Arguments, Layout, layout_of
from sfumato.nn.conditional.merge import by_share
from sfumato.nn.conditional.reading import Weights, read_for_modules
from sfumato.nn.conditional.selection import Selection, holds_shares, read_classes
from sfumato.nn.operator import Operator
from sfumato.nn.sequences.recurrent import StochasticRecurrent
from sfumato.nn.values import readable


@final
class Conditional(StochasticModule):
    """Any module, with one copy of its own for each category (spec 2; spec 3 §1 and §2).

    `make` is called once for each class. Under a hard selection a record passes through its own
    class's module and nothing of any other, at the cost of one call for each class that occurs; a
    class that does not occur gets no gradient (None: optimisers pass over it; under
    `DistributedDataParallel` say `find_unused_parameters=True`). Where labels cannot be read
    (`torch.compile`, `torch.export`, `torch.vmap`) every class runs on every record and one result
    is taken: C times the cost.

    Records are on axis 0; of LSTM, GRU, attention and transformers with `batch_first=False` on
    axis 1, of recurrent states on axis 1 in any case. Selections have the records first always.
    Further tensor arguments with a place for each record are split with the records.

    Labels `[B, T]` choose a class for each step of a sequence. Position-wise modules (linear ones)
    see only their own steps. Others mix steps: a record then passes through the module of every
    class that occurs in it, whole, and each step takes the result of its own class (a recurrent
    state that of the last step's class); the cost is one record for each such pair.

    Under a soft selection the results merge, Σ_c π_c f_c(x); of stochastic modules the *raw* values
    do, before the non-linearity, and there is one draw. π is `[C]`, `[B, C]`, one number for each
    step `[B, C, T]`, or a `SoftSelection` of shape () or of a record's shape. Only there does its
    place matter: on the input module c sees π_c ⊙ x and its result counts π̄_c, the mean of π_c over
    the record. `StochasticLinear` and the convolutions merge as in `ConditionalLinear` and
    `ConditionalConv2d`, and take all selections of these.

    Over stochastic modules it is one stochastic layer: it draws and is recorded as a whole. Over
    other modules it passes on what they give: Bayesian ones draw their weights once in each call,
    and `sf.objectives.kl` finds those of all classes by itself; stochastic layers deeper inside
    draw, and are recorded, for the records of their own class.

    Args:
        num_classes: number of categories C.
        make: gives a fresh module at every call.
        positionwise: whether a module treats every step by itself; told from its type when None.

    Raises:
        SettingError: `make` gives no module, the same one (or the same parameters) twice, or
            stochastic modules of different laws.

    Example:
        >>> import torch
        >>> layer = Conditional(3, lambda: nn.LSTM(4, 5, batch_first=True))
        >>> output, (h, c) = layer(torch.zeros(2, 7, 4), torch.tensor([0, 2]))
        >>> output.shape, h.shape
        (torch.Size([2, 7, 5]), torch.Size([1, 2, 5]))
    """

    def __init__(
        self,
        num_classes: int,
        make: Callable[[], nn.Module],
        *,
        positionwise: bool | None = None,
    ) -> None:
        check_positive(num_classes=num_classes)
        made = copies(num_classes, make)
        first = made[0]
        if isinstance(first, StochasticModule):
            super().__init__(first.noise, first.bound)
        else:
            super().__init__()
        self.num_classes = num_classes
        self.stochastic = isinstance(first, StochasticModule)
        self.positionwise = treats_steps_alone(first) if positionwise is None else positionwise
        self.classes = nn.ModuleList(made)

    def blocks(
        self, x: Tensor, selection: Selection, *args: Any, **kwargs: Any
    ) -> Sequence[Tensor]:
        return self._blocks(x, selection, args, kwargs)[0]

    def forward(
        self, x: Tensor, selection: Selection, *args: Any, eps: Tensor | None = None, **kwargs: Any
    ) -> Any:
        """What the modules give, each for its own records.

        Args:
            x: the modules' first argument.
            selection: labels `[B]` or `[B, T]`, π, or a `SoftSelection`, as said above.
            *args: further arguments of the modules.
            eps: the noise to use, of the sample's shape, over stochastic modules; over others it
                is an argument like any other.
            **kwargs: further arguments of the modules.

        Returns:
            What one of the modules gives for `x`; a sample over stochastic modules.

        Raises:
            DataError: `selection` does not fit `x`, or a result has no place for each record.
        """
        more = kwargs if self.stochastic or eps is None else {**kwargs, "eps": eps}
        raw = self._of_kernels(x, selection, args, more)
        if not self.stochastic:
            return self._under(self._result, x, selection, args, more) if raw is None else raw
        if raw is not None:
            return self._pass_on(raw, cast("Any", self.classes[0]).operator.channel_axis, eps)
        blocks, rest = self._blocks(x, selection, args, kwargs)
        sample = self._sampled(blocks, eps)
        return (sample, *rest) if rest else sample

    def config(self) -> dict[str, Any]:
        """The arguments that are JSON values, and the modules' type; `make` is not among them."""
        return {
            "num_classes": self.num_classes,
            "positionwise": self.positionwise,
            "module": type(self.classes[0]).__name__,
        }

    def extra_repr(self) -> str:
        """The constructor's arguments, for `print(layer)`."""
        return f"num_classes={self.num_classes}, positionwise={self.positionwise}"

    def _blocks(
        self, x: Tensor, selection: Selection, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Sequence[Tensor], tuple[Any, ...]]:
        """The raw blocks, and what a recurrence gives beside its output."""
        if not self.stochastic:
            raise SettingError(
                f"{type(self.classes[0]).__name__} passes on no sample: there are no parameters"
            )
        raw = self._of_kernels(x, selection, args, kwargs)
        if raw is not None:
            return cast("Any", self.classes[0])._blocks(raw), ()
        blocks, *rest = self._under(self._emission, x, selection, args, kwargs)
        return blocks, tuple(rest)

    def _sampled(self, blocks: Sequence[Tensor], eps: Tensor | None) -> Tensor:
        if blocks[0].dim() < 2:
            return self._emit(self._constrain(blocks), blocks[0], eps)
        axis = -1 if layout_of(self.classes[0]).records else 1
        return self._pass_on(torch.cat(tuple(blocks), axis), axis, eps)

    def _result(self, c: int, *args: Any, **kwargs: Any) -> Any:
        return self.classes[c](*args, **kwargs)

    def _emission(self, c: int, *args: Any, **kwargs: Any) -> Any:
        """Class c's raw blocks, with the state of a recurrence."""
        module: Any = self.classes[c]
        if not isinstance(module, StochasticRecurrent):
            return (tuple(module.blocks(*args, **kwargs)),)

        def recurrence(x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
            return module._run(x, state)

        output, state = recurrence(*args, **kwargs)
        return tuple(module._blocks(output)), state

    def _of_kernels(
        self, x: Any, selection: Selection, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Tensor | None:
        """The modules' results by their kernels; None where the modules are to be called."""
        classes = None
        if isinstance(selection, Tensor) and not holds_shares(selection):
            classes = selection
        known = classes is not None and readable(classes)
        if args or kwargs or not (self.stochastic or known):
            return None
        modules: list[Any] = list(self.classes)
        operator = kernel_operator(modules)
        if operator is None or not _fits(operator, x):
            return None
        if classes is not None and classes.dim() in (1, x.dim() - 1 - operator.spatial):
            if not known or (classes.dim() > 1 and not self.positionwise):
                return None
            labels = read_classes(classes, len(x), self.num_classes, classes.dim() - 1)
            return raw_by_module(operator, x, modules, labels.index)
        if not self.stochastic:
            return None
        draw, source = self.mode == "sample", self.source
        return raw_under(operator, x, *stacked(modules), selection, draw, source)

    def _under(
        self,
        run: Callable[..., Any],
        x: Tensor,
        selection: Selection,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """The modules' results under the selection, put together."""
        layout = layout_of(self.classes[0])
        shape = _records_first(layout, x)
        draw, source = self.mode == "sample", self.source
        reading = read_for_modules(selection, shape, self.num_classes, draw=draw, source=source)
        call = Arguments(layout, self.classes[0], shape[0], (x, *args), kwargs)
        if isinstance(reading, Weights):
            return by_share(run, layout, reading, self.num_classes, call)
        if reading.index.dim() == 1:
            return by_label(run, layout, reading.index, self.num_classes, call)
        each = by_position if self.positionwise else by_step
        return each(run, layout, reading.index, self.num_classes, call)


def _records_first(layout: Layout, x: Any) -> list[int]:
    """The shape of `x` with the records first."""
    if isinstance(x, PackedSequence):
        raise DataError(
            "records are chosen from padded sequences, not from a PackedSequence: "
            "use torch.nn.utils.rnn.pad_packed_sequence"
        )
    if not isinstance(x, Tensor):
        raise DataError(f"the first argument must be a tensor of records, not {type(x).__name__}")
    shape = list(x.shape)
    axes = 3 if layout.masks else 1
    if len(shape) < axes:
        wanted = "[T, B, in]" if layout.records else "[B, T, in]" if axes == 3 else "[B, ...]"
        raise DataError(f"{layout.name} needs an input of {wanted} here, not {shape}")
    if layout.records:
        shape[:2] = shape[1], shape[0]
    return shape


def _fits(operator: Operator, x: Any) -> bool:
    """Whether `x` is a batch for the kernel; a module says best what is wrong if it is not."""
    if not isinstance(x, Tensor) or x.dim() < 2 + operator.spatial:
        return False
    axes = 2 + operator.spatial if operator.spatial else x.dim()
    return x.dim() == axes and x.shape[operator.channel_axis] == operator.inputs
