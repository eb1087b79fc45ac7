"""The page's style sheet: light and dark, from a phone's width to a desk's, and on paper."""

__all__ = ["STYLE"]

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --page: #ffffff; --card: #f6f8fa;
  --line: #d8dee4; --holds: #0b6b3a; --fails: #b3261e; --undecided: #8a5a00; --untested: #57606a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9aa4af; --page: #0f1318;
  --card: #181e25; --line: #303842; --holds: #5fd08e; --fails: #ff8f85; --undecided: #f0b955;
  --untested: #9aa4af; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .4rem; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem; padding-top: .8rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
p { margin: .4rem 0; }
.soft { color: var(--soft); font-size: .9rem; }
.tally { display: flex; flex-wrap: wrap; gap: .4rem 1.4rem; padding: 0; margin: 1rem 0 0; list-style: none; }
.tally b { font-size: 1.15rem; }
.verdict { font-weight: 650; white-space: nowrap; }
.verdict::before { content: ""; display: inline-block; width: .65em; height: .65em; margin-right: .4em;
  border: 2px solid currentColor; border-radius: 50%; }
.holds { color: var(--holds); } .holds::before { background: currentColor; }
.fails { color: var(--fails); } .fails::before { background: currentColor; border-radius: 0; }
.undecided { color: var(--undecided); } .not-testable { color: var(--untested); }
.not-testable::before { border-style: dotted; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .5rem .6rem; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; }
td.number { font-variant-numeric: tabular-nums; }
th, td.id, td.number { overflow-wrap: normal; } thead th, td.id, td.interval { white-space: nowrap; }
td .soft { display: block; font-size: .82rem; }
td summary { color: var(--soft); font-size: .82rem; }
figure { margin: 1.4rem 0; }
figure div { background: #fff; border: 1px solid var(--line); border-radius: 6px; padding: .4rem;
  overflow-x: auto; }
figure img { display: block; width: 100%; min-width: 34rem; height: auto; }
figcaption { font-size: .9rem; color: var(--soft); margin-top: .4rem; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: .7rem .9rem;
  overflow-x: auto; font-size: .82rem; line-height: 1.45; overflow-wrap: normal; }
summary { cursor: pointer; padding: .2rem 0; }
a { color: inherit; }
@media (max-width: 46rem) {
  table.claims, table.claims tbody, table.claims tr, table.claims td { display: block; width: 100%; }
  table.claims thead { display: none; }
  table.claims tr { padding: .7rem 0; border-bottom: 1px solid var(--line); }
  table.claims td { border: 0; padding: .1rem 0; }
  table.claims td[data-label]::before { content: attr(data-label) ": "; color: var(--soft); }
}
@media print { details > * { display: block; } figure { break-inside: avoid; } }
"""
