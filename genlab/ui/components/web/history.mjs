// What was done in a view and can be taken back, and what Python answers to it.

const REMEMBERED = 60; // gestures
const REST = 400; // milliseconds without another turn of the wheel that end a gesture

export class History {
  // `read()` gives all that can be taken back, as plain data; `write(state)` puts it there again and tells Python of it;
  // `changed()` hears when there is more or less to take back.
  constructor({ read, write, changed = () => {} }) {
    Object.assign(this, { read, write, changed, past: [], future: [], now: null });
  }

  // What stands there now is where all begins.
  begin() {
    this.past = [];
    this.future = [];
    this.now = this.read();
    this.changed();
  }

  // What stands there now was no gesture, such as what moved by itself, and is not taken back alone.
  accept() {
    if (this.waiting) this.note();
    this.now = this.read();
  }

  // A part of a gesture, such as a turn of the wheel: it has ended when no other part follows soon.
  noteSoon() {
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.note(), REST);
  }

  // A gesture has ended; one that changed nothing is none.
  note() {
    clearTimeout(this.waiting);
    this.waiting = null;
    const next = this.read();
    if (JSON.stringify(next) === JSON.stringify(this.now)) return;
    this.past = [...this.past, this.now].slice(-REMEMBERED);
    this.future = [];
    this.now = next;
    this.changed();
  }

  undo() {
    this.step("past", "future");
  }

  redo() {
    this.step("future", "past");
  }

  step(from, to) {
    if (this.waiting) this.note();
    if (!this[from].length) return;
    this[to].push(this.now);
    this.now = this[from].pop();
    this.write(this.now);
    this.changed();
  }

  // Ctrl-Z takes back, Ctrl-Shift-Z or Ctrl-Y does it again; says whether the key was one of these.
  key(event) {
    const name = event.key.toLowerCase(), again = name === "y" || event.shiftKey;
    if (!(event.ctrlKey || event.metaKey) || !["z", "y"].includes(name)) return false;
    event.preventDefault();
    event.stopPropagation();
    again ? this.redo() : this.undo();
    return true;
  }
}

// Something that Python is told of and sends back: an answer that later gestures have overtaken is passed over.
export class Told {
  told = [];
  heard = "";
  turn = 0;

  tell(value) {
    this.told.push(JSON.stringify(value));
    this.turn++;
  }

  // Whether what came is to be taken over: the answer to what was told last, or news of Python's own.
  takes(value) {
    const text = JSON.stringify(value), echo = this.told.indexOf(text), news = text !== this.heard;
    this.heard = text;
    if (echo >= 0) this.told.splice(0, echo + 1);
    else if (news) this.told = [];
    return !this.told.length && (echo >= 0 || news);
  }
}
