// The map itself: what it shows, where it stands, what is selected. Python hears of selections and of the
// checkpoint arrived at; everything else happens here.

const GLIDE = 700; // milliseconds from one place of the points to the next

class Scatter {
  constructor(parent) {
    this.root = parent.querySelector(".scatter");
    this.shadow = this.root.getRootNode();
    [this.canvas, this.overlay] = this.root.querySelectorAll(".ground canvas");
    this.overlay.scatter = this; // a handle for scripts and tests
    Object.assign(this, { data: null, count: 0, at: new Float32Array(0), chosen: new Uint8Array(0), hidden: new Set() });
    Object.assign(this, { tool: "move", pictures: false, size: 28, marks: [], outline: [], hovered: -1, lately: -1, moment: 0, turn: 0 });
    this.view = { x: 0, y: 0, scale: 1 };
    this.loaded = new Map();
    this.history = new History({ read: () => this.standing(), write: standing => this.restore(standing), changed: () => tally(this) });
    this.rebuilt = new Rebuilt((picture, asked) => showRebuilt(this, picture, asked));
    this.resizing = new ResizeObserver(() => this.resize());
    this.resizing.observe(this.canvas.parentElement);
    listen(this);
    tools(this);
  }

  // What Python sends: addresses of the points and colours, and how to show them. Newer data overtakes older.
  async take(data) {
    const turn = ++this.turn;
    const [points, codes] = await Promise.all([this.load(data.points), data.colours.codes ? this.load(data.colours.codes) : null]);
    if (turn !== this.turn) return;
    const before = this.data, same = before && before.rows === data.rows;
    this.data = data;
    this.count = data.count;
    this.numbers = new Int32Array(points, 0, this.count);
    this.frames = Array.from({ length: (points.byteLength / 4 - this.count) / 2 / this.count }, (_, frame) =>
      new Float32Array(points, 4 * this.count * (1 + 2 * frame), 2 * this.count));
    this.codes = codes && new Float32Array(codes);
    this.symbols = data.symbols;
    if (!before || before.asked !== data.asked) this.begin(data.pictures);
    this.axes = data.axes;
    const recoloured = !before || before.colours.title !== data.colours.title;
    if (recoloured) this.hidden.clear();
    if (!same) { this.chosen = this.given(); this.history.begin(); this.hovered = this.lately = -1; }
    else if (recoloured) this.history.accept();
    if (same && before.asked !== data.asked) this.keep(this.given());
    if (before && before.asked !== data.asked) { this.tellPictures(); this.report(); }
    this.colour();
    this.mark(data.marks);
    this.loadSheet(data.sheet);
    if (!before || before.points !== data.points) this.settle(same);
    else if (this.marks.some(mark => !this.within(mark))) this.glide(this.frames[this.moment]);
    timeline(this);
    this.refresh();
  }

  // Pictures of a size from the start, as a link asked for.
  begin(size) {
    this.pictures = size > 0;
    if (size) this.size = this.root.querySelector("[data-part=size]").value = size;
  }

  // The selection that Python sent, where it is one of these points.
  given() {
    const [rows, bits] = this.data.chosen.split(".");
    return unpacked(rows === this.data.rows ? bits : "", this.count);
  }

  // A file of the server, remembered as long as it is one of the last few.
  load(address) {
    if (!this.loaded.has(address)) {
      this.loaded.set(address, fetch(address).then(answer => answer.ok ? answer.arrayBuffer() : Promise.reject(Error(`${answer.status}`))));
      this.loaded.get(address).catch(() => { this.loaded.delete(address); this.say("The points could not be loaded; reload the page."); });
      if (this.loaded.size > 12) this.loaded.delete(this.loaded.keys().next().value);
    }
    return this.loaded.get(address);
  }

  async loadSheet(sheet) {
    if (!sheet) { this.sheet = null; return; }
    if (this.sheet?.address === sheet.address) return;
    const image = new Image();
    image.src = sheet.address;
    await image.decode().catch(() => null);
    if (this.data.sheet?.address !== sheet.address || !image.naturalWidth) return;
    this.sheet = { ...sheet, image };
    this.overlay.dataset.sheet = sheet.address;
    this.refresh();
  }

