// Shows the status that /events sends about twice a second. Whatever is missing in it is left out.
"use strict";

const HISTORY = 120; // events: a minute
const SILENT_MS = 5000; // without an event, before the daemon counts as away
const RETRY_MS = 2000;
const PICTURE_MS = 500;
const STATES = { running: ["●", "good"], waiting: ["◌", "odd"], restarting: ["↻", "odd"], stopped: ["■", "bad"] };

const byId = (id) => document.getElementById(id);
const cards = new Map(); // by the stream's name

// Words and numbers.

const isNumber = (x) => typeof x === "number" && Number.isFinite(x);
const list = (x) => (Array.isArray(x) ? x : []);
const counts = (x) => Object.entries(x && typeof x === "object" ? x : {}).filter(([, n]) => isNumber(n) && n > 0);
const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
const whole = (x) => (isNumber(x) ? x.toLocaleString("en") : "–");

function fixed(x, digits) {
  return isNumber(x) ? x.toFixed(digits) : "–";
}

// Three digits and a prefix: 812 kbit/s.
function scaled(x, unit) {
  if (!isNumber(x)) return "–";
  const prefixes = ["", "k", "M", "G", "T"];
  let step = 0;
  while (Math.abs(x) >= 999.5 && step < prefixes.length - 1) {
    x /= 1000;
    step += 1;
  }
  const digits = step === 0 || x >= 99.95 ? 0 : x >= 9.995 ? 1 : 2;
  return `${x.toFixed(digits)} ${prefixes[step]}${unit}`;
}

function duration(seconds) {
  if (!isNumber(seconds)) return "–";
  const s = Math.floor(seconds);
  const [days, hours, minutes] = [Math.floor(s / 86400), Math.floor(s / 3600) % 24, Math.floor(s / 60) % 60];
  if (days) return `${days} d ${hours} h`;
  if (hours) return `${hours} h ${minutes} min`;
  if (minutes) return `${minutes} min ${s % 60} s`;
  return `${s} s`;
}

// `queue_full` in the status is "queue full" here.
const reasons = (x) => counts(x).map(([why, n]) => `${whole(n)} ${why.replaceAll("_", " ")}`).join(", ");

// The document. Nothing is touched that has not changed, so that nothing flickers and selections last.

function say(node, words) {
  if (node.textContent !== words) node.textContent = words;
}

function mark(node, attribute, value) {
  if (node.getAttribute(attribute) !== value) node.setAttribute(attribute, value);
}

function show(node, words) {
  node.hidden = !words;
  say(node, words || "");
}

// Exactly `n` children made by `make`.
function children(node, n, make) {
  while (node.childElementCount > n) node.lastElementChild.remove();
  while (node.childElementCount < n) node.append(make());
  return [...node.children];
}

function element(tag, kind) {
  const node = document.createElement(tag);
  if (kind) node.className = kind;
  return node;
}

function stateOf(stream) {
  const state = typeof stream.state === "string" ? stream.state : "unknown";
  const [sign, kind] = STATES[state] || ["?", "odd"];
  return { state, sign, kind };
}

// The whole.

function showWhole(status) {
  const streams = list(status.streams);
  const about = [status.version && `version ${status.version}`, status.device];
  if (isNumber(status.uptime_s)) about.push(`up ${duration(status.uptime_s)}`);
  say(byId("about"), about.filter(Boolean).join(" · "));

  const running = streams.filter((s) => s.state === "running").length;
  say(byId("running"), `${running} of ${streams.length} running`);
  say(byId("ready"), status.ready === true ? "ready" : status.ready === false ? "not ready" : "");

  const total = (part) => sum(streams.map(part).filter(isNumber));
  const givenUp = (part) => total((s) => sum(counts(s[part]).map(([, n]) => n)));
  const [fps, bits] = [total((s) => s.fps), total((s) => s.bits_per_s)];
  say(byId("frames"), `${fixed(fps, 1)}/s`);
  say(byId("given-up"), `${whole(givenUp("dropped"))} dropped, ${whole(givenUp("lost"))} lost`);
  say(byId("latents"), scaled(bits, "bit/s"));
  say(byId("per-frame"), fps > 0 ? `${scaled(bits / fps, "bit")} a frame` : "");

  const uplink = status.uplink || {};
  say(byId("uplink"), uplink.state === "up" ? `up, ${scaled(uplink.bits_per_s, "bit/s")}` : uplink.state || "none");
  const share = (uplink.first || {}).share;
  const cut = isNumber(share) && share < 1 ? `, first groups cut to ${fixed(100 * share, 0)} %` : "";
  say(byId("backlog"), isNumber(uplink.backlog_bytes) ? `${scaled(uplink.backlog_bytes, "B")} to send${cut}` : "");
  byId("uplink").parentElement.classList.toggle("bad", uplink.state === "down");

  const store = status.store || {};
  const quota = isNumber(store.quota_bytes) ? ` of ${scaled(store.quota_bytes, "B")}` : "";
  say(byId("store"), isNumber(store.bytes) ? scaled(store.bytes, "B") + quota : "none");
  say(byId("free"), isNumber(store.free_bytes) ? `${scaled(store.free_bytes, "B")} free on disk` : "");

  byId("none").hidden = streams.length > 0;
  document.title = running === streams.length ? "tamis" : `tamis: ${streams.length - running} not running`;
}

