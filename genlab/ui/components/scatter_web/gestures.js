// Fingers, mouse and keys. A gesture changes only what is seen; the selection is told when it ends.

const NEAR = 14; // CSS pixels within which a pointer finds a point
const MOST_BYTES = 20e6; // of a picture that is dropped
const KEYS = {
  ArrowLeft: s => s.pan(60, 0), ArrowRight: s => s.pan(-60, 0), ArrowUp: s => s.pan(0, 60), ArrowDown: s => s.pan(0, -60),
  "+": s => s.zoom(1.25), "=": s => s.zoom(1.25), "-": s => s.zoom(0.8), 0: s => s.fit(),
  Escape: s => { s.hover(-1); s.drop() || s.choose(new Uint8Array(s.count)); },
  m: s => s.takeUp("move"), l: s => s.takeUp("lasso"), b: s => s.takeUp("box"), i: s => s.showPictures(!s.pictures),
};

const HOPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }; // with Shift

function listen(scatter) {
  const canvas = scatter.overlay, pointers = new Map();
  canvas.addEventListener("pointerdown", event => pressed(scatter, pointers, event));
  canvas.addEventListener("pointermove", event => moved(scatter, pointers, event));
  canvas.addEventListener("pointerup", event => released(scatter, pointers, event));
  canvas.addEventListener("pointercancel", event => { pointers.delete(event.pointerId); scatter.drop(); scatter.history.note(); });
  canvas.addEventListener("pointerleave", () => scatter.hover(-1));
  canvas.addEventListener("dblclick", () => scatter.fit());
  canvas.addEventListener("wheel", event => wheeled(scatter, event), { passive: false });
  canvas.addEventListener("keydown", event => keyed(scatter, event));
  scatter.root.addEventListener("keydown", event => scatter.history.key(event));
  for (const kind of ["dragover", "dragleave", "drop"]) canvas.addEventListener(kind, event => dragged(scatter, event));
}

function place(scatter, event) {
  const box = scatter.overlay.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

function pressed(scatter, pointers, event) {
  if (event.button) return;
  scatter.overlay.setPointerCapture(event.pointerId);
  scatter.overlay.focus({ preventScroll: true });
  const at = place(scatter, event);
  pointers.set(event.pointerId, at);
  if (pointers.size > 1) scatter.drop();
  else scatter.gesture = { tool: event.shiftKey ? "lasso" : scatter.tool, start: at, travelled: false };
  if (event.pointerType === "touch") scatter.hover(pointers.size > 1 ? -1 : scatter.near(...at, NEAR), at); // a finger that rests shows what it is on
}

function moved(scatter, pointers, event) {
  const at = place(scatter, event), { gesture } = scatter, before = pointers.get(event.pointerId);
  if (!before) {
    if (event.pointerType !== "touch") scatter.hover(scatter.near(...at, NEAR), at);
    return;
  }
  if (pointers.size === 2) pinched(scatter, pointers, event.pointerId, at);
  pointers.set(event.pointerId, at);
  if (!gesture || pointers.size > 1) return;
  const [x, y] = gesture.start;
  if (!gesture.travelled && Math.hypot(at[0] - x, at[1] - y) < 4) return;
  gesture.travelled = true;
  scatter.hover(-1);
  if (gesture.tool === "move") return scatter.pan(at[0] - before[0], at[1] - before[1]);
  if (gesture.tool === "box") scatter.outline = [x, y, at[0], y, at[0], at[1], x, at[1]];
  else scatter.outline.push(...(scatter.outline.length ? at : [x, y, ...at]));
  scatter.repaint("overlay");
}

// Two fingers: the place between them stays between them.
function pinched(scatter, pointers, moving, at) {
  const [other] = [...pointers].filter(([id]) => id !== moving).map(([, spot]) => spot);
  const before = pointers.get(moving);
  const apart = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]) || 1;
  scatter.pan((at[0] - before[0]) / 2, (at[1] - before[1]) / 2);
  scatter.zoom(apart(at, other) / apart(before, other), (at[0] + other[0]) / 2, (at[1] + other[1]) / 2);
}

function released(scatter, pointers, event) {
  pointers.delete(event.pointerId);
  const { gesture, outline } = scatter;
  if (!gesture) return;
  const way = wayOf(event);
  if (!gesture.travelled) clicked(scatter, place(scatter, event), way);
  else if (gesture.tool === "move") scatter.history.note();
  else if (outline.length >= 6) scatter.choose(scatter.enclosed(outline), way);
  scatter.drop();
}

// What becomes of the selection: Ctrl adds, Alt takes out.
function wayOf(event) {
  return event.ctrlKey || event.metaKey ? "add" : event.altKey ? "remove" : "only";
}

function clicked(scatter, [x, y], way) {
  select(scatter, scatter.near(x, y, NEAR), way);
}

function select(scatter, row, way) {
  if (row < 0) return;
  const one = new Uint8Array(scatter.count);
  one[row] = 1;
  scatter.choose(one, way === "add" && scatter.chosen[row] ? "remove" : way);
}

// The wheel turns the page, as everywhere, until the map was clicked on; a pinch on a touch pad comes with Ctrl.
function wheeled(scatter, event) {
  if (!event.ctrlKey && scatter.shadow.activeElement !== scatter.overlay) return;
  event.preventDefault();
  scatter.zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0015)), ...place(scatter, event));
}

function keyed(scatter, event) {
  if (event.key === "Enter") select(scatter, scatter.hovered, wayOf(event));
  else if (!KEYS[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
  else if (event.shiftKey && HOPS[event.key]) scatter.hop(...HOPS[event.key]);
  else KEYS[event.key](scatter);
  event.preventDefault();
  event.stopPropagation();
}

// A picture dropped on the map goes to Python as it is.
function dragged(scatter, event) {
  if (!scatter.data?.drops || !event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault();
  scatter.root.classList.toggle("dragging", event.type === "dragover");
  const file = event.type === "drop" && event.dataTransfer.files[0];
  if (!file) return;
  if (file.size > MOST_BYTES) return scatter.say("This file is larger than 20 MB; take a smaller one.");
  const reader = new FileReader();
  reader.onload = () => scatter.trigger("dropped", { name: file.name, content: reader.result.split(",")[1] || "" });
  reader.readAsDataURL(file);
}
