// A date is translated while the reader looks on: each sign as it is written, with the letters that it was read from.
// State: opening {source, output, weights: a row for each sign}, from Python; net, the network's card; examples, texts;
// forms, months, weekdays and years [first, last]: what the network was taught.
import { button, colour, make, menu, numbers, share, slider, still, themed } from "./kit.js";
import { lender } from "./machine.js";
import { DATE_LETTERS } from "./readers.js";

const MOST = 3;                                                  // dates of a list in its lessons
const ENDS = { 1: "st", 2: "nd", 3: "rd" };
const nth = (day) => `${day}${(Math.floor(day / 10) === 1 ? null : ENDS[day % 10]) ?? "th"}`;

// What a text means, and why the network was never taught such a one: {dates: ISO or null for each, strange: sentences}.
export function understood(text, { forms, months, weekdays, years }) {
  const pieces = { day: "(?<day>[1-9]\\d?)", nth: "(?<nth>[1-9]\\d?(?:st|nd|rd|th))", year: "(?<year>\\d{4})", month: `(?<month>${months.join("|")})`,
    mon: `(?<mon>${months.map((m) => m.slice(0, 3)).join("|")})`, weekday: `(?<weekday>${weekdays.join("|")})` };
  const shapes = forms.map((form) => new RegExp(`^${form.replace(/\{(\w+)\}/g, (_, name) => pieces[name])}$`)), strange = [];
  const parts = text.split("; ");
  if (parts.length > MOST) strange.push(`its lists had one to three dates, this one has ${parts.length}`);
  const dates = parts.map((part) => {
    const found = shapes.map((shape) => part.match(shape)?.groups).find(Boolean);
    if (!found) {
      strange.push(`“${part}” has none of the ${forms.length} forms that it knows`);
      return null;
    }
    const day = parseInt(found.day ?? found.nth, 10), year = Number(found.year), month = months.findIndex((m) => m === found.month || m.slice(0, 3) === found.mon);
    const date = new Date(Date.UTC(2000, month, day));
    date.setUTCFullYear(year, month, day);
    if (date.getUTCMonth() !== month) {
      strange.push(`there is no ${day} ${months[month]} ${year}`);
      return null;
    }
    if (year < years[0] || year > years[1]) strange.push(`it knows the years ${years[0]} to ${years[1]}, not ${year}`);
    if (found.nth && found.nth !== nth(day)) strange.push(`${found.nth} should be ${nth(day)}`);
    const weekday = weekdays[(date.getUTCDay() + 6) % 7];
    if (found.weekday && found.weekday !== weekday) strange.push(`that day is a ${weekday}`);
    return `${found.year}-${String(month + 1).padStart(2, "0")}-${String(day).padStart(2, "0")}`;
  });
  return { dates, strange };
}

