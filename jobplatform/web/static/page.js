// @ts-check
// What a page does besides being read: follow changes, keys, and questions in a dialog. All of it works without, too.

const root = document.documentElement;
const banner = /** @type {HTMLAnchorElement | null} */ (document.getElementById("live"));
const asked = /** @type {HTMLDialogElement | null} */ (document.getElementById("asked"));
const help = /** @type {HTMLDialogElement | null} */ (document.getElementById("help"));
const POLL = 10_000, FAILURES = 2, TICK = 1_000, CALM = 2_000;

/** @typedef {{kind: "changed", topics: string[]} | {kind: "alive"}} News */

let paused = false, failures = 0, heard = Date.now(), busy = false, fetched = 0;
/** @type {Set<string>} */ const waiting = new Set();
/** @type {EventSource | null} */ let source = null;
/** @type {(() => void) | null} */ let release = null;
const channel = new BroadcastChannel("jobplatform-live");

// ---- What changed: fetched anew and put in its place, with focus, choice and what is open kept.

/** @param {Element} region @returns {{focus: string | null, checked: Set<string>, open: Map<string, boolean>}} */
function kept(region) {
  const active = document.activeElement;
  return {
    focus: active && region.contains(active) ? path(active, region) : null,
    checked: new Set([...region.querySelectorAll("input:checked[value]")].map((each) => /** @type {HTMLInputElement} */ (each).value)),
    open: new Map([...region.querySelectorAll("details")].map((each) => [path(each, region), each.open])),
  };
}

/** Name an element by what it is for, or else by where it stands. @param {Element} element @param {Element} region */
function path(element, region) {
  for (const name of ["id", "href", "name"]) {
    const value = element.getAttribute(name);
    const own = name === "name" ? `[value="${CSS.escape(element.getAttribute("value") ?? "")}"]` : "";
    if (value && value !== "#") return `${element.localName}[${name}="${CSS.escape(value)}"]${own}`;
  }
  const alike = [...region.querySelectorAll(element.localName)];
  return `${element.localName}@${alike.indexOf(element)}`;
}

/** @param {Element} region @param {string} where */
function at(region, where) {
  const [name, index] = where.split("@");
  return index && /^\d+$/.test(index) ? region.querySelectorAll(name)[Number(index)] : region.querySelector(where);
}

/** @param {Element} old @param {Element} fresh */
function swap(old, fresh) {
  const before = kept(old), rows = new Set([...old.querySelectorAll("tr[id]")].map((each) => each.id));
  const scrolls = [...old.querySelectorAll(".scroll")].map((each) => each.scrollLeft);
  const here = old.querySelector("tr.here")?.id;
  old.replaceChildren(...fresh.childNodes);
  for (const box of /** @type {NodeListOf<HTMLInputElement>} */ (old.querySelectorAll("input[type=checkbox]"))) box.checked = before.checked.has(box.value);
  for (const [where, open] of before.open) {
    const each = at(old, where);
    if (each instanceof HTMLDetailsElement) each.open = open;
  }
  if (rows.size) for (const row of old.querySelectorAll("tr[id]")) if (!rows.has(row.id)) row.classList.add("fresh");
  old.querySelectorAll(".scroll").forEach((each, index) => { each.scrollLeft = scrolls[index] ?? 0; });
  if (here) document.getElementById(here)?.classList.add("here");
  const focus = before.focus && at(old, before.focus);
  if (focus instanceof HTMLElement || focus instanceof SVGElement) focus.focus({ preventScroll: true });
}

/** @param {Element} region */
function written(region) {
  const active = document.activeElement;
  return region.contains(active) && active?.matches("input:not([type=checkbox]):not([type=radio]), select, textarea");
}

