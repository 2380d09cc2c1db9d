"use strict";
/* A run of a network, step by step: input, potentials, maps of every layer, and the decision when it falls. */

const STEP_MS = 90; // of each step while it plays
const CALM = matchMedia("(prefers-reduced-motion: reduce)"); // then it plays in few, long steps
const TALLEST = 350; // pixels, of the maps of a layer
const GROUND = pixelOf("#1b212e"), NOW = pixelOf("#ffffff");

const thousands = (n) => n.toLocaleString("en");

/** A colour as the four bytes of a canvas, in one number. */
function pixelOf(hex) {
  const rgb = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  return new Uint32Array(Uint8Array.of(...rgb, 255).buffer)[0];
}

/** Columns of maps, and pixels of a neuron's side, with which the maps of a layer fill the width best. */
function arrangement([height, width, maps], room) {
  let best = { columns: maps, side: 0 };
  for (let columns = 1; columns <= maps; columns++) {
    const rows = Math.ceil(maps / columns);
    const side = Math.floor(Math.min(room / (columns * (width + 1)), TALLEST / (rows * (height + 1))));
    if (side > best.side || (side === best.side && rows * columns < best.cells)) best = { columns, side, cells: rows * columns };
  }
  if (best.side) return best;
  const columns = Math.max(1, Math.floor(room / (width + 1))); // a narrow screen: as tall as it becomes
  return { columns: Math.min(columns, maps), side: 1 };
}

/** The maps of a layer on a canvas: a neuron that has fired shines in the colour of its step. */
class Maps {
  constructor(canvas, shape, colours) {
    [this.canvas, this.shape, this.colours] = [canvas, shape, colours];
  }

  /** Choose the arrangement for a width in pixels of the page. */
  fit(room) {
    const [height, width, maps] = this.shape, ratio = window.devicePixelRatio || 1;
    const { columns, side } = arrangement(this.shape, room);
    const rows = Math.ceil(maps / columns);
    this.columns = columns;
    this.canvas.width = columns * (width + 1) - 1;
    this.canvas.height = rows * (height + 1) - 1;
    this.canvas.style.width = `${this.canvas.width * Math.max(side, 1 / ratio)}px`;
    this.places = Int32Array.from({ length: height * width * maps }, (_, i) => this.place(i));
    this.ground = new Uint32Array(this.canvas.width * this.canvas.height); // transparent between the maps
    for (const place of this.places) this.ground[place] = GROUND;
  }

  /** Where neuron i is on the canvas. */
  place(i) {
    const [height, width, maps] = this.shape, m = i % maps, pixel = Math.floor(i / maps);
    const y = Math.floor(m / this.columns) * (height + 1) + Math.floor(pixel / width);
    return y * this.canvas.width + (m % this.columns) * (width + 1) + (pixel % width);
  }

  draw(times, step) {
    const context = this.canvas.getContext("2d"), image = context.createImageData(this.canvas.width, this.canvas.height);
    const pixels = new Uint32Array(image.data.buffer);
    pixels.set(this.ground);
    times.forEach((t, i) => {
      if (t <= step && t < this.colours.length) pixels[this.places[i]] = t === step ? NOW : this.colours[t];
    });
    context.putImageData(image, 0, 0);
  }
}

class StepView {
  constructor(root) {
    this.root = root;
    this.part = (name) => root.querySelector(`.${name}`);
    this.part("step").addEventListener("input", () => this.pause() || this.go(+this.part("step").value));
    this.part("play").addEventListener("click", () => (this.timer ? this.pause() : this.play()));
    this.part("jump").addEventListener("click", () => this.pause() || this.go(this.decision));
    new ResizeObserver(() => this.run && this.fit()).observe(root);
  }

  /** Show a run of a network from a step on. label : the class of the image, null if unknown */
  show(network, run, label, step) {
    this.pause();
    Object.assign(this, { network, run, label });
    const tMax = network.t_max, first = Math.min(...run.times.at(-1));
    this.silent = first === tMax;
    this.decision = Math.min(first, tMax - 1);
    this.arriving = run.times.map((times) => this.count(times)); // spikes of each layer up to each step
    this.part("step").max = tMax - 1;
    this.root.hidden = false;
    this.build();
    this.fit();
    this.go(step ?? this.decision);
  }

  /** Spikes of a layer in the steps 0 .. t, for every t. */
  count(times) {
    const counts = new Int32Array(this.network.t_max + 1);
    for (const t of times) counts[t]++;
    for (let t = 1; t < this.network.t_max; t++) counts[t] += counts[t - 1];
    return counts;
  }

  spikes(step) {
    return this.arriving.reduce((sum, counts) => sum + counts[step], 0);
  }

  /** The elements of a network: its layers and outputs. */
  build() {
    if (this.built === this.network) return;
    this.built = this.network;
    const { network } = this, colours = network.colours.map(pixelOf);
    this.maps = [new Maps(this.root.querySelector(".input canvas"), network.input_shape, colours)];
    this.part("layers").replaceChildren(...network.layers.slice(0, -1).map((layer) => this.figure(layer, colours)));
    this.part("scale").style.background = `linear-gradient(to right, ${network.colours.join()})`;
    this.part("outputs").replaceChildren(...network.classes.map((name) => {
      const item = document.createElement("li");
      item.innerHTML = "<b></b><span></span>";
      item.firstChild.textContent = name;
      return item;
    }));
  }

