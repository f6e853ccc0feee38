// One code, a slider for each of its dimensions, and what each of them would do next: all decoded as a slider moves.

import { Stream, decoderOf } from "./decoder.mjs";
import { doubles, element, paint, status, withHistory } from "./parts.mjs";

export function mount(component) {
  return new Board(component.parentElement.querySelector(".genlab"));
}

class Board {
  constructor(root) {
    this.root = root;
    root.board = this; // a handle for scripts and tests
    this.picture = element("canvas", { class: "picture", role: "img" });
    this.reset = element("button", { type: "button", onclick: () => { this.values = [...this.start]; this.settle(); } }, "Back to the start");
    this.history = withHistory(root, { read: () => [...this.values], write: values => { this.values = [...values]; this.settle(); } });
    this.body = element("div", { class: "dimensions" });
    this.head = element("div");
    root.replaceChildren(this.head, element("div", { class: "boarded" }, element("div", { class: "now" }, this.picture, this.reset, element("div", { class: "pair" }, ...this.history.buttons)), this.body));
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
    this.stream = new Stream(this.decoder, (pictures, values) => { paint(this.picture, pictures); this.now = pictures; this.root.dataset.shown = values.join(); }, fail);
    this.strips = new Stream(this.decoder, (pictures, values) => this.unroll(pictures, values), fail);
    this.code = doubles(data.code);
    this.start = data.rows.map(row => this.code[row.dimension]);
    this.values = data.rows.map(({ dimension, least, most }, index) => dimension in data.moved ? Math.min(most, Math.max(least, data.moved[dimension])) : this.start[index]); // as a link has it
    this.rows = data.rows.map((row, index) => {
      const slider = element("input", {
        type: "range", min: row.least, max: row.most, step: (row.most - row.least) / 200, "aria-label": `Dimension ${row.dimension}`,
        oninput: () => { this.values[index] = Number(slider.value); this.want(); }, onchange: () => this.commit(),
      });
      const value = element("output"), film = element("canvas", { class: "film" });
      return { ...row, slider, value, film, node: element("div", { class: "dimension" }, element("div", { class: "named" }, element("b", {}, `z${row.dimension}`), row.note, value), element("div", { class: "reel" }, film, slider)) };
    });
    this.body.replaceChildren(...this.rows.map(row => row.node));
    this.settle(false);
    this.history.begin();
  }

  // Sliders to the values, as after going back to the start.
  settle(told = true) {
    this.rows.forEach((row, index) => { row.slider.value = this.values[index]; });
    this.want();
    if (told) this.commit();
  }

  coded() {
    const code = Float32Array.from(this.code);
    this.rows.forEach((row, index) => { code[row.dimension] = this.values[index]; });
    return code;
  }

  // The picture first, then the strips: what every other slider would give from here.
  want() {
    const code = this.coded(), { steps } = this.data, size = code.length, codes = new Float32Array(this.rows.length * steps * size);
    this.rows.forEach((row, index) => {
      row.value.textContent = this.values[index].toFixed(2);
      row.film.style.setProperty("--time", (this.values[index] - row.least) / (row.most - row.least));
      for (let step = 0; step < steps; step++) {
        const at = (index * steps + step) * size;
        codes.set(code, at);
        codes[at + row.dimension] = row.least + step / (steps - 1) * (row.most - row.least);
      }
    });
    this.stream.want(code, 1, [...this.values]);
    this.strips.want(codes, this.rows.length * steps, [...this.values]);
  }

  unroll(pictures, values) {
    const { steps } = this.data, { bytes, width, height } = pictures, size = width * height * 4;
    if (pictures.count !== this.rows.length * steps) return;
    this.rows.forEach(({ film }, index) => {
      if (film.width !== steps * width || film.height !== height) Object.assign(film, { width: steps * width, height });
      film.style.aspectRatio = `${steps * width} / ${height}`;
      const context = film.getContext("2d");
      for (let step = 0; step < steps; step++) {
        const at = (index * steps + step) * size;
        context.putImageData(new ImageData(bytes.subarray(at, at + size), width, height), step * width, 0);
      }
    });
    this.films = pictures;
    this.root.dataset.films = values.join(); // scripts wait for this
  }

  commit() {
    this.component.setStateValue("code", { board: this.data.name, at: [...this.coded()] });
    this.history.note();
  }

  destroy() {}
}
