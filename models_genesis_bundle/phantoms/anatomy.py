"""A synthetic chest in HU. All phantoms have the same parts in different shapes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from models_genesis_bundle.phantoms.canvas import PhantomCanvas
from scipy import ndimage

AIR, LUNG, FAT, MUSCLE, BLOOD, LIVER, MARROW, CORTEX = -1000, -860, -105, 52, 42, 62, 190, 720
LUNG_LABEL, NODULE_LABEL = 1, 2


def draw_chest(
    size: Sequence[int], spacing: Sequence[float], random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a chest CT and its labels.

    Args:
        size: voxels along X (to the right), Y (to the front), Z (to the head).
        spacing: sides of a voxel in millimetres; the whole chest needs 320 mm along each axis.
        random: generator of all differences between two phantoms.

    Returns:
        int16 HU and uint8 labels (0 background, 1 lung, 2 nodule), both of ``size``.
    """
    canvas = PhantomCanvas(size, spacing, AIR)
    scale = float(random.uniform(0.9, 1.04))
    half_width, half_depth = 143 * scale * random.uniform(0.95, 1.03), 102 * scale * random.uniform(0.93, 1.07)
    wall = body_and_cage(canvas, random, half_width, half_depth)
    lungs = lungs_and_abdomen(canvas, random, scale, wall)
    mediastinum(canvas, random, scale)
    spine_and_sternum(canvas, random, half_depth)
    lungs &= canvas.hu < -400
    labels = lungs.astype(np.uint8) * LUNG_LABEL
    for side in (-1, 1):
        vessels(canvas, random, lungs, side, scale)
    for inside in nodules(canvas, random, lungs):
        labels[inside] = NODULE_LABEL
    return scanned(canvas, random), labels


def body_and_cage(
    canvas: PhantomCanvas, random: np.random.Generator, half_width: float, half_depth: float
) -> np.ndarray:
    """Table, skin, fat, muscle and ribs; returns the signed distance of the space inside the ribs."""
    table = 10 - np.abs(canvas.y + half_depth + 16 - (canvas.x / 330) ** 2 * 60)
    canvas.paint(np.minimum(table, 190 - np.abs(canvas.x)), -850)
    canvas.paint(np.minimum(table - 8, 190 - np.abs(canvas.x)), -250)
    shoulders = 1 + 0.10 / (1 + np.exp(-(canvas.z - 95) / 14))
    power = 2.5
    x, y = np.abs(canvas.x) / (half_width * shoulders), np.abs(canvas.y) / half_depth
    radius = (x**power + y**power) ** (1 / power)
    body = (1 - radius) * half_depth
    fat = float(random.uniform(7, 19))
    canvas.paint(body, FAT + 90)
    canvas.paint(body - 2.2, FAT)
    muscle = body - fat - 3 * np.sin(canvas.x / 31) * np.cos(canvas.z / 43)
    canvas.paint(muscle, MUSCLE)
    layer = np.sin((muscle / 4.2 + canvas.z / 60).astype(np.float32)) > 0.93
    canvas.hu[layer & (muscle > 3) & (muscle < 14)] = FAT + 40
    taper = np.clip(1.04 - np.maximum(canvas.z - 20, 0) ** 2 / 42000, 0.45, None)
    cage_width, cage_depth = (half_width - fat - 17) * taper, (half_depth - fat - 11) * taper
    cage = (1 - np.sqrt((canvas.x / cage_width) ** 2 + ((canvas.y + 3) / cage_depth) ** 2)) * (half_depth - fat - 11)
    period = float(random.uniform(25, 29))
    slope = 0.42 * canvas.y + 0.06 * np.abs(canvas.x)
    phase = (canvas.z + slope + random.uniform(0, period)) / period
    across = (np.abs(phase - np.round(phase))) * period
    ribs = np.minimum(5.6 - across, 3.6 - np.abs(cage + 4.2))
    front = (canvas.y > 0.62 * half_depth) & (np.abs(canvas.x) < 55)
    canvas.paint(ribs, np.where(front, 130, CORTEX))
    canvas.paint(ribs - 1.9, np.where(front, 100, MARROW + 60))
    return cage