async function refresh() {
  // However much changes, a page is fetched no more often than it can be read; the clock below comes back to it.
  if (busy || paused || document.hidden || !waiting.size || asked?.open || Date.now() - fetched < CALM) return;
  const topics = new Set(waiting);
  const wanted = [...document.querySelectorAll("[data-live]")].filter((each) =>
    topics.has("*") || (each.getAttribute("data-live") ?? "").split(" ").some((topic) => topics.has(topic)));
  waiting.clear();
  if (!wanted.length) return;
  busy = true;
  fetched = Date.now();
  try {
    const reply = await fetch(location.href, { headers: { accept: "text/html" } });
    if (reply.redirected) return location.assign(reply.url);
    if (!reply.ok) throw new Error(`${reply.status}`);
    const fresh = new DOMParser().parseFromString(await reply.text(), "text/html");
    for (const old of wanted) {
      const next = fresh.getElementById(old.id);
      if (next && !written(old) && next.innerHTML !== old.innerHTML) swap(old, next);
    }
    heard = Date.now();
  } catch {
    for (const topic of topics) waiting.add(topic);
  } finally {
    busy = false;
  }
}

// ---- The stream: one for all pages of a browser, held by whoever has the lock and is seen.

/** @param {News} news @param {boolean} own */
function take(news, own) {
  heard = Date.now();
  failures = 0;
  if (own) channel.postMessage(news);
  if (news.kind === "changed") {
    for (const topic of news.topics) waiting.add(topic);
    void refresh();
  }
  show();
}

function listen() {
  source = new EventSource(document.body.dataset.liveUpdates ?? "");
  source.addEventListener("ready", () => take({ kind: "changed", topics: ["*"] }, true));
  source.addEventListener("alive", () => take({ kind: "alive" }, true));
  source.addEventListener("changed", (event) => take({ kind: "changed", topics: JSON.parse(event.data) }, true));
  source.addEventListener("error", () => {
    failures += 1;
    if (source?.readyState === EventSource.CLOSED || failures >= FAILURES) hush();
    show();
  });
}

function hush() {
  source?.close();
  source = null;
  release?.();
  release = null;
}

function follow() {
  if (source || release || paused || document.hidden) return;
  if (!navigator.locks) return listen();
  void navigator.locks.request("jobplatform-live", { ifAvailable: true }, (lock) => {
    if (!lock || source || paused || document.hidden) return undefined;
    listen();
    return new Promise((done) => { release = () => done(undefined); });
  });
}

function show() {
  if (!banner) return;
  const silent = Math.round((Date.now() - heard) / 1000);
  const state = paused ? "paused" : silent > 25 || failures ? "stale" : "live";
  banner.dataset.state = state;
  banner.textContent = state === "stale" ? `Stale ${silent} s` : state === "paused" ? "Paused" : "Live";
  banner.title = state === "paused" ? "Go on (.)" : "Pause (.)";
}

function toggle() {
  paused = !paused;
  if (paused) hush();
  else { waiting.add("*"); void refresh(); follow(); }
  show();
}

if (document.body.dataset.liveUpdates && banner) {
  banner.setAttribute("role", "button");
  banner.addEventListener("click", (event) => { event.preventDefault(); toggle(); });
  channel.addEventListener("message", (event) => take(event.data, false));
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return hush();
    waiting.add("*");
    void refresh();
    follow();
  });
  let ticks = 0;
  setInterval(() => {
    ticks += 1;
    // What changed while the page was loaded may have been told to others before it listened.
    if (ticks === 1 && !source) waiting.add("*");
    if (paused || document.hidden) return;
    if (failures >= FAILURES || Date.now() - heard > 2 * POLL) {
      if (ticks % (POLL / TICK) === 0) { waiting.add("*"); void refresh(); if (ticks % 30 === 0) follow(); }
    } else follow();
    if (waiting.size) void refresh();
    show();
  }, TICK);
  follow();
  show();
}

// ---- Questions: what the server would ask on a page of its own is asked in a dialog.

