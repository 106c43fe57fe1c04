"""Options that the writers of portal images share, as they come from a command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from analyzers.portal_images import ImageKind, PortalImage
from qa_daemon.simulate.epid_panel import Exposure, Imager, imager_of
from qa_daemon.simulate.rtimage import write_rtimage


def exposure_of(
    kind: ImageKind, label: str, mu: float, seed: int, machine: str, energy: str = "6x"
) -> Exposure:
    """An exposure from options; numbers may come as text.

    Raises ValueError for a meterset that no beam has, and for a negative seed.
    """
    mu, seed = float(mu), int(seed)
    if not 0.0 < mu <= 10000.0:
        raise ValueError(f"mu {mu:g}: above 0 and at most 10000 expected")
    if seed < 0:
        raise ValueError(f"seed {seed}: 0 or more expected")
    return Exposure(
        kind, str(label), mu=mu, seed=seed, machine_name=str(machine), energy=str(energy)
    )


def panel_of(
    panel: str,
    noise: float,
    sag_x_mm: float = 0.0,
    sag_y_mm: float = 0.0,
    blur_mm: float | None = None,
    dead_pixels: int = 0,
) -> Imager:
    """An imager from options; `blur_mm` None: as wide a penumbra as usual.

    Raises ValueError for an unknown panel, and for what is not above zero.
    """
    imager = imager_of(
        str(panel),
        noise=float(noise),
        dead_pixels=int(dead_pixels),
        sag_mm=(float(sag_x_mm), float(sag_y_mm)),
    )
    if blur_mm is None:
        return imager
    if float(blur_mm) < 0.1:
        raise ValueError(f"blur_mm {float(blur_mm):g}: 0.1 or more expected")
    return replace(imager, blur_mm=float(blur_mm))


def write_one(out: Path, image: PortalImage) -> Path:
    """Write an image to a file, or into a folder under a name of its own; the path of the file."""
    path = out / file_name(image) if out.is_dir() else out
    write_rtimage(path, image)
    return path


def write_all(out: Path, images: Sequence[PortalImage]) -> Path:
    """Write images into a folder, which is made where it is not there; the folder."""
    out.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        write_rtimage(out / file_name(image, number), image)
    return out


def file_name(image: PortalImage, number: int = 0) -> str:
    """`RI.{label}.{number}.{time}.dcm`, letters and digits alone between the points."""
    label = "".join(letter for letter in image.label or "Image" if letter.isalnum())
    assert image.performed_at is not None
    return f"RI.{label}.{number}.{image.performed_at:%Y%m%d%H%M%S}.dcm"
