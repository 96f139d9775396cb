// The page: what people press and see. Nothing leaves it.

import { wav } from "./wav.js";

const MAX_SECONDS = 600;
const EVERYTHING = ["file", "level", "words", "ask", "separate"];

const $ = (id) => document.getElementById(id);
const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
let sampleRate = 0;
let waiting = null;
let urls = [];

worker.onmessage = ({ data }) => {
  if (data.told !== undefined) return say(data.told);
  const { resolve, reject } = waiting;
  waiting = null;
  if (data.failed !== undefined) reject(new Error(data.failed));
  else resolve(data);
};
worker.onerror = (event) => say(`the page cannot run: ${event.message ?? "its worker did not start"}`, true);

function run(task, given = {}) {
  return new Promise((resolve, reject) => {
    waiting = { resolve, reject };
    worker.postMessage({ task, ...given });
  });
}

function say(text, isError = false) {
  $("status").textContent = text;
  $("status").classList.toggle("error", isError);
}

/** Let people use some controls, by their ids; the sounds found go with the button below them. */
function enable(...ids) {
  for (const each of document.querySelectorAll("button, input, select")) {
    each.disabled = !ids.includes(each.closest("#found") ? "separate" : each.id);
  }
}

/** Run what a press starts; while it runs nothing else can be pressed. */
async function during(work, ...after) {
  enable();
  try {
    await work();
    enable(...after);
  } catch (error) {
    say(error.message, true);
    enable("file", "level");
  }
}

async function decoded(file) {
  const context = new OfflineAudioContext(1, 1, sampleRate);
  let buffer;
  try {
    buffer = await context.decodeAudioData(await file.arrayBuffer());
  } catch {
    throw new Error(`${file.name} is no audio file that this browser can decode`);
  }
  if (buffer.duration > MAX_SECONDS) {
    throw new Error(`${file.name} lasts ${Math.round(buffer.duration)} s; this page takes ${MAX_SECONDS} s at most`);
  }
  return Array.from({ length: buffer.numberOfChannels }, (_, c) => buffer.getChannelData(c).slice());
}

function clearStems() {
  for (const url of urls) URL.revokeObjectURL(url);
  urls = [];
  $("stems").replaceChildren();
}

function showFound({ detections, segments }) {
  $("found").replaceChildren(
    ...detections.map((each) => {
      const row = document.createElement("label");
      row.className = "sound";
      const box = document.createElement("input");
      box.type = "checkbox";
      box.value = each.name;
      box.checked = true;
      const name = document.createElement("span");
      name.textContent = `${each.name} (${Math.round(100 * each.probability)} %)`;
      const times = document.createElement("span");
      times.className = "times";
      times.setAttribute("aria-hidden", "true");
      times.append(
        ...each.active.map((isActive) => {
          const cell = document.createElement("i");
          cell.classList.toggle("active", isActive);
          return cell;
        }),
      );
      row.append(box, name, times);
      return row;
    }),
  );
  const seconds = (segments.hop / sampleRate).toFixed(1);
  $("legend").textContent = detections.length ? `Each field is ${seconds} s.` : "";
}

async function listen() {
  const [file] = $("file").files;
  if (!file) return;
  clearStems();
  $("found").replaceChildren();
  await during(
    async () => {
      say("decoding");
      const channels = await decoded(file);
      const heard = await run("listen", { channels, level: Number($("level").value) });
      showFound(heard);
      say(heard.detections.length ? "Choose what to separate." : "No sound was found; ask in words, or choose another level.");
    },
    ...EVERYTHING,
  );
}

async function ask() {
  const words = $("words").value;
  if (!words.trim()) return say("Write what to separate, such as: a dog barks", true);
  await during(async () => {
    const answer = await run("ask", { words });
    if (answer.asked === null) return say("No sound is known by these words; use others.", true);
    showFound(answer);
    say(`That is ${answer.asked}.`);
  }, ...EVERYTHING);
}

async function separate() {
  const names = [...document.querySelectorAll("#found input:checked")].map((box) => box.value);
  if (!names.length) return say("Choose at least one sound.", true);
  clearStems();
  await during(
    async () => {
      const { names: stemNames, stems } = await run("separate", { names });
      stemNames.forEach((name, index) => {
        const url = URL.createObjectURL(wav(stems[index], sampleRate));
        urls.push(url);
        const row = document.createElement("div");
        row.className = "stem";
        const title = document.createElement("span");
        title.textContent = name;
        const player = document.createElement("audio");
        player.controls = true;
        player.src = url;
        player.setAttribute("aria-label", name);
        const link = document.createElement("a");
        link.href = url;
        link.download = `${name.replace(/[^\w ,()-]/g, "_")}.wav`;
        link.textContent = "WAV";
        row.append(title, player, link);
        $("stems").append(row);
      });
      say("Done: the stems add up to the recording.");
    },
    ...EVERYTHING,
  );
}

$("file").onchange = listen;
$("level").onchange = listen;
$("ask").onclick = ask;
$("separate").onclick = separate;

during(async () => {
  const folder = new URL(new URLSearchParams(location.search).get("model") ?? "model/", location.href);
  ({ sampleRate } = await run("load", { folder: folder.href }));
  say("Choose a recording; nothing of it leaves this page.");
}, "file", "level");