  say(words) {
    this.root.querySelector("[data-part=card]").hidden = true;
    this.root.querySelector("[data-part=tally]").textContent = words;
  }

  // Points go to their places: at once where they are others than before, else they glide.
  settle(same) {
    const last = this.frames.length - 1;
    this.moment = this.data.when ? Math.min(this.data.when.at, last) : last;
    this.placeMarks();
    const target = this.frames[this.moment], still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (!same || still || this.at.length !== target.length) {
      this.at = target.slice();
      return this.fit(false);
    }
    this.glide(target);
  }

  glide(target) {
    const from = this.at.slice(), view = { ...this.view }, aim = this.fitting(target), began = performance.now();
    const mine = this.gliding = {};
    const step = now => {
      if (this.gliding !== mine || this.at.length !== target.length) return;
      const time = Math.min(1, Math.max(0, (now - began) / GLIDE)), share = time * time * (3 - 2 * time);
      for (let i = 0; i < target.length; i++) this.at[i] = from[i] + (target[i] - from[i]) * share;
      for (const name of ["x", "y"]) this.view[name] = view[name] + (aim[name] - view[name]) * share;
      this.view.scale = view.scale * (aim.scale / view.scale) ** share;
      this.repaint();
      if (time < 1) requestAnimationFrame(step);
      else { this.gliding = null; this.history.accept(); }
    };
    requestAnimationFrame(step);
  }

  // Between two checkpoints points lie between their places.
  travel(moment) {
    this.gliding = null;
    this.moment = moment;
    const from = this.frames[Math.floor(moment)], to = this.frames[Math.ceil(moment)], share = moment % 1;
    for (let i = 0; i < from.length; i++) this.at[i] = from[i] + (to[i] - from[i]) * share;
    this.cursor(moment);
    this.placeMarks();
    const watched = this.watched();
    if (watched >= 0) this.hover(watched, this.screen(this.at[2 * watched], this.at[2 * watched + 1]));
    this.repaint();
  }

  // The point that is followed through time: the one on the card, else the one selected, else the last on the card.
  watched() {
    const row = this.hovered >= 0 ? this.hovered : total(this.chosen) === 1 ? this.chosen.indexOf(1) : this.lately;
    return row >= 0 && this.data.rebuilt && this.shown[row] ? row : -1;
  }

  arrive(frame) {
    this.playing = null;
    this.travel(frame);
    this.history.note();
    this.tell("frame", frame);
  }

  // From the first checkpoint to the last, a bit under a second each; pressed again it stops.
  play() {
    if (this.playing) return this.arrive(Math.round(this.moment));
    const last = this.frames.length - 1, began = performance.now(), from = this.moment >= last ? 0 : this.moment, mine = this.playing = {};
    const step = now => {
      if (this.playing !== mine) return;
      const moment = Math.min(last, from + Math.max(0, now - began) / 800);
      moment < last ? this.travel(moment) : this.arrive(last);
      if (moment < last) requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  // Colours of the rows, and which rows are shown.
  colour() {
    this.readLook();
    const { palette, sequential, colours } = this.data, inks = palette.map(inkOf), scale = sequential.map(inkOf);
    const classes = colours.names.length > 0, faint = inkOf("#8a8f98");
    this.scale = null;
    if (this.codes && !classes) {
      const finite = this.codes.filter(Number.isFinite);
      this.scale = finite.length ? finite.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]) : null;
    }
    this.shown = new Uint8Array(this.count).fill(1);
    this.shapes = new Uint8Array(this.count);
    this.full = new Uint32Array(this.count).fill(inks[0]);
    for (let row = 0; row < this.count && this.codes; row++) {
      const code = this.codes[row];
      if (classes) {
        this.full[row] = inks[code % inks.length];
        this.shapes[row] = Math.floor(code / inks.length) % this.symbols.length;
        if (this.hidden.has(code)) this.shown[row] = 0;
      } else {
        const [low, high] = this.scale || [0, 1];
        this.full[row] = Number.isFinite(code) ? onScale(scale, (code - low) / (high - low || 1)) : faint;
      }
    }
    this.arrange();
  }