def lungs_and_abdomen(canvas: PhantomCanvas, random: np.random.Generator, scale: float, wall: np.ndarray) -> np.ndarray:
    """Lungs above the diaphragm, liver, spleen, stomach and fat below it; returns the lungs' voxels."""
    drift = float(random.uniform(-8, 8))
    floor = float(random.uniform(-98, -78))
    domes = [
        floor + lift - (((canvas.x - centre) / 62) ** 2 + ((canvas.y - 12) / 88) ** 2) * depth
        for centre, lift, depth in ((66 * scale, random.uniform(38, 52), 44), (-66 * scale, random.uniform(26, 42), 42))
    ]
    diaphragm = np.maximum(*domes)
    below = np.minimum(diaphragm - canvas.z, wall)
    canvas.paint(below, FAT + 10)
    organ = below - 2.5
    liver = np.minimum(organ, canvas.ellipsoid((54, 8, floor - 20), (88, 78, 72), 2.3))
    canvas.paint(liver, LIVER + random.uniform(-8, 40))
    canvas.paint(np.minimum(organ, canvas.ellipsoid((-92, -38, floor - 8), (32, 40, 44))), 55)
    stomach = np.minimum(organ, canvas.ellipsoid((-58, 24, floor - 2), (38, 44, 36)))
    canvas.paint(stomach, 35)
    canvas.paint(np.minimum(stomach - 4, canvas.y - 30), -960)
    parts = []
    for side in (1, -1):
        width = (58 if side > 0 else 55) * scale
        shape = canvas.ellipsoid((side * 66 * scale, -4, drift - 4), (width, 92 * scale, 142), 2.4)
        inner = side * canvas.x - (13 + 6 * np.cos((canvas.y + 20) / 40))
        parts.append(np.minimum(np.minimum(shape, wall - 1.5), np.minimum(inner, canvas.z - diaphragm)))
    lungs = np.maximum(*parts)
    texture = ndimage.gaussian_filter(random.standard_normal(canvas.size, dtype=np.float32), 1.4)
    gravity = -0.35 * canvas.y
    canvas.paint(lungs, LUNG + random.uniform(-25, 35) + gravity + 26 * texture / texture.std())
    fissure = 0.9 - np.abs(canvas.z + 18 - 0.75 * canvas.y + 5 * np.sin(canvas.x / 25))
    canvas.paint(np.minimum(lungs - 1, fissure), -700)
    return lungs > 0


