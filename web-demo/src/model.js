// A model as uss-export-onnx writes it: model.json, the graphs, and what classes are asked with.

import * as ort from "../node_modules/onnxruntime-web/dist/ort.wasm.min.mjs";

ort.env.wasm.wasmPaths = new URL("../node_modules/onnxruntime-web/dist/", import.meta.url).href;

const VERSION = 1;

export const tensor = (data, shape) =>
  new ort.Tensor(data instanceof BigInt64Array ? "int64" : "float32", data, shape);

async function fetched(url) {
  const answer = await fetch(url);
  if (!answer.ok) {
    throw new Error(
      `${url} is not there (${answer.status}); write the model with: uss-export-onnx -o web-demo/model`,
    );
  }
  return answer;
}

/** Read a safetensors file: {metadata, tensors}, the latter as Float32Array with their shapes. */
export function readSafetensors(buffer) {
  const size = Number(new DataView(buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, size)));
  const tensors = {};
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__" || entry.dtype !== "F32") continue;
    const [start, end] = entry.data_offsets;
    const bytes = buffer.slice(8 + size + start, 8 + size + end);
    tensors[name] = { data: new Float32Array(bytes), shape: entry.shape };
  }
  return { metadata: header.__metadata__ ?? {}, tensors };
}

/** Load a model from the folder at a URL; `tell` is called with what is being loaded. */
export async function loadModel(folder, tell = () => {}) {
  const described = await (await fetched(new URL("model.json", folder))).json();
  if (described.uss_onnx !== VERSION) {
    throw new Error(`the model is of version ${described.uss_onnx}, this page reads ${VERSION}; export it again`);
  }
  if (!described.separator || !described.tagger) {
    throw new Error("the model lacks a separator or a tagger; export one that has both");
  }
  const graphs = {};
  for (const name of ["tagger", "encoder", "masks"]) {
    tell(`loading the ${name}`);
    const content = await (await fetched(new URL(`${name}.onnx`, folder))).arrayBuffer();
    graphs[name] = await ort.InferenceSession.create(content, { executionProviders: ["wasm"] });
  }
  const asking = readSafetensors(
    await (await fetched(new URL("asking.safetensors", folder))).arrayBuffer(),
  );
  const queries = JSON.parse(asking.metadata.uss_bundle).queries;
  if (!queries) throw new Error("the model has no class queries, so it cannot be asked for classes");
  return {
    ...described,
    folder,
    graphs,
    queryRows: new Map(queries.class_indexes.map((index, row) => [index, row])),
    queries: asking.tensors["queries.vectors"].data,
    ownThresholds: asking.tensors.thresholds?.data ?? null,
    mediumThresholds: asking.tensors["thresholds.medium"]?.data ?? null,
  };
}

/** Find the class that some words ask for; null if none is meant. */
export async function classInWords(model, text) {
  if (!model.text) throw new Error("the model was exported without a text encoder");
  if (!model.reader) {
    const words = await (await fetched(new URL("words.json", model.folder))).json();
    const content = await (await fetched(new URL("text.onnx", model.folder))).arrayBuffer();
    model.reader = {
      rows: new Map(words.map((word, row) => [word, row])),
      graph: await ort.InferenceSession.create(content, { executionProviders: ["wasm"] }),
    };
  }
  const { rows, graph } = model.reader;
  const known = text
    .toLowerCase()
    .split(/[^0-9a-z']+/)
    .map((word) => rows.get(word) ?? rows.get(word.replace(/s$/, "")))
    .filter((row) => row !== undefined);
  if (!known.length) return null;
  const given = tensor(BigInt64Array.from(known, BigInt), [known.length]);
  const { probabilities } = await graph.run({ rows: given });
  let best = 0;
  probabilities.data.forEach((value, index) => {
    if (value > probabilities.data[best]) best = index;
  });
  return probabilities.data[best] >= model.text.abstaining ? best : null;
}
