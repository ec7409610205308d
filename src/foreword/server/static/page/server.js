import { nearEnd } from "../text/window.js";

const KEY = "foreword-key";
const CODES = { 401: "api_key", 403: "forbidden", 404: "model", 429: "busy" };
/** What a server that cannot answer (503) says of itself, and what that is to the page. */
const UNAVAILABLE = { loading: "loading", failed: "failed", closing: "offline" };

/** Why there is no answer: `code` tells the page what to do, `message` is the server's own. */
export class BackendError extends Error {
  constructor(code, message, retryAfter = null) {
    super(message);
    this.name = "BackendError";
    this.code = code;
    this.retryAfter = retryAfter; // seconds
  }
}

/**
 * Suggestions from the server that gave this page.
 *
 * Requests and answers are those of `POST /v1/suggest`. Only the end of a text that the model
 * can take in is sent. The key, where the server wants one, stays in this tab.
 */
export class ServerBackend {
  #context = null;
  #session = newSession();

  set key(key) {
    sessionStorage.setItem(KEY, key);
  }

  /** What the server has, as `GET /v1/models` lists it; rejects while it is still loading. */
  async models() {
    const { data } = await (await this.#fetch("/v1/models", {})).json();
    this.#context = Math.max(0, ...data.map((model) => model.context ?? 0)) || null;
    await this.#fetch("/health", {});
    return data;
  }

  /** One answer; `onWords(text)` is called as the first suggestion grows. */
  async suggest(request, { signal, onWords } = {}) {
    const text = this.#context ? nearEnd(request.text, this.#context) : request.text;
    const response = await this.#fetch("/v1/suggest", {
      method: "POST",
      body: JSON.stringify({ ...request, text, session: this.#session, stream: true }),
      signal,
    });
    try {
      for await (const event of eventsOf(response.body)) {
        if (event.error) throw failure(event.error, response);
        if (event.done) return event;
        onWords?.(event.text);
      }
    } catch (error) {
      throw signal?.aborted || error instanceof BackendError ? error : unreachable(error);
    }
    throw unreachable();
  }

  async #fetch(path, { method = "GET", body, signal }) {
    const headers = {};
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const key = sessionStorage.getItem(KEY);
    if (key) headers.Authorization = `Bearer ${key}`;
    let response;
    try {
      response = await fetch(path, { method, headers, body, signal, cache: "no-store" });
    } catch (error) {
      throw signal?.aborted ? error : unreachable(error);
    }
    if (response.ok) return response;
    const answer = await response.json().catch(() => ({}));
    throw failure(answer.error ?? {}, response);
  }
}

/** The JSON of every `data:` event of a stream; comments that keep it open are passed over. */
export async function* eventsOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const events = (rest + value).split(/\r?\n\r?\n/);
    rest = events.pop();
    for (const event of events) {
      const lines = event.split(/\r?\n/).filter((line) => line.startsWith("data:"));
      if (lines.length) yield JSON.parse(lines.map((line) => line.slice(5)).join("\n"));
    }
  }
}

function failure({ code, message }, response) {
  const { status } = response;
  // `/health` speaks as llama.cpp does, whose code is the status.
  const state = code === 503 ? (message === "Loading model" ? "loading" : "failed") : code;
  const wait = Number.parseFloat(response.headers.get("Retry-After"));
  return new BackendError(
    (status === 503 ? UNAVAILABLE[state] : CODES[status]) ?? "trouble",
    message ?? `HTTP ${status}`,
    Number.isFinite(wait) ? wait : null,
  );
}

function unreachable(cause) {
  return new BackendError("offline", cause?.message ?? "The answer broke off");
}

/** A name of this page's own, so that its newest request supersedes its older ones. */
function newSession() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
