"use strict";
/* The potentials of the output neurons against their threshold, as curves that grow with time: SVG. */

const EDGE = { left: 40, right: 30, top: 10, bottom: 34 }, CHART_HEIGHT = 250;
const LABELLED = 3; // the outputs of largest potential bear their names
const APART = 14; // pixels between two names

function svgElement(tag, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

/** Potential of output c in step t; a neuron that has fired is done, so its curve ends there. */
function potentialOf(run, classes, c, t) {
  const last = Math.min(t, run.times.at(-1)[c]);
  return run.potentials[Math.min(last, run.potentials.length / classes - 1) * classes + c];
}

/** The lowest and highest potential to be drawn: what happens up to the decision; what is far below leaves the chart. */
function rangeOf(network, run) {
  const classes = network.classes.length, high = 1.12 * Math.max(...network.layers.at(-1).threshold);
  const last = Math.min(network.t_max - 1, ...run.times.at(-1));
  const low = Math.min(0, ...run.potentials.subarray(0, (last + 1) * classes));
  return [Math.max(1.15 * low, -high), high];
}

/** Numbers 0, step, 2 step ... and their negatives between two limits, at most six or so. */
function ticks(low, high) {
  const step = [10, 20, 25, 50, 100, 200, 500, 1000].find((one) => (high - low) / one <= 6) ?? 5000;
  const first = Math.ceil(low / step), count = Math.floor(high / step) - first + 1;
  return Array.from({ length: count }, (_, i) => (first + i) * step);
}

/** A curve in steps: the value of each step holds until the next one. */
function stairs(values, x, y) {
  return values.map((value, t) => `${t ? "H" + x(t) + "V" : "M" + x(0) + " "}${y(value)}`).join("") + `H${x(values.length)}`;
}

function axes(plot, network, x, y, low, high, width) {
  for (const value of ticks(low, high)) {
    plot.append(svgElement("line", { class: "grid", x1: EDGE.left, x2: width - EDGE.right, y1: y(value), y2: y(value) }));
    plot.append(svgElement("text", { x: EDGE.left - 6, y: y(value) + 4, "text-anchor": "end" }, value));
  }
  for (let i = 0; i <= 4; i++) {
    const t = Math.round((i * network.t_max) / 4);
    plot.append(svgElement("text", { x: x(t), y: CHART_HEIGHT - 18, "text-anchor": "middle" }, t));
  }
  const middle = x(network.t_max / 2);
  plot.append(svgElement("text", { x: middle, y: CHART_HEIGHT - 3, "text-anchor": "middle" }, "time step"));
}

/** Names at the ends of curves, moved apart where they would lie on each other: [{name, leads, x, y}]. */
function names(plot, ends) {
  let free = Infinity;
  for (const end of ends.sort((a, b) => b.y - a.y)) {
    const y = Math.min(end.y, free);
    plot.append(svgElement("text", { class: end.leads ? "name leads" : "name", x: end.x + 8, y: y + 4 }, end.name));
    free = y - APART;
  }
}

/** Where potentials and steps lie in a chart of this width. */
function scales(network, run, width) {
  const [low, high] = rangeOf(network, run);
  const w = width - EDGE.left - EDGE.right, h = CHART_HEIGHT - EDGE.top - EDGE.bottom;
  const x = (step) => +(EDGE.left + (step / network.t_max) * w).toFixed(1);
  const y = (v) => +(EDGE.top + ((high - v) / (high - low)) * h).toFixed(1);
  return { low, high, w, h, x, y };
}

/** The threshold in every step, and its name where there is room for it. */
function drawThreshold(plot, threshold, { x, y }) {
  plot.append(svgElement("path", { class: "threshold", d: stairs(threshold, x, y) }));
  const [at, side] = threshold[0] > threshold.at(-1) ? [x(0) + 4, "start"] : [x(threshold.length) - 4, "end"];
  plot.append(svgElement("text", { x: at, y: y(threshold[0]) - 6, "text-anchor": side }, "threshold"));
}

/** Draw step t of a run. leader : the output that is ahead, or has won */
function drawPotentials(svg, network, run, t, leader) {
  const width = Math.max(svg.clientWidth, 200), classes = network.classes.length, out = run.times.at(-1);
  const scale = scales(network, run, width), { low, high, w, h, x, y } = scale;
  const box = { x: EDGE.left, y: EDGE.top, width: w, height: h, viewBox: `${EDGE.left} ${EDGE.top} ${w} ${h}` };
  const plot = svgElement("g", {}), curves = svgElement("svg", box), ends = []; // what leaves the box is not seen
  axes(plot, network, x, y, low, high, width);
  drawThreshold(plot, network.layers.at(-1).threshold, scale);
  plot.append(curves);
  const now = network.classes.map((_, c) => potentialOf(run, classes, c, t));
  const ranked = now.map((_, c) => c).sort((a, b) => (b === leader) - (a === leader) || now[b] - now[a]);
  for (const c of ranked.toReversed()) { // the leader last, on top
    const until = Math.min(t, out[c]), kind = c === leader ? "curve leads" : "curve";
    const values = Array.from({ length: until + 1 }, (_, step) => potentialOf(run, classes, c, step));
    const end = { name: network.classes[c], leads: c === leader, x: x(until + 1), y: y(Math.min(now[c], high)) };
    curves.append(svgElement("path", { class: kind, d: stairs(values, x, y) }));
    if (out[c] <= t) plot.append(svgElement("circle", { class: kind, cx: x(out[c]), cy: end.y, r: 4 }));
    if (ranked.indexOf(c) < LABELLED && now[c] > low) ends.push(end);
  }
  const first = Math.min(...out);
  if (first <= t && first < network.t_max) {
    plot.append(svgElement("path", { class: "decision", d: `M${x(first)} ${EDGE.top}v${h}` }));
  }
  names(plot, ends);
  svg.setAttribute("viewBox", `0 0 ${width} ${CHART_HEIGHT}`);
  svg.replaceChildren(plot);
}
