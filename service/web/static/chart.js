/* Drawings: the gains and losses of an account, and the small series of each leader. SVG, no library. */

const SVG = "http://www.w3.org/2000/svg";

export function draw(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export function short(number) {
  const size = Math.abs(number);
  const sign = number < 0 ? "−" : "";
  for (const [unit, letter] of [[1e9, "G"], [1e6, "M"], [1e4, "k"]]) {
    if (size >= unit) {
      const scaled = size / (letter === "k" ? 1e3 : unit);
      return sign + (scaled < 10 ? scaled.toFixed(1) : Math.round(scaled)) + letter;
    }
  }
  return sign + size.toLocaleString("en");
}

/* Return a step of 1, 2 or 5 x 10^k, so that two to five steps fit. */
function nice(most) {
  const rough = Math.max(1, most / 2);
  const power = 10 ** Math.floor(Math.log10(rough));
  return [5, 2, 1].map((one) => one * power).find((one) => one <= rough);
}

export function spark(trail, size) {
  const wide = 96, high = 26, middle = high / 2;
  const drawing = draw("svg", { viewBox: `0 0 ${wide} ${high}`, "aria-hidden": "true" });
  drawing.append(draw("line", { class: "rule", x1: 0, x2: wide, y1: middle, y2: middle }));
  if (!trail.length) return drawing;
  const last = trail[trail.length - 1][0];
  const most = Math.max(1, ...trail.map(([, net]) => Math.abs(net)));
  const slots = 17, step = wide / slots;
  for (const [start, net] of trail) {
    const slot = slots - 1 - (last - start) / size;
    if (slot < 0 || !net) continue;
    const tall = Math.max(1, (Math.abs(net) / most) * (middle - 1));
    drawing.append(draw("rect", {
      class: net > 0 ? "bar-up" : "bar-down",
      x: slot * step + 0.5, width: step - 1, y: net > 0 ? middle - tall : middle, height: tall,
    }));
  }
  return drawing;
}

function hatch(id, turn, name) {
  return draw("pattern", { id, width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: `rotate(${turn})` },
    draw("line", { class: name, x1: 0, x2: 0, y1: 0, y2: 6 }));
}

/* windows: of one grain, oldest first. label(ms): the text under the axis. */
export function ebb(windows, size, wide, label, chosen) {
  const high = 240, left = 46, right = 8, top = 10, bottom = 24;
  const drawing = draw("svg", { viewBox: `0 0 ${wide} ${high}`, preserveAspectRatio: "none" });
  drawing.append(draw("defs", {}, hatch("hatch-up", 45, "hatch-up"), hatch("hatch-down", -45, "hatch-down")));
  const first = windows[0].start_ms;
  const slots = Math.round((windows[windows.length - 1].start_ms - first) / size) + 1;
  const step = (wide - left - right) / Math.max(slots, 6);
  const up = Math.max(1, ...windows.map((one) => Math.max(one.gained, one.net)));
  const down = Math.max(1, ...windows.map((one) => Math.max(one.lost, -one.net)));
  const tick = nice(Math.max(up, down));
  const y = (value) => top + ((up - value) / (up + down)) * (high - top - bottom);
  const x = (one) => left + ((one.start_ms - first) / size + 0.5) * step;
  for (let value = -Math.floor(down / tick) * tick; value <= up; value += tick) {
    drawing.append(draw("line", { class: value ? "rule" : "axis", x1: left, x2: wide - right, y1: y(value), y2: y(value) }));
    const text = draw("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" });
    text.textContent = (value > 0 ? "+" : "") + short(value);
    drawing.append(text);
  }
  const bar = Math.min(step * 0.7, 48);
  let before = null;
  const lines = [], points = [];
  windows.forEach((one, index) => {
    const open = one.state === "open" ? " is-open" : "";
    if (index === chosen) {
      drawing.append(draw("rect", { class: "chosen", x: x(one) - step / 2, width: step, y: top, height: high - top - bottom }));
    }
    for (const [kind, value] of [["up", one.gained], ["down", -one.lost]]) {
      if (!value) continue;
      drawing.append(draw("rect", {
        class: `bar-${kind}${open}`, x: x(one) - bar / 2, width: bar,
        y: Math.min(y(0), y(value)), height: Math.max(1, Math.abs(y(value) - y(0))),
      }));
    }
    if (before) lines.push(draw("line", { class: "net-line" + open, x1: x(before), y1: y(before.net), x2: x(one), y2: y(one.net) }));
    points.push(draw("circle", { class: "net-point", cx: x(one), cy: y(one.net), r: 3.5 }));
    before = one;
  });
  drawing.append(...lines, ...points);
  const every = Math.max(1, Math.ceil(slots / Math.max(2, Math.floor((wide - left) / 90))));
  for (let slot = 0; slot < slots; slot += every) {
    const at = first + slot * size;
    const text = draw("text", { x: left + (slot + 0.5) * step, y: high - 6, "text-anchor": "middle" });
    text.textContent = label(at);
    drawing.append(text);
  }
  return { drawing, at: (px) => nearest(windows, (px - left) / step - 0.5, first, size) };
}

function nearest(windows, slot, first, size) {
  let best = 0;
  windows.forEach((one, index) => {
    const off = (two) => Math.abs((two.start_ms - first) / size - slot);
    if (off(one) < off(windows[best])) best = index;
  });
  return best;
}