document.addEventListener("submit", async (event) => {
  const form = /** @type {HTMLFormElement} */ (event.target);
  const pressed = /** @type {HTMLButtonElement | null} */ (event.submitter);
  if (!asked || form.method !== "post" || !(form.matches("[data-asks]") || pressed?.matches("[data-asks]"))) return;
  event.preventDefault();
  const fields = new URLSearchParams(/** @type {any} */ (new FormData(form, pressed)));
  const reply = await fetch(pressed?.getAttribute("formaction") ?? form.getAttribute("action") ?? "", { method: "POST", body: fields });
  const found = new DOMParser().parseFromString(await reply.text(), "text/html");
  const question = found.getElementById("question") ?? (reply.ok ? null : found.querySelector(".problem"));
  if (!question) return location.assign(reply.url);
  const title = question.querySelector("h1, h2");
  if (title) title.id = "asked-title";
  asked.replaceChildren(question);
  for (const back of asked.querySelectorAll("[data-back]")) back.addEventListener("click", (click) => { click.preventDefault(); asked.close(); });
  asked.showModal();
  /** @type {HTMLElement | null} */ (asked.querySelector("input:not([type=hidden]), button"))?.focus();
});

document.addEventListener("change", (event) => {
  const box = /** @type {HTMLInputElement} */ (event.target);
  if (!box.matches("[data-all]")) return;
  for (const each of /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll("input[data-row]"))) each.checked = box.checked;
});

document.addEventListener("click", (event) => {
  const button = /** @type {Element} */ (event.target).closest?.("[data-copies]");
  if (!button) return;
  const text = document.getElementById(button.getAttribute("data-copies") ?? "");
  if (!text) return;
  getSelection()?.selectAllChildren(text);
  // Where a page may not write to the clipboard, what is to be copied is selected at least.
  navigator.clipboard?.writeText(text.textContent ?? "").then(() => say("Copied."), () => say("Selected: copy it with your keyboard."));
});

for (const each of document.querySelectorAll("[data-script]")) /** @type {HTMLElement} */ (each).hidden = false;

/** @param {string} text */
function say(text) {
  const toast = document.createElement("p");
  toast.className = "toast";
  toast.textContent = text;
  document.getElementById("toasts")?.replaceChildren(toast);
}

// ---- Completion: of the term at the caret, from the list that a plain field would offer for the first one.

for (const field of /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll("input[data-completes]"))) complete(field);

