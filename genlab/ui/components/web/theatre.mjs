// Two ways between codes, straight and along the sphere, side by side: play, scrub, loop, and where they lead.

import { Stream, decoderOf } from "./decoder.mjs";
import { Ground, mark } from "./ground.mjs";
import { lerp, placeOf, slerp } from "./latent.mjs";
import { Told } from "./history.mjs";
import { doubles, element, fitted, floats, inks, paint, status, withHistory } from "./parts.mjs";

const KINDS = { lerp, slerp };
const TITLES = { lerp: "Straight line (lerp)", slerp: "Along the sphere (slerp)" };
const FRAMES = 12; // of a filmstrip, for each stretch of the way
const SECONDS = 3; // for a stretch
const LAYERS = { density: true, points: true };
const finely = time => Math.round(time * 1000) / 1000; // as finely as an address says it

export function mount(component) {
  return new Theatre(component.parentElement.querySelector(".genlab"));
}

class Theatre {
  constructor(root) {
    this.root = root;
    root.theatre = this; // a handle for scripts and tests
    this.time = 0;
    this.told = new Told();
    this.history = withHistory(root, { read: () => ({ time: this.time, ends: this.ends }), write: state => this.put(state) });
    this.base = element("canvas");
    this.top = element("canvas");
    this.play = element("button", { type: "button", class: "main", onclick: () => this.toggle() }, "Play");
    this.loop = element("button", { type: "button", "aria-pressed": "true", onclick: () => this.loop.setAttribute("aria-pressed", String(this.loop.getAttribute("aria-pressed") !== "true")) }, "Loop");
    this.scrub = element("input", { type: "range", min: 0, max: 1, step: 0.001, value: 0, "aria-label": "Along the way", oninput: () => { this.stop(); this.seek(Number(this.scrub.value)); }, onchange: () => this.settled() });
    this.rows = Object.fromEntries(Object.keys(KINDS).map(kind => [kind, {
      picture: element("canvas", { class: "picture", role: "img" }),
      film: element("canvas", {
        class: "film", tabindex: -1, onpointerdown: event => { event.target.setPointerCapture(event.pointerId); this.stop(); this.along(event); },
        onpointermove: event => event.buttons && this.along(event), onpointerup: () => this.settled(),
      }),
    }]));
    this.map = element("div", { class: "map" }, element("div", { class: "square" }, this.base, this.top));
    this.legend = element("div", { class: "readout" });
    this.head = element("div");
    root.replaceChildren(this.head,
      element("div", { class: "tools" }, this.play, this.loop, ...this.history.buttons, element("label", { class: "grow" }, this.scrub)),
      element("div", { class: "stage" }, this.map, element("div", { class: "acts" }, ...Object.entries(this.rows).map(([kind, { picture }]) =>
        element("div", { class: `act ${kind}` }, element("div", { class: "title" }, TITLES[kind]), picture)))),
      this.legend, ...Object.entries(this.rows).map(([kind, { film }]) => element("div", { class: `reel ${kind}` }, film)));
    this.resizing = new ResizeObserver(() => this.repaint());
    this.resizing.observe(root);
  }

  update(component) {
    const { data } = component, first = !this.data, fresh = this.data?.name !== data.name;
    Object.assign(this, { component, data });
    if (first) this.time = data.time;
    if (this.told.takes(data.ends)) this.ends = data.ends;
    this.colours = inks(this.root);
    for (const kind of Object.keys(KINDS)) this.root.style.setProperty(`--${kind}`, data.inks[kind]);
    if (fresh) this.begin(data);
    first ? this.history.begin() : this.history.note();
    this.repaint();
  }

  // As it was before: the time at once, the ends of the way by Python, whose widgets hold them.
  put({ time, ends }) {
    this.stop();
    const moved = time !== this.time;
    this.seek(time);
    if (moved) this.tellTime();
    if (JSON.stringify(ends) === JSON.stringify(this.ends)) return;
    this.ends = ends;
    this.told.tell(ends);
    this.component.setStateValue("ends", { ends, turn: this.told.turn }); // another value each time, so that it is heard
  }

  begin(data) {
    this.decoder = decoderOf(data.decoder);
    this.head.replaceChildren(status(this.decoder));
    this.decoder.ready.then(() => { this.root.dataset.where = this.decoder.where; });
    const values = doubles(data.codes);
    this.codes = Array.from({ length: data.count }, (_, index) => values.subarray(index * data.size, (index + 1) * data.size));
    this.legs = data.closed ? data.count : data.count - 1;
    this.grounds = data.planes.map(plane => plane && Object.assign(new Ground({ ...plane, points: floats(plane.points) }), { frame: plane.frame }));
    this.map.hidden = !this.grounds.some(Boolean);
    this.stream = new Stream(this.decoder, (pictures, time) => this.show(pictures, time), error => this.fail(error));
    this.films = new Stream(this.decoder, pictures => { this.reels = pictures; this.wind(); }, error => this.fail(error));
    this.reels = null;
    const count = FRAMES * this.legs + 1, codes = new Float32Array(2 * count * data.size);
    Object.keys(KINDS).forEach((kind, row) => {
      for (let frame = 0; frame < count; frame++) codes.set(this.code(kind, frame / (count - 1)), (row * count + frame) * data.size);
    });
    this.films.want(codes, 2 * count);
    this.seek(Math.min(this.time, 1));
  }

