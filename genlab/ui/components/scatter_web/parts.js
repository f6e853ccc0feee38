// What stands around the map: tools, legend, the card of the point under the pointer, and the way through time.

function tools(scatter) {
  const part = name => scatter.root.querySelector(`[data-part=${name}]`);
  for (const button of scatter.root.querySelectorAll("[data-tool]")) button.onclick = () => scatter.takeUp(button.dataset.tool);
  part("closer").onclick = () => scatter.zoom(1.5);
  part("farther").onclick = () => scatter.zoom(1 / 1.5);
  part("fit").onclick = () => scatter.fit();
  for (const way of ["undo", "redo"]) part(way).onclick = () => scatter.history[way]();
  part("clear").onclick = () => scatter.choose(new Uint8Array(scatter.count));
  part("pictures").onclick = () => scatter.showPictures(!scatter.pictures);
  part("size").oninput = event => { scatter.size = +event.target.value; scatter.repaint(); };
  part("size").onchange = () => scatter.tellPictures();
  part("save").onclick = () => save(scatter);
  part("when").oninput = event => scatter.travel(+event.target.value);
  part("when").onchange = event => scatter.arrive(Math.round(+event.target.value));
  part("when").onkeydown = event => {
    const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    scatter.arrive(Math.min(Math.max(Math.round(scatter.moment) + step, 0), scatter.frames.length - 1));
  };
  part("play").onclick = () => scatter.play();
}

