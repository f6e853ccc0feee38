// One place, several decoders: what each of them makes of the very same code, while a finger moves across a plane.

import { Stream, decoderOf } from "./decoder.mjs";
import { mark } from "./ground.mjs";
import { Pad } from "./pad.mjs";
import { element, paint, withHistory } from "./parts.mjs";

const SAID = { loading: "its decoder is on its way", browser: "", server: "decoded on the server", nowhere: "it cannot be decoded" };

export function mount(component) {
  return new Many(component.parentElement.querySelector(".genlab"));
}

class Many {
  constructor(root) {
    this.root = root;
    root.many = this; // a handle for scripts and tests
    this.pad = new Pad(this);
    this.history = withHistory(root, { read: () => [...this.pad.place], write: place => { this.pad.go([...place]); this.settled(); } });
    this.readout = element("div", { class: "readout" });
    this.cast = element("div", { class: "cast" });
    root.replaceChildren(element("div", { class: "split together" },
      element("div", { class: "wide" }, this.pad.node, element("div", { class: "tools" }, ...this.history.buttons, element("span", { class: "key" }, "hatched: no draw lies near")), this.readout), this.cast));
  }

  update(component) {
    this.component = component;
    const { data } = component, fresh = this.data?.name !== data.name;
    this.data = data;
    if (fresh) this.begin(data);
    this.pad.dress(this.root);
  }

  begin(data) {
    this.pad.lay(data);
    this.actors = data.runs.map(run => this.actor(run));
    this.cast.replaceChildren(...this.actors.map(actor => actor.node));
    this.where();
    this.moved();
    this.history.begin();
  }

  // A run with the picture of its own decoder.
  actor({ title, decoder: told }) {
    const decoder = decoderOf(told), picture = element("canvas", { class: "picture", role: "img" });
    const note = element("span", { class: "note" }), actor = { title, decoder, picture, note, pictures: null, at: null };
    picture.style.aspectRatio = `${told.shape[2]} / ${told.shape[1]}`;
    actor.node = element("figure", {}, picture, element("figcaption", {}, element("b", {}, title), note));
    const show = (pictures, at) => {
      Object.assign(actor, { pictures, at });
      paint(picture, pictures);
      picture.setAttribute("aria-label", `Decoded by ${title} at ${at.map(value => value.toFixed(2)).join(", ")}`);
      this.count();
    };
    actor.stream = new Stream(decoder, show, error => { note.textContent = `No picture came: ${error.message}`; });
    decoder.ready.then(() => this.where());
    return actor;
  }

  // Where pictures come from; scripts wait for what stands on the root.
  where() {
    for (const { decoder, note } of this.actors) Object.assign(note, { textContent: SAID[decoder.where], title: decoder.reason });
    this.root.dataset.where = [...new Set(this.actors.map(actor => actor.decoder.where))].sort().join(" ");
  }

  // How many of them show the place that the finger is at.
  count() {
    const here = this.pad.place.join();
    if (this.actors.every(actor => actor.at?.join() === here)) this.root.dataset.shown = here;
  }

  moved() {
    const code = this.pad.code();
    for (const { stream } of this.actors) stream.want(code, 1, [...this.pad.place]);
  }

  settled() {
    this.component.setStateValue("place", { plane: this.data.name, at: this.pad.place });
    this.history.note();
  }

  marks(context) {
    const { colours, ground } = this.pad;
    for (const corner of this.data.corners) mark(context, colours, ground.toPixels(...corner.at), { label: corner.name, radius: 5, fill: colours.text });
    mark(context, colours, ground.toPixels(...this.pad.place));
    const { where, honest, far } = this.pad.words();
    this.readout.replaceChildren(element("b", {}, where), element("span", { "data-far": far }, honest));
  }

  destroy() {
    this.pad.destroy();
  }
}
