// Words and looks that pages share: right and wrong, and how a shift is written.

/** The mark of an answer: empty if there is no answer or the digit has no label. */
export function markOf(answer, label) {
  return label === null || answer === null ? "" : answer === label ? "\u2713" : "\u2717";
}

/** The same in a word. */
export function wordOf(answer, label) {
  return label === null || answer === null ? "" : answer === label ? "right" : "wrong";
}

/** Make an element look right, wrong or neither. */
export function setOutcome(element, answer, label) {
  const word = wordOf(answer, label);
  element.classList.toggle("right", word === "right");
  element.classList.toggle("wrong", word === "wrong");
}

/** A whole number as a shift: with a sign unless it is 0, and a typographic minus. */
export function signed(value) {
  return value > 0 ? `+${value}` : value < 0 ? `\u2212${-value}` : "0";
}
