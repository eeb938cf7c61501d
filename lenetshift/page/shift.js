// An image of 28 x 28 bytes, moved within its frame.

export const SIDE = 28;

/** No digit: what the pad leaves when it is cleared. */
export const NOTHING = { image: new Uint8Array(SIDE * SIDE), label: null, row: null, kind: "none" };

/**
 * The image moved by (dx, dy) pixels, dx > 0 to the right, dy > 0 down: pixels that leave the frame are
 * lost, uncovered pixels are black.
 */
export function moved(image, dx, dy) {
  const result = new Uint8Array(SIDE * SIDE);
  const left = Math.max(0, dx);
  const right = Math.min(SIDE, SIDE + dx);
  if (left >= right) return result;
  for (let y = Math.max(0, dy); y < Math.min(SIDE, SIDE + dy); y++) {
    const from = (y - dy) * SIDE - dx;
    result.set(image.subarray(from + left, from + right), y * SIDE + left);
  }
  return result;
}

/** Draw an image on a canvas of 28 x 28 pixels, ink white on black. */
export function paint(canvas, image) {
  // Such a small picture is drawn faster without the graphics card.
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const pixels = context.createImageData(SIDE, SIDE);
  for (let i = 0; i < image.length; i++) pixels.data.fill(image[i], 4 * i, 4 * i + 3);
  for (let i = 3; i < pixels.data.length; i += 4) pixels.data[i] = 255;
  context.putImageData(pixels, 0, 0);
}

/** The fraction of an image's ink that a shift moves out of the frame. */
export function lostInk(image, dx, dy) {
  const sum = (values) => values.reduce((a, b) => a + b, 0);
  const all = sum(image);
  return all === 0 ? 0 : 1 - sum(moved(image, dx, dy)) / all;
}

/**
 * Draw what a shift moves out of the frame, on a canvas that is larger than the frame and has it in its middle.
 */
export function paintLost(canvas, image, dx, dy, colour) {
  const context = canvas.getContext("2d");
  const [marginX, marginY] = [(canvas.width - SIDE) / 2, (canvas.height - SIDE) / 2];
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = colour;
  for (let i = 0; i < image.length; i++) {
    if (image[i] === 0) continue;
    const [x, y] = [(i % SIDE) + dx, Math.floor(i / SIDE) + dy];
    if (x >= 0 && x < SIDE && y >= 0 && y < SIDE) continue;
    context.globalAlpha = 0.25 + (0.75 * image[i]) / 255;
    context.fillRect(x + marginX, y + marginY, 1, 1);
  }
  context.globalAlpha = 1;
}
