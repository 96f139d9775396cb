"use strict";
(() => {
  // In seconds. What drifts further apart than NUDGE is brought together by playing a little faster
  // or slower, which is not heard; beyond JUMP, by seeking.
  const NUDGE = 0.008;
  const JUMP = 0.25;
  const STEP = 5;

  const length = Number(document.body.dataset.seconds);
  const byId = (id) => document.getElementById(id);
  const clock = (seconds) => {
    const whole = Math.floor(seconds);
    const two = (number) => String(number).padStart(2, "0");
    const hours = Math.floor(whole / 3600);
    const minutes = Math.floor(whole / 60) % 60;
    return (hours ? hours + ":" + two(minutes) : minutes) + ":" + two(whole % 60);
  };

  const tracks = [...document.querySelectorAll("li.track")]
    .filter((row) => row.querySelector("audio"))
    .map((row) => ({
      row,
      name: row.dataset.name,
      group: row.closest(".group"),
      audio: row.querySelector("audio"),
      solo: false,
      mute: false,
      level: 1,
    }));
  if (!tracks.length) return;
  for (const element of document.querySelectorAll(".keys, .transport")) element.hidden = false;
  byId("position").max = length;
  const trackOf = (element) => tracks.find((track) => track.row === element.closest("li.track"));

  let chosen = null;
  let group = tracks[0].group;
  let playing = false;
  let place = 0;
  let lastTick = 0;
  let frame = 0;
  let turn = 0;

  const members = () => tracks.filter((track) => track.group === group);
  const isHeard = (track) =>
    track.group === group && !track.audio.error && !track.mute &&
    (track.solo || !members().some((other) => other.solo));
  const running = () => tracks.filter(({ audio }) => !audio.paused && !audio.ended && !audio.seeking);
  const now = () => {
    const [leader] = running();
    return leader ? leader.audio.currentTime : place;
  };

  // One file that is slow to come does not keep the others waiting for ever.
  const happens = (audio, name) => new Promise((done) => {
    for (const each of [name, "error"]) audio.addEventListener(each, done, { once: true });
    setTimeout(done, 3000);
  });
  const loaded = (audio) => {
    if (audio.error || audio.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA) return null;
    const can = happens(audio, "canplay");
    audio.preload = "auto";
    if (audio.readyState === HTMLMediaElement.HAVE_NOTHING) audio.load();
    return can;
  };
  const sought = (audio, seconds) => {
    if (audio.error || Math.abs(audio.currentTime - seconds) < NUDGE) return null;
    const done = happens(audio, "seeked");
    audio.currentTime = seconds;
    return done;
  };

  // Lets what is heard play, and nothing else; what begins waits until all can, to begin together.
  const apply = async () => {
    const mine = ++turn;
    const wanted = playing ? tracks.filter(isHeard) : [];
    for (const track of tracks) {
      track.audio.volume = track.level;
      if (!wanted.includes(track) && !track.audio.paused) track.audio.pause();
    }
    show();
    const late = wanted.filter(({ audio }) => audio.paused).map(({ audio }) => audio);
    if (!late.length) return;
    await Promise.all(late.map(loaded));
    if (mine !== turn) return;
    const from = now();
    await Promise.all(late.map((audio) => sought(audio, from)));
    if (mine !== turn) return;
    // The error event tells more.
    for (const audio of late) audio.play().catch(() => {});
  };

  const seek = (seconds) => {
    place = Math.min(Math.max(seconds, 0), length);
    turn += 1;
    for (const { audio } of tracks) audio.pause();
    apply();
  };
  const play = (wanted) => {
    place = now();
    if (wanted && place > length - 0.05) place = 0;
    playing = wanted;
    lastTick = performance.now();
    apply();
    cancelAnimationFrame(frame);
    if (playing) frame = requestAnimationFrame(tick);
  };
  const choose = (track) => {
    chosen = track;
    if (track.group !== group) {
      place = now();
      group = track.group;
    }
    for (const { row } of tracks) row.removeAttribute("aria-current");
    track.row.setAttribute("aria-current", "true");
  };
  const soloOnly = (track) => {
    for (const other of members()) other.solo = other === track;
    if (track) track.mute = false;
  };
  const hearAll = () => {
    for (const track of members()) track.solo = track.mute = false;
  };

  const keepTogether = () => {
    const [leader, ...others] = running().map(({ audio }) => audio);
    if (!leader) return;
    if (leader.playbackRate !== 1) leader.playbackRate = 1;
    for (const audio of others) {
      const gap = leader.currentTime - audio.currentTime;
      if (Math.abs(gap) > JUMP) audio.currentTime = leader.currentTime;
      const rate = Math.abs(gap) < NUDGE ? 1 : 1 + Math.min(Math.max(gap, -0.05), 0.05);
      audio.preservesPitch = false;
      if (audio.playbackRate !== rate) audio.playbackRate = rate;
    }
  };
  const tick = (time) => {
    if (!playing) return;
    const heard = members().filter(isHeard);
    // Where nothing is heard the time goes on nevertheless.
    if (heard.length) place = now();
    else place += Math.max(time - lastTick, 0) / 1000;
    lastTick = time;
    keepTogether();
    // One may have ended long ago, and wait for another to begin with it.
    const ended = heard.filter(({ audio }) => audio.ended);
    const isOver = ended.length && (ended.length === heard.length || place > length - JUMP);
    if (place >= length || isOver) {
      place = length;
      playing = false;
      apply();
      return;
    }
    showPlace();
    frame = requestAnimationFrame(tick);
  };

  const showPlace = () => {
    const bar = byId("position");
    document.body.style.setProperty("--at", place / length);
    bar.value = place;
    const text = clock(place) + " of " + clock(length);
    if (bar.getAttribute("aria-valuetext") === text) return;
    bar.setAttribute("aria-valuetext", text);
    byId("time").textContent = clock(place) + " / " + clock(length);
  };
  const show = () => {
    for (const track of tracks) {
      const { row, name, audio } = track;
      const sounds = playing && isHeard(track);
      row.classList.toggle("playing", sounds);
      row.classList.toggle("is-silent", track.group === group && !isHeard(track));
      row.querySelector(".play").setAttribute("aria-label", (sounds ? "Pause " : "Play ") + name);
      row.querySelector(".solo").setAttribute("aria-pressed", track.solo);
      row.querySelector(".mute").setAttribute("aria-pressed", track.mute);
      const bar = row.querySelector(".level");
      bar.value = Math.round(100 * track.level);
      bar.setAttribute("aria-valuetext", bar.value + " %");
      if (audio.error && !row.querySelector(".fault")) {
        const fault = document.createElement("p");
        fault.className = "fault";
        fault.textContent = "This browser cannot play the file.";
        row.querySelector(".file").after(fault);
      }
    }
    byId("play").parentElement.classList.toggle("playing", playing);
    byId("play").setAttribute("aria-label", playing ? "Pause" : "Play");
    const heard = members().filter(isHeard);
    const names = heard.length === members().length ? "all" : heard.map(({ name }) => name).join(", ");
    byId("heard").textContent = group.dataset.group + ": " + (names || "nothing");
    showPlace();
  };

  const eventsOf = (track) => [...track.row.querySelectorAll("[data-start]")].map(
    ({ dataset }) => ({ start: Number(dataset.start), end: Number(dataset.end) }));
  const playFrom = (track, seconds) => {
    choose(track);
    soloOnly(track);
    for (const { audio } of tracks) audio.pause();
    place = seconds;
    play(true);
  };
  const onStrip = (event, strip) => {
    const box = strip.getBoundingClientRect();
    const seconds = length * (event.clientX - box.left) / box.width;
    const track = trackOf(strip);
    // A finger is about that wide.
    const slack = length * (event.target.closest(".lane") ? 4 / box.width : 0);
    const hit = track && event.target.closest(".lane") && eventsOf(track).find(
      ({ start, end }) => start - slack <= seconds && seconds <= end + slack);
    if (hit) {
      playFrom(track, hit.start);
    } else {
      if (track) choose(track);
      seek(seconds);
    }
  };
  const onButton = (button) => {
    const track = trackOf(button);
    if (button.id === "play") {
      play(!playing);
    } else if (button.id === "hear-all") {
      hearAll();
      apply();
    } else if (button.className === "all") {
      choose(tracks.find((each) => each.group === button.closest(".group")));
      hearAll();
      play(true);
    } else if (button.dataset.start) {
      playFrom(track, Number(button.dataset.start));
    } else if (button.className === "play") {
      const sounds = playing && isHeard(track) && members().filter(isHeard).length === 1;
      choose(track);
      if (!sounds) soloOnly(track);
      play(!sounds);
    } else {
      choose(track);
      track[button.className] = !track[button.className];
      apply();
    }
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    const strip = event.target.closest(".strip");
    if (button) onButton(button);
    else if (strip) onStrip(event, strip);
  });
  document.addEventListener("input", ({ target }) => {
    if (target.id === "position") {
      seek(Number(target.value));
    } else if (target.className === "level") {
      trackOf(target).level = target.value / 100;
      apply();
    }
  });
  document.addEventListener("error", ({ target }) => {
    if (target instanceof HTMLAudioElement) apply();
  }, true);

  const KEYS = {
    " ": () => play(!playing),
    ArrowLeft: () => seek(now() - STEP),
    ArrowRight: () => seek(now() + STEP),
    Home: () => seek(0),
    End: () => seek(length),
    ArrowUp: () => chooseBy(-1),
    ArrowDown: () => chooseBy(1),
    0: () => { hearAll(); apply(); },
    s: () => toggle("solo"),
    m: () => toggle("mute"),
    "-": () => changeLevel(-0.1),
    "+": () => changeLevel(0.1),
    n: () => seekEvent((starts) => starts.find((start) => start > now() + 0.05)),
    p: () => seekEvent((starts) => starts.filter((start) => start < now() - 0.5).pop()),
  };
  for (let number = 1; number <= 9; number += 1) {
    KEYS[number] = () => {
      const track = members()[number - 1];
      if (!track) return;
      const alone = members().every((each) => each.solo === (each === track));
      choose(track);
      soloOnly(alone ? null : track);
      apply();
    };
  }
  const chooseBy = (step) => {
    const next = chosen ? tracks.indexOf(chosen) + step : 0;
    const track = tracks[Math.min(Math.max(next, 0), tracks.length - 1)];
    choose(track);
    track.row.scrollIntoView({ block: "nearest" });
    apply();
  };
  const toggle = (what) => {
    if (!chosen) return;
    chosen[what] = !chosen[what];
    apply();
  };
  const changeLevel = (step) => {
    if (!chosen) return;
    chosen.level = Math.min(Math.max(Math.round(10 * (chosen.level + step)) / 10, 0), 1);
    apply();
  };
  const seekEvent = (find) => {
    const start = chosen && find(eventsOf(chosen).map((event) => event.start));
    if (start !== undefined && start !== null) seek(start);
  };
  document.addEventListener("keydown", (event) => {
    const action = KEYS[event.key];
    if (!action || !byId("use-keys").checked || event.ctrlKey || event.altKey || event.metaKey) return;
    // What has the focus keeps the keys that it knows.
    if (event.target.closest("input, .timeline, .spans") && event.key.length > 1) return;
    if (event.target.closest("button, summary, input, a") && event.key === " ") return;
    event.preventDefault();
    action();
  });
  show();
})();
