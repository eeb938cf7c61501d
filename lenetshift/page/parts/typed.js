// A field that a person types into and the page writes into.

export class TypedField {
  #input;
  #isTyping = false;

  /** `act` is called with the text, once it is typed. */
  constructor(input, act) {
    this.#input = input;
    input.addEventListener("input", () => (this.#isTyping = true));
    input.addEventListener("blur", () => (this.#isTyping = false));
    input.addEventListener("change", () => {
      this.#isTyping = false;
      act(input.value);
    });
  }

  /** Show a value, but not over what is being typed. */
  show(value) {
    if (!this.#isTyping) this.#input.value = value;
  }
}
