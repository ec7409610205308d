import { Session } from "../text/session.js";
import { firstWord } from "../text/words.js";

/** Seconds after which it is tried again by itself, where the answer does not say. */
const WAIT_S = { busy: 2, loading: 1, offline: 4 };
/** Nothing is asked again before the reader has done something about these. */
const FINAL = new Set(["api_key", "forbidden", "model", "failed", "device", "absent"]);

/**
 * What is suggested at the cursor, and what is known of it; knows no page.
 *
 * Every change of the text calls off what was asked before. A suggestion that goes on after the
 * letters typed since stays in sight until something better is known, so nothing flickers.
 */
export class Suggester {
  /** The suggestion behind the cursor; empty where there is none. */
  ghost = "";
  /** The answer that the suggestion is of, null while one is awaited. */
  answer = null;
  /** Whether the suggestion was asked for anew, and there is no other. */
  only = false;
  /** The failure in the reader's way, with `code`, `message` and `waitS`; null where none is. */
  problem = null;
  /** Whether an answer is awaited. */
  asking = false;

  #backend = null;
  #session = null;
  #policy = {};
  #connect = null;
  #connecting = null;
  #held = false;
  #before = "";
  #silent = true;
  #shownFor = "";
  #calledOff = new AbortController();
  #timer = 0;
  #onChange;

  /** `onChange()` is called whenever any of this changes. */
  constructor(onChange) {
    this.#onChange = onChange;
  }

  /** Asks another backend from now on; `connect()` is awaited first, and anew if it fails. */
  use(backend, connect) {
    this.#backend = backend;
    this.#connect = connect;
    this.#connecting = null;
    this.problem = null;
    this.set(this.#policy);
  }

  /** Suggests by another policy from now on: the fields of a request besides the text. */
  set(policy) {
    this.#policy = policy;
    if (!this.#backend) return;
    const backend = this.#backend;
    const ask = (text, how, signal, onWords) =>
      backend.suggest({ ...how, text }, { signal, onWords });
    this.#session = new Session({ suggest: ask }, policy);
    this.#shown("", "");
    this.retry();
  }

  /** Takes what is before the cursor now; suggests nothing there if `silent`. */
  moved(before, silent) {
    silent ||= before.trim() === "";
    if (before === this.#before && silent === this.#silent) return;
    this.#before = before;
    this.#silent = silent;
    const whole = this.#shownFor + this.ghost;
    const agrees =
      !silent &&
      before.startsWith(this.#shownFor) &&
      whole.startsWith(before) &&
      whole.length > before.length;
    this.#shown(before, agrees ? whole.slice(before.length) : "");
    if (this.#held) this.#onChange();
    else void this.#ask();
  }

  /** The suggestion, or its next word: what to put in at the cursor. */
  accepted(part) {
    return part === "all" ? this.ghost : firstWord(this.ghost);
  }

  /** Suggests nothing until the text or the cursor changes, and then not the same. */
  dismiss() {
    this.#calledOff.abort();
    this.#session?.dismiss();
    this.asking = false;
    this.#shown(this.#before, "");
    this.#onChange();
  }

  /** Shows another suggestion in place of the one in sight. */
  another() {
    if (this.ghost && !this.#held) void this.#ask(true);
  }

  /** Tries again now, after a failure or when something has changed. */
  retry() {
    clearTimeout(this.#timer);
    this.#held = false;
    void this.#ask();
  }

  /** Tries again with a key or a server that may be another: what runs does not know of it. */
  reconnect() {
    this.#connecting = null;
    this.retry();
  }

  #failed(error) {
    const { code = "trouble", message } = error;
    const waitS = FINAL.has(code) ? null : (error.retryAfter ?? WAIT_S[code] ?? null);
    this.problem = { code, message, waitS };
    this.#held = waitS !== null || FINAL.has(code);
    this.asking = false;
    clearTimeout(this.#timer);
    if (waitS !== null) this.#timer = setTimeout(() => this.retry(), waitS * 1000);
    this.#onChange();
  }

  async #ask(another = false) {
    this.#calledOff.abort();
    this.#calledOff = new AbortController();
    const { signal } = this.#calledOff;
    const [before, silent, session] = [this.#before, this.#silent, this.#session];
    this.only = false;
    this.asking = session !== null && !silent;
    this.#onChange();
    if (session === null) return;
    try {
      await this.#connected();
      if (signal.aborted) return;
      if (silent) {
        this.problem = null;
        this.#onChange();
        return;
      }
      const answer = another
        ? await session.next(before, signal)
        : await session.suggest(before, signal, (words) => this.#words(before, words, signal));
      if (signal.aborted) return;
      if (answer.superseded) {
        this.asking = false;
        this.#onChange();
        return;
      }
      this.#answered(before, answer, another);
      // Nobody waits for this, and nobody is told when it fails.
      session.prefetch(before, signal).catch(() => {});
    } catch (error) {
      if (!signal.aborted) this.#failed(error);
    }
  }

  async #connected() {
    const connecting = (this.#connecting ??= this.#connect());
    try {
      await connecting;
    } catch (error) {
      if (this.#connecting === connecting) this.#connecting = null;
      throw error;
    }
  }

  #words(before, words, signal) {
    // What is in sight already is not taken back while the same is found again.
    if (signal.aborted || this.ghost.startsWith(words)) return;
    this.#shown(before, words);
    this.#onChange();
  }

  #answered(before, answer, another) {
    const text = answer.items[0]?.text ?? "";
    this.only = another && text === this.ghost;
    this.#shown(before, text);
    this.answer = answer;
    this.problem = null;
    this.asking = false;
    this.#onChange();
  }

  #shown(before, ghost) {
    this.#shownFor = before;
    this.ghost = ghost;
    this.answer = null;
  }
}
