// Grids of shifts for mouse and keyboard: Tab reaches one cell, the arrow keys move on from it.

/** What each arrow key adds to row and column. */
export const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

/** A table with role grid whose cells have data-row and data-column. */
export class ShiftGrid {
  /**
   * @param table the element
   * @param onChoose called with (row, column) of a cell that is clicked, or chosen with Enter or Space
   * @param onReach the same for a cell that the arrow keys reach, or null
   */
  constructor(table, onChoose, onReach = null) {
    this.rows = [...table.tBodies[0].rows].map((row) => [...row.querySelectorAll("td")]);
    this.cells = this.rows.flat();
    this.current = this.cells.find((cell) => cell.tabIndex === 0) ?? this.cells[0];
    this.marked = null;
    table.addEventListener("click", (event) => {
      const cell = event.target.closest("td[data-row]");
      if (cell === null) return;
      this.enter(cell);
      onChoose(...placeOf(cell));
    });
    table.addEventListener("keydown", (event) => {
      const cell = event.target.closest("td[data-row]");
      if (cell === null || event.ctrlKey || event.altKey || event.metaKey) return;
      if (event.key === "Enter" || event.key === " ") {
        onChoose(...placeOf(cell));
      } else {
        const next = this.#neighbour(cell, event.key);
        if (next === null) return;
        this.enter(next);
        next.focus();
        onReach?.(...placeOf(next));
      }
      event.preventDefault();
    });
  }

  #neighbour(cell, key) {
    const [row, column] = placeOf(cell);
    const last = this.rows[row].length - 1;
    if (key === "Home") return this.rows[row][0];
    if (key === "End") return this.rows[row][last];
    if (!(key in STEPS)) return null;
    const [down, right] = STEPS[key];
    return this.rows[row + down]?.[column + right] ?? cell;
  }

  /** Let Tab reach this cell. */
  enter(cell) {
    this.current.tabIndex = -1;
    cell.tabIndex = 0;
    this.current = cell;
  }

  /** Mark only the cell with this index as the current one; null for none. */
  mark(index) {
    this.marked?.removeAttribute("aria-selected");
    this.marked?.classList.remove("here");
    this.marked = index === null ? null : this.cells[index];
    if (index === null) return;
    this.marked.setAttribute("aria-selected", "true");
    this.marked.classList.add("here");
    this.enter(this.marked);
  }
}

function placeOf(cell) {
  return [Number(cell.dataset.row), Number(cell.dataset.column)];
}
