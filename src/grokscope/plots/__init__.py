"""Figures of runs: matplotlib, one style, functions of a run's labelled arrays.

What is here: figures of a run (`runs`), of binary operators (`operators`), of sweeps and contests
(`sweeps`), phase diagrams (`phases`); `style` (colors, sizes, panels, axes), `curves` (mean and spread over
seeds, events, small print) and `save` (SVG, PDF and PNG with the same bytes for the same data). What goes
elsewhere: which figures a paper has (`grokscope.papers`), the HTML page (`grokscope.report`). To add a
figure, copy `runs.training_figure`: it takes measures and returns a matplotlib Figure.

Only matplotlib's object interface is used, never pyplot, so there is no global figure, display or state.
Importing these modules is cheap: matplotlib is imported when a figure is drawn.
"""