def mediastinum(canvas: PhantomCanvas, random: np.random.Generator, scale: float) -> None:
    """Heart with its chambers and fat, great vessels, trachea and main bronchi, oesophagus."""
    blood = BLOOD + float(random.choice([0, 0, 90, 180]) * random.uniform(0.8, 1.1))
    shift = random.uniform(-6, 6, size=3)
    heart = np.array([-21, 24, -40]) * scale + shift
    muscle = canvas.ellipsoid(heart, (52 * scale, 42 * scale, 47 * scale), 2.2)
    canvas.paint(canvas.ellipsoid(heart + np.array((2, 1, 0)), (60 * scale, 49 * scale, 54 * scale), 2.2), FAT + 12)
    canvas.paint(muscle, 58)
    for offset, axes in (((-24, 2, -6), (19, 17, 27)), ((10, 18, -2), (19, 13, 25)), ((10, -20, 14), (24, 14, 20))):
        canvas.paint(canvas.ellipsoid(heart + offset, np.array(axes) * scale), blood)
    arch = [(2, 14, -14), (6, 18, 20), (3, 12, 44), (-8, -6, 56), (-18, -32, 50), (-20, -50, 30), (-17, -55, -150)]
    pulmonary = [(-12, 22, -8), (-12, 4, 16), (-8, -6, 18)]
    cava = [(26, 12, -10), (24, 10, 60), (16, 18, 100)]
    for margin, hu in ((2.5, FAT + 20), (0.0, blood)):
        for vessel, radius in ((arch, 13.5), (pulmonary, 12), (cava, 8.5)):
            canvas.paint_tube(np.array(vessel) * scale, radius * scale + margin, hu)
    for side in (1, -1):
        branch = np.array([(-6, -4, 18), (side * 24, -8, 12), (side * 40, -10, 6)]) * scale
        canvas.paint_tube(branch, 8.5 * scale, blood)
    carina = np.array((2, -16, 30)) * scale
    for end, radius in (((3, -12, 200), 8.2), ((34, -18, 6), 6.2), ((-36, -18, 4), 5.8)):
        path = [carina, np.array(end) * scale]
        canvas.paint_tube(path, radius * scale + 1.8, 40)
        canvas.paint_tube(path, radius * scale, -985)
    canvas.paint_tube(np.array([(-6, -34, 150), (-4, -36, 0), (-12, -38, -90)]) * scale, 7 * scale, 38)


def spine_and_sternum(canvas: PhantomCanvas, random: np.random.Generator, half_depth: float) -> None:
    """Vertebral bodies with discs, canal, arch and processes; sternum."""
    back = -half_depth * float(random.uniform(0.56, 0.62))
    curve = 7 * np.cos(canvas.z / 75)
    centre = back + curve
    from_axis = np.sqrt((canvas.x / 1.12) ** 2 + (canvas.y - centre) ** 2)
    period = float(random.uniform(24, 28))
    phase = canvas.z / period + random.uniform()
    height = 0.5 * period - np.abs(phase - np.round(phase)) * period
    radius = 15.5 + 1.6 * np.cos(2 * np.pi * phase)
    muscle = 26 - np.sqrt(((np.abs(canvas.x) - 27) / 1.1) ** 2 + (canvas.y - centre + 22) ** 2)
    canvas.paint(muscle, MUSCLE)
    canvas.paint(radius - from_axis, 85)
    body = np.minimum(radius - from_axis, height - 2.6)
    canvas.paint(body, CORTEX - 250)
    canvas.paint(body - 2.2, MARROW)
    arch = 13.5 - np.sqrt(canvas.x**2 + (canvas.y - centre + 22) ** 2)
    canvas.paint(np.minimum(arch, height + 1), CORTEX - 200)
    spinous = np.minimum(3.2 - np.abs(canvas.x), 13 - np.abs(canvas.y - centre + 43 + 0.35 * (height - 6)))
    canvas.paint(np.minimum(spinous, height - 4), CORTEX - 150)
    transverse = np.minimum(4 - np.abs(canvas.y - centre + 21), 32 - np.abs(canvas.x))
    canvas.paint(np.minimum(transverse, height - 7), CORTEX - 200)
    canal = 8.4 - np.sqrt((canvas.x / 1.15) ** 2 + (canvas.y - centre + 22) ** 2)
    canvas.paint(canal, 28)
    front = half_depth * 0.80 - 0.0016 * (canvas.z - 10) ** 2
    sternum = np.minimum(6.2 - np.abs(canvas.y - front), 17 - np.abs(canvas.x))
    sternum = np.minimum(sternum, np.minimum(canvas.z + 62, 98 - canvas.z))
    canvas.paint(sternum, CORTEX - 200)
    canvas.paint(sternum - 2.2, MARROW - 40)


