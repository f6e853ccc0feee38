// A model learns a cloud of points: frames come from the server, are played and scrubbed, and gone on from at any step.

import { Moment, paintCodes, paintCurve, paintSquare } from "./cloud_paint.mjs";
import { Told } from "./history.mjs";
import { element, floats, inks, withHistory } from "./parts.mjs";

const SPEEDS = { // frames a second, and steps from one to the next
  crawl: { title: "Slow motion", rate: 0.5, every: 1 },
  slow: { title: "2 steps a second", rate: 2, every: 1 },
  normal: { title: "20 steps a second", rate: 10, every: 2 },
  fast: { title: "100 steps a second", rate: 12.5, every: 8 },
  faster: { title: "400 steps a second", rate: 12.5, every: 32 },
};
const TURNS = { b: "Both", d: "D only", g: "G only" };
const STEPS = { b: "Step both", d: "Step D", g: "Step G" };
const GLIDE = 1.6; // frames a second when a single step is taken
const ASKED = 6, HELD = 18; // frames that are asked for at once, and kept in hand while playing
const ENOUGH = 2000; // steps after which a play that nobody started rests
const MOST = 2000; // frames that are kept
const AGAIN = 100; // frames of a play that is played again to where it was
const LONGEST = 2000; // steps that may be asked for at once
const LEFT = 4; // ways that were left and are kept with all their frames
const THIN = 0.006; // sides of the square between two corners of a stroke
// What stays as it was chosen when another play begins, and in a view that is built anew: layers that are off, who moves, how fast.
const HIDDEN = new Set();
const CHOSEN = { turn: "b", speed: "" };
const FEW_MOVES = matchMedia("(prefers-reduced-motion: reduce)");

export function mount(component) {
  return new Cloud(component.parentElement.querySelector(".genlab"));
}

class Cloud {
  constructor(root) {
    this.root = root;
    root.cloud = this; // a handle for scripts and tests
    this.frames = [];
    this.left = [];
    this.strokes = [];
    this.told = new Told();
    this.deeds = withHistory(root, { read: () => this.state(), write: state => this.put(state) });
    this.square = element("canvas", {
      tabindex: 0, role: "application", "aria-label": "The play. Space plays, arrow keys step; D, G and B choose who moves.",
      onpointerdown: event => this.down(event), onpointermove: event => this.move(event), onpointerup: () => this.up(), onpointercancel: () => this.up(),
    });
    this.play = element("button", { type: "button", class: "main", onclick: () => this.toggle() }, "Play");
    this.single = element("button", { type: "button", onclick: () => this.step() }, "Step");
    this.who = element("span", { class: "group", role: "group", "aria-label": "Who moves" }, ...Object.entries(TURNS).map(([turn, title]) =>
      element("button", { type: "button", "data-turn": turn, onclick: () => this.gesture(() => this.choose(turn)) }, title)));
    this.speed = element("select", { "aria-label": "Speed", onchange: () => this.hurry(this.speed.value) },
      ...Object.entries(SPEEDS).map(([name, { title }]) => element("option", { value: name }, title)));
    this.reset = element("button", { type: "button", title: "To the first step; nothing is lost until you go on from there", onclick: () => this.jump(0) }, "Reset");
    this.clear = element("button", { type: "button", hidden: true, onclick: () => this.draw([]) }, "Clear drawing");
    this.scrub = element("input", { type: "range", min: 0, max: 0, step: 1, value: 0, "aria-label": "Step", oninput: () => { this.stop(); this.seek(Number(this.scrub.value)); }, onchange: () => this.rest() });
    this.count = element("span", { class: "count" });
    this.toggles = element("div", { class: "tools" });
    this.legend = element("div", { class: "legend" });
    this.said = element("div", { class: "status", role: "status", hidden: true });
    this.numbers = element("div", { class: "numbers" });
    this.charts = element("div", { class: "charts" });
    this.codes = element("canvas", { class: "codes", role: "img", "aria-label": "Codes of the points" });
    this.coded = element("div", { hidden: true }, element("div", { class: "chart" }, "Codes of the points"), this.codes);
    this.choose(CHOSEN.turn);
    root.classList.add("toy");
    root.replaceChildren(this.said,
      element("div", { class: "tools" }, this.play, this.single, this.who, this.speed, this.reset, this.clear, ...this.deeds.buttons),
      element("div", { class: "tools" }, element("label", { class: "grow" }, this.scrub), this.count),
      element("div", { class: "split" }, element("div", { class: "wide" }, element("div", { class: "square" }, this.square), this.legend),
        element("div", { class: "side" }, this.numbers, this.charts, this.toggles, this.coded)));
    this.keys = event => this.key(event);
    root.addEventListener("keydown", this.keys);
    this.resizing = new ResizeObserver(() => this.repaint());
    this.resizing.observe(root);
  }