  // The order of painting is random, so that no class covers another; what is selected comes last, on top, and the
  // rest fades while something is selected.
  arrange() {
    if (this.mixed?.length !== this.count) this.mixed = mixed(this.count);
    const any = this.any = total(this.chosen) > 0, ground = inkOf(this.look.hexadecimal);
    this.inks = any ? this.full.map((ink, row) => this.chosen[row] ? ink : blend(ink, ground, 0.78)) : this.full;
    const shown = this.mixed.filter(row => this.shown[row]);
    this.order = any ? [...shown.filter(row => !this.chosen[row]), ...shown.filter(row => this.chosen[row])] : shown;
  }

  dims(row) {
    return this.any && !this.chosen[row];
  }

  // Colours and font of the page, from the theme's variables.
  readLook() {
    const style = getComputedStyle(this.root), of = (name, otherwise) => style.getPropertyValue(name).trim() || otherwise;
    const probe = this.probe ||= document.createElement("canvas").getContext("2d");
    probe.fillStyle = of("--st-background-color", "#ffffff");
    const hexadecimal = probe.fillStyle.startsWith("#") ? probe.fillStyle : "#ffffff";
    this.look = {
      hexadecimal, ground: hexadecimal, text: of("--st-text-color", "#16212b"), faint: of("--st-gray-text-color", "#6b7681"),
      line: of("--st-border-color", "#d5dde5"), accent: of("--st-primary-color", "#0072b2"), font: of("--st-font", "sans-serif"),
    };
  }

  mark(marks) {
    this.marks = marks.map(mark => {
      const image = mark.picture && Object.assign(new Image(), { src: mark.picture });
      if (image) image.onload = () => this.repaint("overlay");
      return { ...mark, image };
    });
    this.placeMarks();
  }

  // Marks with a way of their own stand where they lay at the moment.
  placeMarks() {
    const from = Math.floor(this.moment), share = this.moment - from;
    for (const mark of this.marks) {
      if (mark.way.length <= from) continue;
      const [start, end] = [mark.way[from], mark.way[Math.min(from + 1, mark.way.length - 1)]];
      [mark.x, mark.y] = start.map((value, axis) => value + (end[axis] - value) * share);
    }
  }

  within({ x, y }) {
    const [across, down] = this.screen(x, y);
    return across > 0 && down > 0 && across < this.width && down < this.height;
  }

  toggle(code, alone) {
    const others = this.data.colours.names.map((_, other) => other).filter(other => other !== code);
    const already = others.every(other => this.hidden.has(other)) && !this.hidden.has(code);
    if (alone) this.hidden = new Set(already ? [] : others);
    else this.hidden.delete(code) || this.hidden.add(code);
    this.history.note();
    this.colour();
    this.refresh();
  }

  takeUp(tool) {
    this.tool = tool;
    this.overlay.dataset.tool = tool;
    tally(this);
  }

  showPictures(on) {
    this.pictures = on;
    this.refresh();
    this.tellPictures();
  }

  tellPictures() {
    this.history.note();
    this.tell("pictures", this.pictures ? this.size : 0);
  }

  // Selecting: `way` is "only", "add" or "remove".
  choose(found, way = "only") {
    const next = way === "only" ? found : this.chosen.map((bit, row) => way === "add" ? bit | found[row] : bit & ~found[row]);
    if (next.every((bit, row) => bit === this.chosen[row])) return;
    this.keep(next);
    this.report();
  }

  keep(next) {
    this.chosen = next;
    this.history.note();
    this.arrange();
    this.refresh();
  }

