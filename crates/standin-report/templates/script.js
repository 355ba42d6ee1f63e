"use strict";
(() => {
  const root = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const make = (name, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(name), properties);
    element.append(...children);
    return element;
  };

  // Light and dark.
  const dark = () =>
    (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const toggle = make("button", { type: "button" });
  const label = () => { toggle.textContent = dark() ? "Light" : "Dark"; toggle.setAttribute("aria-label", `${toggle.textContent}: switch colours`); };
  toggle.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; label(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", label);
  label();
  document.querySelector("nav").append(toggle);

  // Tables: cells carry the name of their column, for narrow screens; columns sort.
  const key = (cell) => cell.dataset.value !== undefined ? Number(cell.dataset.value) : cell.textContent.trim();
  // Cells without a number stay at the end in both directions: "not measurable" is neither small nor large.
  const compare = (direction) => ([a], [b]) => {
    const numbers = [typeof a === "number", typeof b === "number"];
    if (numbers[0] !== numbers[1]) return numbers[0] ? -1 : 1;
    return direction * (numbers[0] ? a - b : a.localeCompare(b, "en", { numeric: true }));
  };
  for (const table of all("table")) {
    const [body] = table.tBodies;
    const heads = [...table.tHead.rows[0].cells];
    const names = heads.map((head) => head.textContent.replaceAll("\u00ad", "").replace(/\s+/g, " ").trim());
    for (const row of body.rows) [...row.cells].forEach((cell, column) => { if (column > 0) cell.dataset.column = names[column]; });
    table.classList.add("labelled");
    if (!table.classList.contains("sortable") || body.rows.length < 2) continue;
    table.classList.add("ready");
    heads.forEach((head, column) => {
      const button = make("button", { type: "button", textContent: "↕" });
      button.setAttribute("aria-label", `Sort by ${names[column]}`);
      button.addEventListener("click", () => {
        const ascending = head.getAttribute("aria-sort") !== "ascending";
        for (const other of heads) {
          other.removeAttribute("aria-sort");
          other.querySelector("button").textContent = "↕";
        }
        head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
        button.textContent = ascending ? "↑" : "↓";
        [...body.rows].map((row) => [key(row.cells[column]), row]).sort(compare(ascending ? 1 : -1)).forEach(([, row]) => body.append(row));
      });
      head.append(button);
    });
  }

  // Pointing at a release, or reaching it with the keyboard, shows it in the plots; choosing keeps it shown.
  const marked = all("[data-release]").filter((element) => element.matches("g, tr"));
  const chosen = new Set();
  let pointed = null;
  const shown = (name) => name === pointed || chosen.has(name);
  const highlight = () => {
    const any = pointed !== null || chosen.size > 0;
    for (const plot of all("svg:has(g[data-release])")) plot.classList.toggle("choosing", any && all("g[data-release]", plot).some((g) => shown(g.dataset.release)));
    for (const element of marked) element.classList.toggle("chosen", shown(element.dataset.release));
  };
  const tip = make("div", { className: "tip", hidden: true });
  tip.setAttribute("aria-hidden", "true");
  document.body.append(tip);
  for (const group of all("svg g[data-release]")) {
    const title = group.querySelector("title");
    const text = title?.textContent ?? "";
    // The drawing's description says the same to those who cannot point.
    title?.remove();
    group.addEventListener("pointerenter", (event) => {
      pointed = group.dataset.release;
      tip.textContent = text;
      tip.hidden = text === "";
      tip.style.left = `${Math.max(8, Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 12))}px`;
      tip.style.top = `${Math.max(8, Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8))}px`;
      highlight();
    });
    group.addEventListener("pointerleave", () => { pointed = null; tip.hidden = true; highlight(); });
  }
  for (const head of all("[data-choose]")) {
    const name = head.textContent.trim();
    const button = make("button", { type: "button", className: "choose", textContent: name });
    button.setAttribute("aria-pressed", "false");
    button.title = "Show in the plot";
    button.addEventListener("click", () => {
      if (!chosen.delete(name)) chosen.add(name);
      button.setAttribute("aria-pressed", String(chosen.has(name)));
      highlight();
    });
    button.addEventListener("focus", () => { pointed = name; highlight(); });
    button.addEventListener("blur", () => { pointed = null; highlight(); });
    head.parentElement.addEventListener("pointerenter", () => { pointed = name; highlight(); });
    head.parentElement.addEventListener("pointerleave", () => { pointed = null; highlight(); });
    head.replaceChildren(button);
  }

  // The filter of releases.
  const cards = all(".card[data-release]");
  if (cards.length > 1) {
    const groups = [...new Set(cards.map((card) => card.dataset.group))];
    const option = (value, text) => make("option", { value, textContent: text });
    const text = make("input", { type: "search", id: "filter-text", placeholder: "part of a name" });
    const group = make("select", { id: "filter-group" }, option("", "all"), ...groups.map((name) => option(name, name)));
    const front = make("select", { id: "filter-front" }, option("", "all"), option("passes", "pass the thresholds"), option("certain", "certainly on the front"), option("possible", "possibly on the front, or certainly"));
    const status = make("p", { className: "filter-status" });
    status.setAttribute("role", "status");
    const field = (name, control) => make("div", {}, make("label", { htmlFor: control.id, textContent: name }), control);
    const form = make("form", { className: "filter" }, field("Releases", text), field("Of", group), field("That", front), make("button", { type: "reset", textContent: "Show all" }), status);
    form.setAttribute("role", "search");
    form.setAttribute("aria-label", "Filter of releases");
    const opened = [];
    const apply = () => {
      const wanted = text.value.trim().toLowerCase();
      const kept = new Set(cards.filter(({ classList, dataset }) =>
        dataset.release.toLowerCase().includes(wanted) && (!group.value || dataset.group === group.value) &&
        (!front.value || (front.value === "passes" ? classList.contains("passes") : dataset.front === "certain" || dataset.front === front.value)),
      ).map((card) => card.dataset.release));
      for (const element of all("[data-release]:not(th)")) {
        const out = !kept.has(element.dataset.release);
        // Drawings have no attribute that hides.
        element instanceof SVGElement ? element.classList.toggle("left-out-of-plot", out) : (element.hidden = out);
      }
      for (const head of all("th[data-release]")) {
        const column = head.cellIndex;
        for (const row of head.closest("table").rows) row.cells[column].hidden = !kept.has(head.dataset.release);
      }
      for (const fold of all("details[data-fold]")) fold.hidden = all("[data-release]", fold).length > 0 && all("[data-release]:not([hidden])", fold).length === 0;
      // What is left of a few is unfolded, and folded again with the others.
      for (const fold of opened.splice(0)) fold.open = false;
      if (kept.size < cards.length && kept.size <= 12) {
        opened.push(...all("details[data-fold]:not([open], [hidden])").filter((fold) => all("[data-release]", fold).length > 0));
        for (const fold of opened) fold.open = true;
      }
      status.textContent = kept.size === cards.length ? `All ${cards.length} releases are shown.` : `${kept.size} of ${cards.length} releases are shown.`;
    };
    form.addEventListener("input", apply);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(apply));
    document.querySelector("header").append(form);
    apply();
  }

  // Paper has nothing to unfold.
  let folded = [];
  addEventListener("beforeprint", () => { folded = all("details:not([open])"); for (const fold of folded) fold.open = true; });
  addEventListener("afterprint", () => { for (const fold of folded) fold.open = false; });
})();
