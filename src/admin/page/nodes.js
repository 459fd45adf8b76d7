// The table of nodes.

import { colour, shape, svg } from "./map.js";

const $ = (id) => document.getElementById(id);

/** An HTML element with a class and text or children. Text never becomes markup. */
export function make(name, css, ...children) {
  const element = document.createElement(name);
  if (css) element.className = css;
  element.append(...children);
  return element;
}

/** `3 h 12 min` */
export function span(seconds) {
  const s = Math.max(0, Math.round(seconds));
  const two = (big, small, unit, other) =>
    `${Math.floor(s / big)} ${unit}${Math.floor((s % big) / small) ? ` ${Math.floor((s % big) / small)} ${other}` : ""}`;
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  return s < 86_400 ? two(3600, 60, "h", "min") : two(86_400, 3600, "d", "h");
}

const percent = (part) => {
  if (part === null || part === undefined) return "–";
  return part > 0 && part < 0.01 ? "< 1 %" : `${Math.round(part * 100)} %`;
};

/** Trouble first. */
const RANK = ["down", "forced-down", "partly", "damped", "unknown", "drained", "forced-up", "unprobed", "unused", "up"];
const KEYS = {
  node: (entry) => entry.row.node,
  state: (entry) => RANK.indexOf(entry.row.state),
  since: (entry) => -entry.row.since,
  latency: (entry) => -(entry.row.latency_ms ?? -1),
  share: (entry) => -(entry.row.share ?? -1),
  serves: (entry) => -(entry.serves ?? -1),
};

/** By name: the newest row, what is shown of it, and its number from west to east, which decides its colour. */
const entries = new Map();
let by = "state";
let descending = false;
let actions = {};
let clock = () => 0;

export const numberOf = (node) => entries.get(node)?.number ?? 0;
export const rows = () => [...entries.values()].map((entry) => entry.row);

/** `chosen` is told which node is looked at, `order` which one's button was pressed, `now` tells the server's time. */
export function setUp({ chosen, order, now }) {
  actions = { chosen, order };
  clock = now;
  for (const head of document.querySelectorAll("th[data-by]")) {
    head.querySelector("button").addEventListener("click", () => {
      descending = by === head.dataset.by && !descending;
      by = head.dataset.by;
      arrange(true);
    });
  }
  $("find").addEventListener("input", () => arrange(true));
  const leave = () => {
    chosen(null);
    arrange(false);
  };
  $("rows").addEventListener("pointerleave", leave);
  $("rows").addEventListener("focusout", () => setTimeout(() => held() || leave()));
  setInterval(() => entries.forEach(age), 5000);
}

/** Takes a new or changed row; what was there before. */
export function take(row) {
  let entry = entries.get(row.node);
  const before = entry?.row;
  if (!entry) {
    entry = { row, number: 0, serves: null, ...cells(row.node) };
    entries.set(row.node, entry);
    $("rows").append(entry.line);
  }
  entry.row = row;
  fill(entry, before);
  return before;
}

export function drop(node) {
  entries.get(node)?.line.remove();
  entries.delete(node);
}

/** Neighbours get numbers that are near to each other. */
export function number() {
  const east = (entry) => entry.row.at?.[1] ?? 0;
  const sorted = [...entries.values()].sort((a, b) => east(a) - east(b));
  sorted.forEach((entry, at) => { entry.number = at; });
}

export function serve(region) {
  for (const entry of entries.values()) {
    const at = region.nodes.indexOf(entry.row.node);
    // Somebody is given it, even where that rounds to nobody.
    entry.serves = at < 0 ? 0 : Math.max(region.people[at], 0.0001);
    const swatch = make("i", "swatch");
    colour(swatch, entry.number);
    entry.region.replaceChildren(...(at < 0 ? [] : [swatch]), percent(entry.serves));
  }
}

