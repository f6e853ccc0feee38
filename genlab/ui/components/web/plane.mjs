// A plane of latent space under the finger: what lies there is decoded as it moves, and Python hears of it on release.

import { Stream, decoderOf } from "./decoder.mjs";
import { Ground, mark } from "./ground.mjs";
import { codeAt } from "./latent.mjs";
import { Sheet, element, fitted, floats, inks, paint, status } from "./parts.mjs";

const TILES = 15;
const BUBBLE = 84;
const STEP = 1 / 60; // of the plane's width, for one press of an arrow key
const MOST_PINS = 12;
const LAYERS = { pictures: "Pictures", density: "Density", points: "Points" };
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

export function mount(component) {
  return new Plane(component.parentElement.querySelector(".genlab"));
}

class Plane {
  constructor(root) {
    this.root = root;
    root.plane = this; // a handle for scripts and tests
    this.layers = { pictures: false, density: true, points: true };
    this.base = element("canvas");
    this.top = element("canvas", {
      tabindex: 0, role: "application", class: "finger",
      onpointerdown: event => this.down(event), onpointermove: event => this.move(event),
      onpointerup: event => this.up(event), onpointercancel: event => this.up(event),
      onkeydown: event => this.key(event), onkeyup: event => ARROWS[event.key] && this.commit(),
    });
    this.picture = element("canvas", { class: "picture", role: "img" });
    this.readout = element("div", { class: "readout" });
    this.toggles = Object.entries(LAYERS).map(([name, title]) => element("button", {
      type: "button", "data-layer": name, "aria-pressed": String(this.layers[name]), onclick: () => this.toggle(name),
    }, title));
    this.pin = element("button", { type: "button", class: "main", onclick: () => this.keep() }, "Pin this picture");
    this.row = element("div", { class: "pins" });
    this.head = element("div");
    root.replaceChildren(this.head,
      element("div", { class: "split" },
        element("div", { class: "wide" }, element("div", { class: "square" }, this.base, this.top),
          element("div", { class: "tools" }, ...this.toggles, element("span", { class: "key" }, "hatched: no code lies near"))),
        element("div", { class: "side" }, this.picture, this.readout, this.pin, this.row)));
    this.resizing = new ResizeObserver(() => this.repaint());
    this.resizing.observe(this.base.parentElement);
  }

  update(component) {
    this.component = component;
    const { data } = component, fresh = this.data?.name !== data.name;
    this.data = data;
    if (fresh) this.begin(data);
    this.colours = inks(this.root);
    this.repaint();
  }

  // Another plane, or another decoder: all begins anew, at the place and with the pins that Python remembers.
  begin(data) {
    this.decoder = decoderOf(data.decoder);
    this.ground = new Ground({ ...data, points: floats(data.points) });
    this.tiles = null;
    this.place = data.place;
    this.pins = data.pins.map(place => ({ place }));
    this.stream = new Stream(this.decoder, (pictures, about) => this.show(pictures, about), error => this.fail(error));
    this.pictures = new Stream(this.decoder, pictures => { this.tiles = new Sheet(pictures); this.repaint(); }, error => this.fail(error));
    this.top.setAttribute("aria-label", data.label);
    this.head.replaceChildren(status(this.decoder));
    this.decoder.ready.then(() => { this.root.dataset.where = this.decoder.where; });
    this.shown = null;
    this.want();
    this.decodePins();
    if (this.layers.pictures) this.wantTiles();
  }

  want() {
    this.stream.want(Float32Array.from(codeAt(this.data.frame, ...this.place)), 1, [...this.place]);
    this.draw();
  }

  show(pictures, place) {
    this.shown = { sheet: new Sheet(pictures), pictures, place };
    paint(this.picture, pictures);
    this.picture.style.aspectRatio = `${pictures.width} / ${pictures.height}`;
    this.root.dataset.shown = place.join(); // scripts wait for this
    this.draw();
  }

  fail(error) {
    this.readout.textContent = `No picture came: ${error.message}`;
  }

  // The pointer.
  at(event) {
    const box = this.top.getBoundingClientRect();
    return this.ground.toPlane(event.clientX - box.left, event.clientY - box.top);
  }

  down(event) {
    if (event.button) return;
    this.top.setPointerCapture(event.pointerId);
    this.dragging = true;
    this.place = this.at(event);
    this.want();
  }

  move(event) {
    if (!this.dragging) return;
    this.place = this.at(event);
    this.want();
  }

  up() {
    if (this.dragging) this.commit();
    this.dragging = false;
    this.draw();
  }

  key(event) {
    if (event.key === "Enter") this.keep();
    const way = ARROWS[event.key];
    if (!way) return;
    event.preventDefault();
    const [left, right, bottom, top] = this.ground.extent, step = (right - left) * STEP * (event.shiftKey ? 0.2 : 1);
    this.place = [Math.min(right, Math.max(left, this.place[0] + way[0] * step)), Math.min(top, Math.max(bottom, this.place[1] + way[1] * step))];
    this.want();
  }

