"""Look at one trial of localization through a surface.

nearfield scene
nearfield scene --snr 20 --seed 3 -o trial.svg
"""

from pathlib import Path
from typing import Annotated

import typer

from jobs.cli import options
from jobs.show.drawing import write_figure


def command(
    snr_db: Annotated[float, typer.Option("--snr", metavar="DB", help="Mean signal-to-noise ratio of a cycle.")] = 10.0,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Which trial.")] = 0,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="A .png, .svg or .pdf file.")] = Path(
        "ris-scene.png"
    ),
    set_: options.Settings = [],  # noqa: B006  typer copies it
) -> None:
    """Draw users, scatterers and estimates in front of the surface, and the beams that its phases form, by cycles."""
    from jobs.cli.named import changed
    from scenarios.ris import RisLocalization, fig4
    from scenarios.ris.picture import draw_trial

    scene = changed(fig4, settings=[f"snr_db={snr_db}", *set_], axes=[]).scenario
    assert isinstance(scene, RisLocalization)
    write_figure(lambda: draw_trial(scene, seed=seed), [output])
    print(f"drawn: {output}")
