# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
"""Plots as SVG: lines over a logarithmic axis, and bars. Nothing but text is needed for that."""
import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 230, 40, 50
COLOURS = ("#c1272d", "#e8833a", "#0000a7", "#1f77b4", "#008176", "#777777", "#b34db2", "#5a3d1e",
           "#88aa00", "#333333")


def nice_ceiling(value):
    """The next of 1, 2, 5 times a power of ten."""
    if value <= 0:
        return 1
    power = 10 ** math.floor(math.log10(value))
    return next(power * step for step in (1, 2, 5, 10) if power * step >= value)


class Plot:
    """Collects shapes; text() gives the file."""

    def __init__(self, title, unit, top):
        self.shapes, self.top = [], nice_ceiling(top)
        self.text(LEFT, TOP - 16, title, size=15)
        self.text(LEFT - 60, TOP - 4, unit, size=11)
        for i in range(6):
            value = self.top * i / 5
            y = self.y(value)
            self.line(LEFT, y, WIDTH - RIGHT, y, "#dddddd")
            self.text(LEFT - 6, y + 4, f"{value:g}", anchor="end", size=11)

    def y(self, value):
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * min(value, self.top) / self.top

    def line(self, x1, y1, x2, y2, colour, width=1):
        self.shapes.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
                           f'stroke="{colour}" stroke-width="{width}"/>')

    def text(self, x, y, text, anchor="start", size=12):
        self.shapes.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" '
                           f'text-anchor="{anchor}">{escape(str(text))}</text>')

    def box(self, x, y, width, height, colour):
        self.shapes.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
                           f'height="{height:.1f}" fill="{colour}"/>')

    def legend(self, index, label):
        x, y = WIDTH - RIGHT + 14, TOP + 18 * index
        self.box(x, y - 9, 10, 10, COLOURS[index % len(COLOURS)])
        self.text(x + 15, y, label, size=11)

    def svg(self):
        return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
                f'viewBox="0 0 {WIDTH} {HEIGHT}" '
                f'font-family="sans-serif">\n<rect width="{WIDTH}" height="{HEIGHT}" '
                'fill="white"/>\n' + "\n".join(self.shapes) + "\n</svg>\n")


def lines(title, unit, series):
    """series: {label: {x: (median, min, max)}}; x on a logarithmic axis."""
    points = [point for line in series.values() for point in line.values()]
    xs = sorted({x for line in series.values() for x in line})
    plot = Plot(title, unit, max(high for _, _, high in points))
    span = math.log(xs[-1] / xs[0]) if len(xs) > 1 else 1

    def place(x):
        return LEFT + 15 + (WIDTH - RIGHT - LEFT - 30) * math.log(x / xs[0]) / span

    for x in xs:
        plot.text(place(x), HEIGHT - BOTTOM + 18, f"{x:g}", anchor="middle", size=11)
    for index, (label, line) in enumerate(series.items()):
        colour, last = COLOURS[index % len(COLOURS)], None
        for x in sorted(line):
            median, low, high = line[x]
            here = (place(x), plot.y(median))
            plot.line(here[0], plot.y(low), here[0], plot.y(high), colour)
            plot.box(here[0] - 2.5, here[1] - 2.5, 5, 5, colour)
            if last is not None:
                plot.line(*last, *here, colour, 2)
            last = here
        plot.legend(index, label)
    return plot.svg()


def bars(title, unit, values):
    """values: {label: (median, min, max)}"""
    plot = Plot(title, unit, max(high for _, _, high in values.values()))
    step = (WIDTH - RIGHT - LEFT) / max(len(values), 1)
    for index, (label, (median, low, high)) in enumerate(values.items()):
        x, colour = LEFT + step * (index + 0.15), COLOURS[index % len(COLOURS)]
        plot.box(x, plot.y(median), step * 0.7, HEIGHT - BOTTOM - plot.y(median), colour)
        plot.line(x + step * 0.35, plot.y(low), x + step * 0.35, plot.y(high), "#000000")
        plot.text(x + step * 0.35, HEIGHT - BOTTOM + 18, f"{median:.4g}", anchor="middle", size=11)
        plot.legend(index, label)
    return plot.svg()


def point(row):
    return row.value["median"], row.value["min"], row.value["max"]


# File, title, prefix of the measures whose names end in x
FAMILIES = (("throughput-by-size", "Throughput by frame size", "flood-"),
            ("attached", "Two active of N attached", "attached-"),
            ("active", "N ports, all active", "active-"),
            ("macs", "Destination addresses in use", "macs-"))


def draw(rows):
    """{file name: SVG} of all that these rows allow."""
    found = {}
    for name, title, prefix in FAMILIES:
        series = {}
        for row in rows:
            if row.measure.name.startswith(prefix) and row.value:
                x = int(row.measure.name[len(prefix):])
                series.setdefault(row.switch.label, {})[x] = point(row)
        if any(len(line) > 1 for line in series.values()):
            found[f"{name}.svg"] = lines(title, "Mpps", series)
    for measure in {row.measure.name: row.measure for row in rows}.values():
        values = {row.switch.label: point(row) for row in rows
                  if row.measure is measure and row.value}
        if values:
            found[f"{measure.name}.svg"] = bars(measure.title, measure.unit, values)
    return found