  commit() {
    this.component.setStateValue("place", { plane: this.data.name, at: this.place });
  }

  toggle(name) {
    this.layers[name] = !this.layers[name];
    this.toggles.find(button => button.dataset.layer === name).setAttribute("aria-pressed", String(this.layers[name]));
    if (this.layers.pictures && !this.tiles) this.wantTiles();
    this.repaint();
  }

  wantTiles() {
    const [left, right, bottom, top] = this.ground.extent, size = this.data.frame.origin.length;
    const codes = new Float32Array(TILES * TILES * size);
    for (let tile = 0; tile < TILES * TILES; tile++) {
      const x = left + (tile % TILES + 0.5) / TILES * (right - left), y = top - (Math.floor(tile / TILES) + 0.5) / TILES * (top - bottom);
      codes.set(codeAt(this.data.frame, x, y), tile * size);
    }
    this.pictures.want(codes, TILES * TILES);
  }

  // Pins: pictures to keep.
  keep() {
    if (!this.shown) return;
    this.pins = [...this.pins, { place: [...this.place] }].slice(-MOST_PINS);
    this.tellPins();
  }

  drop(pin) {
    this.pins = this.pins.filter(other => other !== pin);
    this.tellPins();
  }

  tellPins() {
    this.decodePins();
    this.draw();
    this.component.setStateValue("pins", { plane: this.data.name, at: this.pins.map(pin => pin.place) });
  }

  async decodePins() {
    this.row.replaceChildren(...this.pins.map((pin, index) => {
      pin.canvas ??= element("canvas", { class: "pinned" });
      return element("div", { class: "pin" },
        element("button", { type: "button", title: `Go to pin ${index + 1}`, "aria-label": `Go to pin ${index + 1}`, onclick: () => { this.place = [...pin.place]; this.want(); this.commit(); } }, pin.canvas),
        element("button", { type: "button", class: "drop", title: `Take out pin ${index + 1}`, "aria-label": `Take out pin ${index + 1}`, onclick: () => this.drop(pin) }, "×"));
    }));
    const bare = this.pins.filter(pin => !pin.decoded), size = this.data.frame.origin.length;
    if (!bare.length) return;
    const codes = new Float32Array(bare.length * size);
    bare.forEach((pin, index) => { pin.decoded = true; codes.set(codeAt(this.data.frame, ...pin.place), index * size); });
    const pictures = await this.decoder.decode(codes, bare.length).catch(() => null);
    if (pictures) bare.forEach((pin, index) => paint(pin.canvas, pictures, index));
  }

  // Painting.
  repaint() {
    if (!this.ground || !this.base.clientWidth) return;
    this.ground.paint(this.base, this.colours, this.layers, this.tiles);
    this.draw();
  }

  draw() {
    if (!this.colours || this.queued) return;
    this.queued = true;
    requestAnimationFrame(() => { this.queued = false; this.overlay(); });
  }

  overlay() {
    const { context, width, height } = fitted(this.top);
    if (!width || !this.ground.scale) return;
    context.clearRect(0, 0, width, height);
    for (const corner of this.data.corners) mark(context, this.colours, this.ground.toPixels(...corner.at), { label: corner.name, radius: 5, fill: this.colours.text });
    this.pins.forEach((pin, index) => mark(context, this.colours, this.ground.toPixels(...pin.place), { label: `${index + 1}`, radius: 4, fill: this.colours.ground }));
    const [x, y] = this.ground.toPixels(...this.place);
    mark(context, this.colours, [x, y]);
    if (this.shown && this.dragging) this.bubble(context, x, y, width);
    this.tell();
  }

  // The picture beside the finger, above it where there is room.
  bubble(context, x, y, width) {
    const { width: w, height: h } = this.shown.pictures, tall = BUBBLE * Math.min(1, h / w), wide = tall * w / h;
    const left = Math.min(width - wide - 6, Math.max(6, x - wide / 2)), top = y > tall + 30 ? y - tall - 24 : y + 24;
    context.fillStyle = this.colours.ground;
    context.strokeStyle = this.colours.primary;
    context.lineWidth = 2;
    context.beginPath();
    context.roundRect(left - 4, top - 4, wide + 8, tall + 8, 7);
    context.fill();
    context.stroke();
    context.imageSmoothingEnabled = false;
    this.shown.sheet.draw(context, 0, left, top, wide, tall);
  }

  tell() {
    const far = this.ground.farness(...this.place), { noun } = this.data;
    const honest = far <= 1 ? `As near to ${noun} as they are to one another.`
      : `${far.toFixed(1)} times as far from ${noun} as nearly all of them are from one another: the decoder has seen nothing here.`;
    const where = `${this.data.axes[0]} ${this.place[0].toFixed(2)}, ${this.data.axes[1]} ${this.place[1].toFixed(2)}`;
    this.readout.replaceChildren(element("b", {}, where), element("span", { "data-far": far > 1 }, honest));
    this.picture.setAttribute("aria-label", `Decoded at ${where}. ${honest}`);
  }

  destroy() {
    this.resizing.disconnect();
  }
}
