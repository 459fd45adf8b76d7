// The map: nodes over the parts of the world that they serve.

const SVG = "http://www.w3.org/2000/svg";
const $ = (id) => document.getElementById(id);

/** An element of an SVG with attributes. */
export function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

const [NORTH, WIDTH] = [84, 1000];
const radians = (degrees) => (degrees * Math.PI) / 180;

/** Equal Earth, as in land.py. */
function plane(lat, lon) {
  const t = Math.asin((Math.sqrt(3) / 2) * Math.sin(radians(lat)));
  const [a, b, c, d] = [1.340264, -0.081106, 0.000893, 0.003796];
  const slope = a + 3 * b * t ** 2 + 7 * c * t ** 6 + 9 * d * t ** 8;
  return [
    (2 * Math.sqrt(3) * radians(lon) * Math.cos(t)) / (3 * slope),
    a * t + b * t ** 3 + c * t ** 7 + d * t ** 9,
  ];
}

const SCALE = WIDTH / 2 / plane(0, 180)[0];
const TOP = plane(NORTH, 0)[1];

function project([lat, lon]) {
  const [x, y] = plane(lat, lon);
  return [WIDTH / 2 + x * SCALE, (TOP - y) * SCALE];
}

/** The shape for a state. */
export function shape(state) {
  const known = { up: "up", down: "down", partly: "partly" };
  const others = { damped: "partly", drained: "order", "forced-up": "order", "forced-down": "order" };
  return `#is-${known[state] ?? others[state] ?? "unknown"}`;
}

/** Colours a thing as the region of the node with this number: far apart for numbers that are near to each other. */
export function colour(element, number) {
  element.style.setProperty("--hue", Math.round((number * 137.508 + 210) % 360));
  element.style.setProperty("--shade", `${((number % 3) - 1) * 9}%`);
}

const marks = new Map();
/** With more nodes than this only that which is looked at has its name on the map. */
const LABELS = 60;

/** How much larger things are drawn, so that they are not too small on a phone. */
let zoom = 1;
new ResizeObserver(([entry]) => {
  zoom = Math.min(2.4, Math.max(1, 900 / entry.contentRect.width));
  for (const mark of marks.values()) place(mark);
  labelSoon();
}).observe($("map"));

function place(mark) {
  const [x, y] = project(mark.at);
  [mark.x, mark.y] = [x / zoom, y / zoom];
  mark.group.setAttribute("transform", `translate(${x.toFixed(1)} ${y.toFixed(1)}) scale(${zoom.toFixed(2)})`);
}

/** Draws a node where it stands, or as it has become. */
export function drawNode(row, chosen) {
  let mark = marks.get(row.node);
  if (!row.at) return dropNode(row.node);
  if (!mark) {
    const [circle, title, label] = [svg("circle"), svg("title"), svg("text", { x: 9, y: 4 })];
    const glyph = svg("use", { x: -6, y: -6, width: 12, height: 12 });
    const group = svg("g", {}, title, circle, glyph, label);
    label.textContent = row.node;
    group.addEventListener("click", () => chosen(row.node));
    mark = { group, circle, title, label, glyph };
    marks.set(row.node, mark);
    labelSoon();
  }
  mark.at = row.at;
  mark.group.setAttribute("class", `mark is-${row.state}`);
  mark.group.dataset.node = row.node;
  mark.glyph.setAttribute("href", shape(row.state));
  const radius = 8 + 22 * Math.sqrt(row.share ?? 0);
  mark.circle.setAttribute("r", radius.toFixed(1));
  mark.title.textContent = `${row.node}: ${row.state}${row.why ? `, ${row.why}` : ""}`;
  place(mark);
  // Trouble is on top.
  if (row.state === "up") $("marks").prepend(mark.group);
  else $("marks").append(mark.group);
}

export function dropNode(node) {
  marks.get(node)?.group.remove();
  marks.delete(node);
  labelSoon();
}

let labelling = false;

function labelSoon() {
  if (labelling) return;
  labelling = true;
  requestAnimationFrame(() => {
    labelling = false;
    label();
  });
}

/** Where a name may stand: the left end, the line, and which end of the text that is. */
const SIDES = [[9, 4, "start"], [-9, 4, "end"], [0, -10, "middle"], [0, 18, "middle"]];

/** Writes names where they cover no other name and no other node. */
function label() {
  const all = marks.size <= LABELS ? [...marks.values()] : [];
  const taken = all.map(({ x, y }) => [x - 7, y - 7, x + 7, y + 7]);
  const free = (box) => !taken.some((t) => box[0] < t[2] && t[0] < box[2] && box[1] < t[3] && t[1] < box[3]);
  for (const mark of marks.values()) mark.label.classList.remove("named");
  for (const mark of all) {
    const width = 7.6 * mark.label.textContent.length;
    for (const [dx, dy, anchor] of SIDES) {
      const left = mark.x + dx - { start: 0, end: width, middle: width / 2 }[anchor];
      const box = [left, mark.y + dy - 10, left + width, mark.y + dy + 2];
      if (!free(box)) continue;
      taken.push(box);
      mark.label.setAttribute("x", dx);
      mark.label.setAttribute("y", dy);
      mark.label.setAttribute("text-anchor", anchor);
      mark.label.classList.add("named");
      break;
    }
  }
}

const cells = new Map();

/** Draws which parts of the world each node serves; `numbers` tells by name which colour. */
export function drawRegions(region, numbers) {
  const paths = new Map();
  for (let i = 0; i < region.cells.length; i += 3) {
    const [lat, lon, number] = region.cells.slice(i, i + 3);
    const node = region.nodes[number] ?? "";
    const [x, y] = project([lat / 10, lon / 10]);
    const dot = `M${x.toFixed(1)} ${y.toFixed(1)}h0`;
    paths.set(node, (paths.get(node) ?? "") + dot);
  }
  for (const [node, path] of cells) {
    if (!paths.has(node)) {
      path.remove();
      cells.delete(node);
    }
  }
  for (const [node, d] of paths) {
    let path = cells.get(node);
    if (!path) {
      path = svg("path", { class: node ? "cell" : "cell nobody" });
      cells.set(node, path);
      $("cells").append(path);
    }
    path.setAttribute("d", d);
    if (node) colour(path, numbers(node));
  }
}

/** Shows one node's region alone, or all. */
export function light(node) {
  $("map").classList.toggle("one", Boolean(node && cells.has(node)));
  for (const [name, path] of cells) path.classList.toggle("lit", name === node);
  for (const [name, mark] of marks) mark.group.classList.toggle("lit", name === node);
}

/** Shows a client and whom it is given; none: nobody. */
export function drawClient(at, nodes) {
  $("client").replaceChildren();
  if (!at) return;
  const [x, y] = project(at);
  for (const node of nodes) {
    const mark = marks.get(node);
    if (!mark) continue;
    const [x2, y2] = project(mark.at);
    $("client").append(svg("line", { x1: x, y1: y, x2, y2 }));
  }
  $("client").append(svg("circle", { cx: x, cy: y, r: 4 * zoom }));
}
