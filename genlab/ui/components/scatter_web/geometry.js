// Plain geometry: what lies inside an outline, which point is nearest, how a selection travels, where ticks stand.
// Points are flat arrays x0, y0, x1, y1, …; a selection is one byte a row.

// Rows inside a closed outline by the even-odd rule; rows that are not shown are not asked.
function inside(points, outline, shown) {
  const found = new Uint8Array(shown.length);
  const corners = outline.length / 2;
  const [left, right, bottom, top] = bounds(outline);
  for (let row = 0; row < found.length; row++) {
    const x = points[2 * row], y = points[2 * row + 1];
    if (!shown[row] || x < left || x > right || y < bottom || y > top) continue;
    let odd = 0;
    for (let i = 0, j = corners - 1; i < corners; j = i++) {
      const yi = outline[2 * i + 1], yj = outline[2 * j + 1];
      if (yi > y === yj > y) continue;
      const xi = outline[2 * i], xj = outline[2 * j];
      if (x < (xj - xi) * (y - yi) / (yj - yi) + xi) odd ^= 1;
    }
    found[row] = odd;
  }
  return found;
}

// Smallest and largest x, then y; places that are no numbers are passed over.
function bounds(points) {
  let left = Infinity, right = -Infinity, bottom = Infinity, top = -Infinity;
  for (let i = 0; i < points.length; i += 2) {
    if (points[i] < left) left = points[i];
    if (points[i] > right) right = points[i];
    if (points[i + 1] < bottom) bottom = points[i + 1];
    if (points[i + 1] > top) top = points[i + 1];
  }
  return [left, right, bottom, top];
}

// The shown row nearest to a place within a reach, or -1.
function nearest(points, shown, x, y, reach) {
  let best = reach * reach, found = -1;
  for (let row = 0; row < shown.length; row++) {
    const dx = points[2 * row] - x, dy = points[2 * row + 1] - y;
    const distance = dx * dx + dy * dy;
    if (distance <= best && shown[row]) { best = distance; found = row; }
  }
  return found;
}

// The shown row nearest to another one within 45 degrees of a direction, or -1.
function ahead(points, shown, from, across, up) {
  let best = Infinity, found = -1;
  for (let row = 0; row < shown.length; row++) {
    const dx = points[2 * row] - points[2 * from], dy = points[2 * row + 1] - points[2 * from + 1];
    const along = dx * across + dy * up, aside = Math.abs(dx * up - dy * across), distance = dx * dx + dy * dy;
    if (shown[row] && along > 0 && aside <= along && distance < best) { best = distance; found = row; }
  }
  return found;
}

// A selection as base64 of one bit a row, the first row in the lowest bit; nothing selected is "".
function packed(chosen) {
  const bytes = new Uint8Array(Math.ceil(chosen.length / 8));
  let any = 0;
  chosen.forEach((bit, row) => { any |= bit; bytes[row >> 3] |= bit << (row & 7); });
  if (!any) return "";
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

function unpacked(text, count) {
  const chosen = new Uint8Array(count);
  if (!text) return chosen;
  const bytes = atob(text);
  for (let row = 0; row < count; row++) chosen[row] = bytes.charCodeAt(row >> 3) >> (row & 7) & 1;
  return chosen;
}

function total(flags) {
  let sum = 0;
  for (const flag of flags) sum += flag;
  return sum;
}

// All rows in an order that looks random and is always the same.
function mixed(count) {
  const keys = Float64Array.from({ length: count }, (_, row) => (Math.imul(row + 1, 2654435761) >>> 0) * 131072 + row);
  return Uint32Array.from(keys.sort(), key => key % 131072);
}

// Round numbers between two others, evenly apart, about `most` of them.
function ticks(low, high, most) {
  const size = 10 ** Math.floor(Math.log10((high - low) / most));
  const step = [1, 2, 5, 10].map(factor => size * factor).find(step => (high - low) / step <= most);
  const found = [];
  for (let number = Math.ceil(low / step); number * step <= high; number++) found.push(+(number * step).toPrecision(10));
  return found;
}

function shortly(number) {
  if (!Number.isFinite(number)) return "–";
  return Math.abs(number) >= 1e4 || (number && Math.abs(number) < 1e-3) ? number.toExponential(1) : String(+number.toPrecision(3));
}
