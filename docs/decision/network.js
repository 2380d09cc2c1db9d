"use strict";
/* The forward pass of a DS4NN network, as s4nn_ref/kernels computes it: the same additions in the same order.

   times   Int16Array, firing times of a layer, rows, columns, maps; tMax = silent
   layer   {token, shape: [H', W', M], window} of a pooling layer, or {token, shape, geometry, weights: [begin, end],
           threshold: of each step} of the others; a dense layer is a convolution that covers the whole map below
   A Float32Array rounds whatever is stored in it to 32 bits, so `v[i] += w[i]` is the addition of Python's float32. */

const s4nn = { networks: {}, weights: {} }; // filled by the scripts of the folder data/

/** Firing times of pixels: a bright pixel fires early. Python tabulates them for each intensity. */
function encode(pixels, network) {
  return Int16Array.from(pixels, (intensity) => network.firing_times[intensity]); // Eq. 1
}

/** Indices of the neurons that fired, by time, then by index: a counting sort. */
function spikesInTimeOrder(times, tMax) {
  const first = new Int32Array(tMax + 2);
  for (const t of times) first[t + 1]++;
  for (let t = 0; t < tMax; t++) first[t + 1] += first[t];
  const order = new Int32Array(first[tMax]);
  times.forEach((t, j) => {
    if (t < tMax) order[first[t]++] = j;
  });
  return order;
}

/** The spike of neuron j: add its weights to the potentials v of all neurons whose receptive field it is in. */
function arrive(j, v, w, g) {
  const map = j % g.maps_pre, pixel = (j - map) / g.maps_pre;
  const column = pixel % g.width, row = (pixel - column) / g.width;
  for (let ky = 0; ky < g.kernel_height; ky++) {
    const y = (row + g.pad_top - ky) / g.stride;
    if (!Number.isInteger(y) || y < 0 || y >= g.height_post) continue;
    for (let kx = 0; kx < g.kernel_width; kx++) {
      const x = (column + g.pad_left - kx) / g.stride;
      if (!Number.isInteger(x) || x < 0 || x >= g.width_post) continue;
      const to = (y * g.width_post + x) * g.maps_post;
      const from = ((ky * g.kernel_width + kx) * g.maps_pre + map) * g.maps_post;
      for (let m = 0; m < g.maps_post; m++) v[to + m] += w[from + m]; // Eq. 2
    }
  }
}

/** Firing times of a layer of IF neurons. trace, if given, gets the potentials at the end of every step. */
function fire(times, layer, weights, tMax, trace) {
  const [height, width, maps] = layer.shape;
  const w = weights.subarray(...layer.weights), order = spikesInTimeOrder(times, tMax);
  const v = new Float32Array(height * width * maps), post = new Int16Array(v.length).fill(tMax);
  let s = 0;
  for (let t = 0; t < tMax; t++) {
    while (s < order.length && times[order[s]] === t) arrive(order[s++], v, w, layer.geometry);
    const threshold = layer.threshold[t]; // all spikes of a step come before the test
    for (let i = 0; i < v.length; i++) {
      if (v[i] >= threshold && post[i] === tMax) post[i] = t; // Eq. 3
    }
    if (trace) trace.set(v, t * v.length);
  }
  return post;
}

/** Spike-pooling: a pooling neuron fires with the earliest neuron of its window (section 2.1). */
function pool(times, before, layer, tMax) {
  const [height, width, maps] = layer.shape, n = layer.window;
  const post = new Int16Array(height * width * maps).fill(tMax);
  for (let i = 0; i < post.length; i++) {
    const m = i % maps, x = Math.floor(i / maps) % width, y = Math.floor(i / (maps * width));
    for (let k = 0; k < n * n; k++) {
      const yy = y * n + Math.floor(k / n), xx = x * n + (k % n);
      post[i] = Math.min(post[i], times[(yy * before[1] + xx) * maps + m]);
    }
  }
  return post;
}

/** The class: the earliest output; ties by the larger potential in that step, then the lower index; without an output
    spike the largest potential at the end (D20). trace : potentials, (tMax, classes) */
function decide(out, trace, tMax) {
  const time = Math.min(...out), row = Math.min(time, tMax - 1) * out.length;
  let best = -1;
  out.forEach((t, c) => {
    if (t === time && (best < 0 || trace[row + c] > trace[row + best])) best = c;
  });
  return best;
}

/** Present an image: {times: of each layer, input first; potentials: (tMax, classes) of the outputs; label}. */
function forward(network, weights, pixels) {
  const tMax = network.t_max, times = [encode(pixels, network)];
  const potentials = new Float32Array(tMax * network.classes.length);
  network.layers.forEach((layer, i) => {
    const below = times[i], shape = i ? network.layers[i - 1].shape : network.input_shape;
    const trace = i === network.layers.length - 1 ? potentials : null;
    times.push(layer.window ? pool(below, shape, layer, tMax) : fire(below, layer, weights, tMax, trace));
  });
  return { times, potentials, label: decide(times.at(-1), potentials, tMax) };
}

/* ------------------------------------------------------------------------------------------- what Python wrote */

function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

/** Numbers of 32 bits. */
function floatsOf(base64) {
  return new Float32Array(bytesOf(base64).buffer);
}

/** Firing times of a layer of `size` neurons from its spikes: for each the number of silent neurons before it, and its
    time; a number is bytes of seven bits, lowest first, the eighth set where more follow. */
function timesOf(base64, size, tMax) {
  const times = new Int16Array(size).fill(tMax), bytes = bytesOf(base64);
  let at = 0;
  const number = () => {
    let value = 0, shift = 0;
    for (; bytes[at] & 128; shift += 7) value |= (bytes[at++] & 127) << shift;
    return value | (bytes[at++] << shift);
  };
  for (let j = 0; at < bytes.length; j++) {
    j += number();
    times[j] = number();
  }
  return times;
}

/** What Python computed for one of its images, in the form of `forward`. */
function stored(network, image) {
  const shapes = [network.input_shape, ...network.layers.map((layer) => layer.shape)];
  const times = image.spikes.map((spikes, i) => timesOf(spikes, shapes[i].reduce((a, b) => a * b), network.t_max));
  return { times, potentials: floatsOf(image.potentials), label: image.decided };
}
