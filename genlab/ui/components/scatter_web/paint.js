// Painting: dots are written into the pixels themselves, which keeps 70,000 of them at frame rate without a GPU;
// pictures come from one sheet; the grid slides beneath and the words stand on top.

const SHAPES = {
  circle: (x, y) => x * x + y * y <= 1,
  diamond: (x, y) => Math.abs(x) + Math.abs(y) <= 1.15,
  square: (x, y) => Math.max(Math.abs(x), Math.abs(y)) <= 0.85,
  cross: (x, y) => Math.min(Math.abs(x), Math.abs(y)) <= 0.4 && Math.max(Math.abs(x), Math.abs(y)) <= 1,
  "triangle-up": (x, y) => y <= 0.8 && y >= 2.2 * Math.abs(x) - 1.1,
  star: (x, y) => Math.abs(x * y) <= 0.1 && x * x + y * y <= 1.2,
};

// How much of each pixel around a dot's middle it covers: [places in a buffer `width` wide, coverages 1..255].
function stamp(shape, radius, width) {
  const reach = Math.ceil(radius + 0.5), places = [], coverages = [];
  for (let dy = -reach; dy <= reach; dy++) {
    for (let dx = -reach; dx <= reach; dx++) {
      let hits = 0;
      for (let sub = 0; sub < 16; sub++) {
        const x = dx + (sub % 4 - 1.5) / 4, y = dy + ((sub >> 2) - 1.5) / 4;
        if (SHAPES[shape](x / radius, y / radius)) hits++;
      }
      if (hits) { places.push(dy * width + dx); coverages.push(Math.round(hits / 16 * 255)); }
    }
  }
  return [Int32Array.from(places), Uint8Array.from(coverages)];
}

// One dot, over whatever lies there: pixels are 0xAABBGGRR with straight alpha.
function dot(pixels, middle, ink, [places, coverages]) {
  for (let k = 0; k < places.length; k++) {
    const at = middle + places[k], coverage = coverages[k];
    if (coverage === 255) { pixels[at] = ink; continue; }
    const under = pixels[at];
    if (under >>> 24 === 0) { pixels[at] = (ink & 0xffffff | coverage << 24) >>> 0; continue; }
    const rest = 255 - coverage;
    const red = ((ink & 255) * coverage + (under & 255) * rest) / 255;
    const green = ((ink >> 8 & 255) * coverage + (under >> 8 & 255) * rest) / 255;
    const blue = ((ink >> 16 & 255) * coverage + (under >> 16 & 255) * rest) / 255;
    pixels[at] = (red | green << 8 | blue << 16 | Math.max(under >>> 24, coverage) << 24) >>> 0;
  }
}

function inkOf(hexadecimal) {
  const value = parseInt(hexadecimal.slice(1), 16);
  return (255 << 24 | (value & 255) << 16 | value & 0xff00 | value >> 16) >>> 0;
}

// A share of the way from one ink to another.
function blend(from, to, share) {
  const mixed = [0, 8, 16].map(shift => Math.round((from >> shift & 255) * (1 - share) + (to >> shift & 255) * share) << shift);
  return (mixed[0] | mixed[1] | mixed[2] | 255 << 24) >>> 0;
}

// The ink at a place in [0, 1] on a scale of colours.
function onScale(inks, place) {
  const at = Math.min(Math.max(place, 0), 1) * (inks.length - 1), low = Math.min(Math.floor(at), inks.length - 2);
  return blend(inks[low], inks[low + 1], at - low);
}

// All dots in order, in device pixels; the buffer is wider than the canvas by a margin, so that no dot needs clipping.
function paintDots(context, scatter, ratio) {
  const width = context.canvas.width, height = context.canvas.height;
  const { at, inks, shapes, order, view } = scatter;
  const radius = scatter.radius() * ratio, margin = Math.ceil(radius + 1), wide = width + 2 * margin, tall = height + 2 * margin;
  const image = scatter.buffer(wide, tall);
  const pixels = new Uint32Array(image.data.buffer).fill(0);
  const stamps = scatter.symbols.map(symbol => stamp(symbol, radius, wide));
  const scale = view.scale * ratio, left = width / 2 - view.x * scale, top = height / 2 + view.y * scale;
  for (const row of order) {
    const x = Math.round(left + at[2 * row] * scale), y = Math.round(top - at[2 * row + 1] * scale);
    if (x < 0 || y < 0 || x >= width || y >= height) continue;
    dot(pixels, (y + margin) * wide + x + margin, inks[row], stamps[shapes[row]]);
  }
  context.putImageData(image, -margin, -margin);
}

