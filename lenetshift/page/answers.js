// A network's answers: computed by its forward pass, or looked up among those that the page keeps.

import { answerOf, probabilities } from "./forward.js";
import { moved } from "./shift.js";

/** The kept answer to a digit at a shift, or null if the page keeps none. */
function keptAt(dataset, model, digit, dx, dy) {
  if (digit.row === null || model.answers === null) return null;
  const shift = dataset.shiftAt(dx, dy);
  return shift < 0 ? null : dataset.answers(model, digit.row)[shift];
}

/** The answer to a digit at a shift: one that is kept, else a computed one; null if neither is possible. */
export function answerAt(dataset, model, digit, dx, dy) {
  if (digit.kind === "none") return null;
  const kept = keptAt(dataset, model, digit, dx, dy);
  if (kept !== null || model.network === null) return kept;
  return answerOf(model.network(moved(digit.image, dx, dy)));
}

/** Answer and probabilities at a shift, computed if possible; each is null if it is unknown. */
export function answerNow(dataset, model, digit, dx, dy) {
  if (digit.kind === "none") return { answer: null, shares: null };
  if (model.network === null) {
    return { answer: keptAt(dataset, model, digit, dx, dy), shares: null };
  }
  const logits = model.network(moved(digit.image, dx, dy));
  return { answer: answerOf(logits), shares: probabilities(logits) };
}