  // The stretch of the way at a time in [0, 1], and how far along it.
  leg(time) {
    const along = time * this.legs, leg = Math.min(this.legs - 1, Math.floor(along));
    return [leg, along - leg];
  }

  code(kind, time) {
    const [leg, t] = this.leg(time);
    return KINDS[kind](this.codes[leg], this.codes[(leg + 1) % this.codes.length], t);
  }

  seek(time) {
    this.time = time;
    this.scrub.value = time;
    const codes = new Float32Array(2 * this.data.size);
    Object.keys(KINDS).forEach((kind, row) => codes.set(this.code(kind, time), row * this.data.size));
    this.stream.want(codes, 2, time);
    this.draw();
  }

  // The time was let go of: Python keeps it in the address.
  settled() {
    this.history.note();
    this.tellTime();
  }

  tellTime() {
    this.component.setStateValue("time", this.time);
  }

  show(pictures, time) {
    Object.values(this.rows).forEach((row, index) => {
      paint(row.picture, pictures, index);
      row.picture.setAttribute("aria-label", `${Object.values(TITLES)[index]} at ${Math.round(100 * time)} %`);
    });
    this.pictures = pictures;
    this.root.dataset.shown = time; // scripts wait for this
  }

  fail(error) {
    this.head.replaceChildren(element("div", { class: "status" }, `No picture came: ${error.message}`));
  }

  // A filmstrip: all its pictures in a row, as many as there is room for.
  wind() {
    if (!this.reels) return;
    const { bytes, width, height, count } = this.reels, frames = count / 2;
    Object.values(this.rows).forEach(({ film }, row) => {
      Object.assign(film, { width: frames * width, height });
      const context = film.getContext("2d");
      for (let frame = 0; frame < frames; frame++) {
        const at = (row * frames + frame) * width * height * 4;
        context.putImageData(new ImageData(bytes.subarray(at, at + width * height * 4), width, height), frame * width, 0);
      }
      film.style.aspectRatio = `${frames * width} / ${height}`;
    });
    this.root.dataset.films = count;
    this.draw();
  }

  along(event) {
    const box = event.target.getBoundingClientRect();
    this.seek(finely(Math.min(1, Math.max(0, (event.clientX - box.left) / box.width))));
  }

  toggle() {
    if (this.playing) return this.pause();
    if (this.time >= 1) this.time = 0;
    this.play.textContent = "Pause";
    let before = null, ahead = 1;
    const step = now => {
      if (!this.playing) return;
      let time = this.time + ahead * (before === null ? 0 : (now - before) / 1000 / SECONDS / this.legs);
      before = now;
      if (time >= 1 || time <= 0) {
        if (this.loop.getAttribute("aria-pressed") !== "true") { this.time = Math.min(1, Math.max(0, time)); return this.pause(); }
        if (this.data.closed) time %= 1; else { ahead = time >= 1 ? -1 : 1; time = Math.min(1, Math.max(0, time)); } // and back
      }
      this.seek(time);
      this.playing = requestAnimationFrame(step);
    };
    this.playing = requestAnimationFrame(step);
  }

  stop() {
    if (this.playing) cancelAnimationFrame(this.playing);
    this.playing = null;
    this.play.textContent = "Play";
  }

  pause() {
    this.stop();
    this.seek(finely(this.time));
    this.settled();
  }

  // The plane through both ends and the origin, on which both ways lie.
  repaint() {
    this.mapped = null;
    this.draw();
  }

  draw() {
    if (!this.codes || this.queued) return;
    this.queued = true;
    requestAnimationFrame(() => { this.queued = false; this.overlay(); });
  }

  overlay() {
    const [leg] = this.leg(this.time), ground = this.grounds[leg];
    Object.values(this.rows).forEach(({ film }) => film.parentElement.style.setProperty("--time", this.time));
    if (!ground || !this.base.clientWidth) return;
    if (this.mapped !== leg) {
      ground.paint(this.base, this.colours, LAYERS);
      this.mapped = leg;
      this.legend.textContent = this.data.legends[leg];
    }
    const { context, width, height } = fitted(this.top);
    context.clearRect(0, 0, width, height);
    for (const [kind, way] of Object.entries(KINDS)) {
      context.strokeStyle = this.data.inks[kind];
      context.lineWidth = 3;
      context.beginPath();
      for (let step = 0; step <= 60; step++) context.lineTo(...ground.toPixels(...placeOf(ground.frame, way(this.codes[leg], this.codes[(leg + 1) % this.codes.length], step / 60))));
      context.stroke();
    }
    [leg, (leg + 1) % this.codes.length].forEach(index => mark(context, this.colours, ground.toPixels(...placeOf(ground.frame, this.codes[index])), { label: this.data.names[index], radius: 5, fill: this.colours.text, above: true }));
    for (const kind of Object.keys(KINDS)) mark(context, this.colours, ground.toPixels(...placeOf(ground.frame, this.code(kind, this.time))), { radius: 7, fill: this.data.inks[kind] });
  }

  destroy() {
    this.stop();
    this.resizing.disconnect();
  }
}
