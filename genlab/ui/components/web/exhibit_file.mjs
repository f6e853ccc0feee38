// How an exhibit of one file begins: its parts stand in it as compressed text, and nobody is asked for anything.

const parts = new Map([...document.querySelectorAll("script[data-part]")].map(part => [part.dataset.part, part]));
const addresses = new Map();

async function bytes(name) {
  const packed = Uint8Array.from(atob(parts.get(name).textContent), letter => letter.charCodeAt(0));
  return new Uint8Array(await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer());
}

// A module as an address that holds it, with the addresses of those that it names in it. On a page from a disk, workers
// are started from such addresses alone, and may fetch nothing.
function addressOf(name) {
  if (!addresses.has(name)) addresses.set(name, made(name));
  return addresses.get(name);
}

async function made(name) {
  let text = new TextDecoder().decode(await bytes(name));
  for (const other of parts.get(name).dataset.names?.split(" ") ?? []) {
    const address = await addressOf(other);
    text = text.replaceAll(`"./${other}"`, `"${address}"`).replaceAll(`"${other}"`, `"${address}"`);
  }
  return `data:text/javascript,${encodeURIComponent(text)}`;
}

try {
  const told = JSON.parse(new TextDecoder().decode(await bytes("data.json")));
  const [graph, binary] = await Promise.all(["decoder.onnx", "ort-wasm-simd-threaded.wasm"].map(bytes));
  Object.assign(told.plane.decoder, { graph, binary });
  const { show } = await import(await addressOf("exhibit.mjs"));
  show(told);
} catch (error) {
  document.querySelector("h1").textContent = "This exhibit could not be opened";
  document.querySelector("p").textContent = `It takes a browser of 2023 or later; this one said: ${error.message}`;
}
