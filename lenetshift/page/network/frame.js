// A picture as the network sees it at a shift.

/**
 * Draw a picture, moved.
 *
 * @param canvas as large as what the network sees
 * @param picture anything that can be drawn
 * @param frame `scale`, pixels of the picture for each of the image; `top` and `left`, where in the image the
 *   network begins to look; `fill`, the colour of uncovered pixels, or null if what leaves on one side enters on
 *   the other
 */
export function paintMoved(canvas, picture, dx, dy, { scale, top, left, fill }) {
  // A small picture is drawn faster without the graphics card, and can be read back.
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const [x, y] = [(dx - left) * scale, (dy - top) * scale];
  context.fillStyle = fill ?? "#000";
  context.fillRect(0, 0, canvas.width, canvas.height);
  const copies = fill === null ? [-1, 0, 1] : [0];
  for (const i of copies) {
    for (const j of copies) context.drawImage(picture, x + i * picture.width, y + j * picture.height);
  }
}