/** @param {HTMLInputElement} field */
function complete(field) {
  const words = [...(field.list?.options ?? [])].map((each) => each.value), list = document.createElement("ul");
  if (!words.length) return;
  field.removeAttribute("list");
  list.id = `${field.id}-completions`;
  list.className = "completions";
  list.hidden = true;
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Completions");
  field.after(list);
  for (const [name, value] of [["role", "combobox"], ["aria-autocomplete", "list"], ["aria-expanded", "false"], ["aria-controls", list.id]]) field.setAttribute(name, value);
  let at = -1;

  /** Where the term at the caret begins: after the last space that no quotes hold. */
  function begin() {
    const end = field.selectionStart ?? field.value.length;
    let start = 0, quoted = false;
    for (let index = 0; index < end; index += 1) {
      const each = field.value[index];
      if (quoted && each === "\\") index += 1;
      else if (each === '"') quoted = !quoted;
      else if (!quoted && /\s/.test(each)) start = index + 1;
    }
    return start;
  }
  function close() {
    list.hidden = true;
    at = -1;
    field.setAttribute("aria-expanded", "false");
    field.removeAttribute("aria-activedescendant");
  }
  function open() {
    const end = field.selectionStart ?? field.value.length, term = field.value.slice(begin(), end).toLowerCase();
    const begins = (/** @type {string} */ each) => each.toLowerCase().startsWith(term);
    const within = (/** @type {string} */ each) => term.length > 1 && !begins(each) && each.toLowerCase().includes(term);
    const found = term ? [...words.filter(begins), ...words.filter(within)].filter((each) => each !== term).slice(0, 10) : [];
    close();
    list.replaceChildren(...found.map((each, index) => {
      const item = document.createElement("li");
      item.id = `${list.id}-${index}`;
      item.setAttribute("role", "option");
      item.setAttribute("aria-selected", "false");
      item.textContent = each;
      return item;
    }));
    if (!found.length) return;
    list.hidden = false;
    field.setAttribute("aria-expanded", "true");
  }
  /** @param {number} step */
  function choose(step) {
    const items = list.children;
    items[at]?.setAttribute("aria-selected", "false");
    at = (at + step + (at < 0 && step < 0 ? 1 : 0) + items.length) % items.length;
    items[at].setAttribute("aria-selected", "true");
    items[at].scrollIntoView({ block: "nearest" });
    field.setAttribute("aria-activedescendant", items[at].id);
  }
  /** @param {string} word */
  function take(word) {
    const start = begin(), end = field.selectionStart ?? field.value.length, whole = /[:.]$/.test(word) ? word : `${word} `;
    field.setRangeText(whole, start, end, "end");
    close();
    if (whole === word) open();
  }
  field.addEventListener("input", open);
  field.addEventListener("blur", close);
  list.addEventListener("mousedown", (event) => {
    event.preventDefault();
    const item = /** @type {Element} */ (event.target).closest("li");
    if (item) take(item.textContent ?? "");
  });
  field.addEventListener("keydown", (event) => {
    if (list.hidden || event.isComposing) return;
    if (event.key === "ArrowDown") choose(1);
    else if (event.key === "ArrowUp") choose(-1);
    else if (event.key === "Escape") close();
    else if ((event.key === "Enter" || event.key === "Tab") && at >= 0) take(list.children[at].textContent ?? "");
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
}

// ---- Keys.

const button = document.getElementById("help-button");
if (button && help) {
  button.hidden = false;
  button.addEventListener("click", () => help.showModal());
}

/** @param {number} step */
function move(step) {
  const rows = [.../** @type {NodeListOf<HTMLTableRowElement>} */ (document.querySelectorAll("main table tbody tr"))];
  if (!rows.length) return;
  const now = rows.findIndex((each) => each.classList.contains("here"));
  const next = rows[Math.max(0, Math.min(rows.length - 1, now + step))];
  rows[now]?.classList.remove("here");
  next.classList.add("here");
  next.scrollIntoView({ block: "nearest" });
  /** @type {HTMLElement | null} */ (next.querySelector("a") ?? next.querySelector("input, button"))?.focus({ preventScroll: true });
}

/** @type {Record<string, () => void>} */
const KEYS = {
  "/": () => /** @type {HTMLElement | null} */ (document.querySelector("input[type=search]"))?.focus(),
  "?": () => help?.showModal(),
  j: () => move(1),
  k: () => move(-1),
  x: () => /** @type {HTMLElement | null} */ (document.querySelector("tr.here input[type=checkbox]"))?.click(),
  r: () => /** @type {HTMLElement | null} */ (document.querySelector("button[data-key=r]"))?.click(),
  ".": toggle,
  Enter: () => /** @type {HTMLElement | null} */ (document.querySelector("tr.here a"))?.click(),
  Escape: () => document.querySelector("tr.here")?.classList.remove("here"),
};
let going = 0;

document.addEventListener("keydown", (event) => {
  const target = /** @type {Element} */ (event.target);
  if (root.dataset.keys !== "on" || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (target.matches("input:not([type=checkbox]):not([type=radio]), select, textarea")) {
    if (event.key === "Escape") /** @type {HTMLElement} */ (target).blur();
    return;
  }
  if (document.querySelector("dialog[open]") || (event.key === "Enter" && target.matches("a, button, summary, input"))) return;
  if (event.key === "g") { going = Date.now(); return; }
  if (Date.now() - going < 1_500) {
    going = 0;
    const link = /** @type {HTMLElement | null} */ (document.querySelector(`.places a[data-key="${CSS.escape(event.key)}"]`));
    if (link) { event.preventDefault(); link.click(); }
    return;
  }
  const act = KEYS[event.key];
  if (act) { event.preventDefault(); act(); }
});
