"use strict";
(() => {
  const source = document.getElementById("graph-data");
  if (!source) return;
  // operators: [name, kind, shape, number of its path]; links: [maker, taker] by number.
  const {operators, paths, links} = JSON.parse(source.textContent);
  const view = document.getElementById("graph-view"), chips = document.getElementById("graph-open");
  const open = new Set([""]);
  const WIDTH = 230, HEIGHT = 38, GAP = 22, ROOM = 26;
  const short = (text, most) =>
    text.length <= most ? text : `${text.slice(0, most / 2 - 1)}\u2026${text.slice(1 - most / 2)}`;
  const safe = (text) => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

  const shownAs = (path) => {
    for (let i = 0; i < path.length; i += 1) {
      const here = path.slice(0, i + 1).join("/");
      if (!open.has(here)) return here;
    }
    return null;
  };

  const visible = () => {
    const boxes = new Map();
    const box = operators.map(([name, kind, shape, place], i) => {
      const module = shownAs(paths[place]), key = module === null ? `#${i}` : module;
      if (!boxes.has(key)) boxes.set(key, {key, module, order: boxes.size, rank: 0, count: 0});
      const one = boxes.get(key);
      one.count += 1;
      one.title = module === null ? name : module.split("/").pop();
      one.full = module === null ? name : module.split("/").join(".");
      one.line = module === null ? `${kind}  ${shape}` : "";
      one.shape = shape;
      return one;
    });
    const edges = new Map();
    for (const [a, b] of links) {
      if (box[a] !== box[b]) edges.set(`${box[a].key}>${box[b].key}`, [box[a], box[b]]);
    }
    return [[...boxes.values()], [...edges.values()]];
  };

  const draw = (focus) => {
    const [boxes, edges] = visible();
    const into = new Map(boxes.map((box) => [box, []]));
    for (const [a, b] of edges) if (a.order < b.order) into.get(b).push(a);
    for (const box of boxes) for (const a of into.get(box)) box.rank = Math.max(box.rank, a.rank + 1);
    const rows = [];
    for (const box of boxes) (rows[box.rank] = rows[box.rank] || []).push(box);
    const widest = Math.max(1, ...rows.map((row) => row.length));
    const width = widest * (WIDTH + GAP) + GAP, height = rows.length * (HEIGHT + ROOM) + ROOM;
    rows.forEach((row, rank) => row.forEach((box, i) => {
      box.x = (width - row.length * (WIDTH + GAP) + GAP) / 2 + i * (WIDTH + GAP);
      box.y = ROOM / 2 + rank * (HEIGHT + ROOM);
    }));
    const lines = edges.map(([a, b]) => {
      const x1 = a.x + WIDTH / 2, x2 = b.x + WIDTH / 2, back = a.order > b.order;
      const far = !back && b.rank > a.rank + 1 ? Math.min(60, 12 * (b.rank - a.rank)) + WIDTH / 2 : 0;
      const y1 = a.y + HEIGHT, y2 = b.y, side = far ? Math.max(x1, x2) + far : 0;
      const middle = far ? `${side} ${y1 + 20} ${side} ${y2 - 20}`
        : `${x1} ${y1 + ROOM / 2} ${x2} ${y2 - ROOM / 2}`;
      return `<path${back ? ' class="back"' : ""} d="M${x1} ${y1}C${middle} ${x2} ${y2}"/>`;
    });
    const drawn = boxes.map((box) => {
      const line = box.module === null ? box.line
        : `${box.count} operator${box.count > 1 ? "s" : ""} \u2192 ${box.shape}`;
      const role = box.module === null ? "" : ' class="module" tabindex="0" role="button"';
      return `<g${role} data-key="${safe(box.key)}"><title>${safe(`${box.full}: ${line}`)}</title>` +
        `<rect x="${box.x}" y="${box.y}" width="${WIDTH}" height="${HEIGHT}" rx="4"/>` +
        `<text x="${box.x + 7}" y="${box.y + 16}">${safe(short(box.title, 34))}</text>` +
        `<text x="${box.x + 7}" y="${box.y + 31}">${safe(short(line, 36))}</text></g>`;
    });
    view.innerHTML = `<svg width="${width + 70}" height="${height}" ` +
      `viewBox="0 0 ${width + 70} ${height}" role="img" aria-label="graph of the operators">` +
      `${lines.join("")}${drawn.join("")}</svg>`;
    chips.innerHTML = [...open].filter(Boolean).map((path) =>
      `<button type="button" class="chip" data-path="${safe(path)}" ` +
      `aria-label="close ${safe(path)}">${safe(path.split("/").join("."))} \u00d7</button>`).join(" ");
    if (focus && chips.lastElementChild) chips.lastElementChild.focus();
  };

  const opens = (event) => {
    const group = event.target.closest(".module");
    if (!group) return;
    event.preventDefault();
    open.add(group.dataset.key);
    draw(event.type === "keydown");
  };
  view.addEventListener("click", opens);
  view.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") opens(event);
  });
  chips.addEventListener("click", (event) => {
    const path = event.target.dataset.path;
    if (path === undefined) return;
    for (const one of [...open]) if (one === path || one.startsWith(`${path}/`)) open.delete(one);
    draw(false);
  });
  draw(false);
})();
