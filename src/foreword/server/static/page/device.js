import { BackendError } from "./server.js";

const WORKER = "/static/device/worker.js";
const KEY = "foreword-key";
// `v128.const` in a function of its own: the least that wasm's SIMD has.
const SIMD = [
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 22, 1, 20, 0, 253, 12, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11,
];
const CONTROL_MS = 5000;
/** What the page calls the worker's failures; all others have ended the model. */
const CODES = {
  api_key: "api_key",
  forbidden: "forbidden",
  model: "model",
  offline: "offline",
  prompt: "trouble",
  request: "trouble",
};

/** Has the browser keep the page, so that it opens offline; rejects where it cannot. */
export async function keepPage() {
  await navigator.serviceWorker.register("/sw.js", { updateViaCache: "none" });
}

/**
 * Suggestions from a model in this browser, in a worker of its own; the interface is that of
 * `ServerBackend`. A failure that ends the model has the code "device".
 */
export class DeviceBackend {
  #calls = new Map();
  #last = 0;
  #worker = null;

  /**
   * Whether this browser can run a model here, and on how many threads; if not, why:
   * "wasm-simd", "insecure" (neither this machine nor HTTPS), "storage" or "not-built".
   * @returns {Promise<{ok: true, threads: number} | {ok: false, reason: string}>}
   */
  static async support() {
    if (!globalThis.WebAssembly?.validate(new Uint8Array(SIMD))) return no("wasm-simd");
    if (!isSecureContext) return no("insecure");
    try {
      await caches.has("foreword-models"); // a private window may have the name and refuse
    } catch {
      return no("storage");
    }
    const built = await fetch(WORKER).catch(() => null);
    // Out of reach is no answer: it may be offline, with everything kept.
    if (built && !built.ok) return no("not-built");
    const threads = crossOriginIsolated ? Math.min(navigator.hardwareConcurrency ?? 1, 4) : 1;
    return { ok: true, threads };
  }

  /**
   * Downloads a model where it is not kept yet, and loads it. `onStatus` is told the state
   * ("downloading", "checking", "loading", "ready", "failed") with `done_bytes`, `total_bytes`
   * and, for a failure, its `reason`: "offline", "model", "storage", "memory", "damaged",
   * "api_key", "not-built" or "device". Called again, it begins anew, with what has come so far.
   */
  async start(model, onStatus = () => {}) {
    this.stop();
    // A browser may still drop what is kept, and may ask the reader: nothing waits for it.
    void navigator.storage?.persist?.().catch(() => false);
    await controlled();
    try {
      const key = sessionStorage.getItem(KEY);
      const { threads } = await this.#call({ type: "start", model, key }, { onStatus });
      onStatus({ state: "ready", threads });
    } catch (error) {
      if (error.reason) onStatus({ state: "failed", reason: error.reason });
      throw error;
    }
  }

  /** One answer; `onWords(text)` is called as the first suggestion grows. */
  suggest(request, { signal, onWords } = {}) {
    return this.#call({ type: "suggest", request }, { signal, onWords });
  }

  /** The scores of what follows some tokens, a Float32Array; for whoever compares. */
  logits(ids, { signal } = {}) {
    return this.#call({ type: "logits", ids }, { signal });
  }

  /** The models that can be run here: what the server offers, or what is kept when it is away. */
  async models() {
    const key = sessionStorage.getItem(KEY);
    const headers = key ? { Authorization: `Bearer ${key}` } : {};
    const response = await fetch("/v1/models", { headers, cache: "no-store" }).catch(() => null);
    if (response?.ok) return (await response.json()).data.filter((model) => model.device);
    if (response?.status === 401) throw new BackendError("api_key", "The server wants a key");
    const kept = await this.stored();
    return kept
      .filter(({ complete }) => complete)
      .map(({ model, context }) => ({ id: model, object: "model", context, device: true }));
  }

  /** The models kept in this browser, with their sizes; not all of one that is not `complete`. */
  stored() {
    return this.#call({ type: "stored" });
  }

  /** Deletes a model from this browser; what runs goes on running. */
  remove(model) {
    return this.#call({ type: "remove", model });
  }

  /** Ends the model, whatever it does, and gives its memory back. */
  stop() {
    this.#fail(new BackendError("device", "The model was stopped"));
  }

  #call(message, { signal, onWords, onStatus } = {}) {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted(); // which rejects
      const worker = (this.#worker ??= this.#begin());
      const id = (this.#last += 1);
      const abort = () => {
        worker.postMessage({ type: "abort", of: id });
        settle(() => reject(signal.reason));
      };
      const settle = (end) => {
        signal?.removeEventListener("abort", abort);
        this.#calls.delete(id);
        end();
      };
      signal?.addEventListener("abort", abort);
      this.#calls.set(id, {
        told: ({ status, words }) => {
          if (status) onStatus?.(status);
          if (words !== undefined) onWords?.(words);
        },
        done: (result) => settle(() => resolve(result)),
        failed: (error) => settle(() => reject(error)),
      });
      worker.postMessage({ id, ...message });
    });
  }

  #begin() {
    const worker = new Worker(WORKER);
    worker.onmessage = ({ data }) => {
      const call = this.#calls.get(data.id);
      if (!call) return; // called off meanwhile
      if ("error" in data) call.failed(failure(data.error));
      else if ("result" in data) call.done(data.result);
      else call.told(data);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      const error = failure({ code: "device", message: event.message ?? "The worker failed" });
      // A script that is not there has nothing to say.
      if (!event.message) error.reason = "not-built";
      this.#fail(error);
    };
    return worker;
  }

  #fail(error) {
    this.#worker?.terminate();
    this.#worker = null;
    for (const call of [...this.#calls.values()]) call.failed(error);
  }
}

/** Waits until the service worker keeps what the model's worker will fetch, where there is one. */
async function controlled() {
  const container = navigator.serviceWorker;
  const registration = await container?.getRegistration().catch(() => undefined);
  // One that is active and not in control was left out on purpose, by a forced reload.
  if (!registration || container.controller || registration.active?.state === "activated") return;
  await new Promise((resolve) => {
    container.addEventListener("controllerchange", resolve, { once: true });
    setTimeout(resolve, CONTROL_MS);
  });
}

function failure({ code, message }) {
  if (code === "aborted") return new DOMException(message, "AbortError");
  const error = new BackendError(CODES[code] ?? "device", message);
  error.reason = code;
  return error;
}

const no = (reason) => ({ ok: false, reason });
