// The mixer. Samples are fetched in pieces and played by one clock, so stems stay in step to the
// sample, and the memory it takes does not grow with the recording.
const PIECE_SECONDS = 4;
const AHEAD_SECONDS = 8;
const LATE_SECONDS = 0.1;
let mixer = null;

class Strip {
  constructor(row, context, output) {
    this.row = row;
    this.rate = Number(row.dataset.rate);
    this.channels = Number(row.dataset.channels);
    this.samples = Number(row.dataset.samples);
    this.context = context;
    this.gain = new GainNode(context);
    this.gain.connect(output);
  }

  pressed(kind) { return this.row.querySelector("." + kind).getAttribute("aria-pressed") === "true"; }

  set(solos) {
    const decibels = Number(this.row.querySelector(".level").value);
    const silent = this.pressed("mute") && !this.pressed("solo");
    const heard = !silent && (solos === 0 || this.pressed("solo"));
    this.gain.gain.setTargetAtTime(heard ? 10 ** (decibels / 20) : 0, this.context.currentTime, 0.01);
    this.row.querySelector(".db").textContent = String(decibels).replace("-", "\u2212") + " dB";
    this.row.classList.toggle("unheard", !heard);
  }

  async piece(start, seconds) {
    const first = Math.round(start * this.rate);
    const last = Math.min(this.samples, Math.round((start + seconds) * this.rate));
    if (last <= first) return null;
    const size = 2 * this.channels;
    const offset = Number(this.row.dataset.header);
    const range = `bytes=${offset + first * size}-${offset + last * size - 1}`;
    const answer = await fetch(this.row.dataset.url, {headers: {Range: range}});
    if (!answer.ok) throw new Error("the files of this result are not there any more");
    const values = new DataView(await answer.arrayBuffer());
    const buffer = new AudioBuffer(
      {length: last - first, numberOfChannels: this.channels, sampleRate: this.rate});
    for (let channel = 0; channel < this.channels; channel++) {
      const target = buffer.getChannelData(channel);
      for (let index = 0; index < target.length; index++) {
        target[index] = values.getInt16(size * index + 2 * channel, true) / 32768;
      }
    }
    return buffer;
  }
}

class Mixer {
  constructor(root) {
    this.root = root;
    this.seconds = Number(root.dataset.seconds);
    this.position = 0;
    this.run = null;
    this.sources = new Set();
  }

  start() {
    if (this.context) return;
    const rows = [...this.root.querySelectorAll(".strip")];
    this.context = new AudioContext({sampleRate: Number(rows[0].dataset.rate)});
    this.analyser = new AnalyserNode(this.context, {fftSize: 2048});
    this.analyser.connect(this.context.destination);
    this.strips = rows.map((row) => new Strip(row, this.context, this.analyser));
    this.mix();
  }

  mix() {
    const rows = [...this.root.querySelectorAll(".strip")];
    const solos = rows.filter((row) => row.querySelector(".solo[aria-pressed=true]")).length;
    for (const strip of this.strips || []) strip.set(solos);
  }

  async play() {
    this.start();
    await this.context.resume();
    if (this.position >= this.seconds - 0.01) this.position = 0;
    const run = this.run = {next: this.position, origin: null};
    this.show();
    this.draw(run);
    try {
      while (this.run === run && run.next < this.seconds) {
        const start = run.next;
        const pieces = await Promise.all(
          this.strips.map((strip) => strip.piece(start, PIECE_SECONDS)));
        if (this.run !== run) return;
        const now = this.context.currentTime;
        // What comes late moves all stems alike.
        if (run.origin === null || run.origin + start < now) {
          run.origin = now + LATE_SECONDS - start;
        }
        pieces.forEach((buffer, index) => this.schedule(buffer, index, run.origin + start));
        run.next = start + PIECE_SECONDS;
        while (this.run === run && run.next - this.now() > AHEAD_SECONDS) {
          await new Promise((done) => setTimeout(done, 200));
        }
      }
    } catch (error) {
      if (this.run === run) {
        this.pause();
        this.root.querySelector(".time").textContent = error.message;
      }
    }
  }

  schedule(buffer, index, when) {
    if (buffer === null) return;
    const source = new AudioBufferSourceNode(this.context, {buffer});
    source.connect(this.strips[index].gain);
    source.onended = () => this.sources.delete(source);
    this.sources.add(source);
    source.start(when);
  }

  now() {
    if (!this.run) return this.position;
    if (this.run.origin === null) return this.run.next;
    return Math.max(this.position, this.context.currentTime - this.run.origin);
  }

  pause() {
    this.position = Math.min(this.now(), this.seconds);
    this.run = null;
    for (const source of this.sources) source.stop();
    this.sources.clear();
    this.show();
  }

  seek(position) {
    const playing = this.run !== null;
    if (playing) this.pause();
    this.position = position;
    this.show();
    if (playing) this.play();
  }

  draw(run) {
    if (this.run !== run) return;
    if (this.now() >= this.seconds) {
      this.pause();
      return;
    }
    this.show();
    requestAnimationFrame(() => this.draw(run));
  }

  show() {
    const playing = this.run !== null;
    const button = this.root.querySelector(".play");
    button.setAttribute("aria-label", playing ? "Pause" : "Play");
    button.classList.toggle("playing", playing);
    const position = this.root.querySelector(".position");
    position.value = this.now();
    position.setAttribute("aria-valuetext", clock(this.now()));
    this.root.querySelector(".time").textContent = clock(this.now()) + " / " + clock(this.seconds);
    this.root.style.setProperty("--at", 100 * this.now() / this.seconds + "%");
    this.root.querySelector("meter").value = playing ? this.level() : 0;
  }

  level() {
    const samples = new Float32Array(this.analyser.fftSize);
    this.analyser.getFloatTimeDomainData(samples);
    const energy = samples.reduce((sum, sample) => sum + sample * sample, 0);
    return Math.sqrt(energy / samples.length);
  }

  close() {
    this.run = null;
    if (this.context) this.context.close();
  }
}

const clock = (seconds) => {
  const tenths = Math.round(10 * seconds);
  const rest = String(Math.floor(tenths / 10) % 60).padStart(2, "0");
  return Math.floor(tenths / 600) + ":" + rest + "." + tenths % 10;
};
const current = () => {
  const root = element.querySelector(".mixer");
  if (mixer === null || mixer.root !== root) {
    if (mixer !== null) mixer.close();
    mixer = root && new Mixer(root);
  }
  return mixer;
};

element.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const playing = current();
  if (button.matches(".play")) {
    if (playing.run) playing.pause(); else playing.play();
  } else {
    const pressed = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(pressed));
    playing.mix();
  }
});
element.addEventListener("input", (event) => {
  if (event.target.matches(".position")) current().seek(Number(event.target.value));
  if (event.target.matches(".level")) {
    current().start();
    current().mix();
  }
});
watch("value", () => current());
