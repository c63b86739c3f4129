"""The look of the HTML leaderboard: style sheets and sorting, without any file or library from elsewhere."""

PAGE_CSS = """
:root { color-scheme: light dark; --paper: #ffffff; --ink: #252a31; --muted: #646c77; --faint: #e6e9ed;
  --band: #f5f6f8; --accent: #0072b2; --warn: #a34700; --good: #00785a; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #15181d; --ink: #e8eaed; --muted: #9aa3af; --faint: #2c323a; --band: #1b1f25; --accent: #6cb8ea;
    --warn: #f0a060; --good: #4fc9a4; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif; }
main { max-width: 1540px; margin: 0 auto; padding: 2.2rem clamp(1rem, 3vw, 2.6rem) 4rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .3rem; letter-spacing: -.01em; max-width: 46rem; }
h2 { font-size: 1.15rem; margin: 2.4rem 0 .1rem; }
p, ul { max-width: 50rem; } p.sub { color: var(--muted); margin: 0 0 .9rem; }
main table.sortable thead th { cursor: pointer; user-select: none; }
.figures { display: grid; gap: 1.6rem; margin-top: 1.4rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr)); }
figure { margin: 0; } figure svg { width: 100%; height: auto; max-width: 760px; }
figcaption { color: var(--muted); font-size: 13.5px; margin-bottom: .5rem; }
footer { margin-top: 3rem; padding-top: 1rem; border-top: 1px solid var(--faint); color: var(--muted);
  font-size: 12.5px; }
code { font: 12px ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
details { margin: .8rem 0; font-size: 13.5px; } summary { cursor: pointer; color: var(--accent); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; max-width: 60rem; }
dt { font-weight: 600; }
dd { margin: 0; color: var(--muted); }
@media print { .scroll { overflow: visible; border: 0; } th, td { padding: .2rem .3rem; font-size: 9px; } }
"""

# the tables: used by the page and, with JupyterLab's own colours, by notebooks
TABLE_CSS = """
.board .scroll { overflow-x: auto; border: 1px solid var(--faint); border-radius: 8px; }
.board table { border-collapse: collapse; width: 100%; font-size: 12.5px; font-variant-numeric: tabular-nums; }
.board th, .board td { padding: .38rem .42rem; text-align: right; white-space: nowrap; }
.board th.word, .board td.word { text-align: left; }
.board td.model { font-weight: 600; }
.board td.model small { display: block; font-weight: 400; color: var(--muted); }
.board thead th { position: sticky; top: 0; background: var(--paper); color: var(--muted); font-weight: 600;
  border-bottom: 1px solid var(--faint); vertical-align: bottom; white-space: normal; line-height: 1.3; }
.board thead th:focus-visible { outline: 2px solid var(--accent); outline-offset: -2px; }
.board thead th[aria-sort]::after { content: " \\2193"; color: var(--accent); }
.board thead th[aria-sort="ascending"]::after { content: " \\2191"; }
.board tbody tr.even { background: var(--band); }
.board tbody tr:hover td { background: color-mix(in srgb, var(--accent) 9%, transparent); }
.board tbody tr.reference td { color: var(--muted); font-style: italic; }
.board tbody tr.reference td.model { font-weight: 600; }
.board .dot { display: inline-block; width: .6em; height: .6em; border-radius: 50%; margin-right: .5em; }
.board .better { color: var(--good); }
.board .worse { color: var(--warn); }
.board a { color: inherit; }
.board a.warn, .board a.invalid { color: var(--warn); }
.board .range { color: var(--muted); font-size: 12px; }
.board svg.whisker { display: block; width: 118px; height: 13px; }
.board ul.notes { padding-left: 1.1rem; color: var(--muted); font-size: 13.5px; }
.board ul.notes .loud { color: var(--warn); font-weight: 600; }
"""

NOTEBOOK_CSS = """
.board { --paper: var(--jp-layout-color0, #fff); --ink: var(--jp-content-font-color1, #252a31);
  --muted: var(--jp-content-font-color2, #646c77); --faint: var(--jp-border-color2, #e6e9ed);
  --band: var(--jp-layout-color1, #f5f6f8); --accent: #0072b2; --warn: #c25000; --good: #008a66; }
.board .scroll tbody tr.even { background: color-mix(in srgb, var(--muted) 8%, transparent); }
.board .scroll tbody tr { background: transparent; }
.board .scroll table.sortable { table-layout: auto; width: max-content; min-width: 100%; margin: 0; }
.board p.sub { color: var(--muted); margin: .2rem 0 .6rem; }
"""

SCRIPT = """
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const sort = (head) => {
    const column = head.cellIndex;
    const down = head.getAttribute("aria-sort") !== "descending";
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = (row) => row.cells[column].dataset.value;
    const rows = [...body.rows].sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === "" || y === "") return (x === "") - (y === "");
      const order = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
      return down ? -order : order;
    });
    body.append(...rows);
  };
  for (const head of table.tHead.rows[0].cells) {
    head.addEventListener("click", () => sort(head));
    head.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); sort(head); }
    });
  }
}
"""