  // What a gesture can change. The view is told from the one that shows all points, so that it means the same where the
  // same images have another map, or the map another size.
  standing() {
    const { x, y, scale } = this.view, whole = this.fitting(this.at, []);
    const view = { right: (x - whole.x) * whole.scale, up: (y - whole.y) * whole.scale, closer: scale / whole.scale };
    return { chosen: packed(this.chosen), hidden: [...this.hidden], moment: this.moment, pictures: this.pictures, size: this.size, view };
  }

  // Back to what stood there once; Python hears of what it keeps of that.
  restore({ chosen, hidden, moment, pictures, size, view }) {
    const before = this.standing(), frame = Math.min(Math.round(moment), this.frames.length - 1);
    this.gliding = this.playing = null;
    Object.assign(this, { chosen: unpacked(chosen, this.count), hidden: new Set(hidden), pictures });
    this.size = this.root.querySelector("[data-part=size]").value = size;
    if (frame !== before.moment) this.travel(frame);
    const whole = this.fitting(this.at, []);
    this.view = { x: whole.x + view.right / whole.scale, y: whole.y + view.up / whole.scale, scale: whole.scale * view.closer };
    this.history.accept();
    this.colour();
    this.refresh();
    if (frame !== before.moment) this.tell("frame", frame);
    if (chosen !== before.chosen) this.report();
    if (pictures !== before.pictures || size !== before.size) this.tell("pictures", pictures ? size : 0);
  }

  report() {
    this.tell("chosen", `${this.data.rows}.${packed(this.chosen)}`);
  }

  // Let go of a gesture that has not ended; says whether there was one.
  drop() {
    const had = this.outline.length > 0;
    this.gesture = null;
    this.outline = [];
    this.repaint("overlay");
    return had;
  }

  enclosed(outline) {
    const corners = new Float64Array(outline.length);
    for (let i = 0; i < outline.length; i += 2) corners.set(this.placeOf(outline[i], outline[i + 1]), i);
    return inside(this.at, corners, this.shown);
  }

  near(x, y, reach) {
    if (!this.count) return -1;
    if (this.pictures && this.sheet) return this.pictured(x * this.ratio, y * this.ratio);
    return nearest(this.at, this.shown, ...this.placeOf(x, y), reach / this.view.scale);
  }

  // The row of the uppermost picture at a place, in device pixels.
  pictured(x, y) {
    const { spots, wide, tall } = this.drawn || { spots: [] };
    for (let place = spots.length - 1; place >= 0; place--) {
      const [row, left, top] = spots[place];
      if (x >= left && x < left + wide && y >= top && y < top + tall) return row;
    }
    return -1;
  }

  hover(row, at = [0, 0]) {
    if (row === this.hovered && row < 0) return;
    this.hovered = row;
    if (row >= 0) this.lately = row;
    else this.rebuilt.want(null);
    card(this, row, at);
    this.repaint("overlay");
  }

  // To the nearest shown point in a direction from the one on the card, else to the one nearest to the middle; the map
  // follows where it lies outside.
  hop(across, up) {
    const from = this.hovered, { x, y } = this.view;
    const row = from < 0 ? nearest(this.at, this.shown, x, y, Infinity) : ahead(this.at, this.shown, from, across, up);
    if (row < 0) return;
    const place = { x: this.at[2 * row], y: this.at[2 * row + 1] };
    if (!this.within(place)) {
      Object.assign(this.view, place);
      this.moved();
    }
    this.hover(row, this.screen(place.x, place.y));
  }

  // Between places of the map and CSS pixels of the canvas.
  screen(x, y) {
    return [this.width / 2 + (x - this.view.x) * this.view.scale, this.height / 2 - (y - this.view.y) * this.view.scale];
  }

  placeOf(x, y) {
    return [this.view.x + (x - this.width / 2) / this.view.scale, this.view.y - (y - this.height / 2) / this.view.scale];
  }

  pan(dx, dy) {
    this.gliding = null;
    this.view.x -= dx / this.view.scale;
    this.view.y += dy / this.view.scale;
    this.moved();
  }

