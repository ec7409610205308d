import { setText } from "./set_text.js";

/**
 * What the line below the text says of an answer: `text`, and `share`, the confidence from 0 to
 * 1 or null. Null while there is nothing new to say.
 */
export function statusOf({ answer, problem, only, asking }, words) {
  if (problem || answer?.refused) return { text: "", share: null };
  if (!answer) return asking ? null : { text: "", share: null };
  const [item] = answer.items;
  const share = item?.confidence ?? null;
  const parts = [];
  if (only) parts.push(words.say("no_other"));
  else if (!item) parts.push(words.say("unsure"));
  else if (share !== null) parts.push(words.say("sure", { percent: words.percent(share) }));
  const count = words.number(Math.max(1, Math.round(answer.latency_ms)));
  parts.push(words.say("milliseconds", { count }));
  return { text: parts.join(" · "), share };
}

/** Says things to screen readers, after a pause so that it does not talk over every key. */
export class Announcer {
  static PAUSE_MS = 600;

  enabled = true;
  #element;
  #timer = 0;
  #last = "";

  constructor(element) {
    this.#element = element;
  }

  /** Says a suggestion when it has stood for a moment; "" takes back what was not yet said. */
  suggest(text) {
    if (text === this.#last) return;
    this.#last = text;
    clearTimeout(this.#timer);
    this.#say("");
    if (!text || !this.enabled) return;
    this.#timer = setTimeout(() => this.#say(text), Announcer.PAUSE_MS);
  }

  /** Says what came of something the reader did, at once. */
  tell(text) {
    this.#last = "";
    clearTimeout(this.#timer);
    this.#say(text);
  }

  #say(text) {
    setText(this.#element, text);
  }
}
