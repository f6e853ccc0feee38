// Triplets around an anchor: two rings to pull, and the positives and negatives they give, sampled and decoded here.

import { Stream, decoderOf } from "./decoder.mjs";
import { mark } from "./ground.mjs";
import { Told } from "./history.mjs";
import { sampled } from "./latent.mjs";
import { doubles, element, fitted, floats, inks, paint, status, withHistory } from "./parts.mjs";

const ROLES = ["positive", "negative"];
const STEP = 0.01, MOST = 1; // of a radius, as on the sliders
const GRIP = 26; // pixels from a ring within which it is caught

export function mount(component) {
  return new Rings(component.parentElement.querySelector(".genlab"));
}

class Rings {
  constructor(root) {
    this.root = root;
    root.rings = this; // a handle for scripts and tests
    this.active = 0;
    this.told = new Told();
    this.history = withHistory(root, { read: () => ({ radii: this.radii, toward: this.toward, active: this.active }), write: state => this.put(state) });
    this.base = element("canvas");
    this.top = element("canvas", {
      class: "finger", tabindex: -1,
      onpointerdown: event => this.down(event), onpointermove: event => this.move(event),
      onpointerup: event => this.up(event), onpointercancel: event => this.up(event),
    });
    this.handles = Object.fromEntries(ROLES.map(role => [role, element("button", {
      type: "button", class: `handle ${role}`, role: "slider", "aria-label": `Ring of the ${role}s`, "aria-valuemin": 0, "aria-valuemax": MOST,
      onkeydown: event => this.key(event, role), onkeyup: event => event.key.startsWith("Arrow") && this.commit(),
    })]));
    this.titles = Object.fromEntries(ROLES.map(role => [role, element("div", { class: `title ${role}` })]));
    this.strips = Object.fromEntries(ROLES.map(role => [role, element("div", { class: "strip" })]));
    this.anchor = element("canvas", { class: "cell" });
    this.name = element("b");
    this.note = element("div", { class: "readout" });
    this.head = element("div");
    root.replaceChildren(this.head, element("div", { class: "split rings" },
      element("div", { class: "wide" }, element("div", { class: "square" }, this.base, this.top, ...Object.values(this.handles)), element("div", { class: "tools" }, ...this.history.buttons), this.note),
      element("div", { class: "side" }, element("div", { class: "who" }, this.anchor, this.name),
        ...ROLES.flatMap(role => [this.titles[role], this.strips[role]]))));
    this.resizing = new ResizeObserver(() => this.repaint());
    this.resizing.observe(this.base.parentElement);
  }

  update(component) {
    this.component = component;
    const { data } = component, decoder = decoderOf(data.decoder), fresh = decoder !== this.decoder;
    if (fresh) {
      this.decoder = decoder;
      this.head.replaceChildren(status(decoder));
      decoder.ready.then(() => { this.root.dataset.where = decoder.where; });
      this.stream = new Stream(decoder, (pictures, about) => this.show(pictures, about), error => { this.note.textContent = `No picture came: ${error.message}`; });
    }
    this.data = data;
    this.size = data.middle.length;
    const rows = packed => packed && doubles(packed);
    this.means = rows(data.means);
    this.steps = rows(data.steps);
    this.uniform = { positive: rows(data.uniform.positive), negative: rows(data.uniform.negative), factors: rows(data.uniform.factors) };
    this.points = floats(data.points);
    if (fresh) this.active = data.active;
    if (this.active >= data.anchors.length) {
      this.active = data.anchors.length - 1;
      this.tellActive();
    }
    const { radii, toward } = data;
    if (this.told.takes({ radii, toward }) && !this.pulled) Object.assign(this, { radii, toward });
    this.colours = inks(this.root);
    for (const role of ROLES) this.root.style.setProperty(`--${role}`, data.inks[role]);
    this.choose(this.active);
    fresh ? this.history.begin() : this.history.note(); // the sliders beside it can be taken back here too
  }

  // As it was before: the anchor, and what the sliders hold in Python.
  put({ radii, toward, active }) {
    const moved = ROLES.some(role => radii[role] !== this.radii[role] || toward[role] !== this.toward[role]);
    Object.assign(this, { radii, toward });
    const other = active !== this.active;
    this.choose(Math.min(active, this.data.anchors.length - 1));
    if (other) this.tellActive();
    if (moved) this.commit();
  }

  choose(index) {
    this.active = index;
    const row = values => values.subarray(index * this.size, (index + 1) * this.size);
    this.center = { mean: row(this.means), steps: row(this.steps) };
    this.length = Math.hypot(...this.center.steps); // of a step with radius 1, in the space of codes
    this.at = this.placed(this.center.mean);
    this.name.textContent = this.data.anchors[index];
    this.frame();
    this.want();
    this.repaint();
  }

