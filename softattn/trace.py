# Generated from book/trace.md by tools/export.py. Edit the chapter, not this file.
"""Trace: ink without its clock.

A line of ink in equal steps, whatever pen recorded it.

The chapter book/trace.md builds this module and explains each line.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from softattn.hub import instance, real, whole
from softattn.strokes import Strokes

__all__ = ["PenTokens", "pen_tokens", "split_lines"]


# -- Measured by its ink --
def ink_of(line: Strokes) -> tuple[np.ndarray, np.ndarray]:
    """Places (P, 2), float64, and the number of each one's stroke (P,)."""
    offsets = line.offsets.double().cpu().numpy()
    lifts = np.concatenate([[0], offsets[:-1, 2].cumsum()])
    return offsets[:, :2].cumsum(0), lifts.astype(np.int64)


def first_points(stroke: np.ndarray) -> np.ndarray:
    """Where each stroke begins, (S,)."""
    return np.flatnonzero(np.append(True, stroke[1:] != stroke[:-1]))


# -- Measured by its ink --
def spread(xy: np.ndarray, stroke: np.ndarray) -> tuple:
    """Centre (2,) and covariance (2, 2) of ink; of dots if it is all dots."""
    within = stroke[1:] == stroke[:-1]
    a, b = xy[:-1][within], xy[1:][within]
    weight = np.hypot(*(b - a).T)
    if weight.sum() == 0:
        a = b = xy
        weight = np.ones(len(xy))
    weight = (weight / weight.sum())[:, None]
    middle, half = (a + b) / 2, (b - a) / 2
    centre = (weight * middle).sum(0)
    middle = middle - centre
    about = (weight * middle).T @ middle + (weight * half).T @ half / 3
    return centre, about


# -- Measured by its ink --
SHY = 10.0  # how many times the height's square hold the slope back


def slope_of(about: np.ndarray) -> float:
    """How fast a line goes down, from the covariance (2, 2) of its ink."""
    (xx, x_y), (_, yy) = about
    return float(x_y / max(xx + SHY * yy, 1e-300))


# -- Measured by its ink --
def upright(xy: np.ndarray, stroke: np.ndarray) -> np.ndarray:
    """Centre a line, level it, and measure it in heights of its own.

    Args:
        xy: places of the pen, shape (P, 2), any unit.
        stroke: number of each point's stroke, shape (P,).

    Returns: places, shape (P, 2), float64, in heights.
    """
    centre, about = spread(xy, stroke)
    (xx, x_y), (_, yy) = about
    xy = xy - centre
    slope = slope_of(about)
    xy[:, 1] -= slope * xy[:, 0]
    height = math.sqrt(max(yy - 2 * slope * x_y + slope**2 * xx, 0.0))
    starts = first_points(stroke)
    corner = np.maximum.reduceat(xy, starts) - np.minimum.reduceat(xy, starts)
    size = np.hypot(*corner.T)  # (S,)
    if size.sum() > 0:
        height = max(height, 0.1 * (size**2).sum() / size.sum())
    else:
        height = max(height, 0.1 * math.hypot(*np.ptp(xy, axis=0)))
    return xy / (height or 1.0)


# -- Equal steps --
class Walk(NamedTuple):
    """A line in equal steps: each stroke's start and the ends of its steps.

    Args:
        place: (N, 2); stroke: (N,), whose place it is; count: steps of
            each stroke, (S,); near: the point at or behind it, (N,).
    """

    place: np.ndarray
    stroke: np.ndarray
    count: np.ndarray
    near: np.ndarray


def resample(xy: np.ndarray, stroke: np.ndarray, spacing: float) -> Walk:
    """Walk the strokes of xy (P, 2) in equal steps of about `spacing`."""
    starts = first_points(stroke)
    lasts = np.append(starts[1:], len(xy)) - 1
    d = np.hypot(*np.diff(xy, axis=0, prepend=xy[:1]).T)
    d[starts] = 0
    along = d.cumsum()
    length = along[lasts] - along[starts]  # (S,)
    count = np.maximum(1, np.round(length / spacing).astype(np.int64))
    which = np.repeat(np.arange(len(starts)), count + 1)  # (N,)
    first = (count + 1).cumsum() - count - 1
    k = np.arange(len(which)) - first[which]
    axis = along + (stroke - stroke[0])  # a unit apart
    where = axis[starts][which] + length[which] * k / count[which]
    where = np.minimum(where, axis[lasts][which])
    place = [np.interp(where, axis, xy[:, i]) for i in (0, 1)]
    near = np.searchsorted(axis, where - 1e-9).clip(0, len(xy) - 1)
    return Walk(np.stack(place, 1), which, count, near)


# -- Tokens --
class PenTokens(NamedTuple):
    """What is read of a line.

    Args:
        x: (T, 2 G + 4), float32: G steps in units of the spacing, zeros
            where there are fewer; height of the pen; 1 for a flight;
            its way, as asinh of heights.
        point: the point of the line in the middle of each, (T,), int64.
    """

    x: Tensor
    point: Tensor


