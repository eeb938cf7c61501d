// What the page shows: a digit, where it is, and the network whose layers are drawn.

import { SIDE } from "./shift.js";

/** No digit: what the pad leaves when it is cleared. */
export const NOTHING = { image: new Uint8Array(SIDE * SIDE), label: null, row: null, kind: "none" };

/**
 * Its `digit` has an `image`, a `label` (null for none), a `row` of the data set (null for none) and a `kind`:
 * test, drawn or none. Its `network` is the name of one.
 */
export class Scene {
  digit = NOTHING;
  dx = 0;
  dy = 0;
  network = null;
  by = "script"; // who changed it last: script, person or play
  #listeners = [];
  #changed = null; // what has changed since the listeners were told; null for nothing

  /** `listener(changed)` is called before the next frame with a set of the names of what has changed. */
  onChange(listener) {
    this.#listeners.push(listener);
  }

  /** Change some of digit, dx, dy and network; a digit moves at most until it has left the frame. */
  set(values, by = "person") {
    if (this.#changed === null) {
      this.#changed = new Set();
      requestAnimationFrame(() => {
        const changed = this.#changed;
        this.#changed = null;
        for (const listener of this.#listeners) listener(changed);
      });
    }
    for (const [name, value] of Object.entries(values)) {
      this[name] = name === "dx" || name === "dy" ? Math.min(SIDE, Math.max(-SIDE, value)) : value;
      this.#changed.add(name);
    }
    this.by = by;
  }
}
