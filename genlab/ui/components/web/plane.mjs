// A plane of latent space under the finger: what lies there is decoded as it moves, and Python hears of it on release.

import { Stream, decoderOf } from "./decoder.mjs";
import { mark } from "./ground.mjs";
import { codeAt, interpolated } from "./latent.mjs";
import { Pad } from "./pad.mjs";
import { Sheet, element, floats, paint, status, withHistory } from "./parts.mjs";

const TILES = 15;
const BUBBLE = 84;
const MOST_PINS = 12;
const LAYERS = { pictures: "Pictures", density: "Density", points: "Points" };

export function mount(component) {
  return new Plane(component.parentElement.querySelector(".genlab"));
}

class Plane {
  constructor(root) {
    this.root = root;
    root.plane = this; // a handle for scripts and tests
    this.pad = new Pad(this);
    this.history = withHistory(root, { read: () => this.state(), write: state => this.put(state) });
    this.picture = element("canvas", { class: "picture", role: "img" });
    this.readout = element("div", { class: "readout" });
    this.toggles = element("div", { class: "tools" });
    this.legend = element("div", { class: "shade", hidden: true });
    this.pin = element("button", { type: "button", class: "main", onclick: () => this.keep() }, "Pin this picture");
    this.row = element("div", { class: "pins" });
    this.head = element("div");
    root.replaceChildren(this.head,
      element("div", { class: "split" },
        element("div", { class: "wide" }, this.pad.node, this.toggles, this.legend),
        element("div", { class: "side" }, this.picture, this.readout, element("div", { class: "pair" }, this.pin, element("div", { class: "pair" }, ...this.history.buttons)), this.row)));
  }

  get place() {
    return this.pad.place;
  }

  update(component) {
    this.component = component;
    const { data } = component, fresh = this.data?.name !== data.name;
    this.data = data;
    this.shades = Object.fromEntries((data.shades ?? []).map(shade => [shade.name, { ...shade, values: shade.values && floats(shade.values) }]));
    if (fresh) this.begin(data);
    this.offer();
    this.pad.dress(this.root);
  }

  // Another plane, or another decoder: all begins anew, at the place and with the pins that Python remembers.
  begin(data) {
    this.decoder = decoderOf(data.decoder);
    this.pad.lay(data);
    this.pins = data.pins.map(place => ({ place }));
    this.shade = data.shade ?? "";
    this.stream = new Stream(this.decoder, (pictures, about) => this.show(pictures, about), error => this.fail(error));
    this.pictures = new Stream(this.decoder, pictures => { this.pad.tiles = new Sheet(pictures); this.pad.repaint(); }, error => this.fail(error));
    this.head.replaceChildren(status(this.decoder));
    this.decoder.ready.then(() => { this.root.dataset.where = this.decoder.where; });
    this.shown = null;
    this.moved();
    this.decodePins();
    this.history.begin();
    if (this.pad.layers.pictures) this.wantTiles();
  }

  state() {
    const { pictures, density, points } = this.pad.layers;
    return { place: [...this.place], pins: this.pins.map(pin => pin.place), layers: { pictures, density, points }, shade: this.shade };
  }

  // As it was before: the place, the pins, of which those that still stand keep their pictures, and what is drawn below them.
  put({ place, pins, layers, shade }) {
    const moved = place.join() !== this.place.join(), others = pins.join() !== this.pins.map(pin => pin.place).join();
    const shaded = shade !== this.shade;
    this.pins = pins.map(at => this.pins.find(pin => pin.place.join() === at.join()) ?? { place: at });
    Object.assign(this.pad.layers, layers);
    this.shade = shade;
    this.pad.go([...place]);
    this.redraw();
    if (moved) this.settled();
    if (others) this.tellPins();
    if (shaded) this.tellShade();
  }

  moved() {
    this.stream.want(this.pad.code(), 1, [...this.place]);
  }

  show(pictures, place) {
    this.shown = { sheet: new Sheet(pictures), pictures, place };
    paint(this.picture, pictures);
    this.picture.style.aspectRatio = `${pictures.width} / ${pictures.height}`;
    this.root.dataset.shown = place.join(); // scripts wait for this
    this.pad.draw();
  }

  fail(error) {
    this.readout.textContent = `No picture came: ${error.message}`;
  }

  settled() {
    this.component.setStateValue("place", { plane: this.data.name, at: this.place });
    this.history.note();
  }

  entered() {
    this.keep();
  }

  // Layers: what is drawn on the plane, and by what measure it is shaded; only one of those at a time.
  offer() {
    const { layers } = this.pad;
    const button = (name, title, pressed, press) => element("button", { type: "button", "data-layer": name, "aria-pressed": String(pressed), onclick: press }, title);
    const focused = this.toggles.getRootNode().activeElement?.dataset?.layer;
    this.toggles.replaceChildren(
      ...Object.entries(LAYERS).map(([name, title]) => button(name, title, layers[name] && !(name === "density" && this.shade), () => this.toggle(name))),
      ...Object.values(this.shades).map(({ name, title }) => button(name, title, this.shade === name, () => this.ask(name))),
      element("span", { class: "key" }, "hatched: no code lies near"));
    if (focused) this.toggles.querySelector(`[data-layer=${focused}]`)?.focus();
    const shade = this.shades[this.shade];
    layers.shade = shade?.values ? shade : null;
    this.explain(shade);
    this.root.dataset.shade = layers.shade ? this.shade : ""; // scripts wait for this
  }

