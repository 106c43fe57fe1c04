// The form of a check: holds numbers against plausible bounds while they are typed, keeps the form on
// this device until it is saved, and says so when the server is away.  Without it the form works too.
"use strict";
(function () {
  const NUMBER = /^-?(?:\d{1,9}(?:[.,]\d{1,9})?|[.,]\d{1,9})$/;
  const UNIT = "qa-pressure-unit";
  const A_WEEK_MS = 7 * 24 * 3600 * 1000;
  const opened = Date.now();
  let isFresh = true; // nothing typed yet
  let edits = 0;
  let isSending = false;

  const form = () => document.getElementById("check");
  const rules = () => JSON.parse(form().dataset.rules);

  // -- what this device keeps: nothing but the form, for the person who typed it --------------------

  function read(name) {
    try {
      return localStorage.getItem(name);
    } catch {
      return null;
    }
  }

  function write(name, text) {
    try {
      if (text === null) {
        localStorage.removeItem(name);
      } else {
        localStorage.setItem(name, text);
      }
    } catch {
      notice("This browser keeps nothing: save before you close it.");
    }
  }

  const draftOf = (unit, kind, operator) => ["qa-check", unit, kind, operator].join("\n");

  function draftName() {
    const it = form();
    return draftOf(it.dataset.unit, it.elements.namedItem("kind").value, it.dataset.operator);
  }

  function draft(name) {
    try {
      return JSON.parse(read(name));
    } catch {
      return null;
    }
  }

  function names() {
    try {
      return Object.keys(localStorage);
    } catch {
      return [];
    }
  }

  function dropOld() {
    for (const name of names()) {
      const kept = name.startsWith("qa-check") ? draft(name)?.kept : null;
      if (kept && Date.now() - Date.parse(kept) > A_WEEK_MS) {
        write(name, null);
      }
    }
  }

  function keep() {
    const values = Object.fromEntries(new FormData(form()));
    delete values.token;
    delete values.do;
    write(draftName(), JSON.stringify({ kept: new Date().toISOString(), values }));
  }

  function fits(values) {
    return [...form().elements].every((e) => !/^r\d+-is$/.test(e.name) || values[e.name] === e.value);
  }

  function fill(values) {
    document.querySelectorAll("[data-card]").forEach((card) => {
      setReadings(card, Number(values["r" + card.dataset.card + "-n"]) || 1);
    });
    for (const field of form().elements) {
      if (field.name === "token" || !(field.name in values) || field.type === "submit") {
        continue;
      }
      if (field.type === "radio") {
        field.checked = field.value === values[field.name];
      } else {
        field.value = values[field.name];
      }
    }
    isFresh = false;
    hintAll();
  }

  function offer() {
    dropOld();
    const found = draft(draftName());
    if (!found || !found.values) {
      return;
    }
    const here = form().elements.namedItem("rows").value;
    if (found.values.rows !== here) {
      const query = new URLSearchParams({ kind: found.values.kind, rows: found.values.rows });
      if (!location.search.includes("rows=")) {
        location.replace("?" + query);
        return;
      }
    }
    const kept = new Date(found.kept);
    const time = kept.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    const discard = ["Discard", () => { write(draftName(), null); location.reload(); }];
    if (!fits(found.values)) {
      notice("A form of this unit is kept, but its beams were changed since.", discard);
    } else if (kept.toDateString() === new Date().toDateString()) {
      fill(found.values);
      notice("Kept from " + time + " on this device, not saved yet.", discard);
    } else {
      // Yesterday's readings must never pass for today's.
      notice("A form of " + kept.toLocaleDateString() + ", " + time + " was never saved.", [
        "Take it back", () => { fill(found.values); notice("Of " + kept.toLocaleDateString() + ", not saved yet.", discard); },
      ], discard);
    }
  }

  function notice(text, ...buttons) {
    const place = document.getElementById("kept");
    if (!place) {
      return;
    }
    place.hidden = false;
    place.className = "notice";
    place.setAttribute("role", "status");
    place.textContent = text + " ";
    for (const [word, act] of buttons) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "quiet";
      button.textContent = word;
      button.addEventListener("click", act);
      place.append(button);
    }
  }

  // -- plausible, at once ---------------------------------------------------------------------------

  function number(text) {
    const typed = text.trim().replace("\u2212", "-");
    return NUMBER.test(typed) ? Number(typed.replace(",", ".")) : NaN;
  }

  const inside = (value, [low, high]) => value >= low && value <= high;
  const short = (value) => String(Number(value.toPrecision(4)));

  function temperatureHint(value, isDone) {
    const bounds = rules().temperature;
    const fahrenheit = (value - 32) / 1.8;
    if (inside(value, bounds)) {
      return "";
    }
    if (inside(fahrenheit, bounds)) {
      return "That looks like °F: " + fahrenheit.toFixed(1) + " °C.";
    }
    if (inside(value - 273.15, bounds)) {
      return "That looks like K: " + (value - 273.15).toFixed(1) + " °C.";
    }
    return isDone ? "A room has " + bounds.join(" to ") + " °C." : "";
  }

  function pressureHint(value, isDone) {
    const { pressure, per } = rules();
    const chosen = form().elements.namedItem("pressure-unit").value;
    if (!chosen) {
      return "";
    }
    if (inside(value * per[chosen], pressure)) {
      return chosen === "hPa" && value >= 700 && value <= 800
        ? "In hPa that is a place above 1900 m. If the barometer shows mmHg, choose mmHg."
        : "";
    }
    const looks = Object.keys(per).find((unit) => inside(value * per[unit], pressure));
    if (looks) {
      return "That looks like " + looks + ": choose " + looks + ".";
    }
    const [low, high] = pressure.map((kpa) => short(kpa / per[chosen]));
    return isDone ? "A room has " + low + " to " + high + " " + chosen + "." : "";
  }

  function say(name, text) {
    const place = document.getElementById(name + "-said");
    const field = document.getElementById(name);
    if (place && field) {
      place.textContent = text;
      field.toggleAttribute("aria-invalid", text !== "");
      if (text) {
        field.setAttribute("aria-invalid", "true");
      }
    }
  }

  function hint(field, isDone) {
    const text = field.value.trim();
    const value = number(text);
    let said = "";
    if (text && text.includes(",") && text.includes(".")) {
      said = "Type it without a mark for thousands.";
    } else if (text && Number.isNaN(value)) {
      said = isDone ? "This is no number." : "";
    } else if (text && field.name === "temperature") {
      said = temperatureHint(value, isDone);
    } else if (text && field.name === "pressure") {
      said = pressureHint(value, isDone);
    }
    say(field.name, said);
    const card = field.closest("[data-card]");
    if (card && isDone && /-m\d+$/.test(field.name) && !said) {
      hintSpread(card);
    }
  }

  function hintSpread(card) {
    const fields = [...card.querySelectorAll(".readings input")];
    const typed = fields.filter((f) => number(f.value) > 0);
    const values = typed.map((f) => number(f.value));
    const middle = [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
    const spread = Math.max(...values) / Math.min(...values);
    fields.forEach((f) => say(f.name, ""));
    if (values.length > 1 && spread > rules().wide) {
      const off = values.map((v) => Math.abs(v - middle));
      const worst = typed[off.indexOf(Math.max(...off))];
      const text = "The largest reading is " + short(spread) + " times the smallest.";
      say(worst.name, spread > rules().widest ? text + " One is mistyped, or measure again." : text);
    }
  }

  function hintAll() {
    form().querySelectorAll('input[inputmode="decimal"]').forEach((f) => f.value && hint(f, true));
  }

  // -- fields for readings --------------------------------------------------------------------------

  function setReadings(card, wanted) {
    const holder = card.querySelector(".readings");
    while (holder.children.length > Math.max(1, wanted)) {
      holder.lastElementChild.remove();
    }
    while (holder.children.length < Math.min(20, wanted)) {
      const k = holder.children.length;
      const added = holder.lastElementChild.cloneNode(true);
      const name = "r" + card.dataset.card + "-m" + k;
      const [label, input, said] = added.children;
      label.htmlFor = input.id = input.name = name;
      label.firstChild.textContent = "Reading " + (k + 1) + " ";
      input.value = "";
      input.removeAttribute("aria-invalid");
      said.id = name + "-said";
      said.textContent = "";
      input.setAttribute("aria-describedby", said.id);
      holder.append(added);
    }
    form().elements.namedItem("r" + card.dataset.card + "-n").value = holder.children.length;
  }

  // -- sending --------------------------------------------------------------------------------------

  async function send(what) {
    if (isSending) {
      return;
    }
    isSending = true;
    const before = edits;
    const body = new URLSearchParams(new FormData(form()));
    body.set("do", what);
    document.body.classList.add("busy");
    try {
      const answer = await fetch(form().action, { method: "POST", body, signal: AbortSignal.timeout(20000) });
      const text = await answer.text();
      if (answer.status >= 500) {
        throw new Error();
      }
      show(answer, text, edits === before);
    } catch {
      away(what);
    } finally {
      isSending = false;
      document.body.classList.remove("busy");
    }
  }

  function show(answer, text, isSame) {
    const path = new URL(answer.url).pathname;
    if (answer.redirected && path.endsWith("/saved")) {
      location.assign(answer.url);
      return;
    }
    const main = new DOMParser().parseFromString(text, "text/html").querySelector("main");
    if (main.querySelector("#check") && !isSame) {
      notice("Something was typed meanwhile: press Check again.");
      return;
    }
    if (main.querySelector("#check")) {
      document.querySelector("main").replaceWith(main);
      keep();
      const place = document.getElementById("faults") || document.getElementById("verdict");
      if (place) {
        place.focus({ preventScroll: true });
        place.scrollIntoView();
      }
      return;
    }
    const back = "/sign-in?next=" + encodeURIComponent(location.pathname + location.search);
    const again = ["Sign in", () => location.assign(back)];
    const said = answer.redirected ? "You are signed out." : main.innerText.trim();
    notice(said + " Everything typed is kept on this device.", again);
    document.getElementById("kept").scrollIntoView();
  }

  function away(what) {
    const word = what === "save" ? "Not saved" : "Not checked";
    notice(
      word + ": the server cannot be reached. Everything typed is kept on this device.",
      ["Try again", () => send(what)],
    );
    const place = document.getElementById("kept");
    place.classList.add("bad");
    place.setAttribute("role", "alert");
    place.scrollIntoView();
  }

  // -- events ---------------------------------------------------------------------------------------

  function typed(event) {
    const field = event.target;
    if (!form() || field.form !== form()) {
      return;
    }
    edits += 1;
    dropVerdict();
    if (isFresh) {
      isFresh = false;
      startClock();
    }
    if (field.name === "pressure-unit") {
      write(UNIT, field.value);
      hint(document.getElementById("pressure"), true);
    } else if (field.inputMode === "decimal" && event.type === "input") {
      hint(field, false);
    } else if (field.inputMode === "decimal") {
      // Later: a sentence that comes while a finger is down moves what the finger was on.
      setTimeout(() => field.isConnected && hint(field, true), 300);
    }
    keep();
  }

  function dropVerdict() {
    // It is of what stood here before.
    document.querySelectorAll(".of-verdict").forEach((part) => part.remove());
    document.getElementById("check-again").className = "big";
  }

  function startClock() {
    // A form that lay open since yesterday is measured now: by how long it lay, not by this clock.
    const at = form().elements.namedItem("at");
    const minutes = Math.floor((Date.now() - opened) / 60000);
    if (minutes > 0 && at.value === at.defaultValue) {
      const moved = new Date(Date.parse(at.value + "Z") + minutes * 60000);
      at.value = moved.toISOString().slice(0, 16);
    }
  }

  document.addEventListener("input", typed);
  document.addEventListener("change", typed);
  document.addEventListener("submit", (event) => {
    if (event.target !== form()) {
      return;
    }
    event.preventDefault();
    const what = event.submitter ? event.submitter.value : "check";
    const card = /^(add|drop):(\d+)$/.exec(what);
    if (card) {
      const at = document.querySelector('[data-card="' + card[2] + '"]');
      setReadings(at, at.querySelector(".readings").children.length + (card[1] === "add" ? 1 : -1));
      dropVerdict();
      keep();
    } else {
      send(what);
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.target.tagName !== "INPUT" || event.target.form !== form()) {
      return;
    }
    event.preventDefault(); // a half-filled form is not to be sent by the keyboard
    const fields = [...form().querySelectorAll("input:not([type=hidden]):not([type=radio])")];
    fields[fields.indexOf(event.target) + 1]?.focus();
  });

  const saved = document.getElementById("saved");
  if (saved) {
    const name = draftOf(saved.dataset.unit, saved.dataset.kind, saved.dataset.operator);
    if (draft(name)?.values?.key === saved.dataset.key) {
      write(name, null);
    }
  } else if (form()) {
    const unit = read(UNIT);
    const radios = [...form().querySelectorAll('input[name="pressure-unit"]')];
    if (!radios.some((radio) => radio.checked)) {
      radios.filter((radio) => radio.value === unit).forEach((radio) => (radio.checked = true));
    }
    offer();
  }
})();