function cells(node) {
  const cell = (label, css, ...children) => {
    const td = make("td", css, ...children);
    td.setAttribute("role", "cell");
    if (label) td.dataset.label = label;
    return td;
  };
  const [place, badge, button] = [make("small"), make("span"), make("button", "quiet")];
  const name = make("th", "name", node, place);
  name.scope = "row";
  name.setAttribute("role", "rowheader");
  const why = cell("Why", "why");
  const [since, latency] = [cell("For", "since"), cell("Latency", "number latency")];
  const [share, region] = [cell("Share", "number share"), cell("Serves", "number region")];
  const day = cell("Last 24 hours", "day");
  const line = make("tr", "", name, cell("State", "state", badge), why, since, latency, share, region, day, cell("", "do", button));
  line.setAttribute("role", "row");
  line.dataset.node = node;
  line.addEventListener("pointerenter", () => actions.chosen(node));
  line.addEventListener("focusin", () => actions.chosen(node));
  button.addEventListener("click", () => actions.order(entries.get(node).row));
  return { line, place, badge, why, since, latency, share, region, day, button };
}

function fill(entry, before) {
  const { row } = entry;
  entry.line.dataset.state = row.state;
  if (before?.state !== row.state || before?.frozen !== row.frozen) {
    const icon = svg("svg", { class: "icon", "aria-hidden": "true" }, svg("use", { href: shape(row.state) }));
    entry.badge.className = `badge is-${row.state}`;
    entry.badge.replaceChildren(icon, row.state.replace("-", " ") + (row.frozen ? ", frozen" : ""));
  }
  entry.place.textContent = row.place;
  entry.why.textContent = row.why;
  entry.latency.textContent = row.latency_ms === null ? "–" : `${row.latency_ms} ms`;
  entry.share.textContent = percent(row.share);
  if (before?.strip !== row.strip || before?.out !== row.out || before?.known !== row.known) {
    entry.day.replaceChildren(strip(row), make("small", "", inWords(row)));
  }
  const word = row.order ? (row.order.state === "drained" ? "Undrain" : "Clear order") : "Drain";
  entry.button.textContent = word;
  entry.button.setAttribute("aria-label", `${word} ${row.node}`);
  age(entry);
}

function age(entry) {
  const text = span(clock() - entry.row.since);
  if (entry.since.textContent !== text) entry.since.textContent = text;
}

/** Heights say the same as colours. */
const BARS = { u: [7, 3], p: [4, 6], d: [0, 10], o: [2, 3], "-": [9.4, 0.6] };

function strip({ strip: letters }) {
  const picture = svg("svg", { class: "strip", viewBox: `0 0 ${letters.length} 10`, preserveAspectRatio: "none", "aria-hidden": "true" });
  for (const run of letters.matchAll(/(.)\1*/g)) {
    const [letter, [y, height]] = [run[1], BARS[run[1]]];
    const css = letter === "-" ? "unknown" : letter;
    picture.append(svg("rect", { class: css, x: run.index, y, width: run[0].length, height }));
  }
  return picture;
}

function inWords({ out, known }) {
  if (known === 0) return "not known";
  const down = out === 0 ? "never down" : `down ${span(out * 60)}`;
  return known >= 1430 ? down : `${down} in ${span(known * 60)} known`;
}

/** Whether somebody is at the table: then rows stay where they are. */
const held = () => $("rows").matches(":hover, :focus-within");

/** Puts rows in order and hides those not asked for. */
export function arrange(now) {
  if (!now && held()) return;
  const find = $("find").value.trim().toLowerCase();
  const key = KEYS[by];
  const compare = (a, b) => {
    const [x, y] = [key(a), key(b)];
    const first = x < y ? -1 : x > y ? 1 : 0;
    return (descending ? -first : first) || a.row.node.localeCompare(b.row.node, "en", { numeric: true });
  };
  let shown = 0;
  [...entries.values()].sort(compare).forEach((entry, at) => {
    const { row, line } = entry;
    line.hidden = find !== "" && !`${row.node} ${row.place} ${row.state} ${row.why}`.toLowerCase().includes(find);
    shown += line.hidden ? 0 : 1;
    const there = $("rows").children[at];
    if (there !== line) $("rows").insertBefore(line, there ?? null);
  });
  $("none").hidden = shown > 0;
  for (const head of document.querySelectorAll("th[data-by]")) {
    if (head.dataset.by === by) head.setAttribute("aria-sort", descending ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  }
}

/** Brings a node's row into view, with the keyboard on it. */
export function goTo(node) {
  const entry = entries.get(node);
  entry?.line.scrollIntoView({ block: "center" });
  entry?.button.focus({ preventScroll: true });
}