  toggle(name) {
    const { layers } = this.pad;
    if (name === "density" && this.shade) { // density comes back in its place
      layers.density = true;
      return this.ask("");
    }
    layers[name] = !layers[name];
    this.redraw();
    this.history.note();
  }

  redraw() {
    if (this.pad.layers.pictures && !this.pad.tiles) this.wantTiles();
    this.offer();
    this.pad.repaint();
  }

  // A shade that has not come yet is computed by Python, once for each plane.
  ask(name) {
    this.shade = this.shade === name ? "" : name;
    this.redraw();
    this.tellShade();
    this.history.note();
  }

  tellShade() {
    this.component.setStateValue("shade", { plane: this.data.name, at: this.shade });
  }

  explain(shade) {
    this.legend.hidden = !shade;
    if (!shade) return;
    const bar = element("span", { class: "ramp", style: `background: linear-gradient(90deg, ${shade.ramp.join()})` });
    this.legend.replaceChildren(element("b", {}, shade.title),
      ...shade.values ? [element("span", { class: "scale" }, "0", bar, `${shade.most.toPrecision(2)} ${shade.unit}${shade.beyond ? " and more" : ""}`)] : [" … on its way"],
      element("div", {}, shade.meaning));
  }

  wantTiles() {
    const [left, right, bottom, top] = this.pad.ground.extent, size = this.data.frame.origin.length;
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
    this.pad.draw();
    this.component.setStateValue("pins", { plane: this.data.name, at: this.pins.map(pin => pin.place) });
    this.history.note();
  }

  async decodePins() {
    this.row.replaceChildren(...this.pins.map((pin, index) => {
      pin.canvas ??= element("canvas", { class: "pinned" });
      return element("div", { class: "pin" },
        element("button", { type: "button", title: `Go to pin ${index + 1}`, "aria-label": `Go to pin ${index + 1}`, onclick: () => { this.pad.go([...pin.place]); this.settled(); } }, pin.canvas),
        element("button", { type: "button", class: "drop", title: `Take out pin ${index + 1}`, "aria-label": `Take out pin ${index + 1}`, onclick: () => this.drop(pin) }, "×"));
    }));
    const bare = this.pins.filter(pin => !pin.decoded), size = this.data.frame.origin.length;
    if (!bare.length) return;
    const codes = new Float32Array(bare.length * size);
    bare.forEach((pin, index) => { pin.decoded = true; codes.set(this.pad.code(pin.place), index * size); });
    const pictures = await this.decoder.decode(codes, bare.length).catch(() => null);
    if (pictures) bare.forEach((pin, index) => paint(pin.canvas, pictures, index));
  }

  // What lies over the ground.
  marks(context, width) {
    const { colours, ground } = this.pad;
    for (const corner of this.data.corners) mark(context, colours, ground.toPixels(...corner.at), { label: corner.name, radius: 5, fill: colours.text });
    this.pins.forEach((pin, index) => mark(context, colours, ground.toPixels(...pin.place), { label: `${index + 1}`, radius: 4, fill: colours.ground }));
    const [x, y] = ground.toPixels(...this.place);
    mark(context, colours, [x, y]);
    if (this.shown && this.pad.dragging) this.bubble(context, x, y, width);
    this.tell();
  }

  // The picture beside the finger, above it where there is room.
  bubble(context, x, y, width) {
    const { colours } = this.pad;
    const { width: w, height: h } = this.shown.pictures, tall = BUBBLE * Math.min(1, h / w), wide = tall * w / h;
    const left = Math.min(width - wide - 6, Math.max(6, x - wide / 2)), top = y > tall + 30 ? y - tall - 24 : y + 24;
    context.fillStyle = colours.ground;
    context.strokeStyle = colours.primary;
    context.lineWidth = 2;
    context.beginPath();
    context.roundRect(left - 4, top - 4, wide + 8, tall + 8, 7);
    context.fill();
    context.stroke();
    context.imageSmoothingEnabled = false;
    this.shown.sheet.draw(context, 0, left, top, wide, tall);
  }

  tell() {
    const { where, honest, far } = this.pad.words(), { shade } = this.pad.layers;
    this.readout.replaceChildren(element("b", {}, where), element("span", { "data-far": far }, honest));
    if (shade) this.readout.append(element("span", { class: "here" }, `${shade.title}: ${interpolated(shade, this.pad.ground.extent, ...this.place).toPrecision(2)} ${shade.unit}`));
    this.picture.setAttribute("aria-label", `Decoded at ${where}. ${honest}`);
  }

  destroy() {
    this.pad.destroy();
  }
}
