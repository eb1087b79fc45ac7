"""Figures of runs: matplotlib, one style, functions of a run's labelled arrays.

What is here: one file per kind of figure, `style` (colors, sizes, axes: the only place for them), `curves`
(mean and spread over seeds), and `save` (SVG, PDF and PNG with the same bytes for the same data).
What goes elsewhere: which figures a paper has (`grokscope.papers`), the page they are put on
(`grokscope.report`). Copy ``training.py`` when adding one: take measures, return a matplotlib Figure.

Only matplotlib's object interface is used, never pyplot: no global figure, no display, no state.
"""
