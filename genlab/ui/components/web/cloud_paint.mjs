// What the theatre paints: the square with its field, net, rings, points and samples between two frames, and its curves.

import { channels, fitted } from "./parts.mjs";

const DIAMOND = 3, DOT = 1.7;
const PULL = 0.02, LONGEST = 0.08; // of a gradient of 1, and of any pull, in sides of the square
const FARTHEST = 3.6; // code that is seen
const FLAT = 0.08; // by how much the best verdict must differ around a cell for a line to cross it: elsewhere there is nothing

const mixed = (a, b, t) => a + (b - a) * t;

// Two frames and how far between them; in a game the field moves first, then what the generator makes.
export class Moment {
  constructor(frames, at, game) {
    const from = Math.max(0, Math.min(frames.length - 1, Math.floor(at + 1e-9))), t = Math.max(0, at - from);
    this.now = frames[from].parts;
    this.next = frames[Math.min(from + 1, frames.length - 1)].parts;
    this.early = game ? Math.min(1, 2 * t) : t;
    this.late = game ? Math.max(0, 2 * t - 1) : t;
  }

  // One number of a part, on its way.
  value(name, index, t = this.late) {
    return mixed(this.now[name].data[index], this.next[name].data[index], t);
  }

  has(name) {
    return name in this.now && name in this.next;
  }

  point(name, index) {
    return [this.value(name, 2 * index), this.value(name, 2 * index + 1)];
  }
}

export function paintSquare(canvas, colours, { cloud, moment, layers, inks, game, probable }) {
  const { context, width } = fitted(canvas);
  context.clearRect(0, 0, width, width);
  context.fillStyle = colours.ground;
  context.fillRect(0, 0, width, width);
  const brush = { context, colours, inks, place: ([x, y]) => [x * width, (1 - y) * width], width, moment };
  if (moment && layers.field) field(brush, game);
  if (moment && layers.net && moment.has("net")) net(brush, game);
  if (cloud && layers.cloud) dots(brush, cloud.length / 2, index => cloud.subarray(2 * index, 2 * index + 2));
  if (moment && layers.rings && moment.has("rings")) rings(brush, game);
  if (moment && probable && layers.field) contour(brush, "field", [], 0);
  if (moment && layers.best && moment.has("best")) contour(brush, "best", [6, 4], FLAT);
  if (moment && layers.pulls && moment.has("pulls")) pulls(brush);
  if (moment && layers.samples) diamonds(brush);
}

// Strength of a colour for each cell: verdicts are plain in the middle, densities where there is none.
function field({ context, inks, width, moment }, game) {
  const side = Math.sqrt(moment.now.field.data.length), image = new ImageData(side, side);
  const real = channels(inks.real), made = channels(inks.made);
  for (let cell = 0; cell < side * side; cell++) {
    const value = moment.value("field", cell, moment.early);
    const strength = game ? Math.abs(2 * value - 1) ** 0.8 * 0.5 : value * 0.75;
    image.data.set([...(game && value > 0.5 ? real : made), 255 * strength], 4 * cell);
  }
  const cells = new OffscreenCanvas(side, side);
  cells.getContext("2d").putImageData(image, 0, 0);
  context.imageSmoothingEnabled = true;
  context.drawImage(cells, 0, 0, width, width);
}