function render({ model, el }) {
  const taught = Object.fromEntries(["forms", "months", "weekdays", "years"].map((key) => [key, model.get(key)])), net = model.get("net");
  let { source, output, weights } = model.get("opening"), sign = model.get("sign") ?? 0, work = null, timer = null, letters = [], best = 0;
  const mono = "font-family:ui-monospace,monospace;";

  make("p", el, { class: "sa-note" }, "Type a date, press Translate; then point at a row: from which letters was that sign read?");
  const row = make("div", el, { class: "sa-row" });
  const words = make("input", make("label", row, { style: "flex:1 1 13rem" }, "date "), { type: "text", maxlength: 110, spellcheck: "false", autocomplete: "off", style: "width:100%" });
  button(row, "Translate", () => translate());
  const examples = menu(row, "or", [["", "an example"], ...model.get("examples").map((text) => [text, text])], (text) => {
    if (!text) return;
    words.value = text;
    translate();
  });
  const room = make("div", el, { class: "sa-scroll", style: "position:relative" });
  const sheet = make("div", room, { style: "display:grid;grid-template-columns:1.3rem 1fr;min-width:100%" });
  make("span", sheet);
  const head = make("div", sheet, { style: `display:flex;${mono}` });
  const side = make("div", sheet, { style: `display:flex;flex-direction:column;${mono}text-align:center;position:sticky;left:0;background:var(--sa-background);z-index:1` });
  const field = make("div", sheet, { style: "position:relative;border:1px solid var(--sa-line)" });
  const canvas = make("canvas", field, { role: "img", style: "display:block;width:100%;height:100%;position:absolute;image-rendering:pixelated;cursor:pointer" });
  const ring = make("div", field, { "aria-hidden": "true", style: "position:absolute;left:-2px;right:-2px;border:2px solid var(--sa-blue);border-radius:3px;pointer-events:none" });
  const place = slider(el, "sign", { min: 0, step: 1 }, (t) => { sign = t; draw(); follow(); });
  const said = make("p", el, { class: "sa-note", role: "status" });
  const verdict = make("p", el, { role: "status", style: "margin:.3rem 0" });
  const heard = make("p", el, { class: "sa-note" }, `Its weights, ${(net.bytes / 1e6).toFixed(1)} MB, are fetched once, when you press Translate. Licence: ${net.licence}.`);

  // ---- the network

  const lent = lender(net, (part) => { heard.textContent = `Fetching the network: ${Math.round(100 * part)} %.`; });

  async function translate() {
    const text = words.value.trim(), odd = [...new Set(text)].filter((c) => DATE_LETTERS.indexOf(c) < 1);
    const begun = el.dataset.state === "loading" || el.dataset.state === "running" ? "done" : el.dataset.state;
    work?.stop();
    clearTimeout(timer);
    if (!text || odd.length) {
      verdict.textContent = text ? `It has no sign for ${odd.slice(0, 5).map((c) => `“${c}”`).join(" ")}: it reads letters, digits, blanks, “,” and “;”.` : "There is nothing to read: type a date.";
      if (begun) el.dataset.state = begun;
      return;
    }
    const mine = work = { stop() { this.stopped = true; } };
    try {
      el.dataset.state = "loading";
      const machine = await lent();
      if (mine.stopped) return;
      heard.textContent = "Computed in this page, sign by sign.";
      el.dataset.state = "running";
      const seen = [], job = machine.run("translate", { net: net.name, text }, (one) => { if (one.sign !== ".") seen.push(one); });
      mine.stop = () => { mine.stopped = true; job.stop(); };
      const { rate } = await job.done;
      if (mine.stopped) return;
      el.dataset.rate = Math.round(rate);
      [source, output, weights, sign, verdict.textContent] = [text, "", [], 0, ""];
      build(seen.length);
      const step = () => {                                       // it takes a moment to compute; a reader wants to see it
        const one = seen[weights.length];
        if (one) {
          output += one.sign;
          weights.push([...one.weights]);
          sign = weights.length - 1;
          if (still()) return step();
          draw();
          follow();
          timer = setTimeout(step, Math.min(90, 1800 / seen.length));
          return null;
        }
        draw();
        judge();
        el.dataset.state = "done";
        return null;
      };
      step();
    } catch (error) {
      if (mine.stopped) return;
      el.dataset.state = "failed";
      heard.textContent = `It cannot read: ${error.message}. In Python, softattn.load("${net.name}") does.`;
      console.warn(error);
    }
  }

  // Is the answer right, and could it have been known?
  function judge() {
    const { dates, strange } = understood(source, taught), whole = dates.every(Boolean) ? dates.join(";") : null;
    const right = whole === output, fair = whole === null ? "no answer is right" : right ? "it is right all the same" : `right would be ${whole}`;
    verdict.textContent = strange.length ? `Outside what it was taught: ${strange.join("; ")}. It answers all the same, and nothing in the answer says so: ${fair}.`
      : right ? `Right: ${output}.` : `Wrong: it should be ${whole}.`;
    verdict.style.borderLeft = `4px solid var(--sa-${strange.length ? "orange" : right ? "green" : "vermillion"})`;
    verdict.style.paddingLeft = ".5rem";
    Object.assign(el.dataset, { verdict: strange.length ? "outside" : right ? "right" : "wrong" });
  }

  // ---- what is seen

  function build(rows) {
    const U = source.length, high = Math.min(21, 330 / Math.max(rows, 1));
    sheet.style.width = `max(100%, ${(1.3 + 0.6 * U).toFixed(1)}rem)`;
    room.toggleAttribute("tabindex", U > 30);
    if (U > 30) Object.entries({ tabindex: 0, role: "group", "aria-label": "the letters that are read; it scrolls" }).forEach(([key, value]) => room.setAttribute(key, value));
    head.replaceChildren();
    side.replaceChildren();
    const wide = { style: `flex:1 1 0;min-width:0;text-align:center;white-space:pre;line-height:1.5;font-size:${U > 26 ? 0.8 : 1}rem` };
    letters = [...source].map((c) => make("span", head, wide, c));
    side.style.lineHeight = `${high}px`;
    side.style.fontSize = `${Math.min(15, high)}px`;
    for (let t = 0; t < rows; t += 1) make("span", side, { style: `height:${high}px` });
    field.style.height = `${high * rows + 2}px`;
    ring.style.height = `${high + 4}px`;
    Object.assign(canvas, { width: U, height: Math.max(rows, 1) });
  }

  function draw() {
    const brush = canvas.getContext("2d"), high = parseFloat(side.style.lineHeight);
    brush.clearRect(0, 0, canvas.width, canvas.height);
    brush.fillStyle = colour(el, "orange") || "#e69f00";
    weights.forEach((weigh, t) => weigh.forEach((w, u) => {
      brush.globalAlpha = Math.sqrt(w);
      if (w > 1e-3) brush.fillRect(u, t, 1, 1);
    }));
    [...side.children].forEach((cell, t) => {
      cell.textContent = output[t] ?? "";
      cell.style.fontWeight = t === sign ? "700" : "400";
    });
    const weigh = weights[sign] ?? [...source].map(() => 0);
    best = 0;
    weigh.forEach((w, u) => {
      if (w > weigh[best]) best = u;
      letters[u].style.background = `color-mix(in srgb, var(--sa-orange) ${(80 * w).toFixed(1)}%, transparent)`;
    });
    ring.style.top = `${sign * high - 2}px`;
    place.input.max = Math.max(1, weights.length - 1);
    place.show(sign, `${sign + 1}: ${output[sign] ?? ""}`);
    const told = `To write ${output[sign]} it gave ${(100 * weigh[best]).toFixed(0)} % of its weight to “${source[best]}”, letter ${best + 1}.`;
    said.textContent = told;
    canvas.setAttribute("aria-label", `${source} became ${output}: a row for each sign, dark where a letter was read. ${told}`);
    numbers(el, { source, output, weights, sign, best, row: weigh });
  }

  // A long list is wider than a phone: the letter that is read most comes into view.
  function follow() {
    room.scrollLeft = (best + 0.5) / source.length * room.scrollWidth - room.clientWidth / 2;
  }

  const aim = (event) => {
    const t = Math.floor(share(canvas, event)[1] * canvas.height);
    if (t < 0 || t >= weights.length || t === sign) return;
    sign = t;
    draw();
  };
  canvas.addEventListener("click", aim);
  canvas.addEventListener("pointermove", (event) => { if (event.pointerType === "mouse" && el.dataset.state !== "running") aim(event); });
  words.addEventListener("keydown", (event) => { if (event.key === "Enter") translate(); });
  words.addEventListener("input", () => { examples.value = ""; });
  const unwatch = themed(draw);
  words.value = source;
  el.dataset.state = "idle";
  build(weights.length);
  draw();
  judge();
  return () => {
    work?.stop();
    clearTimeout(timer);
    unwatch();
  };
}

export default { render };