  update(component) {
    this.component = component;
    const { data } = component, fresh = this.data?.name !== data.name, other = this.data?.of !== data.of;
    this.data = data;
    if (this.told.takes(data.strokes)) this.strokes = data.strokes;
    this.colours = inks(this.root);
    if (fresh) this.begin(data, other);
    this.repaint();
  }

  // Another play: its first frame, and, unless somebody wants little motion, off it goes. It goes to the moment that a link
  // or an earlier drawing had, where there is one. What was done before can be taken back where only the drawing is another.
  async begin(data, other) {
    this.stop();
    const back = other ? data.moment && { history: spelled(data.moment) } : this.back;
    this.back = null;
    this.points = data.cloud ? floats(data.cloud) : null;
    Object.assign(this, { frames: [], history: "", at: 0, left: [], over: "", asked: null });
    delete this.root.dataset.shown;
    this.single.disabled = true; // until there is a first frame to step from
    this.who.hidden = !data.game;
    if (!data.game) this.choose("b");
    this.single.textContent = data.game ? STEPS[this.turn] : "Step";
    this.clear.hidden = !data.drawing || !data.scene;
    this.tell(data.scene ? "" : "Draw here with the pointer or a finger: the model begins when you let go.");
    this.speed.value = CHOSEN.speed || data.speed || this.speed.value;
    this.square.classList.toggle("finger", data.drawing);
    this.furnish(data);
    other ? this.deeds.begin() : this.deeds.accept();
    if (!data.scene) return;
    const waiting = setTimeout(() => this.tell("One moment: a model is being built …"), 600);
    const landed = await this.ask(0);
    clearTimeout(waiting);
    if (!landed) return;
    this.tell("");
    if (back) this.again(back);
    else if (!FEW_MOVES.matches) this.go(Infinity, ENOUGH);
  }

  // What can be taken back: the drawing, the way that the play took and the step it stands at, who moves, and how it is shown.
  state() {
    const step = this.frames[Math.floor(this.at)]?.step ?? 0;
    return { strokes: this.strokes, history: this.history, step, turn: this.turn, hidden: [...HIDDEN].sort(), speed: this.speed.value };
  }

  put({ strokes, history, step, turn, hidden, speed }) {
    this.stop();
    this.choose(turn);
    if (speed !== this.speed.value) this.pace(speed);
    HIDDEN.clear();
    hidden.forEach(name => HIDDEN.add(name));
    this.press();
    if (JSON.stringify(strokes) !== JSON.stringify(this.strokes)) {
      this.back = { history, step }; // once the scene of the other drawing is here
      this.redraw(strokes);
    } else this.goBack({ history, step });
  }

  // To a step of a way that was taken: it is here, or kept since it was left, or else it is played again.
  goBack({ history, step }) {
    if (!this.frames.length) return;
    const kept = [this, ...this.left].find(way => way.history.startsWith(history));
    if (!kept) {
      this.leave(0);
      return this.again({ history, step });
    }
    if (kept !== this) {
      this.leave(this.frames.length - 1);
      this.take(kept);
    }
    this.arrive(step);
  }

  // Plays a way once more, in few frames, to where it ended.
  async again({ history, step = history.length }) {
    const every = Math.max(1, Math.ceil(history.length / AGAIN));
    const runs = history.match(new RegExp(`(.)\\1{0,${LONGEST - 1}}`, "g")) ?? [];
    for (const run of runs) if (!await this.ask(run.length, every, run[0])) break;
    if (this.history === history || this.over) this.arrive(step); // else somebody went another way meanwhile
  }

  arrive(step) {
    this.seek(this.frames.findLastIndex(frame => frame.step <= step));
    this.repaint();
    this.deeds.accept();
    this.tellMoment();
  }