// The map as it is seen, as a PNG; nothing leaves the browser.
function save(scatter) {
  const { canvas } = scatter, copy = document.createElement("canvas");
  copy.width = canvas.width;
  copy.height = canvas.height;
  const context = copy.getContext("2d");
  context.fillStyle = scatter.look.ground;
  context.fillRect(0, 0, copy.width, copy.height);
  for (const layer of [canvas, scatter.overlay]) context.drawImage(layer, 0, 0);
  copy.toBlob(blob => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = "map.png";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
}

function made(tag, name, text = "") {
  const element = document.createElement(tag);
  element.className = name;
  element.textContent = text;
  return element;
}

// Classes with their counts, which hide and show their points; or the scale of a number.
function legend(scatter) {
  const box = scatter.root.querySelector("[data-part=legend]"), { colours } = scatter.data;
  if (!colours.names.length) return box.replaceChildren(...(scatter.scale ? scale(scatter) : []));
  const any = total(scatter.chosen) > 0, counts = colours.names.map(() => [0, 0]);
  scatter.codes.forEach((code, row) => { counts[code][0]++; counts[code][1] += scatter.chosen[row]; });
  box.replaceChildren(...colours.names.map((name, code) => {
    const button = made("button", "entry"), [every, caught] = counts[code];
    const swatch = made("span", `swatch ${scatter.symbols[Math.floor(code / scatter.data.palette.length) % scatter.symbols.length]}`);
    swatch.style.background = scatter.data.palette[code % scatter.data.palette.length];
    button.append(swatch, made("span", "name", name), made("span", "count", any ? `${caught} of ${every}` : every));
    button.ariaPressed = String(!scatter.hidden.has(code));
    button.title = "Hide or show; with Shift, show this alone";
    button.onclick = event => scatter.toggle(code, event.shiftKey);
    return button;
  }));
}

function scale(scatter) {
  const [low, high] = scatter.scale, bar = made("span", "bar");
  bar.style.background = `linear-gradient(90deg, ${scatter.data.sequential.join(", ")})`;
  return [made("span", "name", scatter.data.colours.title), made("span", "count", shortly(low)), bar, made("span", "count", shortly(high))];
}

// How many points are selected, and whether there is something to take back.
function tally(scatter) {
  const part = name => scatter.root.querySelector(`[data-part=${name}]`), caught = total(scatter.chosen);
  part("tally").textContent = caught ? `${caught.toLocaleString("en")} of ${scatter.count.toLocaleString("en")}` : `${scatter.count.toLocaleString("en")} points`;
  part("clear").disabled = !caught;
  part("undo").disabled = !scatter.history.past.length;
  part("redo").disabled = !scatter.history.future.length;
  for (const button of scatter.root.querySelectorAll("[data-tool]")) button.ariaPressed = String(button.dataset.tool === scatter.tool);
  part("pictures").ariaPressed = String(scatter.pictures);
  part("pictures").hidden = part("size").hidden = !scatter.sheet;
  part("size").disabled = !scatter.pictures;
  if (scatter.shadow.activeElement?.disabled) scatter.overlay.focus({ preventScroll: true }); // so that keys are still heard
}

// The card beside the pointer: the picture of a point, its name and its value.
function card(scatter, row, at) {
  const box = scatter.root.querySelector("[data-part=card]");
  box.hidden = row < 0;
  if (row < 0) return;
  const { sheet, data, codes } = scatter, value = data.colours.names.length ? data.colours.names[codes[row]] : codes && `${data.colours.title} ${shortly(codes[row])}`;
  box.querySelector(".title").textContent = `${data.noun} ${scatter.numbers[row]}`;
  box.querySelector(".value").textContent = value || "";
  const thumbnail = box.querySelector("canvas");
  thumbnail.hidden = !sheet;
  if (sheet) {
    thumbnail.width = sheet.width;
    thumbnail.height = sheet.height;
    paintTile(thumbnail.getContext("2d"), sheet, row, 0, 0, sheet.width, sheet.height);
  }
  beside(scatter, box, row);
  box.dataset.number = scatter.numbers[row];
  const right = at[0] > scatter.width / 2, below = at[1] > scatter.height / 2;
  box.style.left = right ? "" : `${at[0] + 18}px`;
  box.style.right = right ? `${scatter.width - at[0] + 18}px` : "";
  box.style.top = below ? "" : `${at[1] + 12}px`;
  box.style.bottom = below ? `${scatter.height - at[1] + 12}px` : "";
}

// While the map travels through time: what the checkpoint nearest to it rebuilds of the same image, and what it is called.
function beside(scatter, box, row) {
  const { rebuilt, when } = scatter.data, frame = Math.round(scatter.moment);
  const canvas = box.querySelector(".rebuilt") || Object.assign(document.createElement("canvas"), { className: "rebuilt" });
  box.querySelector(".then").hidden = !rebuilt;
  if (!rebuilt) return canvas.remove();
  if (box.dataset.number !== String(scatter.numbers[row])) canvas.width = canvas.height = 0; // it was another image
  box.querySelector("canvas").after(canvas);
  scatter.rebuilt.want({ address: `${rebuilt}/${when.steps[frame]}`, number: scatter.numbers[row], title: when.titles[frame] });
}

function showRebuilt(scatter, picture, { number, title }) {
  const box = scatter.root.querySelector("[data-part=card]"), canvas = box.querySelector(".rebuilt");
  if (!canvas || box.dataset.number !== String(number)) return;
  box.querySelector(".then").textContent = picture ? `and as rebuilt after ${title}` : "its reconstruction did not come";
  Object.assign(canvas, { width: picture?.width ?? 0, height: picture?.height ?? 0 });
  if (picture) canvas.getContext("2d").drawImage(picture, 0, 0);
  canvas.dataset.title = picture ? title : ""; // scripts wait for this
}

// The slider through the checkpoints and the curve of the loss behind it, with its cursor.
function timeline(scatter) {
  const box = scatter.root.querySelector("[data-part=time]"), { when } = scatter.data;
  box.hidden = !when;
  if (!when) return;
  const slider = box.querySelector("input");
  slider.max = when.titles.length - 1;
  const [left, right, low, high] = bounds((when.curve.length ? when.curve : when.steps.map(step => [step, 0])).flat());
  const x = step => 300 * (step - left) / (right - left || 1), y = value => 36 - 32 * (value - low) / (high - low || 1);
  box.querySelector("polyline").setAttribute("points", when.curve.map(([step, value]) => `${x(step)},${y(value)}`).join(" "));
  box.querySelector(".what").textContent = when.what;
  scatter.cursor = moment => {
    const from = Math.min(Math.floor(moment), when.steps.length - 2), share = moment - from;
    const step = when.steps.length < 2 ? when.steps[0] : when.steps[from] * (1 - share) + when.steps[from + 1] * share;
    for (const end of ["x1", "x2"]) box.querySelector("line").setAttribute(end, x(step));
    box.querySelector(".title").textContent = when.titles[Math.round(moment)];
    slider.value = moment;
  };
  scatter.cursor(scatter.moment);
}
