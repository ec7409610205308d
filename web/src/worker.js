/**
 * The model's thread. The page sends `{id, type, …}`, and hears of every message `{id, result}`
 * or `{id, error: {code, message}}` in the end, `{id, status}` and `{id, words}` before that:
 *
 *   start    model, key              downloads and loads a model, once a worker
 *   suggest  request                 as POST /v1/suggest
 *   logits   ids                     scores of what follows some tokens, for whoever compares
 *   abort    of                      calls off the message with that id
 *   stored                           the models kept in this browser
 *   remove   model                   forgets one
 */

import { Completer } from "../../src/foreword/server/static/text/completer.js";
import { LEVELS, loadFilter } from "../../src/foreword/server/static/text/safety.js";
import { BundleStore } from "./bundle.js";
import { Engine } from "./engine.js";
import { DeviceError } from "./errors.js";
import { Graph, loadRuntime, usableThreads } from "./graph.js";
import { Tokenizer, UnsupportedTokenizerError } from "./tokenizer.js";

const LEXICON = "/static/text/lexicon.json";
const RUNTIME = new URL("./", self.location.href).href;

/** @type {Map<number, AbortController>} */
const running = new Map();
/** @type {{model: string, engine: Engine, completer: Completer} | null} */
let loaded = null;
/** The suggestion that is being made: a completer makes one at a time. @type {Promise<unknown>} */
let turn = Promise.resolve();

const handlers = {
  async start({ model, key }, signal, tell) {
    if (loaded !== null) throw new DeviceError("device", "this worker has a model already");
    const { description, files } = await fetched(model, key, signal, tell);
    tell({ status: { state: "loading" } });
    const tokenizer = tokenizerOf(files["tokenizer.json"]);
    const threads = await usableThreads();
    await loadRuntime(RUNTIME, threads);
    const graph = await Graph.load(files["model.tflite"], description, threads);
    const engine = new Engine(graph, description, tokenizer);
    loaded = { model, engine, completer: new Completer(engine, await filterOf(description)) };
    return { threads };
  },

  async suggest({ request }, signal, tell) {
    const { model, completer } = ready();
    const onWords = (words) => tell({ words });
    const made = turn.then(() => completer.suggest(request.text, request, signal, onWords));
    turn = made.catch(() => {});
    return { model, ...(await made), superseded: false };
  },

  async logits({ ids }, signal) {
    return ready().engine.logits(ids, signal);
  },

  async stored() {
    return new BundleStore().stored();
  },

  async remove({ model }) {
    await new BundleStore().remove(model);
  },
};

self.onmessage = async ({ data }) => {
  const { id, type } = data;
  if (type === "abort") {
    running.get(data.of)?.abort();
    return;
  }
  const controller = new AbortController();
  running.set(id, controller);
  try {
    const tell = (message) => self.postMessage({ id, ...message });
    const result = await handlers[type](data, controller.signal, tell);
    self.postMessage({ id, result });
  } catch (error) {
    self.postMessage({ id, error: described(error) });
  } finally {
    running.delete(id);
  }
};

/** A model's files out of this browser's store; what is not there is downloaded first. */
async function fetched(model, key, signal, tell) {
  const store = new BundleStore(key);
  const description = await store.describe(model, signal);
  const names = description.files.map((file) => file.name);
  const total = description.files.reduce((bytes, file) => bytes + file.size_bytes, 0);
  const status = (state, done) => tell({ status: { state, done_bytes: done, total_bytes: total } });
  // Once more, should the browser have lost a part of what it kept.
  for (let attempt = 0; attempt < 2; attempt += 1) {
    await store.download(description, signal, (done) => status("downloading", done));
    const files = {};
    let done = 0;
    for (const name of names) {
      files[name] = await store.read(description, name, (bytes) => {
        done += bytes;
        status("checking", done);
      });
    }
    if (names.every((name) => files[name])) return { description, files };
  }
  throw new DeviceError("storage", "the browser does not keep what is stored in it");
}

function tokenizerOf(file) {
  try {
    return new Tokenizer(JSON.parse(new TextDecoder().decode(file)));
  } catch (error) {
    if (!(error instanceof UnsupportedTokenizerError)) throw error;
    throw new DeviceError("model", `this model's tokenizer cannot be followed: ${error.message}`);
  }
}

/** The safety filter at the server's level; the words are the page's own. */
async function filterOf({ safety = "default" }) {
  const response = await fetch(LEXICON).catch(() => null);
  if (!response?.ok) throw new DeviceError("offline", "the safety filter's words are out of reach");
  return loadFilter(await response.json(), safety in LEVELS ? safety : "strict");
}

function ready() {
  if (loaded === null) throw new DeviceError("device", "the model is not loaded");
  return loaded;
}

function described(error) {
  if (error instanceof DeviceError) return { code: error.code, message: error.message };
  if (error?.name === "AbortError") return { code: "aborted", message: error.message };
  const message = String(error?.message ?? error);
  if (/memory|allocation|OOM/i.test(message)) return { code: "memory", message };
  return { code: error instanceof RangeError ? "request" : "device", message };
}