  // What differs from scene to scene: layers, legend, charts.
  furnish({ layers = {}, legend, curves = [], game, coded, inks: { real, made } }) {
    this.root.style.setProperty("--real", real);
    this.root.style.setProperty("--made", made);
    this.coded.hidden = !coded;
    this.toggles.replaceChildren(...Object.entries(layers).map(([name, title]) => element("button", {
      type: "button", "data-layer": name, "aria-pressed": String(!HIDDEN.has(name)), onclick: () => this.gesture(() => this.layer(name)),
    }, title)));
    this.legend.replaceChildren(...(legend ? [element("span", { class: "dot" }, "points to learn"), element("span", { class: "diamond" }, "generated"),
      element("span", { class: game ? "scale game" : "scale" }, legend[0], element("i"), legend[1])] : []));
    this.curves = curves.map(curve => ({ ...curve, canvas: element("canvas", {
      class: "curve", role: "img", "aria-label": curve.title,
      onpointerdown: event => { event.target.setPointerCapture(event.pointerId); this.along(event); }, onpointermove: event => event.buttons && this.along(event), onpointerup: () => this.rest(),
    }) }));
    this.charts.replaceChildren(...this.curves.map(({ title, lines, canvas }) => element("div", {},
      element("div", { class: "chart" }, title, ...lines.filter(line => line.ink).map(line => element("b", { style: `--ink: ${line.ink}` }, line.title))), canvas)));
  }

  layer(name) {
    if (!HIDDEN.delete(name)) HIDDEN.add(name);
    this.press();
  }

  press() {
    for (const button of this.toggles.children) button.setAttribute("aria-pressed", String(!HIDDEN.has(button.dataset.layer)));
    this.repaint();
  }

  // What a person did is taken back alone, not with what the play did by itself meanwhile.
  gesture(act) {
    this.deeds.accept();
    act();
    this.deeds.note();
  }

  hurry(name) {
    this.speed.value = this.deeds.now.speed;
    this.gesture(() => this.pace(name));
    this.asked = null; // what is on its way has other steps between frames
  }

  pace(name) {
    this.speed.value = CHOSEN.speed = name;
  }

  choose(turn) {
    this.turn = CHOSEN.turn = turn;
    for (const button of this.who.children) button.setAttribute("aria-pressed", String(button.dataset.turn === turn));
    this.single.textContent = STEPS[turn];
  }

