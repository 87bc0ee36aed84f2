/* Shows the events of the stream as text and drawings. Names are set as text, never as HTML. */

import { Stream } from "./stream.js";
import { draw, ebb, spark } from "./chart.js";

const find = (id) => document.getElementById(id);
const now = { service: null, rate: null, top: null, account: "", row: null, grain: "", board: "current", chosen: -1, heard: 0 };
const whole = new Intl.NumberFormat("en");

const WORDS = {
  Throughput: "Records counted per second, all outcomes, over the last second.",
  Lag: "Records in the log that are not counted yet.",
  "Watermark age": "Age of the newest event, by event time, in the shard that is furthest behind. A window becomes final when the watermark has passed its end plus the grace.",
  Accounts: "Rows in the table: one for each account with a counted event.",
  Applied: "Records that were counted in full.",
  Late: "Events that came after at least one of their windows was closed. They still count in the totals.",
  Duplicates: "Events whose id was read before. They change nothing.",
  Rejected: "Records that are not valid events. A separate topic contains each of them with the reason.",
  Heartbeats: "Records that only advance the watermark.",
  Gained: "Follows since counting began.",
  Lost: "Unfollows since counting began.",
  Net: "Gained minus lost.",
  Followers: "The baseline plus net since then. Unknown without a baseline: the number is never guessed.",
};

function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function signed(number) {
  return (number > 0 ? "+" : number < 0 ? "−" : "±") + whole.format(Math.abs(number));
}

function span(ms) {
  const s = Math.max(0, ms) / 1000;
  if (s < 10) return s.toFixed(1) + " s";
  if (s < 120) return Math.round(s) + " s";
  if (s < 7200) return Math.round(s / 60) + " min";
  if (s < 172800) return Math.round(s / 3600) + " h";
  return whole.format(Math.round(s / 86400)) + " days";
}

const clock = (ms) => new Date(ms).toISOString().slice(11, 19);
const moment = (ms) => new Date(ms).toISOString().slice(0, 16).replace("T", " ");
const pure = (text) => (text instanceof Node ? text : document.createTextNode(text));

/* Tiles are made once and then only filled: focus and open explanations stay where they are. */
function tile(list, word, value, kind = "") {
  let box = [...list.children].find((one) => one.dataset.word === word);
  if (!box) {
    const tip = `tip-${list.id}-${word.replace(/\W/g, "-")}`;
    box = make("div", { "data-word": word },
      make("dt", {}, make("button", { type: "button", class: "word", "aria-describedby": tip }, word),
        make("span", { role: "tooltip", id: tip }, WORDS[word])),
      make("dd"));
    list.append(box);
  }
  const cell = box.querySelector("dd");
  if (cell.textContent !== value) cell.replaceChildren(pure(value));
  cell.className = kind;
}

/* ---- the service */

function takeService(told) {
  const sum = (one) => Object.values(one.outcomes).reduce((a, b) => a + b, 0);
  const before = now.service;
  now.rate = null;
  if (before && before.is_complete && told.is_complete && told.now_ms > before.now_ms) {
    now.rate = Math.max(0, ((sum(told) - sum(before)) * 1000) / (told.now_ms - before.now_ms));
  }
  const isFirst = !before;
  now.service = told;
  now.heard = Date.now();
  if (isFirst) {
    now.grain = now.grain || told.grains[0].name;
    showGrains();
  }
  showService();
  if (!now.top && !told.grains.some((one) => one.is_ranked)) showTop();
  if (!told.accounts && told.is_complete) showEmpty();
}

