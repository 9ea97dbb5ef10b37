// Elements without a framework. Text is always text: nothing from the network is ever parsed as markup.

export const $ = (id) => document.getElementById(id);

/** An element with attributes and children; a function among the attributes listens. */
export function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value == null || value === false) continue;
    if (typeof value === "function") node.addEventListener(key, value);
    else if (key === "style") Object.assign(node.style, value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child != null));
  return node;
}

/** Sets text only when it changed, so that selections and screen readers are left alone. */
export function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

function kind({ numeric, spare }) {
  return [numeric && "number", spare && "spare"].filter(Boolean).join(" ") || null;
}

/**
 * Keeps a table in place and changes only cells that changed.
 *
 * columns: [{ key, title, numeric, spare, cell(row) → string | Node, sort }]; `order` = { key, down }; `onSort(key)`. A spare
 * one is left out where there is little room.
 */
export class Table {
  constructor(caption, columns, onSort) {
    this.columns = columns;
    this.heads = columns.map((column) => {
      const label = column.sort && onSort
        ? el("button", { type: "button", class: "sort", click: () => onSort(column.sort) }, column.title)
        : column.title;
      return el("th", { scope: "col", class: kind(column) }, label);
    });
    this.body = el("tbody");
    this.root = el("table", {}, el("caption", { class: "hidden" }, caption), el("thead", {}, el("tr", {}, this.heads)), this.body);
  }

  /** Marks the column that rows are in the order of. */
  ordered(key, down) {
    this.columns.forEach((column, index) => {
      if (column.sort !== key) this.heads[index].removeAttribute("aria-sort");
      else this.heads[index].setAttribute("aria-sort", down ? "descending" : "ascending");
    });
  }

  rows(rows, empty) {
    if (rows.length === 0) {
      const nothing = el("td", { colspan: this.columns.length, class: "empty" }, empty);
      this.body.replaceChildren(el("tr", {}, nothing));
      return;
    }
    while (this.body.rows.length > rows.length) this.body.lastChild.remove();
    rows.forEach((row, index) => this.#fill(index, row));
  }

  #fill(index, row) {
    let line = this.body.rows[index];
    if (!line || line.cells.length !== this.columns.length) {
      const cells = this.columns.map((column) => el("td", { class: kind(column) }));
      const fresh = el("tr", {}, cells);
      if (line) line.replaceWith(fresh);
      else this.body.append(fresh);
      line = fresh;
    }
    this.columns.forEach((column, at) => {
      const value = column.cell(row);
      if (value instanceof Node) line.cells[at].replaceChildren(value);
      else text(line.cells[at], value);
    });
  }
}

/** A bar that shows a share of the greatest. */
export function bar(share, kind) {
  return el("span", { class: `share ${kind}`, "aria-hidden": "true", style: { width: `${Math.max(0, Math.min(1, share)) * 100}%` } });
}
