"""A report as one web page that needs nothing else: no network, no cookie, no library.

The same page is served behind a shared link and saved as a file. Its style and its script are fixed texts, and the policy of the page
(`CONTENT_SECURITY_POLICY`) allows exactly those two by their hashes: whatever a name in the data might smuggle in would neither run nor load.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from html import escape

from analytics import formatting
from analytics.palette import NEUTRAL, SERIES, Mode
from analytics.period_names import month_name
from analytics.snapshot_report import Cell, Column, Report, Table
from analytics.snapshot_report_charts import draw


def _colours(mode: Mode) -> str:
    marks = [f".c{at}{{fill:{hue};background:{hue}}}.line.c{at}{{stroke:{hue}}}" for at, hue in enumerate(SERIES[mode])]
    grey = NEUTRAL[mode]
    return "".join(marks) + f".rest{{fill:{grey};background:{grey}}}.line.rest{{stroke:{grey}}}"


_LIGHT = "--ink:#1c2226;--soft:#5c666c;--rule:#d8dbdc;--page:#fff;--panel:#f7f8f8;--accent:#005f95;--final:#00795a;--open:#8a5a00"
_DARK = "--ink:#e4e7e9;--soft:#9aa5ab;--rule:#353d42;--page:#14181b;--panel:#1a1f23;--accent:#79bce8;--final:#4cc3a0;--open:#f0a860"

STYLE = (
    ":root{color-scheme:light dark;" + _LIGHT + "}"
    "*{box-sizing:border-box}body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 'Source Sans 3','Segoe UI',system-ui,sans-serif}"
    "main{max-width:1000px;margin:0 auto;padding:20px 20px 48px}"
    "header{display:flex;flex-wrap:wrap;gap:8px 12px;align-items:center;color:var(--soft);font-size:14px;margin-bottom:10px}"
    "header b{font:600 19px Georgia,serif;color:var(--accent);margin-right:auto}"
    ".badge{border:1px solid currentColor;border-radius:3px;padding:0 7px;font-size:13px}"
    ".final{color:var(--final)}.provisional,.demo{color:var(--open)}"
    "h1{font:600 27px/1.25 Georgia,'Source Serif 4',serif;margin:6px 0 6px;text-wrap:balance}h2{font:600 18px/1.3 Georgia,serif;margin:34px 0 0}"
    "p{margin:4px 0}.note,.about{color:var(--soft);font-size:13.5px}"
    ".figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(142px,1fr));gap:10px;margin:18px 0 4px;padding:0;list-style:none}"
    ".figures li{border:1px solid var(--rule);border-radius:3px;padding:9px 12px}"
    ".figures span{display:block;color:var(--soft);font-size:13.5px}.figures strong{display:block;font:500 24px/1.3 Georgia,serif}"
    ".figures small{color:var(--soft);font-size:12.5px;line-height:1.35;display:block}"
    ".chart{margin:8px 0 0}.chart svg{display:block;width:100%;height:auto}.narrow{display:none!important}"
    "svg text{font:13px 'Source Sans 3','Segoe UI',system-ui,sans-serif;fill:var(--ink)}svg .tick{fill:var(--soft);font-size:12.5px}"
    "svg .total{font-weight:600}.grid{stroke:var(--rule);stroke-width:1}.zero{stroke:var(--soft);stroke-width:1}"
    ".line{fill:none!important;background:none;stroke-width:2}.hit{fill:transparent}.hit:hover{fill:var(--soft);fill-opacity:.09}"
    ".legend{display:flex;flex-wrap:wrap;gap:2px 4px;margin:4px 0}"
    ".key{font:inherit;font-size:13.5px;color:inherit;background:none;border:0;border-radius:3px;padding:2px 7px;cursor:pointer}"
    ".key[aria-pressed=true]{background:var(--panel);font-weight:600}.key i{display:inline-block;width:11px;height:11px;margin-right:6px}"
    ".faded{opacity:.16}"
    ".scroll{overflow-x:auto;margin-top:6px}table{border-collapse:collapse;width:100%;font-size:14px;font-variant-numeric:tabular-nums}"
    "th,td{padding:5px 10px;border-bottom:1px solid var(--rule);text-align:right;white-space:nowrap}th{color:var(--soft);font-weight:600;"
    "background:var(--panel);position:sticky;top:0}th button{font:inherit;color:inherit;background:none;border:0;padding:0;cursor:pointer}"
    "th.text,td.text{text-align:left;white-space:normal;min-width:110px}td.none{color:var(--soft)}"
    ".more{max-height:430px;overflow:auto}.csv{float:right;font-size:13.5px;color:var(--accent)}a{color:var(--accent)}"
    "footer{margin-top:36px;border-top:1px solid var(--rule);padding-top:10px}"
    "#tip{position:fixed;z-index:9;display:none;pointer-events:none;background:var(--page);color:var(--ink);border:1px solid var(--soft);"
    "border-radius:3px;padding:6px 10px;font-size:13px;max-width:340px;font-variant-numeric:tabular-nums;box-shadow:0 2px 10px #0003}"
    "#tip b{display:block}#tip div{display:flex;justify-content:space-between;gap:18px}"
    "form{margin:24px 0;display:flex;gap:8px;flex-wrap:wrap}input,form button{font:inherit;padding:7px 11px;border:1px solid var(--soft);"
    "border-radius:3px;background:var(--page);color:var(--ink)}form button{background:var(--accent);border-color:var(--accent);color:var(--page)}"
    "@media(max-width:700px){main{padding:14px 16px 36px}h1{font-size:22px}.wide{display:none!important}.narrow{display:block!important}"
    ".figures{grid-template-columns:1fr 1fr}}"
    + _colours("light")
    + "@media(prefers-color-scheme:dark){:root{" + _DARK + "}" + _colours("dark") + "}"
    "@media print{:root{color-scheme:light;" + _LIGHT + "}" + _colours("light") + ".csv,#tip{display:none!important}.more{max-height:none}"
    "th{position:static}h2,.chart,tr{break-inside:avoid}body{font-size:12px}}"
)  # fmt: skip
"""The page's style. Part of its security policy by hash, so that nothing in it comes from the data."""