function showService() {
  const told = now.service, tiles = find("tiles"), counts = told.outcomes;
  const marks = told.shards.map((one) => one.freshness?.watermark_ms).filter((one) => one != null);
  tile(tiles, "Throughput", now.rate == null ? "…" : whole.format(Math.round(now.rate)) + " /s");
  tile(tiles, "Lag", whole.format(told.lag_records) + (told.is_complete ? "" : " or more"));
  tile(tiles, "Watermark age", marks.length ? span(told.now_ms - Math.min(...marks)) : "no event yet");
  tile(tiles, "Accounts", whole.format(told.accounts));
  tile(tiles, "Applied", whole.format(counts.applied));
  tile(tiles, "Late", whole.format(counts.late));
  tile(tiles, "Duplicates", whole.format(counts.duplicate));
  tile(tiles, "Rejected", whole.format(counts.rejected));
  tile(tiles, "Heartbeats", whole.format(counts.heartbeat));
  find("version").textContent = `Version ${told.version}, ${told.guarantee.replaceAll("_", " ")}, group ${told.app_id}.`;
  if (!find("shards-details").open) return;
  find("shards").replaceChildren(...told.shards.map((one) => {
    const fresh = one.freshness;
    const cells = [one.partition, one.state, one.owner ?? "unknown", one.lag_records,
      fresh?.watermark_ms == null ? null : moment(fresh.watermark_ms), fresh?.applied_offset,
      fresh?.committed_offset, fresh && span(fresh.age_ms)];
    return make("tr", {}, ...cells.map((cell, index) =>
      make("td", index > 2 ? { class: "number" } : {}, cell == null ? "–" : typeof cell === "number" ? whole.format(cell) : cell)));
  }));
}

function showEmpty() {
  find("board-window").textContent = "Nothing has been counted yet. Numbers appear here when the first event arrives.";
}

/* ---- accounts that gain and lose most */

function showTop() {
  if (!now.top) {
    find("board-window").textContent = "There are no leaderboards (NETFOLLOWERS_TOP_GRAINS is none).";
    return;
  }
  const board = now.top[now.board];
  const note = find("board-window");
  if (board.start_ms == null) {
    note.textContent = now.board === "final" ? "No window has become final yet." : "Nothing has been counted yet.";
  } else {
    const state = board.state === "open" ? "open: these numbers still change" : "final";
    const pending = board.pending_partitions.length ? `; ${board.pending_partitions.length} partition(s) missing` : "";
    const exact = board.is_exact ? "" : "; a shard is recomputing its places";
    note.textContent = `${now.top.grain} window of ${moment(board.start_ms)} to ${clock(board.end_ms).slice(0, 5)} UTC, ${state}${pending}${exact}.`;
  }
  fill(find("gainers"), board.rankings.gainers, 1);
  fill(find("losers"), board.rankings.losers, -1);
}

function fill(list, places, sign) {
  const focused = document.activeElement?.closest("li")?.parentNode === list ? document.activeElement.dataset.account : null;
  const size = now.service ? now.service.grains[0].size_ms : 60000;
  const items = places.map((one, index) => {
    const up = sign > 0;
    const value = make("span", { class: `value ${up ? "up" : "down"}` }, `${up ? "▲ +" : "▼ −"}${whole.format(one.value)}`);
    const button = make("button", { type: "button" }, make("span", { class: "place" }, `${index + 1}.`),
      make("bdi", { title: one.account_id }, one.account_id), spark(one.trail, size), value);
    button.dataset.account = one.account_id;
    button.addEventListener("click", () => choose(one.account_id, true));
    return make("li", {}, button);
  });
  list.replaceChildren(...(items.length ? items : [make("li", { class: "none" }, "No account.")]));
  if (focused != null) [...list.querySelectorAll("button")].find((one) => one.dataset.account === focused)?.focus();
}

/* ---- one account */

const MOST_BYTES = 256;

function choose(account, isScrolled = false) {
  now.account = account;
  now.row = null;
  now.chosen = -1;
  const hash = account ? "#account=" + encodeURIComponent(account) : "";
  if (location.hash !== hash) history.pushState(null, "", hash || location.pathname);
  find("account-id").value = account;
  find("account").hidden = true;
  find("account-note").hidden = false;
  find("account-note").textContent = account ? "Loading …" : "Type an id, or choose one above.";
  const bytes = new TextEncoder().encode(account).length;
  if (bytes > MOST_BYTES) leaveOut(`An account id has at most ${MOST_BYTES} bytes. This one has ${whole.format(bytes)}.`);
  listen();
  if (isScrolled) find("account-title").scrollIntoView({ block: "start" });
}

