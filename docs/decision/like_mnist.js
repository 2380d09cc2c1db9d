"use strict";
/* A drawn digit in MNIST's form, as s4nn_ref/data/like_mnist.py makes it: cut to its bounds, scaled to fit 20 x 20, its
   centre of mass at the centre of 28 x 28. Pictures are {height, width, data: numbers from 0 to 1, row by row}. */

const SIZE = 28, BOX = 20, CENTRE = 14, INK = 0.15;

/** Round to the next whole number, halves to the even one, as Python does. */
function rounded(x) {
  const low = Math.floor(x), rest = x - low;
  return rest > 0.5 || (rest === 0.5 && low % 2) ? low + 1 : low;
}

/** The background: the median of the picture's edge. */
function background({ height, width, data }) {
  const row = (y) => Array.from(data.slice(y * width, (y + 1) * width));
  const column = (x) => Array.from({ length: height }, (_, y) => data[y * width + x]);
  const edge = [...row(0), ...row(height - 1), ...column(0), ...column(width - 1)].sort((a, b) => a - b);
  return (edge[(edge.length - 1) >> 1] + edge[edge.length >> 1]) / 2;
}

/** Brightness above the background, scaled so that the brightest pixel is 1; zeros where all is alike. */
function inkOf(picture) {
  const paper = background(picture), above = picture.data.map((x) => Math.max(x - paper, 0));
  const most = above.reduce((a, b) => Math.max(a, b), 0);
  return { ...picture, data: most > 0 ? above.map((x) => x / most) : above };
}

/** The part of the ink that holds the digit; null where there is none. */
function cut({ height, width, data }) {
  let top = height, bottom = -1, left = width, right = -1;
  data.forEach((x, i) => {
    if (x <= INK) return;
    const row = Math.floor(i / width), column = i % width;
    [top, bottom] = [Math.min(top, row), Math.max(bottom, row)];
    [left, right] = [Math.min(left, column), Math.max(right, column)];
  });
  if (bottom < 0) return null;
  const part = { height: bottom - top + 1, width: right - left + 1 };
  part.data = new Float32Array(part.height * part.width);
  for (let y = 0; y < part.height; y++) {
    for (let x = 0; x < part.width; x++) part.data[y * part.width + x] = data[(top + y) * width + left + x];
  }
  return part;
}

/** For each of `after` pixels, the first of the `before` pixels that it stands for, and their weights: a triangle, as
    wide as the pixels are far apart (Pillow's BILINEAR). */
function shares(before, after) {
  const scale = before / after, reach = Math.max(scale, 1);
  return Array.from({ length: after }, (_, i) => {
    const centre = (i + 0.5) * scale;
    const first = Math.max(Math.trunc(centre - reach + 0.5), 0);
    const last = Math.min(Math.trunc(centre + reach + 0.5), before);
    const weights = Array.from({ length: last - first }, (_, k) =>
      Math.max(1 - Math.abs((first + k - centre + 0.5) / reach), 0));
    const sum = weights.reduce((a, b) => a + b, 0);
    return { first, weights: weights.map((weight) => weight / sum) };
  });
}

/** A picture stretched or shrunk: its columns first, then its rows, each rounded to 32 bits. */
function resized({ height, width, data }, newHeight, newWidth) {
  const along = (share, at) => share.weights.reduce((sum, weight, k) => sum + weight * at(share.first + k), 0);
  const narrow = new Float32Array(height * newWidth), small = new Float32Array(newHeight * newWidth);
  shares(width, newWidth).forEach((share, x) => {
    for (let y = 0; y < height; y++) narrow[y * newWidth + x] = along(share, (i) => data[y * width + i]);
  });
  shares(height, newHeight).forEach((share, y) => {
    for (let x = 0; x < newWidth; x++) small[y * newWidth + x] = along(share, (i) => narrow[i * newWidth + x]);
  });
  return { height: newHeight, width: newWidth, data: small };
}

/** Row and column of the frame where a digit begins whose centre of mass is to be at the centre. Of a digit that is
    symmetric, so that its centre lies just between two pixels, Python's sums of 32 bits may choose the other one. */
function cornerOf({ height, width, data }) {
  let mass = 0, downwards = 0, across = 0;
  data.forEach((x, i) => {
    mass += x;
    downwards += x * Math.floor(i / width);
    across += x * (i % width);
  });
  const place = (moment, n) => Math.min(Math.max(rounded(CENTRE - moment / mass), 0), SIZE - n);
  return [place(downwards, height), place(across, width)];
}

/** The digit of a picture, light on dark, as MNIST would show it: Uint8Array of 28 x 28, or null if there is none. */
function likeMnist(picture) {
  const digit = cut(inkOf(picture));
  if (!digit) return null;
  const scale = BOX / Math.max(digit.height, digit.width);
  const side = (n) => Math.max(1, rounded(n * scale));
  const small = resized(digit, side(digit.height), side(digit.width));
  const most = small.data.reduce((a, b) => Math.max(a, b), 0);
  small.data = small.data.map((x) => x / most);
  const [top, left] = cornerOf(small), framed = new Uint8Array(SIZE * SIZE);
  small.data.forEach((x, i) => {
    const row = top + Math.floor(i / small.width), column = left + (i % small.width);
    framed[row * SIZE + column] = rounded(Math.min(Math.max(x, 0), 1) * 255);
  });
  return framed;
}