  zoom(factor, x = this.width / 2, y = this.height / 2) {
    this.gliding = null;
    const [left, top] = this.placeOf(x, y), widest = this.fitting(this.at).scale;
    this.view.scale = Math.min(Math.max(this.view.scale * factor, widest / 8), widest * 2000);
    const [right, bottom] = this.placeOf(x, y);
    this.view.x += left - right;
    this.view.y += top - bottom;
    this.moved();
  }

  // Whoever holds the map has not done with it; other ways to move it come in many small parts.
  moved() {
    if (!this.gesture) this.history.noteSoon();
    this.hover(-1);
    this.repaint();
  }

  // The view that shows all points and marks: one unit is as long across as upwards.
  fitting(points, marks = this.marks) {
    let [left, right, bottom, top] = bounds(points);
    for (const { x, y } of marks) { left = Math.min(left, x); right = Math.max(right, x); bottom = Math.min(bottom, y); top = Math.max(top, y); }
    const scale = Math.min((this.width - 60) / (right - left || 1), (this.height - 76) / (top - bottom || 1));
    return { x: (left + right) / 2, y: (bottom + top) / 2 - 10 / scale, scale };
  }

  fit(asked = true) {
    if (!this.count || !this.width) return;
    this.view = this.fitting(this.at);
    if (asked) this.moved();
    else this.history.accept();
  }

  radius() {
    const crowd = this.count > 20000 ? 1.6 : this.count > 6000 ? 2.3 : this.count > 2500 ? 3 : 3.8;
    return crowd * Math.min(2, Math.max(1, (this.view.scale / (this.fitted || 1)) ** 0.25));
  }

  buffer(width, height) {
    if (this.image?.width !== width || this.image?.height !== height) this.image = new ImageData(width, height);
    return this.image;
  }

  resize() {
    const { width, height } = this.canvas.parentElement.getBoundingClientRect(), ratio = devicePixelRatio || 1;
    if (!width || !height) return;
    const first = !this.width;
    Object.assign(this, { width, height, ratio });
    for (const canvas of [this.canvas, this.overlay]) { canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio); }
    if (first) this.fit(false);
    else if (this.data) this.history.accept();
    this.repaint();
    this.paint();
  }

  refresh() {
    if (!this.data) return;
    legend(this);
    tally(this);
    this.repaint();
  }

  // Paint before the next frame: everything, or what lies on top alone.
  repaint(what = "all") {
    this.due = this.due === "all" ? "all" : what;
    this.waiting ||= requestAnimationFrame(() => this.paint());
  }

  paint() {
    const due = this.due;
    this.waiting = this.due = null;
    if (!this.data || !this.width) return;
    const context = this.canvas.getContext("2d", { willReadFrequently: true }), over = this.overlay.getContext("2d");
    if (due !== "overlay") {
      this.readLook();
      this.fitted = this.fitting(this.at).scale;
      context.setTransform(1, 0, 0, 1, 0, 0);
      paintDots(context, this, this.ratio);
      if (this.pictures && this.sheet) paintPictures(context, this, this.ratio);
      context.scale(this.ratio, this.ratio);
      paintAxes(context, this, this.width, this.height);
      this.overlay.dataset.painted = this.count;
    }
    over.setTransform(1, 0, 0, 1, 0, 0);
    over.clearRect(0, 0, over.canvas.width, over.canvas.height);
    over.scale(this.ratio, this.ratio);
    paintOverlay(over, this);
  }

  leave() {
    this.resizing.disconnect();
    this.gliding = this.playing = null;
  }
}

const scatters = new WeakMap();

export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  if (!scatters.has(parentElement)) scatters.set(parentElement, new Scatter(parentElement));
  const scatter = scatters.get(parentElement);
  scatter.tell = setStateValue;
  scatter.trigger = setTriggerValue;
  scatter.overlay.setAttribute("aria-label", data.label);
  scatter.take(data);
  return () => parentElement.isConnected || scatter.leave(); // called too where another update has overtaken this one
}
