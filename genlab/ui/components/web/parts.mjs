// Small things that all views share: elements, canvases of the right size, colours of the theme, pictures on a sheet.

import { History } from "./history.mjs";

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

// A canvas sharp on this screen; returns its context in CSS pixels, and whether its size changed.
export function fitted(canvas) {
  const ratio = window.devicePixelRatio || 1, { clientWidth: width, clientHeight: height } = canvas;
  const wide = Math.round(width * ratio), tall = Math.round(height * ratio);
  const changed = canvas.width !== wide || canvas.height !== tall;
  if (changed) Object.assign(canvas, { width: wide, height: tall });
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.imageSmoothingEnabled = false;
  return { context, width, height, changed };
}

// Colours of the theme around an element.
export function inks(node) {
  const style = getComputedStyle(node), of = name => style.getPropertyValue(`--st-${name}`).trim();
  return { text: of("text-color"), ground: of("background-color"), second: of("secondary-background-color"), primary: of("primary-color"), border: of("border-color") };
}

// A colour as [red, green, blue], whatever way it is written.
export function channels(colour) {
  const context = new OffscreenCanvas(1, 1).getContext("2d");
  context.fillStyle = colour;
  context.fillRect(0, 0, 1, 1);
  return [...context.getImageData(0, 0, 1, 1).data.slice(0, 3)];
}

// Decoded pictures side by side on one canvas that is not shown, to be drawn from.
export class Sheet {
  constructor({ bytes, count, width, height }) {
    Object.assign(this, { count, width, height, bytes, across: Math.ceil(Math.sqrt(count)) });
    this.canvas = new OffscreenCanvas(this.across * width, Math.ceil(count / this.across) * height);
    const context = this.canvas.getContext("2d");
    for (let index = 0; index < count; index++) {
      const image = new ImageData(bytes.subarray(index * width * height * 4, (index + 1) * width * height * 4), width, height);
      context.putImageData(image, index % this.across * width, Math.floor(index / this.across) * height);
    }
  }

  draw(context, index, x, y, width, height) {
    const { across, canvas } = this;
    context.drawImage(canvas, index % across * this.width, Math.floor(index / across) * this.height, this.width, this.height, x, y, width, height);
  }
}

// One picture on a canvas of just its pixels, which the page enlarges without smoothing.
export function paint(canvas, { bytes, width, height }, index = 0) {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const size = width * height * 4;
  canvas.getContext("2d").putImageData(new ImageData(bytes.subarray(index * size, (index + 1) * size), width, height), 0, 0);
}

// A line that says where pictures are decoded: a bar while the decoder comes, a hint where the server has to help.
export function status(decoder) {
  if (decoder.where === "browser") return "";
  const until = decoder.route ? "The decoder is on its way; until it is here, the server decodes." : "The decoder is on its way …";
  const line = element("div", { class: "status", role: "status" }, element("span", { class: "bar" }), until);
  decoder.ready.then(() => {
    line.dataset.where = decoder.where;
    line.replaceChildren(decoder.where === "browser" ? "" : decoder.where === "server"
      ? `Decoded on the server, as it cannot be done in the browser: ${decoder.reason.replace(/\.$/, "")}.`
      : `No picture can be decoded: ${decoder.reason}`);
    line.hidden = decoder.where === "browser";
  });
  return line;
}

// Numbers of a file or of base64 text, as the browser gets them.
export function floats(text) {
  return new Float32Array(Uint8Array.from(atob(text), letter => letter.charCodeAt(0)).buffer);
}

export function doubles(text) {
  return new Float64Array(Uint8Array.from(atob(text), letter => letter.charCodeAt(0)).buffer);
}

const CURVES = { Undo: "M8 5 4 9l4 4M4 9h10a5 5 0 0 1 0 10H9", Redo: "m16 5 4 4-4 4m4-4H10a5 5 0 0 0 0 10h5" };
const KEYS = { Undo: "Ctrl-Z", Redo: "Ctrl-Shift-Z" };

// A history for a view, with its two buttons to be put somewhere and its keys wherever the view has the focus.
export function withHistory(root, { read, write }) {
  const button = name => {
    const made = element("button", { type: "button", class: "icon", "aria-label": name, title: `${name} (${KEYS[name]})`, onclick: () => history[name.toLowerCase()]() });
    made.innerHTML = `<svg viewBox="0 0 24 24" aria-hidden="true"><path d="${CURVES[name]}"/></svg>`;
    return made;
  };
  const changed = () => { undo.disabled = !history.past.length; redo.disabled = !history.future.length; };
  const history = new History({ read, write, changed }), undo = button("Undo"), redo = button("Redo");
  changed();
  root.onkeydown = event => { history.key(event); }; // what a handler returns would keep other keys from doing anything
  return Object.assign(history, { buttons: [undo, redo] });
}
