// Codes moved along directions by one strength for all: every picture is decoded while its slider moves.

import { Stream, decoderOf } from "./decoder.mjs";
import { doubles, element, paint, status, withHistory } from "./parts.mjs";

export function mount(component) {
  return new Strength(component.parentElement.querySelector(".genlab"));
}

class Strength {
  constructor(root) {
    this.root = root;
    root.strength = this; // a handle for scripts and tests
    this.slider = element("input", { type: "range", oninput: () => this.go(Number(this.slider.value)), onchange: () => this.commit() });
    this.title = element("b");
    this.value = element("output");
    this.reset = element("button", { type: "button", onclick: () => this.settle(this.data.rest) });
    this.history = withHistory(root, { read: () => this.at, write: at => this.settle(at) });
    this.head = element("div");
    this.cast = element("div", { class: "cast" });
    const bar = element("div", { class: "bar-of-strength" }, element("div", { class: "named" }, this.title, this.value), this.slider, this.reset, element("div", { class: "pair" }, ...this.history.buttons));
    root.replaceChildren(this.head, bar, this.cast);
  }

  update(component) {
    this.component = component;
    const { data } = component, fresh = this.data?.name !== data.name;
    this.data = data;
    if (fresh) this.begin(data);
  }

  begin(data) {
    this.decoder = decoderOf(data.decoder);
    this.head.replaceChildren(status(this.decoder));
    this.decoder.ready.then(() => { this.root.dataset.where = this.decoder.where; });
    const fail = error => this.head.replaceChildren(element("div", { class: "status" }, `No picture came: ${error.message}`));
    this.stream = new Stream(this.decoder, (pictures, at) => this.show(pictures, at), fail);
    this.codes = doubles(data.codes);
    this.directions = doubles(data.directions);
    this.canvases = data.names.map(name => element("canvas", { class: "picture", role: "img", "aria-label": name }));
    this.cast.replaceChildren(...this.canvases.map((canvas, row) => element("figure", {}, canvas, element("figcaption", {}, data.names[row]))));
    Object.assign(this.slider, { min: data.least, max: data.most, step: 0.01, ariaLabel: data.title });
    this.title.textContent = data.title;
    this.reset.textContent = data.back;
    this.slider.value = data.start;
    this.go(data.start);
    this.history.begin();
  }

  // Each code plus the strength times its direction, of which there is one for all codes or one for each.
  moved() {
    const { codes, directions, at } = this;
    return Float32Array.from(codes, (value, place) => value + at * directions[place % directions.length]);
  }

  go(at) {
    this.at = at;
    this.value.textContent = at.toFixed(2);
    this.stream.want(this.moved(), this.canvases.length, at);
  }

  show(pictures, at) {
    if (pictures.count !== this.canvases.length) return;
    this.canvases.forEach((canvas, row) => paint(canvas, pictures, row));
    this.root.dataset.shown = at; // scripts wait for this
  }

  // The slider to a strength, as after Undo.
  settle(at) {
    this.slider.value = at;
    this.go(at);
    this.commit();
  }

  commit() {
    this.component.setStateValue("strength", this.at);
    this.history.note();
  }

  destroy() {}
}
