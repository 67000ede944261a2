// A text in the page's address: deflated, in the fragment, which no server sees.

const pipe = async (bytes, stream) =>
  new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer());

/** `#z=...` for what one wrote; `#spec=resnet50` for an example as it is shipped. */
export async function fragment(state, example) {
  const { text, model, params, input, tab } = state;
  if (example && example.text === text && !model && !Object.keys(params).length && !input)
    return `#spec=${encodeURIComponent(example.name)}`;
  const given = { t: text };
  if (model) given.m = model;
  if (Object.keys(params).length) given.p = params;
  if (input) given.i = input;
  if (tab && tab !== "picture") given.v = tab;
  const raw = new TextEncoder().encode(JSON.stringify(given));
  const packed = await pipe(raw, new CompressionStream("deflate-raw"));
  let binary = "";
  for (const byte of packed) binary += String.fromCharCode(byte);
  return "#z=" + btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** What an address holds; null where it holds nothing, an error where it is damaged. */
export async function opened(hash, examples) {
  const found = new URLSearchParams(hash.replace(/^#/, ""));
  const name = found.get("spec");
  if (name !== null) {
    const example = examples.find((one) => one.name === name);
    if (!example) throw new Error(`there is no shipped spec \`${name}\``);
    return { text: example.text, model: "", params: {}, input: "", example };
  }
  const packed = found.get("z");
  if (packed === null) return null;
  let given;
  try {
    const binary = atob(packed.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(binary, (char) => char.charCodeAt(0));
    const raw = await pipe(bytes, new DecompressionStream("deflate-raw"));
    given = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(raw));
  } catch {
    throw new Error("the link is damaged: a part of it is missing");
  }
  const text = (value) => (typeof value === "string" ? value : "");
  const pairs = Object.entries(given.p ?? {}).filter(([, value]) => typeof value === "string");
  const params = Object.fromEntries(pairs);
  return { text: text(given.t), model: text(given.m), params, input: text(given.i), tab: text(given.v) };
}