  figure(layer, colours) {
    const figure = document.createElement("figure"), caption = document.createElement("figcaption");
    const canvas = document.createElement("canvas");
    canvas.setAttribute("role", "img");
    figure.append(caption, canvas);
    this.maps.push(new Maps(canvas, layer.shape, colours));
    return figure;
  }

  fit() {
    const room = this.part("layers").clientWidth;
    this.maps.forEach((maps, i) => maps.fit(i ? room : Math.min(room, 230)));
    if (this.step !== undefined) this.go(this.step);
  }

  play() {
    if (this.step === this.network.t_max - 1) this.go(0);
    this.part("play").textContent = "Pause";
    const [many, ms] = CALM.matches ? [10, 10 * STEP_MS] : [1, STEP_MS];
    this.timer = setInterval(() => this.forward(many), ms);
  }

  /** Some steps on; it stops where the decision falls, and at the end. */
  forward(many) {
    const last = this.network.t_max - 1, next = Math.min(this.step + many, last);
    const falls = !this.silent && this.step < this.decision && next >= this.decision;
    this.go(falls ? this.decision : next);
    if (falls || this.step === last) this.pause();
  }

  pause() {
    clearInterval(this.timer);
    this.timer = null;
    this.part("play").textContent = "Play";
  }

  /** Show a step. */
  go(step) {
    this.step = step;
    this.part("step").value = step;
    this.part("step").setAttribute("aria-valuetext", `step ${step}`);
    this.maps.forEach((maps, i) => maps.draw(this.run.times[i], step));
    this.captions(step);
    this.numbers(step);
    const leader = this.outputs(step);
    drawPotentials(this.root.querySelector("svg"), this.network, this.run, step, leader);
    this.say(step);
  }

  captions(step) {
    this.root.querySelectorAll(".layers figure").forEach((figure, i) => {
      const { token, shape: [height, width, maps] } = this.network.layers[i];
      const fired = `${thousands(this.arriving[i + 1][step])} of ${thousands(height * width * maps)} neurons have fired`;
      figure.firstChild.innerHTML = "<b></b> <span></span>";
      figure.querySelector("b").textContent = `Layer ${i + 1}: ${token}`;
      figure.querySelector("span").textContent = `${maps} maps of ${height} × ${width}; ${fired}`;
      figure.lastChild.setAttribute("aria-label", `${token} after step ${step}: ${fired}`);
    });
    const arrived = `${this.arriving[0][step]} of ${this.arriving[0][this.network.t_max - 1]} pixels have fired`;
    this.root.querySelector(".input canvas").setAttribute("aria-label", `Input after step ${step}: ${arrived}`);
  }

  numbers(step) {
    const all = this.spikes(this.network.t_max - 1), decided = step >= this.decision;
    this.part("now").textContent = `${step} of ${this.network.t_max - 1}`;
    this.part("so-far").textContent = `${thousands(this.spikes(step))} of ${thousands(all)}`;
    const share = all ? Math.round((100 * this.spikes(this.decision)) / all) : 0;
    this.part("needed").textContent = decided ? `${share} % of spikes` : "not yet";
  }

  /** What each output neuron has done so far. Returns the one that is ahead, or has won. */
  outputs(step) {
    const { network, run } = this, out = run.times.at(-1), decided = step >= this.decision;
    const now = network.classes.map((_, c) => potentialOf(run, network.classes.length, c, step));
    const leader = decided ? run.label : now.indexOf(Math.max(...now));
    [...this.part("outputs").children].forEach((item, c) => {
      item.className = c === leader ? (decided ? "won" : "ahead") : "";
      item.lastChild.textContent = out[c] <= step ? `step ${out[c]}` : `V = ${Math.round(now[c])}`;
    });
    return leader;
  }

  /** The decision in words. */
  say(step) {
    const { network, run, label } = this, name = (c) => `“${network.classes[c]}”`;
    let said = "No output neuron has fired yet.";
    if (step >= this.decision) {
      const first = [...run.times.at(-1).keys()].filter((c) => run.times.at(-1)[c] === this.decision);
      said = this.silent ? `No output neuron fires. The largest potential at the end decides: ${name(run.label)}.`
        : first.length > 1 ? `Step ${this.decision}: ${first.map(name).join(" and ")} fire together. The larger potential decides: ${name(run.label)}.`
          : `Step ${this.decision}: ${name(run.label)} is the first output to fire. That is the decision.`;
      if (label !== null) said += label === run.label ? " It is right." : ` It is wrong: the image is ${name(label)}.`;
    }
    if (this.part("verdict").textContent !== said) this.part("verdict").textContent = said; // spoken once
    this.part("verdict").classList.toggle("fallen", step >= this.decision);
  }
}