  // The part of the plane that is shown: the codes, and the outer ring with some room to grow.
  frame() {
    let reach = 1.3 * this.radii.negative * this.length * this.widest(1) || 1;
    for (let at = 0; at < this.points.length; at += 2) reach = Math.max(reach, Math.abs(this.points[at] - this.at[0]) * 0.75, Math.abs(this.points[at + 1] - this.at[1]) * 0.75);
    this.reach = reach;
  }

  // The largest or least factor of a stochastic radius.
  widest(sign) {
    return this.uniform.factors ? 1 + sign * this.data.spread : 1;
  }

  placed(code) {
    const { components, mean } = this.data.axes;
    return [0, 1].map(axis => components[axis] ? code.reduce((sum, value, d) => sum + (value - mean[d]) * components[axis][d], 0) : 0);
  }

  toPixels([x, y]) {
    const half = this.base.clientWidth / 2, scale = half / this.reach;
    return [half + (x - this.at[0]) * scale, half - (y - this.at[1]) * scale];
  }

  // The draws of the active anchor, decoded all at once: the anchor, its positives, its negatives.
  want() {
    const { draws } = this.data, codes = new Float32Array((1 + 2 * draws) * this.size);
    codes.set(this.center.mean);
    this.samples = Array.from({ length: draws }, (_, draw) => {
      const row = this.active * draws + draw, part = (values, width) => values && values.subarray(row * width, (row + 1) * width);
      const { factors } = this.uniform, wide = factors && factors.length / (this.data.anchors.length * draws);
      return sampled(this.center, this.radii, this.toward, {
        positive: part(this.uniform.positive, this.size), negative: part(this.uniform.negative, this.size), factors: part(factors, wide),
      });
    });
    this.samples.forEach((sample, draw) => ROLES.forEach((role, side) => codes.set(sample[role], (1 + side * draws + draw) * this.size)));
    this.stream.want(codes, 1 + 2 * draws, { ...this.radii, active: this.active });
    this.draw();
  }

  show(pictures, about) {
    const { draws } = this.data;
    if (pictures.count !== 1 + 2 * draws) return;
    paint(this.anchor, pictures);
    ROLES.forEach((role, side) => {
      const strip = this.strips[role];
      while (strip.children.length < draws) strip.append(element("canvas", { class: "cell", role: "img" }));
      while (strip.children.length > draws) strip.lastChild.remove();
      [...strip.children].forEach((canvas, draw) => { paint(canvas, pictures, 1 + side * draws + draw); canvas.ariaLabel = `${role} ${draw + 1}`; });
    });
    this.pictures = pictures;
    this.root.dataset.shown = `${about.active}:${about.positive},${about.negative}`; // scripts wait for this
  }

  // Pulling.
  from(event) {
    const box = this.top.getBoundingClientRect(), [x, y] = this.toPixels(this.at);
    return Math.hypot(event.clientX - box.left - x, event.clientY - box.top - y);
  }

  ring(role) {
    return this.radii[role] * this.length * this.base.clientWidth / 2 / this.reach;
  }

  down(event) {
    if (event.button || this.pulled) return; // one finger at a time
    const box = this.top.getBoundingClientRect();
    const hit = this.data.anchors.findIndex((_, index) => {
      const [x, y] = this.toPixels(this.placed(this.means.subarray(index * this.size, (index + 1) * this.size)));
      return index !== this.active && Math.hypot(event.clientX - box.left - x, event.clientY - box.top - y) < 12;
    });
    const apart = this.from(event), [role] = [...ROLES].sort((a, b) => Math.abs(apart - this.ring(a)) - Math.abs(apart - this.ring(b)));
    if (Math.abs(apart - this.ring(role)) < GRIP) {
      this.top.setPointerCapture(event.pointerId);
      this.finger = event.pointerId;
      this.pulled = role;
      this.offset = apart - this.ring(role);
    } else if (hit >= 0) {
      this.choose(hit);
      this.tellActive();
      this.history.note();
    }
  }

  move(event) {
    if (!this.pulled) {
      const apart = this.from(event);
      this.top.style.cursor = ROLES.some(role => Math.abs(apart - this.ring(role)) < GRIP) ? "grab" : "default";
      return;
    }
    if (event.pointerId === this.finger) this.set(this.pulled, (this.from(event) - this.offset) / (this.base.clientWidth / 2 / this.reach) / (this.length || 1));
  }

  up(event) {
    if (!this.pulled || event.pointerId !== this.finger) return;
    this.commit();
    this.pulled = null;
  }

  key(event, role) {
    const way = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (!way) return;
    event.preventDefault();
    this.set(role, this.radii[role] + way * STEP);
  }

  // The positive stays nearer than the negative, as Python demands.
  set(role, value) {
    const { positive, negative } = this.radii;
    const [least, most] = role === "positive" ? [0, negative - STEP] : [positive + STEP, MOST];
    const radius = Math.round(Math.min(most, Math.max(least, value)) / STEP) * STEP;
    this.radii = { ...this.radii, [role]: Number(radius.toFixed(2)) };
    this.want();
  }

