"use strict";
/* The two parts of the page: a test image that Python has presented, and a drawing that is presented here. */

/** Load a script of the folder data/, once. */
const loading = {};
function loaded(name) {
  loading[name] ??= new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = `data/${name}.js`;
    script.onload = done;
    script.onerror = () => failed(new Error(`${script.src} cannot be read`));
    document.head.append(script);
  });
  return loading[name];
}

/** A button that shows an image. */
function thumbnail(network, image, words, onclick) {
  const button = document.createElement("button"), canvas = document.createElement("canvas");
  const pixels = bytesOf(image.pixels), [height, width] = network.input_shape;
  [canvas.height, canvas.width] = [height, width];
  const picture = new ImageData(width, height);
  pixels.forEach((level, i) => picture.data.set([level, level, level, 255], 4 * i));
  canvas.getContext("2d").putImageData(picture, 0, 0);
  button.type = "button";
  button.title = words;
  button.setAttribute("aria-label", words);
  button.append(canvas);
  button.addEventListener("click", onclick);
  return button;
}

/** Mark one of some buttons as chosen; null: none. */
function choose(buttons, chosen) {
  for (const button of buttons.children) button.setAttribute("aria-pressed", button === chosen);
}

/** A part with a choice of networks: `changed` is called with the one that is chosen, when it is loaded. */
function withNetworks(root, scripts, changed) {
  const select = root.querySelector(".network");
  const change = async () => {
    const name = select.value;
    await Promise.all(scripts(name).map(loaded));
    if (name !== select.value) return; // another one was chosen meanwhile
    root.querySelector(".about").textContent = `${s4nn.networks[name].about}.`;
    changed(s4nn.networks[name], name);
  };
  select.addEventListener("change", change);
  return change();
}

function testImages(root) {
  const view = new StepView(root.querySelector(".step-view")), list = root.querySelector(".images");
  let kept = 0; // the place of the image that is shown: another network shows the same one
  return withNetworks(root, (name) => [name], (network) => {
    const show = (i) => {
      kept = i;
      choose(list, list.children[i]);
      view.show(network, stored(network, network.images[i]), network.images[i].label, 0);
    };
    list.replaceChildren(...network.images.map((image, i) => {
      const wrong = image.decided === image.label ? "" : `, decided as ${network.classes[image.decided]}`;
      const button = thumbnail(network, image, `Image ${image.number}: ${network.classes[image.label]}${wrong}`, () => show(i));
      if (wrong) button.classList.add("wrong");
      return button;
    }));
    show(Math.min(kept, network.images.length - 1));
  });
}

/* --------------------------------------------------------------------------------------------------- drawing */

const PEN = 22, KEY_STEP = 8; // pixels of the field: the width of a stroke, and what an arrow key moves

/** A field to draw in, by mouse, finger or keys. `drawn` is called after every stroke. */
class Pad {
  constructor(canvas, drawn) {
    [this.canvas, this.context, this.drawn] = [canvas, canvas.getContext("2d", { willReadFrequently: true }), drawn];
    Object.assign(this.context, { lineWidth: PEN, lineCap: "round", lineJoin: "round", strokeStyle: "#fff" });
    this.pen = { x: canvas.width / 2, y: canvas.height / 4, down: false };
    canvas.addEventListener("pointerdown", (event) => this.begin(event));
    canvas.addEventListener("pointermove", (event) => this.pointer && this.to(this.placeOf(event)));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => this.end());
    canvas.addEventListener("keydown", (event) => this.key(event));
    this.clear();
    this.mark();
  }

  clear() {
    this.empty = true;
    this.context.fillStyle = "#000";
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
  }

  placeOf(event) {
    const box = this.canvas.getBoundingClientRect(), scale = this.canvas.width / box.width;
    return { x: (event.clientX - box.left) * scale, y: (event.clientY - box.top) * scale };
  }

  begin(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.pointer = true;
    Object.assign(this.pen, this.placeOf(event));
    this.to(this.pen); // a dot
  }

  /** A stroke from the pen to a place. */
  to({ x, y }) {
    this.context.beginPath();
    this.context.moveTo(this.pen.x, this.pen.y);
    this.context.lineTo(x, y);
    this.context.stroke();
    this.empty = false;
    Object.assign(this.pen, { x, y });
  }

  end() {
    if (!this.pointer) return;
    this.pointer = false;
    this.mark();
    this.drawn();
  }

  /** Arrow keys move the pen, which is marked, and the space bar puts it down and lifts it. */
  key(event) {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if ((!move && event.key !== " ") || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    if (move) {
      const [x, y] = [this.pen.x + move[0] * KEY_STEP, this.pen.y + move[1] * KEY_STEP];
      const inside = (at) => Math.min(Math.max(at, 0), this.canvas.width);
      const place = { x: inside(x), y: inside(y) };
      if (this.pen.down) this.to(place);
      else Object.assign(this.pen, place);
    } else {
      this.pen.down = !this.pen.down;
      if (this.pen.down) this.to(this.pen);
    }
    this.mark();
    if (this.pen.down) this.drawn();
  }

  /** Show where the pen is, and whether it is down. */
  mark() {
    const pen = this.canvas.nextElementSibling;
    [pen.style.left, pen.style.top] = [`${this.pen.x}px`, `${this.pen.y}px`];
    pen.classList.toggle("down", this.pen.down);
  }

  /** Put an image of a network's data in the field. */
  put(canvas) {
    this.clear();
    this.context.drawImage(canvas, 0, 0, this.canvas.width, this.canvas.height);
  }

  picture() {
    const { width, height } = this.canvas, { data } = this.context.getImageData(0, 0, width, height);
    return { width, height, data: Float64Array.from({ length: width * height }, (_, i) => data[4 * i] / 255) };
  }
}

function drawing(root) {
  const view = new StepView(root.querySelector(".step-view")), list = root.querySelector(".images");
  const answer = root.querySelector(".answer"), empty = answer.textContent;
  let network = null, weights = null, given = null; // an example, as long as nothing is drawn on it
  const nothing = (words) => {
    answer.textContent = words;
    view.pause();
    view.root.hidden = true;
  };
  const present = () => {
    if (!network) return; // not loaded yet
    const pixels = given ?? likeMnist(pad.picture());
    if (!pixels) return nothing(pad.empty ? empty : "There is no digit to be seen: clear the field and draw again.");
    const run = forward(network, weights, pixels), time = Math.min(...run.times.at(-1));
    const when = time < network.t_max ? `, at step ${time}` : ", though no output neuron fires";
    answer.textContent = `The network says ${network.classes[run.label]}${when}.`;
    view.show(network, run, null);
  };
  const pad = new Pad(root.querySelector(".pad"), () => {
    given = null;
    choose(list, null);
    present();
  });
  root.querySelector(".clear").addEventListener("click", () => {
    pad.clear();
    given = null;
    choose(list, null);
    nothing(empty);
  });
  return withNetworks(root, (name) => [name, `${name}.weights`], (chosen, name) => {
    [network, weights] = [chosen, floatsOf(s4nn.weights[name])];
    list.replaceChildren(...network.images.map((image) => {
      const button = thumbnail(network, image, `Example: ${network.classes[image.label]}`, () => {
        pad.put(button.firstChild);
        given = bytesOf(image.pixels);
        choose(list, button);
        present();
      });
      return button;
    }));
    present();
  });
}

testImages(document.getElementById("test-image"));
drawing(document.getElementById("drawing"));
