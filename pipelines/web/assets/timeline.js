// The timeline: its player's cursor, events that play, and seconds that are marked by dragging.
const find = (selector) => element.querySelector(selector);
const lane = () => find("[data-lane=wave]");
const seconds = () => Number(find(".timeline").dataset.seconds);
let from = null;

const at = (event) => {
  const box = lane().getBoundingClientRect();
  return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
};
const show = (start, end) => {
  const mark = find(".mark");
  mark.hidden = false;
  mark.style.left = 100 * start + "%";
  mark.style.width = 100 * (end - start) + "%";
};
const play = (start) => {
  const audio = find("audio");
  audio.currentTime = start;
  audio.play().catch(() => {});
};

element.addEventListener("pointerdown", (event) => {
  if (!event.target.closest("[data-lane=wave]")) return;
  from = at(event);
  lane().setPointerCapture(event.pointerId);
  show(from, from);
});
element.addEventListener("pointermove", (event) => {
  if (from === null) return;
  const to = at(event);
  show(Math.min(from, to), Math.max(from, to));
});
element.addEventListener("pointerup", (event) => {
  if (from === null) return;
  const to = at(event);
  const [start, end] = [Math.min(from, to) * seconds(), Math.max(from, to) * seconds()];
  from = null;
  if (end - start >= 0.05) {
    trigger("select", {start, end});
  } else {
    // Nothing was dragged: it was a click.
    find(".mark").hidden = true;
    play(start);
  }
});
element.addEventListener("pointercancel", () => { from = null; });
element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-start]");
  if (button) play(Number(button.dataset.start));
});
element.addEventListener("timeupdate", (event) => {
  find(".cursor").style.left = 100 * event.target.currentTime / seconds() + "%";
}, true);