// A stream.

class Card {
  static made = 0;

  constructor(name) {
    const node = byId("card").content.firstElementChild.cloneNode(true);
    this.name = name;
    this.node = node;
    this.node.id = `stream-${(Card.made += 1)}`;
    this.at = Object.fromEntries([...node.querySelectorAll("[data-is]")].map((n) => [n.dataset.is, n]));
    this.history = [];
    this.seen = false;
    this.tokens = null;
    this.image = null; // the newest picture, to draw again when the tokens change
    this.loading = false;
    this.link = element("a");
    this.link.href = `#${node.id}`;
    say(this.at.name, name);
    watcher.observe(node);
  }

  show(stream) {
    const at = this.at;
    const { state, sign, kind } = stateOf(stream);
    const restarts = stream.restarts > 0 ? `, restarted ${whole(stream.restarts)} ×` : "";
    say(at.state, `${sign} ${state}${restarts}`);
    at.state.className = `state ${kind}`;
    say(this.link, `${sign} ${this.name}`);
    mark(this.link, "aria-label", `${this.name}, ${state}`);
    this.link.className = kind;
    const extent = list(stream.extent);
    const size = stream.kind === "picture" && extent.length === 2 ? `${extent[1]} × ${extent[0]}` : extent.join(" × ");
    const late = stream.last_frame_age_s > 2 ? `last frame ${duration(stream.last_frame_age_s)} ago` : "";
    say(at.kind, [stream.kind, size, late].filter(Boolean).join(" · "));
    show(at.reason, state === "running" ? "" : stream.reason);

    this.showRate(stream);
    this.showGroups(list(stream.groups));
    this.showTop(stream);
    this.showFacts(stream);
    this.showPicture(stream, extent);
  }

  showRate(stream) {
    const at = this.at;
    const unit = stream.kind === "sound" ? "blocks/s" : "frames/s";
    say(at.fps, isNumber(stream.fps) ? `${fixed(stream.fps, 1)} ${unit}` : "–");
    say(at.rate, isNumber(stream.bits_per_s) ? scaled(stream.bits_per_s, "bit/s") : "");
    this.history.push(isNumber(stream.bits_per_s) ? stream.bits_per_s : 0);
    if (this.history.length > HISTORY) this.history.shift();
    const most = Math.max(...this.history);
    const from = HISTORY - this.history.length;
    const point = (bits, i) => `${from + i},${(23 - (22 * bits) / (most || 1)).toFixed(1)}`;
    mark(at.line, "points", this.history.map(point).join(" "));
    say(at["history-words"], `1 min, up to ${scaled(most, "bit/s")}`);
    mark(at.history, "aria-label", `bit rate of the last minute, at most ${scaled(most, "bit/s")}`);
  }

