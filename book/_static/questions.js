// Questions with four answers: choose, ask, be told why. The score stays in this browser; a CSV takes it elsewhere.
(() => {
  const LETTERS = "abcd";
  const make = (tag, parent, attributes = {}, text = "") => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    if (text) node.textContent = text;
    parent?.append(node);
    return node;
  };

  for (const end of document.querySelectorAll(".questions-end")) {
    const bank = end.dataset.bank;
    if (end.childElementCount) continue;                 // the script stands once for each bank of the page
    const bytes = Uint8Array.from(atob(end.dataset.told), (c) => c.charCodeAt(0));
    const told = new Map(JSON.parse(new TextDecoder().decode(bytes)).map((one) => [one.id, one]));
    const place = `softattn-questions-${bank}`;
    const sets = [...document.querySelectorAll(`.questions[data-bank="${bank}"] .question`)];
    let answers = {};
    try { answers = JSON.parse(localStorage.getItem(place)) ?? {}; } catch { answers = {}; }
    if (typeof answers !== "object" || Array.isArray(answers)) answers = {};

    const keep = () => { try { localStorage.setItem(place, JSON.stringify(answers)); } catch { /* private window */ } };
    const score = make("p", end, { class: "score", role: "status" });
    const row = make("div", end, { class: "row" });

    const count = () => {
      const done = sets.filter((set) => Number.isInteger(answers[set.dataset.question]));
      const right = done.filter((set) => answers[set.dataset.question] === told.get(set.dataset.question).right).length;
      score.textContent = `${right} right of ${done.length} answered; ${sets.length} in all. This browser alone knows.`;
      save.disabled = again.disabled = done.length === 0;
    };

    // What a question says once it is answered. The first answer counts; the others may be read, not changed.
    const tell = (set, focus) => {
      const one = told.get(set.dataset.question), chosen = answers[set.dataset.question];
      const known = Number.isInteger(chosen) && chosen >= 0 && chosen < LETTERS.length;
      const text = set.querySelector(".told"), ask = set.querySelector("button");
      set.classList.toggle("answered", known);
      for (const [k, label] of [...set.querySelectorAll("label")].entries()) {
        const input = label.querySelector("input");
        input.disabled = known;
        if (known) input.checked = k === chosen;
        label.classList.toggle("right", known && k === one.right);
        label.classList.toggle("wrong", known && k === chosen && k !== one.right);
      }
      ask.hidden = known;
      ask.disabled = !known && !set.querySelector("input:checked");
      text.textContent = "";
      if (!known) return;
      const idea = one.ideas[chosen];
      make("b", text, {}, chosen === one.right ? "Yes. " : `No, (${LETTERS[one.right]}). `);
      if (chosen !== one.right && idea) make("span", text).innerHTML = `The idea behind (${LETTERS[chosen]}): <i>${idea}</i> `;
      make("span", text).innerHTML = one.because;        // written by tools/questions.py, never by a reader
      if (focus) { text.tabIndex = -1; text.focus(); }
    };

    const save = make("button", row, { type: "button" }, "Save as CSV");
    save.addEventListener("click", () => {
      const cell = (value) => `"${String(value).replaceAll('"', '""')}"`;
      const plain = (markup) => new DOMParser().parseFromString(markup, "text/html").body.textContent;
      const lines = [["question", "part", "answer", "right", "idea"]];
      for (const set of sets) {
        const id = set.dataset.question, one = told.get(id), chosen = answers[id];
        const given = Number.isInteger(chosen);
        lines.push([id, one.part, given ? LETTERS[chosen] : "", given ? Number(chosen === one.right) : "", given ? plain(one.ideas[chosen]) : ""]);
      }
      const file = new Blob([lines.map((line) => line.map(cell).join(",")).join("\r\n") + "\r\n"], { type: "text/csv" });
      const link = make("a", null, { href: URL.createObjectURL(file), download: `${bank}.csv` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
    const again = make("button", row, { type: "button" }, "Forget all answers");
    again.addEventListener("click", () => {
      answers = {};
      keep();
      for (const set of sets) {
        for (const input of set.querySelectorAll("input")) input.checked = false;
        tell(set);
      }
      count();
    });

    for (const set of sets) {
      const ask = make("button", null, { type: "button" }, "Tell me");
      set.querySelector(".told").before(ask);
      set.addEventListener("change", () => { ask.disabled = !set.querySelector("input:checked"); });
      ask.addEventListener("click", () => {
        const input = set.querySelector("input:checked");
        if (!input) return;
        answers[set.dataset.question] = Number(input.value);
        keep();
        tell(set, true);
        count();
      });
      set.classList.add("alive");
      tell(set);
    }
    count();
  }
})();
