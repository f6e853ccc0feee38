// A plane to drag across: the ground with what lies on it, and a place that follows a finger or the arrow keys.

import { Ground } from "./ground.mjs";
import { codeAt } from "./latent.mjs";
import { element, fitted, floats, inks } from "./parts.mjs";

const STEP = 1 / 60; // of the plane's width, for one press of an arrow key
export const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

export class Pad {
  // `view` is told: `moved()` while the place moves, `settled()` when it is let go, `entered()` of the Enter key; and it
  // draws its own marks over the ground, `marks(context, width)`.
  constructor(view) {
    this.view = view;
    this.layers = { pictures: false, density: true, points: true, shade: null };
    this.tiles = null;
    this.base = element("canvas");
    this.top = element("canvas", {
      tabindex: 0, role: "application", class: "finger",
      onpointerdown: event => this.down(event), onpointermove: event => this.move(event),
      onpointerup: event => this.up(event), onpointercancel: event => this.up(event),
      onkeydown: event => this.key(event), onkeyup: event => ARROWS[event.key] && this.view.settled(),
    });
    this.node = element("div", { class: "square" }, this.base, this.top);
    this.resizing = new ResizeObserver(() => this.repaint());
    this.resizing.observe(this.node);
  }

  // Another plane, as Python describes it.
  lay(data) {
    this.data = data;
    this.ground = new Ground({ ...data, points: floats(data.points) });
    this.place = data.place;
    this.tiles = null;
    this.top.setAttribute("aria-label", data.label);
  }

  dress(root) {
    this.colours = inks(root);
    this.repaint();
  }

  code([x, y] = this.place) {
    return Float32Array.from(codeAt(this.data.frame, x, y));
  }

  // One finger at a time: a second one neither moves the place nor lets it go.
  down(event) {
    if (event.button || this.finger !== undefined) return;
    this.top.setPointerCapture(event.pointerId);
    this.finger = event.pointerId;
    this.go(this.at(event));
  }

  move(event) {
    if (event.pointerId === this.finger) this.go(this.at(event));
  }

  up(event) {
    if (event.pointerId !== this.finger) return;
    this.finger = undefined;
    this.view.settled();
    this.draw();
  }

  get dragging() {
    return this.finger !== undefined;
  }

  at(event) {
    const box = this.top.getBoundingClientRect();
    return this.ground.toPlane(event.clientX - box.left, event.clientY - box.top);
  }

  key(event) {
    if (event.key === "Enter") this.view.entered?.();
    const way = ARROWS[event.key];
    if (!way) return;
    event.preventDefault();
    const [left, right, bottom, top] = this.ground.extent, step = (right - left) * STEP * (event.shiftKey ? 0.2 : 1);
    this.go([Math.min(right, Math.max(left, this.place[0] + way[0] * step)), Math.min(top, Math.max(bottom, this.place[1] + way[1] * step))]);
  }

  go(place) {
    this.place = place;
    this.view.moved();
    this.draw();
  }

  // Where it stands, and whether any code lies near.
  words() {
    const { noun, axes } = this.data, far = this.ground.farness(...this.place);
    const honest = far <= 1 ? `As near to ${noun} as they are to one another.`
      : `${far.toFixed(1)} times as far from ${noun} as nearly all of them are from one another: the decoder has seen nothing here.`;
    return { where: `${axes[0]} ${this.place[0].toFixed(2)}, ${axes[1]} ${this.place[1].toFixed(2)}`, honest, far: far > 1 };
  }

  repaint() {
    if (!this.ground || !this.colours || !this.base.clientWidth) return;
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
    if (!width || !this.ground?.scale) return;
    context.clearRect(0, 0, width, height);
    this.view.marks(context, width);
  }

  destroy() {
    this.resizing.disconnect();
  }
}
