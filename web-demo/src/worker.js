// The work, off the page's thread. Messages in: {task, ...}; out: {told}, {done, ...} or {failed}.

import { analyse, detectLevel, lookFor } from "./detection.js";
import { classInWords, loadModel } from "./model.js";
import { separate } from "./separation.js";

let model = null;
let recording = null;
let analysis = null;
let detections = [];

const tell = (told) => self.postMessage({ told });
const shown = (found) => ({
  name: found.node.name,
  active: found.active,
  probability: found.probability,
});

const tasks = {
  async load({ folder }) {
    model = await loadModel(folder, tell);
    return { sampleRate: model.separator.sample_rate };
  },

  async listen({ channels, level }) {
    recording = channels;
    analysis = await analyse(model, channels, (at, of) => tell(`listening, ${at} of ${of} segments`));
    detections = detectLevel(model, analysis, level);
    return { detections: detections.map(shown), segments: analysis.segments };
  },

  async ask({ words }) {
    const index = await classInWords(model, words);
    if (index === null) return { asked: null };
    const { mid, name } = model.detection.classes[index];
    const node = model.detection.nodes.find((each) => each.mid === mid);
    if (!node.classes.some((each) => model.queryRows.has(each))) {
      throw new Error(`the model cannot be asked for ${name}`);
    }
    if (!detections.some((found) => found.node.mid === mid)) {
      detections.push(lookFor(model, analysis, node, true));
    }
    return { asked: name, detections: detections.map(shown), segments: analysis.segments };
  },

  async separate({ names }) {
    const wanted = detections.filter((found) => names.includes(found.node.name));
    const stems = await separate(model, recording, analysis, wanted, (at, of) =>
      tell(`separating, ${at} of ${of} segments`),
    );
    return { names: [...wanted.map((found) => found.node.name), "residual"], stems };
  },
};

self.onmessage = async ({ data }) => {
  try {
    self.postMessage({ done: data.task, ...(await tasks[data.task](data)) });
  } catch (error) {
    self.postMessage({ failed: String(error.message ?? error) });
  }
};