  // The frames: asked for, and where the history is to go another way, cut.
  async ask(steps, every = 1, turn = this.turn) {
    if (this.asked || this.over) return false;
    const { route, scene } = this.data, { history } = this, asked = this.asked = {};
    const answer = await fetch(route, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ ...scene, history, turn, steps, every }),
    }).then(response => response.json()).catch(error => ({ error: `The server does not answer (${error.message}).` }));
    if (this.asked !== asked) return false; // somebody went another way meanwhile
    this.asked = null;
    this.over = answer.error ?? answer.said;
    if (answer.error) { this.stop(); this.tell(answer.error); return false; }
    this.frames.push(...unpacked(answer));
    this.single.disabled = false;
    const taken = (this.frames.at(-1)?.step ?? 0) - history.length;
    this.history = history + turn.repeat(taken);
    if (this.frames.length > MOST) this.thin();
    this.scrub.max = this.frames.length - 1;
    this.root.dataset.frames = this.frames.length;
    this.show(this.at);
    return true;
  }

  // Of many frames every other one goes.
  thin() {
    this.frames = this.frames.filter((_, index, all) => index % 2 === 0 || index === all.length - 1);
    this.at /= 2;
  }

  // Whether the next frame that is here is the one that the chosen turn leads to.
  leads(index) {
    const next = this.frames[index + 1];
    return Boolean(next) && [...this.history.slice(this.frames[index].step, next.step)].every(turn => turn === this.turn);
  }

  cut(index) {
    if (index + 1 >= this.frames.length) return;
    this.leave(index);
  }

  // The way is left after a frame; what there was of it is kept for when somebody takes that back.
  leave(index) {
    const { frames, history, over } = this, kept = frames.slice(0, index + 1);
    this.left = [{ frames, history, over }, ...this.left].slice(0, LEFT);
    this.take({ frames: kept, history: history.slice(0, kept.at(-1).step), over: "" });
  }

  take({ frames, history, over }) {
    Object.assign(this, { frames, history, over, asked: null, at: Math.min(this.at, frames.length - 1) });
    this.tell(over);
    this.scrub.max = frames.length - 1;
    this.root.dataset.frames = frames.length;
  }

  // Time.
  toggle() {
    if (this.running) {
      this.stop();
      return this.rest();
    }
    if (this.over && this.at >= this.frames.length - 1) this.seek(0); // there is no more to come: once again
    this.go(Infinity);
  }

  async step() {
    this.stop();
    if (!this.frames.length) return;
    this.seek(Math.round(this.at));
    if (!this.leads(this.at)) {
      this.cut(this.at);
      this.asked = null;
      const landed = await this.ask(1);
      if (this.over) this.tell(this.over);
      if (!landed) return;
    }
    const next = Math.floor(this.at) + 1;
    if (!this.running && this.frames[next]) this.go(next);
  }

  // Until a frame, which a single step is, or for good; `most` steps are enough where nobody asked.
  go(until, most = Infinity) {
    if (!this.frames.length) return;
    Object.assign(this, { until, most });
    if (FEW_MOVES.matches && until < Infinity) return this.jump(until);
    if (until === Infinity) this.play.textContent = "Pause";
    let before = null;
    const tick = now => {
      this.running = requestAnimationFrame(tick);
      this.advance(before === null ? 0 : Math.min(0.1, (now - before) / 1000));
      before = now;
    };
    this.running = requestAnimationFrame(tick);
  }

  advance(seconds) {
    const { rate, every } = SPEEDS[this.speed.value], single = this.until < Infinity, held = this.frames.length - 1 - this.at;
    const slower = this.over ? 1 : Math.min(1, held / ASKED); // than wanted, where frames come more slowly
    let at = this.at + seconds * (single ? GLIDE : rate * Math.max(0.1, slower));
    for (let index = Math.floor(this.at); !single && index < at; index++) {
      if (index + 1 < this.frames.length && !this.leads(index)) { this.cut(index); break; }
    }
    at = Math.min(at, this.until, this.frames.length - 1);
    if (!single && held < Math.min(HELD, Math.max(2, 2 * rate))) this.ask(Math.max(1, Math.min(ASKED, Math.ceil(rate))) * every, every);
    this.show(at);
    const out = this.over && at >= this.frames.length - 1;
    if (out) this.tell(this.over);
    if (!out && at < this.until && this.frames[Math.floor(at)].step < this.most) return;
    this.stop();
    this.rest(this.most < Infinity);
  }

  stop() {
    if (this.running) cancelAnimationFrame(this.running);
    if (this.running && this.until === Infinity && this.frames.length) this.show(Math.min(this.frames.length - 1, Math.ceil(this.at)));
    this.running = null;
    this.play.textContent = "Play";
  }

  // A moment stands: going there can be taken back, unless the play went by itself, and the address names it.
  rest(byItself = false) {
    byItself ? this.deeds.accept() : this.deeds.note();
    this.tellMoment();
  }

  tellMoment() {
    if (this.frames.length) this.component.setStateValue("moment", { scene: this.data.name, turns: counted(this.history.slice(0, this.state().step)) });
  }

  jump(index) {
    if (!this.frames.length) return;
    this.stop();
    this.seek(index);
    this.rest();
  }

  seek(index) {
    this.show(Math.max(0, Math.min(this.frames.length - 1, index)));
  }

  along(event) {
    const box = event.target.getBoundingClientRect(), share = (event.clientX - box.left - 44) / (box.width - 50);
    const step = share * (this.frames.at(-1)?.step ?? 0);
    this.stop();
    this.seek(this.frames.findLastIndex(frame => frame.step <= Math.max(0, step)));
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT)$/.test(event.target.tagName)) return;
    const acts = {
      ArrowRight: () => this.step(), ArrowLeft: () => this.jump(Math.ceil(this.at) - 1), Home: () => this.jump(0),
      End: () => this.jump(this.frames.length - 1), " ": () => event.target.tagName !== "BUTTON" && this.toggle(),
      ...Object.fromEntries(Object.keys(TURNS).map(turn => [turn, () => this.data.game && this.gesture(() => this.choose(turn))])),
    };
    if (!acts[event.key] || event.key === " " && event.target.tagName === "BUTTON") return;
    event.preventDefault();
    acts[event.key]();
  }

  // Drawing by hand.
  corner(event) {
    const box = this.square.getBoundingClientRect(), inside = value => Math.round(1000 * Math.min(1, Math.max(0, value))) / 1000;
    return [inside((event.clientX - box.left) / box.width), inside(1 - (event.clientY - box.top) / box.height)];
  }

  down(event) {
    this.square.focus();
    if (event.button || !this.data?.drawing) return;
    this.square.setPointerCapture(event.pointerId);
    this.stroke = [this.corner(event)];
    this.stop();
    this.repaint();
  }

  move(event) {
    if (!this.stroke) return;
    const next = this.corner(event), last = this.stroke.at(-1);
    if (Math.hypot(next[0] - last[0], next[1] - last[1]) > THIN) this.stroke.push(next);
    this.repaint();
  }

  up() {
    if (!this.stroke) return;
    const strokes = [...this.strokes, this.stroke];
    this.stroke = null;
    this.draw(strokes);
  }

  draw(strokes) {
    this.gesture(() => this.redraw(strokes));
  }

  redraw(strokes) {
    this.strokes = strokes;
    this.told.tell(strokes);
    this.component.setStateValue("strokes", strokes);
    this.repaint();
  }

  // What is shown.
  show(at) {
    this.at = at;
    this.scrub.value = Math.round(at);
    const { step, scalars } = this.frames[Math.floor(at + 1e-9)];
    this.count.textContent = `step ${step.toLocaleString("en")} of ${this.frames.at(-1).step.toLocaleString("en")}`;
    this.numbers.replaceChildren(...said(scalars, this.data).map(([name, value]) => element("span", {}, name, element("b", {}, value))));
    if (Number.isInteger(at)) this.root.dataset.shown = step; else delete this.root.dataset.shown; // scripts wait for this
    this.repaint();
  }

  tell(sentence) {
    this.said.textContent = sentence;
    this.said.hidden = !sentence;
  }

  repaint() {
    if (this.queued) return;
    this.queued = true;
    requestAnimationFrame(() => { this.queued = false; this.paint(); });
  }

  paint() {
    if (!this.colours || !this.square.clientWidth) return;
    const { game, probable, inks: own, layers = {} } = this.data, { frames, at = 0 } = this;
    const moment = frames.length ? new Moment(frames, at, game) : null;
    const shown = Object.fromEntries(Object.keys(layers).map(name => [name, !HIDDEN.has(name)]));
    paintSquare(this.square, this.colours, { cloud: this.points, moment, layers: shown, inks: own, game, probable });
    if (this.stroke) this.trace(own.real);
    if (this.data.coded && moment) paintCodes(this.codes, this.colours, { moment, inks: own });
    for (const curve of this.curves ?? []) if (frames.length) paintCurve(curve.canvas, this.colours, { ...curve, frames, at });
  }

  trace(ink) {
    const context = this.square.getContext("2d"), side = this.square.clientWidth;
    Object.assign(context, { strokeStyle: ink, lineWidth: 6, lineCap: "round", lineJoin: "round", globalAlpha: 0.6 });
    context.beginPath();
    [...this.stroke, this.stroke.at(-1)].forEach(([x, y]) => context.lineTo(x * side, (1 - y) * side));
    context.stroke();
    context.globalAlpha = 1;
  }

  destroy() {
    this.stop();
    this.root.removeEventListener("keydown", this.keys);
    this.resizing.disconnect();
  }
}

