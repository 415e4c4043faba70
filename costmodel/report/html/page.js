"use strict";
(() => {
  document.documentElement.classList.add("js");
  const SCALES = {n: 1e-9, "\u00b5": 1e-6, m: 1e-3, k: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15};
  const value = (text) => {
    const found = /^[<]?\s*([-+]?[\d.,]+)\s*(\S*)/.exec(text);
    if (!found) return null;
    const unit = found[2], scale = unit && unit !== "%" ? SCALES[unit[0]] || 1 : 1;
    return parseFloat(found[1].replace(/,/g, "")) * scale * (text[0] === "<" ? 0.5 : 1);
  };

  const sortBy = (table, column) => {
    const heads = [...table.tHead.rows[0].cells], head = heads[column];
    const words = head.classList.contains("t") || column === 0;
    const before = head.getAttribute("aria-sort");
    const down = words ? before === "ascending" : before !== "descending";
    heads.forEach((h) => h.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => {
      const text = row.cells[column].textContent.trim();
      return [row, words ? text : value(text)];
    });
    const sign = down ? -1 : 1;
    rows.sort(([, a], [, b]) => {
      if (words) return sign * a.localeCompare(b, "en", {numeric: true});
      if (a === null || b === null) return (a === null) - (b === null);
      return sign * (a - b);
    });
    body.append(...rows.map(([row]) => row));
  };

  for (const table of document.querySelectorAll("table.sorts")) {
    [...table.tHead.rows[0].cells].forEach((cell, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = cell.textContent;
      button.addEventListener("click", () => sortBy(table, column));
      cell.replaceChildren(button);
    });
  }
  for (const input of document.querySelectorAll("input[data-table]")) {
    const table = document.getElementById(input.dataset.table);
    const said = input.closest(".tools").querySelector("output");
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of table.tBodies[0].rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        shown += !row.hidden;
      }
      said.textContent = `${shown} of ${table.tBodies[0].rows.length}`;
    });
  }

  const hover = document.getElementById("hover");
  document.addEventListener("pointerover", (event) => {
    const dot = event.target.closest(".dot");
    if (dot && hover) hover.textContent = dot.querySelector("title").textContent;
  });

  const icicle = document.querySelector(".icicle");
  if (icicle) {
    icicle.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      const cell = button.parentElement, whole = cell.classList.contains("only");
      for (const one of icicle.querySelectorAll(".gone,.only")) one.classList.remove("gone", "only");
      let one = whole ? cell.parentElement.closest(".ic") : cell;
      for (; one; one = one.parentElement.closest(".ic")) {
        one.classList.add("only");
        for (const other of one.parentElement.children) {
          if (other !== one) other.classList.add("gone");
        }
      }
    });
  }
})();
