/** Whether the platform's keys are Apple's: a word is Option and an arrow there. */
export const APPLE = /mac|iphone|ipad/i.test(
  globalThis.navigator?.userAgentData?.platform ?? globalThis.navigator?.platform ?? "",
);

/** What to print on the keys that act on a suggestion. */
export const KEY_NAMES = APPLE
  ? { accept: "⇥", word: "⌥ →", next: "⌥ ]", dismiss: "esc" }
  : { accept: "Tab", word: "Ctrl →", next: "Alt ]", dismiss: "Esc" };

/**
 * What a key pressed in the text asks for: "accept", "word", "next", "dismiss", or null for
 * all else, which is the browser's. An input method's keys are its own.
 *
 * Ctrl-Right (Option-Right on Apple's keyboards) moves by a word: it does so here through the
 * suggestion. Alt-Right is "forward" in browsers elsewhere, and Ctrl-Right changes the desktop
 * on a Mac. Alt-] goes by the place of the key, for a layout may have no such letter; AltGr,
 * which types one on many layouts, is not Alt.
 */
export function actionOf(event, apple = APPLE) {
  if (event.isComposing || event.keyCode === 229) return null;
  const { altKey: alt, ctrlKey: ctrl, metaKey: meta, shiftKey: shift } = event;
  if (shift || meta) return null;
  const plain = !alt && !ctrl;
  if (plain && event.key === "Tab") return "accept";
  if (plain && event.key === "Escape") return "dismiss";
  const byWord = apple ? alt && !ctrl : ctrl && !alt;
  if (byWord && event.key === "ArrowRight") return "word";
  const graph = event.getModifierState?.("AltGraph") ?? false;
  if (alt && !ctrl && !graph && event.code === "BracketRight") return "next";
  return null;
}