const SLOW = 10; // milliseconds of painting pictures: with fewer they follow every frame
const STILL = 120; // milliseconds that a view stands still before slow ones are painted anew

// Pictures in the place of dots, from a layer of their own. Where they take long, the layer moves and grows with the view as
// it lies, above the dots, until the view rests; meanwhile nobody can tell which picture is at a place.
function paintPictures(context, scatter, ratio) {
  const { width, height } = context.canvas, { view, order, inks, sheet, size, gliding } = scatter, kept = scatter.layer;
  const of = [order, inks, sheet, size, width, height], before = kept?.view;
  clearTimeout(scatter.resting);
  const same = kept?.of.every((part, place) => part === of[place]) && !gliding;
  const moved = before && (view.x !== before.x || view.y !== before.y || view.scale !== before.scale);
  if (same && moved && kept.took > SLOW) {
    const grown = view.scale / before.scale, scale = view.scale * ratio;
    const left = width / 2 * (1 - grown) + (before.x - view.x) * scale, top = height / 2 * (1 - grown) - (before.y - view.y) * scale;
    context.drawImage(kept.canvas, left, top, width * grown, height * grown);
    scatter.drawn = null;
    scatter.resting = setTimeout(() => { kept.took = 0; scatter.repaint(); }, STILL);
    return;
  }
  const canvas = kept?.canvas ?? document.createElement("canvas"), began = performance.now();
  Object.assign(canvas, { width, height });
  layPictures(canvas.getContext("2d", { willReadFrequently: true }), scatter, ratio);
  context.drawImage(canvas, 0, 0);
  scatter.layer = { canvas, of, view: { ...view }, took: performance.now() - began };
}

// The last in order first; where one lies already, no other covers half of it.
function layPictures(context, scatter, ratio) {
  const { at, order, view, sheet, size } = scatter;
  const scaled = size * ratio / Math.max(sheet.width, sheet.height), wide = sheet.width * scaled, tall = sheet.height * scaled;
  const width = context.canvas.width, height = context.canvas.height, taken = new Set(), drawn = [];
  const scale = view.scale * ratio, left = width / 2 - view.x * scale, top = height / 2 + view.y * scale;
  for (let place = order.length - 1; place >= 0; place--) {
    const row = order[place], x = left + at[2 * row] * scale, y = top - at[2 * row + 1] * scale;
    if (x < -wide || y < -tall || x > width + wide || y > height + tall) continue;
    const cell = Math.floor(x / wide / 0.7) * 65536 + Math.floor(y / tall / 0.7);
    if (taken.has(cell)) continue;
    taken.add(cell);
    drawn.push([row, x - wide / 2, y - tall / 2]);
  }
  context.imageSmoothingEnabled = scaled < 1;
  const frame = Math.max(1, ratio * size / 24);
  for (const [row, x, y] of drawn.reverse()) {
    context.globalAlpha = scatter.dims(row) ? 0.3 : 1;
    context.fillStyle = cssInk(scatter.inks[row]);
    context.fillRect(x - frame, y - frame, wide + 2 * frame, tall + 2 * frame);
    paintTile(context, sheet, row, x, y, wide, tall);
  }
  context.globalAlpha = 1;
  scatter.drawn = { spots: drawn, wide, tall };
}

function paintTile(context, sheet, row, x, y, wide, tall) {
  const column = row % sheet.across, line = Math.floor(row / sheet.across);
  context.drawImage(sheet.image, column * sheet.width, line * sheet.height, sheet.width, sheet.height, x, y, wide, tall);
}

function cssInk(ink) {
  return `rgb(${ink & 255} ${ink >> 8 & 255} ${ink >> 16 & 255})`;
}