  showGroups(groups) {
    const at = this.at;
    const bits = groups.map((g) => (g && isNumber(g.bits) ? g.bits : 0));
    const channels = groups.map((g) => (g && isNumber(g.channels) ? g.channels : 0));
    at.latent.hidden = groups.length === 0;
    if (at.latent.hidden) return;
    const sent = bits.filter((b) => b > 0).length;
    say(at.size, scaled(sum(bits), "bit"));
    say(at.sent, `${sent} of ${groups.length} groups`);
    const most = Math.max(...bits);
    let first = 1;
    const range = (n) => (n > 1 ? `${first}–${first + n - 1}` : `${first}`);
    children(at.groups, groups.length, () => element("i")).forEach((bar, i) => {
      bar.style.transform = `scaleY(${most > 0 ? bits[i] / most : 0})`;
      const words = range(channels[i]);
      mark(bar, "title", `channels ${words}: ${scaled(bits[i], "bit")}`);
      if (i === 0) say(at.first, words);
      if (i === groups.length - 1) say(at.last, i > 0 ? `channels ${words}` : "channels");
      first += channels[i];
    });
    mark(at.groups, "aria-label", `bits by group, the most important first: ${bits.map(Math.round).join(", ")}`);
  }

  showTop(stream) {
    const at = this.at;
    const top = list(stream.top).filter((t) => t && isNumber(t.score)).slice(0, 5);
    at.predictions.hidden = top.length === 0;
    say(at.head, stream.head ? `by ${stream.head}` : "");
    const make = () => {
      const row = element("li");
      const trough = element("div", "trough");
      trough.append(element("i"));
      row.append(element("span"), trough, element("span", "score"));
      return row;
    };
    children(at.top, top.length, make).forEach((row, i) => {
      const [label, trough, score] = row.children;
      say(label, String(top[i].label ?? "?"));
      mark(label, "title", label.textContent);
      trough.firstElementChild.style.transform = `scaleX(${Math.min(1, Math.max(0, top[i].score))})`;
      say(score, `${(100 * top[i].score).toFixed(1)} %`);
    });
  }

  showFacts(stream) {
    const at = this.at;
    const latency = stream.latency_ms || {};
    const within = (share, ms) => isNumber(ms) && `${share} within ${fixed(ms, 1)} ms`;
    say(at.latency, [within("half", latency.p50), within("99 %", latency.p99)].filter(Boolean).join(", ") || "–");
    const rung = stream.rung;
    at.rung.hidden = at["rung-name"].hidden = !rung;
    if (rung) {
      const parts = [`${whole(rung.step)} of ${whole(rung.of)}`];
      if (isNumber(rung.quality)) parts.push(`quality ${rung.quality}`);
      if (isNumber(rung.groups)) parts.push(`${rung.groups} groups`);
      say(at.rung, parts.join(", ") + (rung.reason ? `: ${rung.reason}` : ""));
      at.rung.classList.toggle("some", rung.step > 0);
    }
    const flight = stream.in_flight > 0 ? `, ${whole(stream.in_flight)} in flight` : "";
    const delivered = isNumber(stream.delivered) ? `, delivered ${whole(stream.delivered)}` : "";
    say(at.received, whole(stream.received) + delivered + flight);
    for (const part of ["dropped", "lost"]) {
      const words = reasons(stream[part]);
      say(at[part], words || "none");
      at[part].classList.toggle("some", words !== "");
    }
    const missing = isNumber(stream.unaccounted) && stream.unaccounted !== 0;
    show(at.unaccounted, missing ? `${whole(stream.unaccounted)} frames are unaccounted for` : "");
  }

  showPicture(stream, extent) {
    const { figure, picture, tokens } = this.at;
    figure.hidden = stream.preview !== true;
    if (!this.image && extent.length === 2 && extent.every((n) => n > 0) && !figure.dataset.sized) {
      // The place it will take, before it comes.
      figure.dataset.sized = "yes";
      [picture.width, picture.height] = [320, Math.max(1, Math.round((320 * extent[0]) / extent[1]))];
    }
    const kept = stream.tokens && list(stream.tokens.kept);
    const grid = stream.tokens && list(stream.tokens.grid);
    const good = kept && grid.length === 2 && grid.every((n) => n > 0 && n <= 1024);
    this.tokens = good ? { grid, kept } : null;
    const words = good ? `${kept.length} of ${grid[0] * grid[1]} tokens kept, the others dark` : "";
    show(tokens, words);
    mark(picture, "aria-label", `what ${this.name} sees${words ? `; ${words}` : ""}`);
  }