// Frames of an answer: each part of each as its numbers and its shape.
function unpacked({ steps, scalars, parts }) {
  const whole = Object.entries(parts).map(([name, { shape: [count, ...shape], data }]) => {
    const numbers = floats(data);
    return { name, shape, numbers, size: numbers.length / count };
  });
  return steps.map((step, index) => ({
    step, scalars: Object.fromEntries(Object.entries(scalars).map(([name, values]) => [name, values[index]])),
    parts: Object.fromEntries(whole.map(({ name, shape, numbers, size }) => [name, { shape, data: numbers.slice(index * size, (index + 1) * size) }])),
  }));
}

// The turns of a way one by one, and counted: "bbbd" is "b3d1", and none are "0".
function counted(history) {
  return history.replace(/(.)\1*/g, (run, turn) => turn + run.length) || "0";
}

function spelled(turns) {
  return turns.replace(/0|(\D)(\d+)/g, (_, turn, count) => turn?.repeat(count) ?? "");
}

// The numbers in words; those that are not there yet are left out.
function said(scalars, { curves = [], modes }) {
  const found = curves.flatMap(({ lines }) => lines.map(({ name, title }) => [title, scalars[name]?.toFixed(3)]));
  if (modes) found.push(["modes", `${scalars.modes} of ${modes}`], ["near a mode", `${Math.round(100 * scalars.quality)} %`]);
  return found.filter(([, value]) => value !== undefined && !value.startsWith("null"));
}