// The grid beneath what is painted already, and its numbers and the axes' names on top; in CSS pixels.
function paintAxes(context, scatter, width, height) {
  const { look, axes } = scatter, [left, top] = scatter.placeOf(0, 0), [right, bottom] = scatter.placeOf(width, height);
  context.globalCompositeOperation = "destination-over";
  context.strokeStyle = look.line;
  context.lineWidth = 1;
  context.beginPath();
  const xs = ticks(left, right, Math.max(3, width / 80)).map(number => [number, Math.round(scatter.screen(number, 0)[0]) + 0.5]);
  const ys = ticks(bottom, top, Math.max(3, height / 80)).map(number => [number, Math.round(scatter.screen(0, number)[1]) + 0.5]);
  for (const [, x] of xs) { context.moveTo(x, 0); context.lineTo(x, height); }
  for (const [, y] of ys) { context.moveTo(0, y); context.lineTo(width, y); }
  context.stroke();
  context.globalCompositeOperation = "source-over";
  context.font = `12px ${look.font}`;
  for (const [number, x] of xs) if (x > 40 && x < width - 20) words(context, shortly(number), x, height - 22, look, "center");
  for (const [number, y] of ys) if (y > 20 && y < height - 40) words(context, shortly(number), 6, y + 4, look, "left");
  words(context, axes[0], width / 2, height - 6, look, "center");
  context.save();
  context.translate(width - 8, height / 2);
  context.rotate(-Math.PI / 2);
  words(context, axes[1], 0, 0, look, "center");
  context.restore();
}

// Words with a halo of the ground, so that they can be read over points.
function words(context, text, x, y, look, align) {
  context.textAlign = align;
  context.lineWidth = 4;
  context.lineJoin = "round";
  context.strokeStyle = look.ground;
  context.fillStyle = look.faint;
  context.strokeText(text, x, y);
  context.fillText(text, x, y);
}

// What lies over everything and changes with the pointer: marks, the point under it, the outline being drawn.
function paintOverlay(context, scatter) {
  const { look, hovered, outline, marks, at } = scatter;
  for (const mark of marks) {
    const [x, y] = scatter.screen(mark.x, mark.y);
    paintMark(context, mark, x, y, look);
  }
  if (hovered >= 0) {
    const [x, y] = scatter.screen(at[2 * hovered], at[2 * hovered + 1]);
    const reach = scatter.pictures && scatter.sheet ? scatter.size / 2 + 3 : scatter.radius() + 4;
    context.strokeStyle = look.text;
    context.lineWidth = 2;
    context.beginPath();
    context.roundRect(x - reach, y - reach, 2 * reach, 2 * reach, scatter.pictures ? 2 : reach);
    context.stroke();
  }
  if (outline.length >= 4) {
    context.beginPath();
    for (let i = 0; i < outline.length; i += 2) context.lineTo(outline[i], outline[i + 1]);
    context.closePath();
    context.globalAlpha = 0.15;
    context.fillStyle = look.accent;
    context.fill();
    context.globalAlpha = 1;
    context.strokeStyle = look.accent;
    context.lineWidth = 2;
    context.stroke();
  }
}

// A marked place: its picture in a frame above a pin, or a ring, and its name.
function paintMark(context, mark, x, y, look) {
  context.strokeStyle = look.accent;
  context.fillStyle = look.accent;
  context.lineWidth = 3;
  const image = mark.image;
  context.beginPath();
  context.arc(x, y, 6, 0, 2 * Math.PI);
  image ? context.fill() : context.stroke();
  if (image && image.complete && image.naturalWidth) {
    const wide = 44, tall = wide * image.naturalHeight / image.naturalWidth;
    const above = y - 16 - tall > 4 ? y - 16 - tall : y + 30;
    context.beginPath();
    context.moveTo(x, y);
    context.lineTo(x, above > y ? above : above + tall);
    context.stroke();
    context.imageSmoothingEnabled = false;
    context.drawImage(image, x - wide / 2, above, wide, tall);
    context.strokeRect(x - wide / 2, above, wide, tall);
  }
  context.font = `600 12px ${look.font}`;
  words(context, mark.name, x, y + 22, { ...look, faint: look.text }, "center");
}