/* Say that an account cannot be shown. The rest of the page continues without it. */
function leaveOut(why) {
  now.account = "";
  find("account").hidden = true;
  find("account-note").hidden = false;
  find("account-note").textContent = why;
}

function takeAccount(row) {
  if (row.account_id !== now.account) return;
  now.row = row;
  const isKnown = row.gained !== undefined;
  find("account").hidden = !isKnown;
  find("account-note").hidden = isKnown;
  if (!isKnown) {
    find("account-note").textContent = "No event of this account has been counted. It will appear here when one is.";
    return;
  }
  find("account-name").firstElementChild.textContent = row.account_id;
  const totals = find("totals");
  tile(totals, "Gained", row.gained ? "▲ " + signed(row.gained) : "0", "up");
  tile(totals, "Lost", row.lost ? "▼ " + signed(-row.lost) : "0", "down");
  tile(totals, "Net", signed(row.net));
  tile(totals, "Followers", row.followers == null ? "unknown" : whole.format(row.followers).replace("-", "−"));
  const fresh = row.freshness;
  const waits = fresh.applied_offset - fresh.committed_offset;
  find("account-fresh").textContent =
    `Partition ${fresh.partition}. The answer contains all records before offset ${whole.format(fresh.applied_offset)}` +
    `${waits > 0 ? `, ${whole.format(waits)} of them not committed yet` : ", all committed"}; ` +
    `${span(fresh.age_ms)} old when it was sent; ${fresh.watermark_ms == null ? "no watermark yet" : `watermark ${moment(fresh.watermark_ms)} UTC`}.`;
  showWindows();
}

function showGrains() {
  const box = find("grain-choice");
  for (const grain of now.service.grains) {
    const input = make("input", { type: "radio", name: "grain", value: grain.name });
    input.checked = grain.name === now.grain;
    input.addEventListener("change", () => {
      now.grain = grain.name;
      now.chosen = -1;
      if (now.row) showWindows();
    });
    box.append(make("label", {}, input, make("span", {}, grain.name)));
  }
  const key = (kind, text) => make("span", {}, draw("svg", { viewBox: "0 0 18 14" },
    kind === "net" ? draw("line", { class: "net-line", x1: 0, x2: 18, y1: 7, y2: 7 }) : draw("rect", { class: kind, x: 1, y: 1, width: 16, height: 12 })), text);
  find("legend").append(key("bar-up", "gained, above"), key("bar-down", "lost, below"), key("net", "net"),
    key("bar-up is-open", "open: provisional"));
}

function showWindows() {
  const grain = now.service?.grains.find((one) => one.name === now.grain);
  if (!grain || now.row?.gained === undefined) return;
  const windows = now.row.windows[grain.name] ?? [], chart = find("chart");
  find("windows").replaceChildren(...windows.map((one) => make("tr", {},
    make("td", {}, moment(one.start_ms)),
    ...[whole.format(one.gained), whole.format(one.lost), signed(one.net)].map((cell) => make("td", { class: "number" }, cell)),
    make("td", {}, one.state === "open" ? "open (provisional)" : "final"), make("td", { class: "number" }, String(one.revision)))));
  if (!windows.length) {
    chart.replaceChildren(make("p", { class: "note" }, `The service no longer keeps a ${grain.name} window of this account.`));
    chart.setAttribute("aria-label", `No ${grain.name} window is kept.`);
    find("readout").textContent = "";
    return;
  }
  const label = (ms) => (grain.size_ms >= 86400000 ? moment(ms).slice(5, 10) : moment(ms).slice(11));
  const made = ebb(windows, grain.size_ms, Math.max(280, chart.clientWidth), label, now.chosen);
  chart.replaceChildren(made.drawing);
  chart.onpointermove = (event) => point(made.at(event.clientX - chart.getBoundingClientRect().left));
  const net = windows.reduce((sum, one) => sum + one.net, 0);
  chart.setAttribute("aria-label", `Gains and losses in ${windows.length} windows of ${grain.name}: net ${signed(net)}. Use the arrow keys to move between windows. The table below has all numbers.`);
  if (now.chosen < 0) find("readout").textContent = "Point at a window, or use the arrow keys.";
}

