"""Each loss moves its own player's parameters and nobody else's."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn

from genlab.core.errors import BadInputError, GenlabError


def check_ownership(model: nn.Module, players: Mapping[str, torch.optim.Optimizer]) -> None:
    """Every trainable parameter must belong to exactly one player; raises `GenlabError` with the names."""
    owners: dict[int, list[str]] = {id(p): [] for p in model.parameters() if p.requires_grad}
    for name, optimiser in players.items():
        for parameter in _owned(optimiser):
            owners.setdefault(id(parameter), []).append(name)
    names = {id(p): name for name, p in model.named_parameters()}
    wrong = [
        f"{names.get(key, '?')} ({' and '.join(who) if who else 'nobody'})"
        for key, who in owners.items()
        if len(who) != 1
    ]
    if wrong:
        raise GenlabError("Parameters must belong to exactly one player: " + ", ".join(wrong) + ".")


def decay_weights(players: Mapping[str, torch.optim.Optimizer], decay: float) -> None:
    """Let every step also take `decay` times the learning rate off each weight: θ ← θ − γ(λθ + Adam's or RMSprop's direction).

    This is AdamW's decoupled decay (Loshchilov & Hutter, Decoupled Weight Decay Regularization, 2019), on all of a
    player's parameters. For plain gradient descent it is the same as a penalty ½λ‖θ‖² in the loss. Other optimisers,
    which would mix it into their running averages, are refused.
    """
    for name, player in players.items() if decay else ():
        for group in player.param_groups:
            if "decoupled_weight_decay" in group:
                group["decoupled_weight_decay"] = True
            elif not isinstance(player, torch.optim.SGD) or group["momentum"]:
                kind = type(player).__name__
                raise BadInputError(
                    f"Decoupled weight decay needs Adam, and player {name!r} is moved by {kind}; set it to 0."
                )
            group["weight_decay"] = decay


class Minimiser:
    """Differentiates named losses with respect to their player's parameters, then steps the players.

    All losses of one call are differentiated before any player moves, so players on one forward pass
    see the same weights (simultaneous play); separate calls are alternating play. Players who are given one and the same
    tensor share one backward pass. Players named in `resting`, which may change between two calls, are not moved: their
    losses are only noted.

    >>> weight = nn.Parameter(torch.tensor([2.0]))
    >>> minimise = Minimiser({"w": torch.optim.SGD([weight], lr=0.1)})
    >>> minimise(w=(weight**2).sum())
    >>> round(weight.item(), 3)
    1.6
    """

    def __init__(
        self,
        players: Mapping[str, torch.optim.Optimizer],
        gradient_clip: float = 0.0,
        resting: Collection[str] = (),
    ) -> None:
        self.players = players
        self.resting = resting
        self.owned = {name: _owned(optimiser) for name, optimiser in players.items()}
        self.gradient_clip = gradient_clip
        self.losses: dict[str, Tensor] = {}
        self._checked: set[str] = set()

    def __call__(self, **losses: Tensor) -> None:
        """Minimise each `player=loss`; refuses a player whose loss does not reach all its parameters."""
        self.losses |= {name: loss.detach() for name, loss in losses.items()}
        moving = {name: loss for name, loss in losses.items() if name not in self.resting}
        sharing: dict[int, list[str]] = {}
        for name, loss in moving.items():
            sharing.setdefault(id(loss), []).append(name)
        for left, names in zip(reversed(range(len(sharing))), sharing.values(), strict=True):
            weights = [weight for name in names for weight in self.owned[name]]
            for weight in weights:
                weight.grad = None
            # a later loss of this call may need the graph that they share
            moving[names[0]].backward(inputs=weights, retain_graph=left > 0)
            for name in set(names) - self._checked:
                self._check_reach(name)
        for name in moving:
            if self.gradient_clip:
                nn.utils.clip_grad_norm_(self.owned[name], self.gradient_clip)
            self.players[name].step()
            # fused optimisers change weights behind autograd's back: a loss that was built
            # before this step must raise when it is differentiated, not be silently stale
            torch.autograd.graph.increment_version(self.owned[name])
        if torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda"):
            torch.clear_autocast_cache()  # it holds casts of the weights before the step

    def take_losses(self) -> dict[str, Tensor]:
        """The last loss of each player since the previous call."""
        taken, self.losses = self.losses, {}
        return taken

    def _check_reach(self, name: str) -> None:
        missed = sum(parameter.grad is None for parameter in self.owned[name])
        if missed:
            raise GenlabError(
                f"The loss of player {name!r} does not reach {missed} of its {len(self.owned[name])} parameter tensors."
            )
        self._checked.add(name)


def _owned(optimiser: torch.optim.Optimizer) -> list[nn.Parameter]:
    return [p for group in optimiser.param_groups for p in group["params"] if p.requires_grad]
