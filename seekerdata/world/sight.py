"""Sight: where a thing can be seen, as sightings at one per second and at the moments asked about."""

import numpy as np

from seekerdata.instance import Sighting, encode_mask, mask_box
from seekerdata.world.paint import owners
from seekerdata.world.scene import Scene

LEAST_PIXELS = 4
"""Fewer visible pixels are no sighting."""


def sightings(scene: Scene, who: int, moments_s: list[float]) -> tuple[Sighting, ...]:
    """Every whole second and the frames nearest to `moments_s` at which thing `who` is visible, in order of time."""
    frames = {second * scene.fps for second in range(int(np.ceil(scene.duration_s)))}
    frames |= {min(round(t * scene.fps), scene.frames - 1) for t in moments_s}
    found = []
    for frame in sorted(frames):
        mask = owners(scene, frame) == who
        box = mask_box(mask)
        if box is not None and int(mask.sum()) >= LEAST_PIXELS:
            found.append(Sighting(time_s=frame / scene.fps, box_xyxy=box, mask=encode_mask(mask)))
    return tuple(found)