function point(index) {
  const windows = now.row?.windows?.[now.grain] ?? [];
  if (!windows.length || index === now.chosen) return;
  now.chosen = Math.max(0, Math.min(windows.length - 1, index));
  const one = windows[now.chosen];
  showWindows();
  find("readout").textContent = `${moment(one.start_ms)} UTC: gained ${whole.format(one.gained)}, lost ${whole.format(one.lost)}, net ${signed(one.net)}; ${one.state === "open" ? "open, provisional" : `final, revision ${one.revision}`}.`;
}

/* ---- the connection */

function say(state, text) {
  document.body.dataset.state = state;
  if (find("connection-text").textContent !== text) find("connection-text").textContent = text;
}

function showProblem(text) {
  find("problem").hidden = !text;
  if (find("problem").textContent !== text) find("problem").textContent = text;
}

const stream = new Stream({
  event(name, value) {
    if (name !== "problem" && name !== "service") showProblem("");
    if (name === "service") takeService(value);
    else if (name === "top") { now.top = value; showTop(); }
    else if (name === "account") takeAccount(value);
    else if (name === "problem") showProblem(`${value.title}: ${value.detail}. The numbers below may be older. The page tries again every second.`);
    if (name === "service" && value.is_complete) showProblem("");
    say("live", "Live");
  },
  live() {
    find("token-form").hidden = true;
    if (!now.heard) say("loading", "Loading …");
  },
  lost(why) {
    const since = now.heard ? ` The numbers are from ${clock(now.heard)} UTC.` : "";
    say("lost", `Connection lost (${why}). The page tries again.${since}`);
  },
  refused(status, why) {
    if (status === 400 && now.account) {
      leaveOut(`This account cannot be shown: ${why}.`);
      listen();
      return true;
    }
    if (status !== 401) return false;
    say("lost", "A token is required.");
    find("token-form").hidden = false;
    find("token").focus();
    return true;
  },
});

function listen() {
  const asked = new URLSearchParams();
  if (now.account) asked.append("account", now.account);
  stream.open("api/stream" + (asked.size ? "?" + asked : ""));
}

find("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  stream.token = find("token").value;
  find("token").value = "";
  listen();
});
find("account-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const typed = find("account-id").value;
  choose(typed === now.account.replace(/[\r\n]/g, "") ? now.account : typed); // the field drops line ends
});
find("board-choice").addEventListener("change", (event) => {
  now.board = event.target.value;
  if (now.top) showTop();
});
find("shards-details").addEventListener("toggle", () => now.service && showService());
find("chart").addEventListener("keydown", (event) => {
  const last = (now.row?.windows?.[now.grain]?.length ?? 0) - 1;
  const to = { ArrowLeft: now.chosen < 0 ? last : now.chosen - 1, ArrowRight: now.chosen < 0 ? last : now.chosen + 1, Home: 0, End: last }[event.key];
  if (to === undefined || last < 0) return;
  event.preventDefault();
  point(Math.max(0, Math.min(last, to)));
});
document.addEventListener("keydown", (event) => event.key === "Escape" && document.body.classList.add("quiet"));
for (const kind of ["focusin", "pointerover"]) document.addEventListener(kind, () => document.body.classList.remove("quiet"));
new ResizeObserver(() => now.row && showWindows()).observe(find("chart"));

function fromHash() {
  const match = /^#account=(.+)$/.exec(location.hash);
  let account = "";
  try {
    account = match ? decodeURIComponent(match[1]) : "";
  } catch { /* not an account of this page */ }
  choose(account);
}
addEventListener("hashchange", fromHash);
fromHash();