  commit() {
    const { radii, toward } = this;
    this.told.tell({ radii, toward });
    this.component.setStateValue("radii", { radii, toward, turn: this.told.turn }); // another value each time, so that it is heard
    this.history.note();
  }

  tellActive() {
    this.component.setStateValue("active", this.active);
  }

  // Painting.
  repaint() {
    if (!this.center || !this.base.clientWidth) return;
    const { context, width, height } = fitted(this.base);
    context.fillStyle = this.colours.second;
    context.fillRect(0, 0, width, height);
    context.fillStyle = this.colours.text;
    context.globalAlpha = 0.3;
    for (let at = 0; at < this.points.length; at += 2) {
      const [x, y] = this.toPixels([this.points[at], this.points[at + 1]]);
      context.fillRect(x - 1.25, y - 1.25, 2.5, 2.5);
    }
    context.globalAlpha = 1;
    this.draw();
  }

  draw() {
    if (this.queued) return;
    this.queued = true;
    requestAnimationFrame(() => { this.queued = false; this.overlay(); });
  }

  overlay() {
    const { context, width, height } = fitted(this.top), [x, y] = this.toPixels(this.at);
    if (!width) return;
    context.clearRect(0, 0, width, height);
    const middle = this.toPixels(this.placed(this.data.middle));
    context.strokeStyle = context.fillStyle = this.colours.text;
    context.lineWidth = 1.5;
    context.beginPath();
    context.moveTo(middle[0] - 6, middle[1]); context.lineTo(middle[0] + 6, middle[1]);
    context.moveTo(middle[0], middle[1] - 6); context.lineTo(middle[0], middle[1] + 6);
    context.stroke();
    context.font = "12px system-ui, sans-serif";
    context.textAlign = middle[0] > x ? "left" : "right";
    context.fillText("mean", middle[0] + (middle[0] > x ? 9 : -9), middle[1] - 5);
    for (const role of ROLES) {
      const radius = this.ring(role), ink = this.data.inks[role];
      context.strokeStyle = ink;
      context.lineWidth = role === this.pulled ? 4 : 2.5;
      if (this.uniform.factors) {
        const [inner, outer] = [-1, 1].map(sign => radius * this.widest(sign));
        context.globalAlpha = 0.14;
        context.lineWidth = Math.max(2, outer - inner);
        context.beginPath(); context.arc(x, y, (inner + outer) / 2, 0, 2 * Math.PI); context.stroke();
        context.globalAlpha = 1;
        context.lineWidth = 2;
      }
      context.beginPath(); context.arc(x, y, radius, 0, 2 * Math.PI); context.stroke();
      for (const sample of this.samples) mark(context, this.colours, this.toPixels(this.placed(sample[role])), { radius: 4.5, fill: ink });
      this.handle(role, x, y, radius, width);
    }
    this.data.anchors.forEach((name, index) => {
      const place = index === this.active ? [x, y] : this.toPixels(this.placed(this.means.subarray(index * this.size, (index + 1) * this.size)));
      mark(context, this.colours, place, { label: index === this.active ? "" : name, radius: index === this.active ? 6 : 5, fill: index === this.active ? this.data.inks.anchor : this.colours.text });
    });
    this.tell();
  }

  handle(role, x, y, radius, width) {
    const turn = role === "positive" ? -0.6 : 0.6, handle = this.handles[role];
    const near = Math.min(radius, width / 2 - 14);
    handle.style.left = `${x + near * Math.cos(turn)}px`;
    handle.style.top = `${y + near * Math.sin(turn)}px`;
    handle.setAttribute("aria-valuenow", this.radii[role]);
    handle.setAttribute("aria-valuetext", `${role} radius ${this.radii[role]}`);
  }

  tell() {
    const { toward, data: { spread, seed } } = this;
    for (const role of ROLES) {
      const apart = this.samples.map(sample => Math.hypot(...sample[role].map((value, d) => value - this.center.mean[d])));
      const [least, most] = [Math.min(...apart), Math.max(...apart)].map(value => value.toFixed(2));
      this.titles[role].textContent = `${role === "positive" ? "Positives" : "Negatives"}: radius ${this.radii[role].toFixed(2)}, ${least === most ? least : `${least} to ${most}`} from the anchor, towards the mean with probability ${toward[role]}`;
    }
    const stochastic = this.uniform.factors ? `; both radii vary by up to ${Math.round(100 * spread)} %` : "";
    this.note.textContent = this.length > 0
      ? `Pull a ring, or move it with the arrow keys. Each draw lies as far from the anchor as its ring; on this plane it looks nearer where it moved along other axes. The cross is the mean of all codes. Seed ${seed}${stochastic}.`
      : "The steps around this anchor are 0 in every dimension, so nothing moves; step by σ instead.";
  }

  destroy() {
    this.resizing.disconnect();
  }
}