def vessels(canvas: PhantomCanvas, random: np.random.Generator, lungs: np.ndarray, side: int, scale: float) -> None:
    """A branching tree from the hilum, with a bronchus next to the larger branches."""
    hilum = np.array((side * 38.0, -10.0, 4.0)) * scale
    outward = np.array((side * 1.0, 0.0, 0.0))
    branches = []
    for _ in range(14):
        direction = outward * random.uniform(0.3, 1) + random.normal(size=3) * (0.4, 0.75, 1.0)
        start = hilum + random.normal(size=3) * 4
        branches.append((start, direction / np.linalg.norm(direction), random.uniform(3.6, 5.4)))
    while branches:
        start, direction, radius = branches.pop()
        length = radius * random.uniform(4.0, 8.0) + 5
        for spread in (0.2, 0.4, 0.8, 1.2):
            bend = direction + random.normal(size=3) * spread
            end = start + bend / np.linalg.norm(bend) * length
            index = tuple(int(np.argmin(np.abs(axis - c))) for axis, c in zip(canvas.axes, end, strict=True))
            if lungs[index]:
                break
        else:
            continue
        thin = radius * random.uniform(0.8, 0.92)
        canvas.paint_capsule(start, end, (radius, thin), BLOOD)
        if radius > 2.2:
            aside = np.cross(direction, (0.3, 0.2, 1.0))
            aside *= radius * 1.75 / np.linalg.norm(aside)
            for widening, hu in ((1.1, -350), (0.0, -970)):
                radii = radius * 0.7 + widening, thin * 0.7 + widening
                canvas.paint_capsule(start + aside, end + aside, radii, hu)
        if thin < 0.8:
            continue
        for _ in range(2 if random.uniform() < 0.85 else 3):
            turned = bend / np.linalg.norm(bend) + random.normal(size=3) * 0.5
            branches.append((end, turned / np.linalg.norm(turned), thin * random.uniform(0.72, 0.95)))


def nodules(canvas: PhantomCanvas, random: np.random.Generator, lungs: np.ndarray) -> list[np.ndarray]:
    """One to five nodules of 3 to 15 mm radius inside the lungs, a third of them part-solid; returns their voxels."""
    depth = ndimage.distance_transform_edt(lungs, sampling=canvas.spacing)
    found = []
    for _ in range(int(random.integers(1, 6))):
        radius = float(np.exp(random.uniform(np.log(3), np.log(15))))
        places = np.argwhere(depth > radius + 2)
        if not len(places):
            continue
        place = places[random.integers(len(places))]
        centre = np.array([axis[i] for axis, i in zip(canvas.axes, place, strict=True)])
        box = canvas.box(centre - 1.6 * radius - 2, centre + 1.6 * radius + 2)
        stretch = random.uniform(0.8, 1.2, size=3)
        offsets = [(p - c) / s for p, c, s in zip(canvas.points(box), centre, stretch, strict=True)]
        waves = random.normal(size=(4, 3)) * 1.6 / radius
        lobes = sum(np.sin(sum(w * o for w, o in zip(wave, offsets, strict=True))) for wave in waves) * radius * 0.08
        distance = radius - np.sqrt(sum(o**2 for o in offsets)) + lobes
        if random.uniform() < 1 / 3:
            canvas.paint(distance, -560, box)
            canvas.paint(distance - 0.45 * radius, 20, box)
        else:
            canvas.paint(distance, random.uniform(10, 60), box)
        inside = np.zeros(canvas.size, dtype=bool)
        inside[box] = (distance > 0) & lungs[box]
        found.append(inside)
    return found


def scanned(canvas: PhantomCanvas, random: np.random.Generator) -> np.ndarray:
    """Add slight blur, and noise that is correlated between neighbouring voxels, as in a scanner."""
    blurred = ndimage.gaussian_filter(canvas.hu, float(random.uniform(0.4, 0.6)))
    noise = ndimage.gaussian_filter(random.standard_normal(canvas.size, dtype=np.float32), 0.55)
    blurred += noise * (float(random.uniform(12, 28)) / noise.std())
    return np.clip(np.rint(blurred), -1024, 3071).astype(np.int16)
