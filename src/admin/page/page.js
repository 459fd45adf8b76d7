// The dashboard: listens to the server and shows what it says.

import { get, listen, post, show } from "./ask.js";
import { drawClient, drawNode, drawRegions, dropNode, light } from "./map.js";
import * as nodes from "./nodes.js";
import { make, span } from "./nodes.js";

const $ = (id) => document.getElementById(id);
/** Events that are shown. */
const SHOWN = 200;

let server = null;
/** Seconds that the server's clock is ahead of ours. */
let ahead = 0;
const now = () => Date.now() / 1000 + ahead;
const utc = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ");

nodes.setUp({ chosen: light, order: openOrder, now });
listen("v1/events", take, lost);

function lost(why) {
  $("link").dataset.is = "lost";
  $("link").textContent = `not connected: ${why}`;
}

let last = null;

function take(message) {
  ahead = message.now - Date.now() / 1000;
  if ($("link").dataset.is !== "live") {
    $("link").dataset.is = "live";
    $("link").textContent = "live";
  }
  if (last && message.now > last.now) {
    const rate = (message.asked - last.asked) / (message.now - last.now);
    $("asked").textContent = `${rate < 10 ? Math.round(rate * 10) / 10 : Math.round(rate)} questions/s`;
  }
  last = message;
  if (message.all) {
    const there = new Set(message.nodes.map((row) => row.node));
    nodes.rows().filter((row) => !there.has(row.node)).forEach((row) => forget(row.node));
    $("events").replaceChildren();
  }
  (message.gone ?? []).forEach(forget);
  if (message.nodes) takeNodes(message.nodes, message.all);
  if (message.events) takeEvents(message.events);
  if (message.server) takeServer(message.server);
}

function forget(node) {
  nodes.drop(node);
  dropNode(node);
}

function takeNodes(rows, all) {
  const said = [];
  for (const row of rows) {
    const before = nodes.take(row);
    drawNode(row, nodes.goTo);
    if (!all && before && before.state !== row.state) said.push(`${row.node} is ${row.state}. ${row.why}`);
  }
  nodes.arrange(all);
  if (said.length) $("said").textContent = said.slice(0, 5).join(" ");
  const counts = new Map();
  for (const { state } of nodes.rows()) counts.set(state, (counts.get(state) ?? 0) + 1);
  const words = [...counts].sort().map(([state, count]) => make("span", `badge is-${state}`, `${count} ${state.replace("-", " ")}`));
  $("summary").replaceChildren(`${nodes.rows().length} nodes: `, ...words);
}

function takeEvents(events) {
  for (const event of events) {
    const time = make("time", "", utc(event.at));
    time.dateTime = new Date(event.at * 1000).toISOString();
    const who = event.node === "*" ? "all nodes" : event.node + (event.address ? ` ${event.address}` : "");
    const change = make("span", `to to-${event.to}`, `${event.from} → ${event.to}`);
    const why = make("span", "why", event.why + (event.who ? ` (${event.who})` : ""));
    $("events").prepend(make("li", "", time, make("b", "", who), change, why));
  }
  while ($("events").children.length > SHOWN) $("events").lastChild.remove();
}

function takeServer(news) {
  const view = server?.view;
  server = news;
  options($("pool"), news.pools.map((pool) => pool.pool));
  $("pools").hidden = news.pools.length < 2;
  $("names").replaceChildren(...news.names.map((name) => Object.assign(make("option"), { value: name })));
  if (!$("name").value) $("name").value = news.names[0] ?? "";
  const since = `since ${utc(news.started)}`;
  $("server").textContent = `nearmost ${news.version} ${since}, generation ${news.generation} of ${news.config}, answering on ${news.listen.join(", ")}`;
  thank(news.databases.join(" "));
  alerts(news);
  if (view !== news.view) look();
}

function options(select, words) {
  if ([...select.options].map((o) => o.value).join() === words.join()) return;
  const before = select.value;
  select.replaceChildren(...words.map((word) => make("option", "", word)));
  if (words.includes(before)) select.value = before;
}

/** Who wants to be named where their data is used. */
function thank(databases) {
  const link = (words, href) => Object.assign(make("a", "", words), { href, rel: "noreferrer" });
  const lines = [];
  if (/DB-?IP/i.test(databases)) lines.push(link("IP Geolocation by DB-IP", "https://db-ip.com"), " ");
  if (/GeoLite/i.test(databases)) {
    lines.push("This product includes GeoLite data created by MaxMind, available from ", link("www.maxmind.com", "https://www.maxmind.com"), ". ");
  }
  $("thanks").replaceChildren(...lines, `Places of clients: ${databases}`);
}

function alerts({ pools, frozen, warnings }) {
  const lines = frozen.map((f) =>
    `IPv${f.family} states are frozen since ${utc(f.since)}: ${f.failed} of ${f.of} nodes failed at once, which is more likely our own failure`);
  for (const pool of pools) {
    for (const [family, half] of [["IPv4", pool.v4], ["IPv6", pool.v6]]) {
      if (half && half.in_service === 0) lines.push(`pool ${pool.pool}: no node is in service for ${family}: ${half.none}`);
      if (half?.spilled) lines.push(`pool ${pool.pool}, ${family}: ${half.spilled}`);
    }
  }
  lines.push(...warnings);
  $("alerts").replaceChildren(...lines.map((line) => make("li", "", line)));
}

