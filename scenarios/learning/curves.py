"""How losses fell, from the cards of trained networks. Matplotlib is imported when the figure is drawn."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.estimators.deepsets import Checkpoint
from engine.estimators.deepsets.checkpoint import Card

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS = 4


def losses_against_epochs(paths: list[Path]) -> "Figure":
    """A panel a file: of networks that went in epochs, training (thin) and validation losses and a dot where each was
    best; of others, what the network says of rounds that it never saw."""
    from matplotlib.figure import Figure

    columns = min(_COLUMNS, len(paths))
    rows = math.ceil(len(paths) / columns)
    figure = Figure(figsize=(1 + 4.4 * columns, 0.8 + 3.3 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel, path in zip(panels, paths, strict=False):
        card = Checkpoint(path=str(path)).card()
        panel.set_title(path.stem + (f"\n({card.label})" if card.label else ""), fontsize=10)
        panel.grid(True, color="#e6e6e6", linewidth=0.7)
        draw = _in_epochs if card.kind == "sensor_set" else _in_rounds
        draw(panel, card)
    for panel in panels[len(paths) :]:
        panel.set_visible(False)
    return figure


def _in_rounds(panel: "Axes", card: Card) -> None:
    thousands = [h["samples"] / 1000 for h in card.history]
    losses = [math.nan if h.get("validation_nll") is None else h["validation_nll"] for h in card.history]
    panel.plot(thousands, losses, color="#2e6f9e", linewidth=1.6, marker="o", markersize=3)
    panel.set(xlabel="thousands of samples", ylabel="Gaussian NLL of rounds never trained on")


def _in_epochs(panel: "Axes", card: Card) -> None:
    from matplotlib import colormaps

    epochs = [h["number"] for h in card.history]
    for i, member in enumerate(card.members):
        colour = colormaps["viridis"](0.9 * i / max(1, len(card.members) - 1))
        label = f"{member.snr_db:g} dB, L = {member.n_snapshots}"
        if member.estimates != "both":
            label += f", {member.estimates}"
        panel.plot(epochs, _column(card.history, "training_loss", i), color=colour, linewidth=0.7)
        losses = _column(card.history, "validation_loss", i)
        panel.plot(epochs, losses, color=colour, linewidth=1.6, label=label)
        if member.best_epoch:
            panel.plot(member.best_epoch, losses[member.best_epoch - 1], "o", color=colour, markersize=4)
    panel.set(xlabel="epoch", ylabel="squared error, in variances of a blind guess", yscale="log")
    panel.legend(title="P_t/σ²", fontsize=7, title_fontsize=8, frameon=False, ncols=2)


def _column(history: list[dict[str, Any]], key: str, index: int) -> list[float]:
    """One network's losses; nothing where it had stopped."""
    return [math.nan if line[key][index] is None else line[key][index] for line in history]