// A curve, or meshes that are filled the stronger the more samples they hold for their size.
function net({ context, colours, inks, place, moment }, game) {
  const [rows, columns] = moment.now.net.shape, knot = index => moment.point("net", index);
  const knots = Array.from({ length: rows * columns }, (_, index) => knot(index));
  context.fillStyle = inks.made;
  context.strokeStyle = game || columns === 1 ? inks.made : colours.text; // on a field of its own colour it would not be seen
  const mass = 1 / (rows * columns);
  for (let row = 0; game && row + 1 < rows; row++) {
    for (let column = 0; column + 1 < columns; column++) {
      const at = row * columns + column, corners = [at, at + 1, at + columns + 1, at + columns].map(index => knots[index]);
      const density = mass / Math.max(1e-6, area(corners));
      context.globalAlpha = 0.6 * density / (density + 6);
      context.beginPath();
      corners.forEach(corner => context.lineTo(...place(corner)));
      context.fill();
    }
  }
  context.globalAlpha = columns === 1 ? 0.9 : game ? 0.55 : 0.3;
  context.lineWidth = columns === 1 ? 2.5 : 0.8;
  context.beginPath();
  const line = (start, step, count) => { for (let index = 0; index < count; index++) context[index ? "lineTo" : "moveTo"](...place(knots[start + index * step])); };
  for (let column = 0; column < columns; column++) line(column, columns, rows);
  for (let row = 0; columns > 1 && row < rows; row++) line(row * columns, 1, columns);
  context.stroke();
  context.globalAlpha = 1;
}

function area(corners) {
  let twice = 0;
  corners.forEach(([x, y], index) => { const [u, v] = corners[(index + 1) % corners.length]; twice += x * v - u * y; });
  return Math.abs(twice) / 2;
}

function dots({ context, inks, place }, count, point) {
  context.fillStyle = inks.real;
  context.globalAlpha = 0.9;
  context.beginPath();
  for (let index = 0; index < count; index++) {
    const [x, y] = place(point(index));
    context.moveTo(x + DOT, y);
    context.arc(x, y, DOT, 0, 2 * Math.PI);
  }
  context.fill();
  context.globalAlpha = 1;
}

function diamonds({ context, inks, place, moment }) {
  context.fillStyle = inks.made;
  context.beginPath();
  for (let index = 0; index < moment.now.samples.shape[0]; index++) {
    const [x, y] = place(moment.point("samples", index));
    context.moveTo(x, y - DIAMOND);
    context.lineTo(x + DIAMOND, y);
    context.lineTo(x, y + DIAMOND);
    context.lineTo(x - DIAMOND, y);
    context.closePath();
  }
  context.fill();
}

function rings({ context, colours, place, moment }) {
  const [count, corners] = moment.now.rings.shape;
  context.strokeStyle = colours.text;
  for (let ring = 0; ring < count; ring++) {
    const weight = moment.value("weights", ring);
    context.globalAlpha = 0.25 + 0.6 * Math.min(1, 4 * weight);
    context.lineWidth = weight === 1 ? 1 : 0.8 + 1.6 * Math.min(1, 4 * weight);
    context.beginPath();
    for (let corner = 0; corner < corners; corner++) context.lineTo(...place(moment.point("rings", ring * corners + corner)));
    context.stroke();
  }
  context.globalAlpha = 1;
}

function pulls({ context, colours, place, moment }) {
  context.strokeStyle = colours.text;
  context.globalAlpha = 0.7;
  context.lineWidth = 1;
  context.beginPath();
  for (let index = 0; index < moment.now.pulls.shape[0]; index++) {
    const [x, y] = moment.point("samples", index), [u, v] = moment.point("pulls", index);
    const factor = Math.min(PULL, LONGEST / Math.max(1e-9, Math.hypot(u, v)));
    context.moveTo(...place([x, y]));
    context.lineTo(...place([x + factor * u, y + factor * v]));
  }
  context.stroke();
  context.globalAlpha = 1;
}

