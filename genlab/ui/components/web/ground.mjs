// The ground of a plane through latent space: where codes lie, how densely, and a veil where there are none near.

import { field, lerp, nearest } from "./latent.mjs";
import { channels, fitted } from "./parts.mjs";

const CELLS = 72;
const FULL = 3; // times the usual distance, where the veil is thickest
const SHEER = 0.6; // of a shade over pictures

export class Ground {
  // `points` are triples (x, y, distance from the plane), `usual` the distance within which real ones have a neighbour.
  constructor({ points, extent, usual, width, labels, palette }) {
    Object.assign(this, { points, extent, usual, labels, palette });
    this.field = field(points, extent, CELLS, width);
  }

  // How far (x, y) is from the nearest code, in usual distances.
  farness(x, y) {
    return nearest(this.points, x, y) / this.usual;
  }

  // From places of the plane to pixels of a canvas, and back.
  fit(width, height) {
    const [left, right, bottom, top] = this.extent;
    this.scale = Math.min(width / (right - left), height / (top - bottom));
    this.shift = [(width - this.scale * (right - left)) / 2, (height - this.scale * (top - bottom)) / 2];
  }

  toPixels(x, y) {
    return [this.shift[0] + (x - this.extent[0]) * this.scale, this.shift[1] + (this.extent[3] - y) * this.scale];
  }

  toPlane(px, py) {
    const [left, right, bottom, top] = this.extent;
    const x = left + (px - this.shift[0]) / this.scale, y = top - (py - this.shift[1]) / this.scale;
    return [Math.min(right, Math.max(left, x)), Math.min(top, Math.max(bottom, y))];
  }

  // Everything that stays while a finger moves. `layers` says what is wanted; `tiles` is a sheet of decoded pictures. A shade
  // takes the place of density and veil, which would change its colours.
  paint(canvas, colours, layers, tiles) {
    const { context, width, height } = fitted(canvas);
    this.fit(width, height);
    const [x, y] = this.toPixels(this.extent[0], this.extent[3]);
    const wide = this.scale * (this.extent[1] - this.extent[0]), tall = this.scale * (this.extent[3] - this.extent[2]);
    context.clearRect(0, 0, width, height);
    context.fillStyle = colours.second;
    context.fillRect(x, y, wide, tall);
    if (layers.pictures && tiles) this.mosaic(context, tiles, x, y, wide, tall);
    const cells = new OffscreenCanvas(CELLS, CELLS);
    context.imageSmoothingEnabled = true;
    if (layers.shade) this.tint(context, layers, x, y, wide, tall);
    else if (layers.density) {
      this.fill(cells, channels(colours.primary), cell => layers.pictures ? 0 : 0.65 * Math.sqrt(this.field.density[cell]));
      context.drawImage(cells, x, y, wide, tall);
    }
    this.fill(cells, channels(colours.ground), cell => this.veil(cell));
    if (!layers.shade) context.drawImage(cells, x, y, wide, tall);
    this.hatch(context, cells, colours, x, y, wide, tall);
    if (layers.points) this.dots(context, colours, !layers.shade);
    return { context, width, height };
  }

  // A field of numbers in the colours of a ramp, the largest of them in the last.
  tint(context, { shade, pictures }, x, y, wide, tall) {
    const { values, size, most, ramp } = shade, canvas = new OffscreenCanvas(size, size), image = new ImageData(size, size);
    const stops = ramp.map(channels), last = stops.length - 1;
    values.forEach((value, cell) => {
      const at = Math.min(1, Math.max(0, value / most)) * last, low = Math.min(last - 1, Math.floor(at));
      image.data.set([...lerp(stops[low], stops[low + 1], at - low).map(Math.round), 255 * (pictures ? SHEER : 1)], 4 * cell);
    });
    canvas.getContext("2d").putImageData(image, 0, 0);
    context.drawImage(canvas, x, y, wide, tall);
  }

  veil(cell) {
    return 0.75 * Math.min(1, Math.max(0, (this.field.distance[cell] / this.usual - 1) / (FULL - 1)));
  }

  fill(canvas, [red, green, blue], alpha) {
    const image = new ImageData(CELLS, CELLS);
    for (let cell = 0; cell < CELLS * CELLS; cell++) image.data.set([red, green, blue, 255 * alpha(cell)], 4 * cell);
    canvas.getContext("2d").putImageData(image, 0, 0);
  }

  // Slanting lines where the veil is, so that it is seen in both themes and without colours.
  hatch(context, veil, colours, x, y, wide, tall) {
    const ratio = context.getTransform().a, lines = new OffscreenCanvas(Math.max(1, wide * ratio), Math.max(1, tall * ratio));
    const drawn = lines.getContext("2d");
    drawn.scale(ratio, ratio);
    drawn.strokeStyle = colours.text;
    drawn.globalAlpha = 0.35;
    drawn.beginPath();
    for (let at = -tall; at < wide; at += 9) { drawn.moveTo(at, tall); drawn.lineTo(at + tall, 0); }
    drawn.stroke();
    drawn.globalAlpha = 1;
    drawn.globalCompositeOperation = "destination-in";
    drawn.imageSmoothingEnabled = true;
    drawn.drawImage(veil, 0, 0, wide, tall);
    context.drawImage(lines, x, y, wide, tall);
  }

  mosaic(context, tiles, x, y, wide, tall) {
    const side = Math.round(Math.sqrt(tiles.count));
    context.imageSmoothingEnabled = false;
    for (let index = 0; index < tiles.count; index++) {
      const column = index % side, row = Math.floor(index / side);
      const left = Math.round(x + column * wide / side), top = Math.round(y + row * tall / side);
      tiles.draw(context, index, left, top, Math.round(x + (column + 1) * wide / side) - left, Math.round(y + (row + 1) * tall / side) - top);
    }
  }

  dots(context, colours, coloured) {
    for (let index = 0, at = 0; at < this.points.length; index++, at += 3) {
      const [px, py] = this.toPixels(this.points[at], this.points[at + 1]);
      const near = Math.exp(-0.5 * (this.points[at + 2] / this.usual) ** 2); // far from the plane: faint
      context.globalAlpha = 0.15 + 0.7 * near;
      context.fillStyle = coloured && this.labels ? this.palette[this.labels[index] % this.palette.length] : colours.text;
      context.fillRect(px - 1.25, py - 1.25, 2.5, 2.5);
    }
    context.globalAlpha = 1;
  }
}

// A named place on the plane.
export function mark(context, colours, [x, y], { label = "", radius = 7, fill = colours.primary, above = false } = {}) {
  context.lineWidth = 2;
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fillStyle = fill;
  context.fill();
  context.strokeStyle = colours.ground;
  context.stroke();
  if (!label) return;
  context.font = "600 12px system-ui, sans-serif";
  context.lineWidth = 4;
  context.lineJoin = "round";
  const half = context.measureText(label).width / 2, right = context.canvas.clientWidth - half - 6;
  const centre = above ? x : x + radius + 4 + half <= right + half ? x + radius + 4 + half : x - radius - 4 - half;
  const [at, line] = [Math.max(half + 6, Math.min(right, centre)), above ? y - radius - 7 : y + 4];
  context.textAlign = "center";
  context.strokeText(label, at, line);
  context.fillStyle = colours.text;
  context.fillText(label, at, line);
}
