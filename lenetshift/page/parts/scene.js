// What a page shows: an image, where it is, and whatever else can be chosen.

export class Scene {
  by = "script"; // who changed it last: script, person or play
  #most;
  #listeners = [];
  #changed = null; // what has changed since the listeners were told; null for nothing

  /**
   * @param values what is shown at first, by name; `dx` and `dy` are among them
   * @param most how far dx and dy may go from 0, in pixels
   */
  constructor(values, most) {
    Object.assign(this, values);
    this.#most = most;
  }

  /** `listener(changed)` is called before the next frame with a set of the names of what has changed. */
  onChange(listener) {
    this.#listeners.push(listener);
  }

  /** Change some of the values. What a person did counts, whatever else changes before the next frame. */
  set(values, by = "person") {
    if (this.#changed === null || by === "person") this.by = by;
    if (this.#changed === null) {
      this.#changed = new Set();
      requestAnimationFrame(() => {
        const changed = this.#changed;
        this.#changed = null;
        for (const listener of this.#listeners) listener(changed);
      });
    }
    for (const [name, value] of Object.entries(values)) {
      const isPlace = name === "dx" || name === "dy";
      this[name] = isPlace ? Math.min(this.#most, Math.max(-this.#most, value)) : value;
      this.#changed.add(name);
    }
  }
}