// Where a field passes through its middle: marching squares, but for places where it is as good as flat.
function contour({ context, colours, width, moment }, name, dash, flat) {
  const side = Math.sqrt(moment.now[name].data.length), step = width / side;
  const t = name === "field" ? moment.early : moment.late, at = (row, column) => moment.value(name, row * side + column, t) - 0.5;
  context.strokeStyle = colours.text;
  context.lineWidth = 1.6;
  context.setLineDash(dash);
  context.beginPath();
  for (let row = 0; row + 1 < side; row++) {
    for (let column = 0; column + 1 < side; column++) {
      const corners = [[row, column], [row, column + 1], [row + 1, column + 1], [row + 1, column]], values = corners.map(corner => at(...corner));
      if (Math.max(...values) - Math.min(...values) < flat) continue;
      const crossings = [];
      corners.forEach(([y, x], index) => {
        const [v, u] = corners[(index + 1) % 4], [a, b] = [values[index], values[(index + 1) % 4]];
        if (a < 0 !== b < 0) crossings.push([mixed(x, u, a / (a - b)), mixed(y, v, a / (a - b))]);
      });
      for (let pair = 0; pair + 1 < crossings.length; pair += 2) {
        context.moveTo((crossings[pair][0] + 0.5) * step, (crossings[pair][1] + 0.5) * step);
        context.lineTo((crossings[pair + 1][0] + 0.5) * step, (crossings[pair + 1][1] + 0.5) * step);
      }
    }
  }
  context.stroke();
  context.setLineDash([]);
}

// Codes of the points, over circles of one, two and three standard deviations of their prior.
export function paintCodes(canvas, colours, { moment, inks }) {
  const { context, width } = fitted(canvas), scale = width / 2 / FARTHEST, place = ([x, y]) => [width / 2 + x * scale, width / 2 - y * scale];
  context.clearRect(0, 0, width, width);
  if (!moment.has("codes")) return;
  context.strokeStyle = colours.text;
  context.globalAlpha = 0.45;
  context.lineWidth = 1;
  [1, 2, 3].forEach(deviations => { context.beginPath(); context.arc(width / 2, width / 2, deviations * scale, 0, 2 * Math.PI); context.stroke(); });
  context.globalAlpha = 1;
  dots({ context, inks, place }, moment.now.codes.shape[0], index => moment.point("codes", index));
}

// Curves of scalars over the steps, with a line where theory leads and one where the square stands.
export function paintCurve(canvas, colours, { frames, at, lines, guide }) {
  const { context, width, height } = fitted(canvas);
  context.clearRect(0, 0, width, height);
  const values = frames.flatMap(frame => lines.map(line => frame.scalars[line.name])).filter(Number.isFinite);
  if (!values.length) return;
  values.sort((a, b) => a - b); // the few highest, mostly of the first steps, may leave the picture
  const low = Math.min(values[0], guide ?? Infinity), high = Math.max(values[Math.floor(0.92 * (values.length - 1))], guide ?? -Infinity, low + 1e-6);
  const last = Math.max(1, frames.at(-1).step), left = 44, x = step => left + step / last * (width - left - 6), y = value => 6 + (high - value) / (high - low) * (height - 24);
  context.font = "11px system-ui, sans-serif";
  context.fillStyle = colours.text;
  context.textAlign = "right";
  [low, high].forEach(value => context.fillText(Math.abs(value) < 0.005 ? "0" : value.toPrecision(3), left - 6, y(value) + 4));
  context.textAlign = "left";
  context.fillText("step 0", left, height - 3);
  context.textAlign = "right";
  context.fillText(String(last), width - 6, height - 3);
  context.lineWidth = 1;
  context.strokeStyle = colours.text;
  const stroke = points => { context.beginPath(); points.forEach(([a, b]) => context.lineTo(a, b)); context.stroke(); };
  if (guide !== null) { context.setLineDash([4, 4]); context.globalAlpha = 0.6; stroke([[left, y(guide)], [width - 6, y(guide)]]); }
  context.setLineDash([]);
  context.globalAlpha = 0.8;
  const now = Math.floor(at), step = mixed(frames[now].step, frames[Math.min(now + 1, frames.length - 1)].step, at - now);
  stroke([[x(step), 4], [x(step), height - 16]]);
  context.globalAlpha = 1;
  context.lineWidth = 1.6;
  context.save();
  context.beginPath();
  context.rect(left, 0, width, height - 14);
  context.clip();
  lines.forEach(({ name, ink }) => {
    context.strokeStyle = ink || colours.text;
    stroke(frames.filter(frame => Number.isFinite(frame.scalars[name])).map(frame => [x(frame.step), y(frame.scalars[name])]));
  });
  context.restore();
}