  // Loads the next picture, unless the last is still on its way.
  refresh() {
    if (this.loading || !this.seen || this.at.figure.hidden) return;
    this.loading = true;
    const image = new Image();
    image.onload = () => {
      this.loading = false;
      this.image = image;
      this.draw();
    };
    image.onerror = () => {
      this.loading = false;
    };
    image.src = `/preview/${encodeURIComponent(this.name)}.png?${Date.now()}`;
  }

  draw() {
    const { picture } = this.at;
    const { naturalWidth: width, naturalHeight: height } = this.image;
    if (!width || !height) return;
    if (picture.width !== width || picture.height !== height) [picture.width, picture.height] = [width, height];
    const pen = picture.getContext("2d");
    pen.drawImage(this.image, 0, 0);
    if (!this.tokens) return;
    const [rows, columns] = this.tokens.grid;
    const kept = new Set(this.tokens.kept);
    pen.fillStyle = "rgb(24 26 28 / 0.68)";
    const edge = (i, n, length) => Math.round((i * length) / n);
    for (let token = 0; token < rows * columns; token += 1) {
      if (kept.has(token)) continue;
      const [row, column] = [Math.floor(token / columns), token % columns];
      const [x, y] = [edge(column, columns, width), edge(row, rows, height)];
      pen.fillRect(x, y, edge(column + 1, columns, width) - x, edge(row + 1, rows, height) - y);
    }
  }
}

// Pictures are only loaded for what is on the screen.
const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const card = [...cards.values()].find((c) => c.node === entry.target);
    if (card) card.seen = entry.isIntersecting;
  }
}, { rootMargin: "100px" });

function showStreams(streams) {
  const names = new Set();
  for (const stream of streams) {
    if (!stream || typeof stream.name !== "string" || names.has(stream.name)) continue;
    names.add(stream.name);
    let card = cards.get(stream.name);
    if (!card) {
      card = new Card(stream.name);
      cards.set(stream.name, card);
      byId("cards").append(card.node);
      byId("index").append(card.link);
    }
    card.show(stream);
  }
  for (const [name, card] of cards) {
    if (names.has(name)) continue;
    watcher.unobserve(card.node);
    card.node.remove();
    card.link.remove();
    cards.delete(name);
  }
  byId("index").hidden = cards.size < 4;
}

// The line to the daemon.

let events = null;
let heard = 0; // when the last event came
let trouble = ""; // why there are none, if we know

function sayLink(words, kind) {
  say(byId("link"), words);
  byId("link").className = `link ${kind}`;
  document.body.classList.toggle("away", kind === "bad");
}

function listen() {
  if (events) events.close();
  events = new EventSource("/events");
  events.onmessage = (event) => {
    let status;
    try {
      status = JSON.parse(event.data);
    } catch {
      return;
    }
    heard = Date.now();
    trouble = "";
    sayLink("live", "good");
    showWhole(status);
    showStreams(list(status.streams));
  };
  const mine = events;
  events.onerror = async () => {
    // Where the connection broke it comes again by itself; where it was refused it does not.
    if (mine !== events || mine.readyState !== EventSource.CLOSED) return;
    trouble = await whyRefused();
    setTimeout(() => mine === events && !document.hidden && listen(), RETRY_MS);
  };
}

async function whyRefused() {
  try {
    const answer = await fetch("/events", { method: "HEAD" });
    if (answer.status === 401) return "no longer allowed in: open /?token=TOKEN again";
    return answer.ok ? "too many pages are open" : `refused (${answer.status})`;
  } catch {
    return "";
  }
}

setInterval(() => {
  if (document.hidden || !events) return;
  const silent = Date.now() - heard;
  if (trouble) {
    sayLink(trouble, "bad");
  } else if (heard && (silent > SILENT_MS || events.readyState !== EventSource.OPEN)) {
    sayLink(`no word from the daemon for ${duration(silent / 1000)}; trying again`, "bad");
    // The other end may be gone without a farewell.
    if (silent > 2 * SILENT_MS && events.readyState === EventSource.OPEN) listen();
  } else if (!heard) {
    sayLink("connecting", "odd");
  }
}, 1000);

setInterval(() => {
  if (!document.hidden && !document.body.classList.contains("away")) cards.forEach((card) => card.refresh());
}, PICTURE_MS);

// A page that nobody looks at asks for nothing.
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) {
    listen();
  } else if (events) {
    events.close();
    events = null;
  }
});

if (!document.hidden) listen();
