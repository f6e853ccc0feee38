// Arithmetic of codes, in double precision, as genlab does it in Python.

export function lerp(a, b, t) {
  return Float64Array.from(a, (value, d) => (1 - t) * value + t * b[d]);
}

const norm = a => Math.sqrt(a.reduce((sum, value) => sum + value * value, 0));
const dot = (a, b) => a.reduce((sum, value, d) => sum + value * b[d], 0);

// The great-circle arc from a's direction to b's at constant speed, while the norm changes linearly.
export function slerp(a, b, t) {
  const lengths = [norm(a), norm(b)];
  if (!lengths[0] || !lengths[1]) return lerp(a, b, t);
  const u = Float64Array.from(a, value => value / lengths[0]), v = Float64Array.from(b, value => value / lengths[1]);
  const omega = 2 * Math.atan2(norm(u.map((value, d) => value - v[d])), norm(u.map((value, d) => value + v[d])));
  const along = dot(u, v), across = v.map((value, d) => value - along * u[d]), size = norm(across);
  const w = size > 1e-9 ? across.map(value => value / size) : perpendicular(u);
  const length = (1 - t) * lengths[0] + t * lengths[1];
  return u.map((value, d) => (value * Math.cos(t * omega) + w[d] * Math.sin(t * omega)) * length);
}

function perpendicular(u) {
  let least = 0;
  u.forEach((value, d) => { if (Math.abs(value) < Math.abs(u[least])) least = d; });
  const across = u.map((value, d) => (d === least ? 1 : 0) - u[least] * value), size = norm(across);
  return across.map(value => size > 1e-9 ? value / size : 0);
}

// The code at (x, y) of a plane: origin + x u + y v.
export function codeAt({ origin, u, v }, x, y) {
  return Float64Array.from(origin, (value, d) => value + x * u[d] + y * v[d]);
}

// Where a code lies on a plane with orthonormal u and v.
export function placeOf({ origin, u, v }, code) {
  let x = 0, y = 0;
  origin.forEach((value, d) => { x += (code[d] - value) * u[d]; y += (code[d] - value) * v[d]; });
  return [x, y];
}

// Distance from (x, y) to the nearest of points (x, y, distance from the plane), three numbers each.
export function nearest(points, x, y) {
  let least = Infinity;
  for (let at = 0; at < points.length; at += 3) {
    const squared = (points[at] - x) ** 2 + (points[at + 1] - y) ** 2 + points[at + 2] ** 2;
    if (squared < least) least = squared;
  }
  return Math.sqrt(least);
}

// Over size x size cells, the first row at the top: distance to the nearest point, and their density with a normal
// kernel of this width, the largest 1.
export function field(points, [left, right, bottom, top], size, width) {
  const distance = new Float32Array(size * size), density = new Float32Array(size * size);
  const least = -0.5 / width ** 2;
  for (let row = 0, cell = 0; row < size; row++) {
    const y = top - (row + 0.5) / size * (top - bottom);
    for (let column = 0; column < size; column++, cell++) {
      const x = left + (column + 0.5) / size * (right - left);
      let near = Infinity, sum = 0;
      for (let at = 0; at < points.length; at += 3) {
        const squared = (points[at] - x) ** 2 + (points[at + 1] - y) ** 2 + points[at + 2] ** 2;
        if (squared < near) near = squared;
        sum += Math.exp(least * squared);
      }
      distance[cell] = Math.sqrt(near);
      density[cell] = sum;
    }
  }
  const most = density.reduce((a, b) => Math.max(a, b), 0) || 1;
  return { distance, density: density.map(value => value / most) };
}

// Algorithm 3: positive and negative of one draw around an anchor. `steps` (D) are sizes of a step with the sign of
// the way to the mean of all codes, and `draw` holds uniform numbers: `positive`, `negative` (D each), `factors` (1 or D).
export function sampled({ mean, steps }, radii, toward, draw) {
  const move = (radius, probability, u) => Float64Array.from(mean, (value, d) => {
    const factor = draw.factors ? draw.factors[draw.factors.length > 1 ? d : 0] : 1;
    return value + (u[d] <= probability ? radius : -radius) * steps[d] * factor;
  });
  return { positive: move(radii.positive, toward.positive, draw.positive), negative: move(radii.negative, toward.negative, draw.negative) };
}

// The value at (x, y) of a field of size x size cells, the first row at the top: bilinear between the middles of cells.
export function interpolated({ values, size }, [left, right, bottom, top], x, y) {
  const inside = at => Math.min(size - 1, Math.max(0, at));
  const across = inside((x - left) / (right - left) * size - 0.5), down = inside((top - y) / (top - bottom) * size - 0.5);
  const [column, row] = [across, down].map(Math.floor), [next, below] = [column, row].map(at => Math.min(size - 1, at + 1));
  const along = at => lerp([values[at * size + column]], [values[at * size + next]], across - column)[0];
  return lerp([along(row)], [along(below)], down - row)[0];
}
