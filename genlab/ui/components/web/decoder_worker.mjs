// Runs decoders beside the page, so that nothing on it stutters: codes in, pixels out.

const sessions = new Map();
let runtime = null;

// The runtime, once; `binary` is its program where it cannot be fetched, in an exhibit that is one file.
function started(binary) {
  const near = name => new URL(name, import.meta.url).href;
  runtime ??= import(near("ort.wasm.min.mjs")).then(ort => {
    ort.env.wasm.numThreads = 1; // more would ask for headers that keep other pages out
    ort.env.wasm.wasmBinary = binary;
    ort.env.wasm.wasmPaths = { mjs: near("ort-wasm-simd-threaded.mjs"), wasm: binary ? undefined : near("ort-wasm-simd-threaded.wasm") };
    ort.env.logLevel = "error";
    return ort;
  });
  return runtime;
}

async function graphOf(source) {
  if (typeof source !== "string") return source; // bytes, in an exhibit that is one file
  const answer = await fetch(source);
  if (!answer.ok) throw Error((await answer.json().catch(() => ({}))).error ?? `the server answered ${answer.status}`);
  return answer.arrayBuffer();
}

async function opened(source, binary) {
  const [ort, graph] = await Promise.all([started(binary), graphOf(source)]);
  const session = await ort.InferenceSession.create(graph, { executionProviders: ["wasm"] });
  return { ort, session };
}

// Pixels in [0, 1], channel by channel, as red, green, blue and alpha of a canvas; it rounds to the nearest byte.
export function painted(values, [channels, height, width], count, scale) {
  const size = height * width, bytes = new Uint8ClampedArray(count * size * 4);
  for (let image = 0, out = 0; image < count; image++) {
    for (let pixel = 0, at = image * channels * size; pixel < size; pixel++, at++, out += 4) {
      bytes[out] = values[at] * scale;
      bytes[out + 1] = values[at + (channels > 1 ? size : 0)] * scale;
      bytes[out + 2] = values[at + (channels > 2 ? 2 * size : 0)] * scale;
      bytes[out + 3] = channels > 3 ? values[at + 3 * size] * scale : 255;
    }
  }
  return bytes;
}

async function answered({ kind, name, graph, binary, codes, count, shape }) {
  if (kind === "open") {
    if (!sessions.has(name)) sessions.set(name, opened(graph, binary));
    await sessions.get(name).catch(error => { sessions.delete(name); throw error; });
    return {};
  }
  const { ort, session } = await sessions.get(name);
  const { images } = await session.run({ codes: new ort.Tensor("float32", codes, [count, codes.length / count]) });
  return { bytes: painted(images.data, shape, count, 255) };
}

if (typeof WorkerGlobalScope !== "undefined") {
  self.onmessage = async ({ data }) => {
    try {
      const answer = await answered(data);
      self.postMessage({ id: data.id, ...answer }, answer.bytes ? [answer.bytes.buffer] : []);
    } catch (error) {
      self.postMessage({ id: data.id, error: String(error.message ?? error) });
    }
  };
}
