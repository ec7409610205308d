/**
 * Sets the text of an element in place.
 *
 * Chromium ends a run of typing, and with it a step of undo, whenever a node is removed anywhere
 * on the page, as `textContent` does: undo would go letter by letter.
 */
export function setText(element, text) {
  const node = element.firstChild;
  if (!node) element.append(text);
  else if (node.data !== text) node.data = text;
}
