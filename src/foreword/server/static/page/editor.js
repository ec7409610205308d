import { Marks } from "./marks.js";
import { Mirror } from "./mirror.js";

const FADE_MS = 6000;

/**
 * The text a person writes, with a suggestion behind the cursor and marks on what was accepted.
 *
 * The textarea is the only place of the text. Everything the page does to it goes through the
 * browser's own editing commands, so that undo and redo hold accepted words as they hold typed
 * ones. While an input method composes there is no suggestion, and the textarea is not touched.
 */
export class Editor {
  composing = false;

  #area;
  #mirror;
  #marks = new Marks();
  #marking = "fade";
  #text = "";
  #ghost = "";
  #handling = false;
  #onMoved;

  /**
   * `onMoved(before, silent)` is told the text before the cursor whenever it or the cursor
   * changes; `silent` where nothing is to be suggested: inside a line, in a selection, while an
   * input method composes.
   */
  constructor(area, under, over, onMoved) {
    this.#area = area;
    this.#mirror = new Mirror(under, over);
    this.#onMoved = onMoved;
    area.addEventListener("input", () => this.#edited());
    area.addEventListener("compositionstart", () => {
      this.composing = true;
      this.#moved();
    });
    area.addEventListener("compositionend", () => {
      this.composing = false;
      // One syllable's end is often the next one's beginning: wait and see.
      setTimeout(() => this.#moved());
    });
    document.addEventListener("selectionchange", () => {
      if (document.activeElement === area) this.#moved();
    });
    new ResizeObserver(() => this.#place()).observe(area);
    this.#edited();
  }

  get text() {
    return this.#area.value;
  }

  get ghost() {
    return this.#ghost;
  }

  get before() {
    return this.#area.value.slice(0, this.#area.selectionEnd);
  }

  focus() {
    this.#area.focus({ preventScroll: true });
  }

  /** Begins with a text; what was there before and its undo are gone. */
  begin(text) {
    this.#area.value = text;
    this.#area.setSelectionRange(text.length, text.length);
    this.#edited();
  }

  /** Shows a suggestion behind the cursor, or none. */
  suggest(ghost) {
    if (this.#ghost === ghost) return;
    this.#ghost = ghost;
    if (!this.#handling) this.#place();
  }

  /** Puts accepted text in at the cursor, as one step of undo, and marks it. */
  accept(text) {
    const end = this.#area.selectionEnd + text.length;
    this.#insert(text);
    if (this.#marking === "off") return;
    const born = performance.now();
    this.#marks.add(end - text.trimStart().length, end, born);
    this.#draw();
    if (this.#marking === "fade") setTimeout(() => this.#fade(born), FADE_MS);
  }

  /** Takes the whole text out, which undo brings back. */
  clear() {
    this.focus();
    this.#area.select();
    document.execCommand("delete");
  }

  undo() {
    this.focus();
    document.execCommand("undo");
  }

  redo() {
    this.focus();
    document.execCommand("redo");
  }

  /** How accepted text is marked from now on: "fade", "stay" or "off". */
  mark(how) {
    this.#marking = how;
    if (how !== "stay") this.#fade(performance.now());
  }

  /** Copies the whole text; returns whether the browser allowed it. */
  async copy() {
    try {
      await navigator.clipboard.writeText(this.text);
      return true;
    } catch {
      // Not a secure context, or not allowed: the way of old, which needs a selection.
      const { selectionStart, selectionEnd } = this.#area;
      this.focus();
      this.#area.select();
      const copied = document.execCommand("copy");
      this.#area.setSelectionRange(selectionStart, selectionEnd);
      return copied;
    }
  }

  #insert(text) {
    this.focus();
    const area = this.#area;
    // Setting the selection ends a run of typing, and so a step of undo.
    const end = () => area.setSelectionRange(area.selectionEnd, area.selectionEnd);
    end();
    if (!document.execCommand("insertText", false, text)) {
      area.setRangeText(text, area.selectionStart, area.selectionEnd, "end");
      this.#edited();
    }
    end();
  }

  #edited() {
    const text = this.text;
    this.#marks.edited(this.#text, text);
    this.#text = text;
    this.#handling = true;
    this.#moved();
    this.#handling = false;
    this.#draw();
  }

  #moved() {
    const { selectionStart, selectionEnd, value } = this.#area;
    const inside = selectionEnd < value.length && value[selectionEnd] !== "\n";
    const silent = this.composing || selectionStart !== selectionEnd || inside;
    this.#onMoved(value.slice(0, selectionEnd), silent);
  }

  #fade(time) {
    if (this.#marks.forget(time)) this.#draw();
  }

  #draw() {
    this.#mirror.draw(this.#text, this.#marks);
    this.#place();
  }

  #place() {
    const line = this.#ghost ? this.before.split("\n").length - 1 : 0;
    this.#mirror.suggest(this.#ghost, line);
  }
}