SCRIPT = """
(function(){
var tip=document.getElementById('tip');
function show(e){
  var mark=e.target.closest&&e.target.closest('[data-t]');
  if(!mark){tip.style.display='none';return}
  tip.textContent='';
  mark.getAttribute('data-t').split('\\n').forEach(function(line,at){
    var parts=line.split('\\t'),row=document.createElement(at?'div':'b');
    parts.forEach(function(part){var s=document.createElement('span');s.textContent=part;row.appendChild(s)});
    tip.appendChild(row)});
  tip.style.display='block';
  var w=tip.offsetWidth,h=tip.offsetHeight;
  tip.style.left=Math.max(6,Math.min(e.clientX+14,innerWidth-w-6))+'px';
  tip.style.top=Math.max(6,e.clientY+h+20>innerHeight?e.clientY-h-12:e.clientY+16)+'px'}
document.addEventListener('pointermove',show);
document.addEventListener('pointerdown',show);
document.addEventListener('scroll',function(){tip.style.display='none'},true);
document.querySelectorAll('.key').forEach(function(key){key.addEventListener('click',function(){
  var box=key.closest('figure'),on=key.getAttribute('aria-pressed')!=='true';
  box.querySelectorAll('.key').forEach(function(k){k.setAttribute('aria-pressed',String(on&&k===key))});
  box.querySelectorAll('svg [data-s]').forEach(function(m){
    m.classList.toggle('faded',on&&m.getAttribute('data-s')!==key.getAttribute('data-s'))})})});
document.querySelectorAll('th button').forEach(function(button){button.addEventListener('click',function(){
  var th=button.closest('th'),body=th.closest('table').tBodies[0],at=th.cellIndex;
  var up=th.getAttribute('aria-sort')==='descending';
  th.parentNode.querySelectorAll('th').forEach(function(o){o.removeAttribute('aria-sort')});
  th.setAttribute('aria-sort',up?'ascending':'descending');
  Array.from(body.rows).sort(function(a,b){
    var x=a.cells[at].getAttribute('data-v'),y=b.cells[at].getAttribute('data-v');
    if(x===null||y===null)return x===y?0:x===null?1:-1;
    var n=th.className==='text'?x.localeCompare(y):parseFloat(x)-parseFloat(y);
    return up?n:-n}).forEach(function(row){body.appendChild(row)})})});
})();
"""
"""What the page does by itself: values beside the pointer, one series at a time, sorting. Writes text only, never markup."""


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        f"style-src {_hash(STYLE)}",
        f"script-src {_hash(SCRIPT)}",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
"""The page may use its own style and script, post its own form, and nothing else: load nothing, talk to nobody, be framed by nobody."""

_IN_A_FILE = CONTENT_SECURITY_POLICY.replace("; frame-ancestors 'none'", "")


@dataclass(frozen=True)
class Link:
    """What the page says about the link that it is behind: its last day, and where each table's CSV file is."""

    expires: str
    csv: Callable[[Table], str]


