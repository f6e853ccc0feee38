// A run's decoder in this page: in a worker, by the ONNX runtime, or where that cannot be, by a route of the server.

import { painted } from "./decoder_worker.mjs";

let worker = null;
const waiting = new Map(), decoders = new Map();
let questions = 0;

function ask(question, transfer = []) {
  worker ??= Object.assign(new Worker(new URL("decoder_worker.mjs", import.meta.url), { type: "module" }), {
    onmessage: ({ data }) => {
      const [resolve, reject] = waiting.get(data.id);
      waiting.delete(data.id);
      data.error === undefined ? resolve(data) : reject(Error(data.error));
    },
    onerror: event => { // it could not be loaded at all: whoever waits goes on without it
      for (const [, reject] of waiting.values()) reject(Error(event.message || "the worker did not start"));
      waiting.clear();
    },
  });
  return new Promise((resolve, reject) => {
    const id = questions++;
    waiting.set(id, [resolve, reject]);
    worker.postMessage({ id, ...question }, transfer);
  });
}

// The decoder that Python told of, one for the whole page however many parts of it ask.
export function decoderOf(told) {
  if (!decoders.has(told.name)) decoders.set(told.name, new Decoder(told));
  return decoders.get(told.name);
}

export class Decoder {
  constructor(told) {
    Object.assign(this, told);
    this.where = "loading"; // then "browser", "server" or "nowhere"
    this.reason = "";
    this.ready = this.start();
  }

  async start() {
    try {
      if (!this.graph) throw Error("the runtime for browsers was not fetched when genlab was installed; npm does that");
      await ask({ kind: "open", name: this.name, graph: this.graph, binary: this.binary });
      this.where = "browser";
    } catch (error) {
      this.where = this.route ? "server" : "nowhere";
      this.reason = error.message;
    }
  }

  // Pictures of codes (count x D, row by row): red, green, blue and alpha of one after the other. Until the decoder is
  // here the server decodes.
  async decode(codes, count) {
    if (!this.route) await this.ready;
    const began = performance.now();
    const pictures = { count, height: this.shape[1], width: this.shape[2] };
    if (this.where === "browser") {
      const copy = codes.slice();
      pictures.bytes = (await ask({ kind: "decode", name: this.name, codes: copy, count, shape: this.shape }, [copy.buffer])).bytes;
    } else {
      if (this.where === "nowhere") throw Error(this.reason);
      const answer = await fetch(this.route, { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: codes });
      if (!answer.ok) throw Error((await answer.json().catch(() => ({}))).error ?? `the server answered ${answer.status}`);
      pictures.bytes = painted(new Uint8Array(await answer.arrayBuffer()), this.shape, count, 1);
    }
    pictures.milliseconds = performance.now() - began;
    return pictures;
  }
}

// Decodes what was wanted last: while one question is open, newer ones overtake each other.
export class Stream {
  constructor(decoder, show, failed = () => {}) {
    Object.assign(this, { decoder, show, failed, wanted: null, busy: false, shown: 0 });
  }

  want(codes, count, about) {
    this.wanted = { codes, count, about, since: performance.now() };
    if (!this.busy) this.work();
  }

  async work() {
    this.busy = true;
    while (this.wanted) {
      const { codes, count, about, since } = this.wanted;
      this.wanted = null;
      try {
        const pictures = await this.decoder.decode(codes, count);
        this.show(pictures, about);
        this.latency = performance.now() - since; // from the gesture to the canvas
        this.shown++;
      } catch (error) {
        this.failed(error);
        break;
      }
    }
    this.busy = false;
  }
}