def _token_rows(w: Walk, group: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Row of each stroke's first ink, step number of each place, rows."""
    rows = -(-w.count // group) + 1  # and a flight
    rows[0] -= 1  # not before it
    ink = rows.cumsum() - rows + 1
    ink[0] -= 1
    first = (w.count + 1).cumsum() - w.count - 1
    return ink, np.arange(len(w.place)) - first[w.stroke], int(rows.sum())


# -- Tokens --
def pen_tokens(line: Strokes, group: int = 5, spacing: float = 0.33, scale: float = 1.0) -> PenTokens:
    """Turn a line into tokens that know no clock, no unit and no place.

    Args:
        line: the ink, y down.
        group: G, steps in a token.
        spacing: length of a step, in heights of the line.
        scale: a line this many times as high, for a training.

    Returns: the tokens, T of them, and where in the line each one is.
    Raises: TypeError, ValueError for what is no line, or other numbers.
    """
    instance("pen_tokens", "line", line, Strokes)
    G = whole("pen_tokens", "group", group, 1, 64)
    d = real("pen_tokens", "spacing", spacing, 0.01, 100)
    scale = real("pen_tokens", "scale", scale, 0.01, 100)
    xy, stroke = ink_of(line)
    w = resample(upright(xy, stroke) * scale, stroke, d)
    ink, k, rows = _token_rows(w, G)
    x = np.zeros((rows, 2 * G + 4), np.float32)
    point = np.zeros(rows, np.int64)
    _ink_tokens(x, point, w, ink[w.stroke] + k // G, k, G, d)
    _flights(x, point, w, ink[1:] - 1, G)
    x[:, 2 * G] = x[:, 2 * G].clip(-6, 6) / 2
    return PenTokens(torch.from_numpy(x), torch.from_numpy(point))


# -- Tokens --
def _ink_tokens(x, point, w: Walk, row, k, G: int, d: float) -> None:
    """Fill in the tokens of ink: place n is step k of token row."""
    step = np.diff(w.place, axis=0) / d
    on = w.stroke[1:] == w.stroke[:-1]  # on the paper
    r, column = row[:-1][on], 2 * (k[:-1][on] % G)
    x[r, column], x[r, column + 1] = step[on].T
    head = (k % G == 0) & (k < w.count[w.stroke])
    x[row[head], 2 * G] = w.place[head, 1]
    middle = k % G == np.minimum(G, w.count[w.stroke] - k + k % G) // 2
    middle &= k < w.count[w.stroke]
    point[row[middle]] = w.near[middle]


def _flights(x, point, w: Walk, row, G: int) -> None:
    """Fill in the tokens of the pen in the air, one before each stroke."""
    land = w.count.cumsum() + np.arange(len(w.count)) - w.count
    rise = land[1:] - 1
    x[row, 2 * G] = w.place[land[1:], 1]
    x[row, 2 * G + 1] = 1
    x[row, 2 * G + 2 :] = np.arcsinh(w.place[land[1:]] - w.place[rise])
    point[row] = w.near[land[1:]]


# -- One line or several --
def _part(xy, stroke, a: int, b: int) -> tuple:
    """Points a to b, how high their ink stands, and how tall it is."""
    centre, about = spread(xy[a:b], stroke[a:b])
    return xy[a:b], centre[1], math.sqrt(about[1, 1])


# -- One line or several --
def split_lines(ink: Strokes) -> list[Strokes]:
    """Cut ink into the lines that it was written in.

    Args: ink: strokes, y down, in the order of writing.
    Returns: one Strokes for each line; the ink itself if it is one line.
    Raises: TypeError if it is no Strokes.
    """
    instance("split_lines", "ink", ink, Strokes)
    xy, stroke = ink_of(ink)
    cuts = [0]
    for start in first_points(stroke)[1:]:
        old, centre, high = _part(xy, stroke, cuts[-1], start)
        below = xy[start:, 1][stroke[start:] == stroke[start]].mean() - centre
        back, wide = old[:, 0].max() - xy[start, 0], np.ptp(old[:, 0])
        if below > 3 * high and back > 0.5 * max(wide, 1.2 * below):
            cuts.append(start)
    for k in range(len(cuts) - 1, 0, -1):  # a mark above?
        new = xy[cuts[k] : [*cuts, len(xy)][k + 1], 1]
        if new.min() < _part(xy, stroke, cuts[k - 1], cuts[k])[1]:
            del cuts[k]
    if len(cuts) == 1:
        return [ink]
    pieces = zip(cuts, [*cuts[1:], len(xy)], strict=True)
    lifts = ink.offsets[:, 2].cpu()
    return [Strokes.from_absolute(xy[a:b], lifts[a:b], source=ink.source) for a, b in pieces]