def page(report: Report, link: Link | None = None) -> str:
    """The report as an HTML document. Without a link it is a file, whose CSV files lie in it."""
    answer = report.answer
    figures = "".join(
        f"<li><span>{escape(figure.label)}</span><strong>{escape(figure.value)}</strong><small>{escape(figure.note)}</small></li>"
        for figure in answer.figures
    )
    charts = "".join(
        f'<section><h2>{escape(chart.title)}</h2><p class="note">{escape(chart.note)}</p>{draw(chart, answer.currency, report.grain)}</section>'
        for chart in answer.charts
    )
    tables = "".join(_table(table, answer.currency, link) for table in answer.tables)
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in answer.notes)
    subject = " · ".join([report.period, f"{report.basis} cost", answer.currency, *report.conditions])
    body = (
        f"{_header(report)}<h1>{escape(answer.headline)}</h1><p class=\"about\">{escape(subject)}</p><p class=\"about\">{escape(report.rests_on)}</p>"
        + (f'<ul class="figures">{figures}</ul>' if figures else "")
        + charts + tables + notes + _footer(report, link)
        + '<div id="tip" role="status"></div>'
    )  # fmt: skip
    return document(f"{answer.title} – {report.period}", body, in_a_file=link is None)


def document(title: str, body: str, *, in_a_file: bool = False) -> str:
    """A document with the fixed style and script around a body that is escaped already."""
    policy = (
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_IN_A_FILE, quote=True)}">' if in_a_file else ""
    )
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">{policy}<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="robots" content="noindex, nofollow"><meta name="referrer" content="no-referrer">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>{body}</main><script>{SCRIPT}</script></body></html>"
    )


def _header(report: Report) -> str:
    state = "Final" if report.state == "final" else "Provisional"
    why = "every cost is on an issued invoice" if report.state == "final" else "not every cost is invoiced yet"
    demo = '<span class="badge demo">Demo data: a made-up company</span>' if report.demo else ""
    return (
        f'<header><b>Percall</b>{demo}<span class="badge {report.state}" title="{why}">{state}</span>'
        f"<span>As of {escape(_moment(report.as_of))}</span></header>"
    )


def _footer(report: Report, link: Link | None) -> str:
    parts = [
        f"Data to {_day(report.data_to)}, frozen as of {_moment(report.as_of)}: these figures do not change.",
        f"Days are cut in {report.zone}. {report.prices}",
        f"Aggregates only: no row stands for fewer than {report.smallest_group} people who used the product.",
        "Charts show exact values under the pointer." + (f" This link works until {link.expires}." if link else ""),
        f"Made {_moment(report.made_at)} from {report.snapshot_id.replace('-', ' ')}.",
    ]
    return f'<footer class="about">{"".join(f"<p>{escape(part)}</p>" for part in parts)}</footer>'


def _table(table: Table, currency: str, link: Link | None) -> str:
    href = link.csv(table) if link else f"data:text/csv;base64,{base64.b64encode(table.csv()).decode()}"
    file = escape(f"{table.name}.csv", quote=True)
    head = "".join(
        f'<th scope="col" class="{"text" if column.kind == "text" else "n"}" title="{escape(column.note, quote=True)}">'
        f'<button type="button">{escape(column.label)}</button></th>'
        for column in table.columns
    )
    rows = "".join(
        f"<tr>{''.join(_cell(value, column, currency) for value, column in zip(row, table.columns, strict=True))}</tr>"
        for row in table.rows
    )
    tall = " more" if len(table.rows) > 16 else ""
    return (
        f'<section><a class="csv" href="{escape(href, quote=True)}" download="{file}">CSV</a><h2>{escape(table.title)}</h2>'
        f'<p class="note">{escape(table.note)}</p>'
        f'<div class="scroll{tall}" tabindex="0" role="region" aria-label="{escape(table.title, quote=True)}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def _cell(value: Cell, column: Column, currency: str) -> str:
    if value is None:
        return f'<td class="{"text" if column.kind == "text" else "none"}">–</td>'
    key = escape(str(value), quote=True)
    if isinstance(value, str):
        return f'<td class="text" data-v="{key}">{escape(value)}</td>'
    return f'<td data-v="{key}">{escape(written(value, column, currency))}</td>'


def written(value: Decimal | int | float | bool, column: Column, currency: str) -> str:
    """A value as its column shows it; every digit is in the CSV file."""
    number = value if isinstance(value, Decimal) else Decimal(str(value))
    if column.kind == "money":
        return formatting.to_the_cent(number, currency)
    if column.kind == "unit_money":
        return formatting.money(number, currency)
    if column.kind == "share":
        return formatting.share(number, digits=1)
    if column.kind == "count":
        return f"{int(number):,}".replace("-", formatting.MINUS)
    return f"{number:,.1f}".replace("-", formatting.MINUS) if column.kind == "number" else str(value)


def _moment(iso: str) -> str:
    at = datetime.fromisoformat(iso)
    return f"{_day(iso[:10])}, {at:%H:%M} UTC"


def _day(iso: str) -> str:

    day = date.fromisoformat(iso)
    return f"{day.day} {month_name(day)}"