// Regions: asked for when the server says that they have changed, one question at a time.

let looking = false;
let again = false;

async function look() {
  again = looking;
  if (looking || !server) return;
  looking = true;
  try {
    const pool = server.pools.find((p) => p.pool === $("pool").value);
    if (!pool) return;
    $("families").hidden = !(pool.v4 && pool.v6);
    if (!pool[`v${$("family").value}`]) $("family").value = pool.v4 ? "4" : "6";
    const region = await get("v1/regions", { pool: pool.pool, family: $("family").value });
    nodes.number();
    drawRegions(region, nodes.numberOf);
    nodes.serve(region);
  } catch (error) {
    $("said").textContent = `Regions: ${error.message}`;
  } finally {
    looking = false;
    if (again) look();
  }
}

$("pool").addEventListener("change", look);
$("family").addEventListener("change", look);

// Explain.

/** Lines of a long list that are shown. */
const LINES = 12;

$("question").addEventListener("submit", async (event) => {
  event.preventDefault();
  const asked = { name: $("name").value.trim(), type: $("type").value, from: $("from").value.trim() };
  try {
    explain(await get("v1/explain", asked));
  } catch (error) {
    drawClient(null);
    $("answer").replaceChildren(make("p", "error", error.message));
  }
});

function explain(found) {
  const { pool } = found;
  const answer = make("ul", "records", ...found.answer.map((record) => make("li", "", record)));
  if (!pool) {
    drawClient(null);
    const words = `${found.name} ${found.type}: ${found.status}; no pool has a part in it`;
    $("answer").replaceChildren(make("p", "", words), answer);
    return;
  }
  const given = pool.nodes.filter((line) => line.given).map((line) => line.node);
  drawClient(pool.at, given);
  const where = [found.near ? `near ${found.near}` : "", pool.country ? `in ${pool.country}` : "", pool.asn ? `AS${pool.asn.number}` : ""];
  const place = `${found.client} is ${where.filter(Boolean).join(", ") || "nowhere known"} (${pool.source})`;
  const first = make("p", "", `${place}. `, make("b", "", given.length ? `Given: ${given.join(", ")}.` : "Given no node."));
  const more = [pool.none_left, pool.spilled].filter(Boolean).map((words) => make("p", "error", words));
  const tail = `${found.status}, TTL ${pool.ttl} s (${pool.ttl_why}), scope /${pool.scope}: ${pool.range.join(" – ")}`;
  $("answer").replaceChildren(first, ...more, walk(pool.nodes), make("p", "note", tail), answer);
}

function walk(lines) {
  const cell = (text, css = "") => make("td", css, text);
  const row = (line) => make("tr", line.given ? "given" : "",
    cell(line.given ? "→" : ""), cell(line.node), cell(line.km === null ? "" : `${Math.round(line.km)} km`, "number"), cell(line.state), cell(line.reason));
  const heads = ["", "Node", "Distance", "State", "Why"].map((text) => Object.assign(make("th", "", text), { scope: "col" }));
  const table = make("table", "walk", make("thead", "", make("tr", "", ...heads)), make("tbody", "", ...lines.slice(0, LINES).map(row)));
  const rest = lines.length - LINES;
  return make("div", "scroll", table, ...(rest > 0 ? [make("p", "note", `and ${rest} more behind them`)] : []));
}

// Orders.

async function openOrder(row) {
  const taken = row.order;
  const word = taken ? (taken.state === "drained" ? "Undrain" : "Clear the order for") : "Drain";
  $("order-title").textContent = `${word} ${row.node}`;
  $("order-what").textContent = taken
    ? `${taken.state} by ${taken.who} for ${span(now() - taken.since)}${taken.why ? `: ${taken.why}` : ""}. What its probes say counts again then.`
    : "Clients are not given it any more, while its probes go on.";
  $("order-do").textContent = taken ? word.split(" ")[0] : "Drain";
  $("order-until-label").hidden = Boolean(taken);
  $("order-anyway-label").hidden = true;
  $("order-anyway").checked = false;
  $("order-why").value = "";
  $("order-said").textContent = "";
  const done = async () => {
    const lasts = $("order-until").value;
    const wanted = {
      nodes: [row.node],
      state: taken ? null : "drained",
      why: $("order-why").value.trim(),
      who: $("order-who").value.trim(),
      until: taken || !lasts ? null : Math.floor(now()) + Number(lasts),
      anyway: $("order-anyway").checked,
    };
    try {
      const told = await post("v1/order", wanted);
      // Too early is too early: minutes are rounded up.
      const wait = Math.ceil((told.safe_at - told.now) / 60) * 60;
      const safe = wait > 0 ? `in ${span(wait)}, at ${utc(told.safe_at)} UTC` : "now";
      $("done").textContent = taken ? `${row.node}: its probes count again.` : `${row.node} is drained. It is safe to stop ${safe}: no cache has an older answer then.`;
      return true;
    } catch (error) {
      const [words] = error.message.split("\n  = ");
      $("order-said").textContent = words;
      $("order-anyway-label").hidden = !error.message.includes("anyway");
      return false;
    }
  };
  $("order-until").value = "";
  await show($("order"), done);
}
