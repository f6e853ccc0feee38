// What the checkpoint under the slider rebuilds of the image on the card. The server decodes; one question is open at a
// time, and the newest comes next.

const MOST_REBUILT = 300; // pictures that are remembered

class Rebuilt {
  // `show(picture, asked)` is told of a picture, or of null where none came.
  constructor(show) {
    Object.assign(this, { show, known: new Map(), wanted: null, busy: false });
  }

  want(asked) {
    this.wanted = asked;
    if (!asked) return;
    const before = this.known.get(nameOf(asked));
    if (before) this.show(before, asked);
    else if (!this.busy) this.work();
  }

  async work() {
    this.busy = true;
    while (this.wanted && !this.known.has(nameOf(this.wanted))) {
      const asked = this.wanted, picture = await rebuild(asked).catch(() => null);
      if (picture) this.known.set(nameOf(asked), picture);
      if (this.known.size > MOST_REBUILT) this.known.delete(this.known.keys().next().value);
      if (this.wanted && nameOf(this.wanted) === nameOf(asked)) this.show(picture, asked);
      if (!picture) break;
    }
    this.busy = false;
  }
}

function nameOf({ address, number }) {
  return `${address} ${number}`;
}

async function rebuild({ address, number }) {
  const answer = await fetch(address, { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: Int32Array.of(number) });
  if (!answer.ok) throw Error(`the server answered ${answer.status}`);
  return createImageBitmap(await answer.blob());
}
